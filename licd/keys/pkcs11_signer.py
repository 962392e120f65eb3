"""A key on a PKCS#11 token (HSM, smart card, SoftHSM): it signs there, and its secret never comes here.

Ed25519 by CKM_EDDSA (PKCS#11 3.0, section 6.3). The public key is read from the public key object beside the private
one, and a trial signature is checked against it before anything is believed of the token. A session that has gone
(token pulled out, HSM restarted) is opened again, once, for the signature at hand.

Needs the extra [pkcs11]. One signer is used by one thread at a time; several signers may share a token.
"""

import importlib
import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from licd.keys.errors import KeysError
from licd.keys.kinds import KeyPurpose
from licd.keys.pkcs11_uri import Pkcs11Uri
from licd.keys.private_file import read_private
from licd.keys.public_key import PUBLIC_KEY_BYTES, PublicKeyError
from licd.keys.verification_key import VerificationKey, key_id_of

MAX_PIN_BYTES: Final = 256
"""Longest PIN file that is read."""
_OCTET_STRING: Final = b"\x04\x20"  # DER: an octet string of 32 bytes
_TRIAL: Final = b"licd-pkcs11-trial-v1"


class TokenError(KeysError):
    """The token does not do what it should. The message names the key and what to look at; it never holds the PIN."""


class Pkcs11Signer:
    """Signs with one key on one token."""

    __slots__ = ("_key", "_lock", "_module", "_pin", "_pkcs11", "_session", "_uri", "key_id", "public_key", "purpose")

    def __init__(self, purpose: KeyPurpose, uri: Pkcs11Uri, module: Path, pin: str) -> None:
        """Log in, find the key and try it. Raises TokenError."""
        self._pkcs11: Final = _library()
        self._uri: Final = uri
        self._module: Final = module
        self._pin: Final = pin
        self._lock: Final = threading.Lock()
        self._session: Any = None
        self._key: Any = None
        self.purpose: Final = purpose
        try:
            self._open()
            self.public_key: Final = self._read_public_key()
        except self._pkcs11.PKCS11Error as error:
            raise TokenError(f"{uri}: {_said(error)}") from error
        self.key_id: Final = key_id_of(purpose, self.public_key)
        self._try()

    def sign(self, message: bytes, /) -> bytes:
        """Sign these bytes on the token. Raises TokenError."""
        with self._lock:
            try:
                return self._sign(message)
            except self._pkcs11.PKCS11Error:
                self._close()
            try:
                self._open()
                return self._sign(message)
            except self._pkcs11.PKCS11Error as error:
                raise TokenError(f"{self._uri}: it signed nothing: {_said(error)}") from error

    def _sign(self, message: bytes) -> bytes:
        signature: bytes = self._key.sign(message, mechanism=self._pkcs11.Mechanism.EDDSA)
        return signature

    def _open(self) -> None:
        library = self._pkcs11.lib(str(self._module))
        wanted = {"token_label": self._uri.token, "token_serial": self._uri.serial}
        tokens = library.get_tokens(**{name: value for name, value in wanted.items() if value})
        token = self._one(list(tokens), "token")
        try:
            self._session = token.open(user_pin=self._pin)
        except self._pkcs11.UserAlreadyLoggedIn:  # by another key of the same token: a login is the process's
            self._session = token.open()
        self._key = self._find(self._pkcs11.ObjectClass.PRIVATE_KEY)

    def _close(self) -> None:
        with suppress(self._pkcs11.PKCS11Error):
            self._session.close()

    def _find(self, kind: Any) -> Any:
        attribute = self._pkcs11.Attribute
        named = {attribute.LABEL: self._uri.label, attribute.ID: self._uri.id}
        wanted = {name: value for name, value in named.items() if value}
        wanted |= {attribute.CLASS: kind, attribute.KEY_TYPE: self._pkcs11.KeyType.EC_EDWARDS}
        # To the end of the search: one that is left in the middle keeps the session busy.
        return self._one(list(self._session.get_objects(wanted)), "Ed25519 key")

    def _one(self, found: list[Any], what: str) -> Any:
        if len(found) != 1:
            raise TokenError(f"{self._uri}: {'more than one' if found else 'there is no'} such {what}")
        return found[0]

    def _read_public_key(self) -> bytes:
        point = bytes(self._find(self._pkcs11.ObjectClass.PUBLIC_KEY)[self._pkcs11.Attribute.EC_POINT])
        # An octet string by the standard; some tokens give the bare point.
        raw = point.removeprefix(_OCTET_STRING) if len(point) > PUBLIC_KEY_BYTES else point
        if len(raw) != PUBLIC_KEY_BYTES:
            raise TokenError(f"{self._uri}: its public key has {len(raw)} bytes: is it Ed25519?")
        return raw

    def _try(self) -> None:
        try:
            key = VerificationKey.of(self.purpose, self.public_key, not_before_ms=0, not_after_ms=0)
        except PublicKeyError as error:
            raise TokenError(f"{self._uri}: {error}") from error
        if not key.verifies(self.sign(_TRIAL), _TRIAL):
            raise TokenError(f"{self._uri}: what it signs does not fit the public key beside it")

    def __repr__(self) -> str:
        return f"Pkcs11Signer({self.purpose.word}, {self.key_id}, {self._uri})"


def read_pin(path: Path) -> str:
    """The PIN in a file that only its owner may read, without the line's end. Raises KeyFileError, OSError."""
    return read_private(path, MAX_PIN_BYTES).decode("utf-8", "strict").rstrip("\r\n")


def _library() -> ModuleType:
    try:
        return importlib.import_module("pkcs11")
    except ImportError as error:
        raise TokenError("a key on a token needs licd's extra: pip install 'licd[pkcs11]'") from error


def _said(error: Exception) -> str:
    """PKCS#11 errors often carry no words."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
