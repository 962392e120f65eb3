"""What a machine signs with, read from its state directory: when licd starts, and before a bundle is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from licd.core.errors import Invalid
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import load_authority
from licd.keys.pkcs11_signer import Pkcs11Signer, read_pin
from licd.keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from licd.keys.pki import Authority
from licd.keys.private_file import KeyFileError, KeyFileReason
from licd.keys.signer import Signer
from licd.server.config import Keys, read_config
from licd.server.keychain import ONLINE
from licd.server.state_dir import StateDirectory


@dataclass(frozen=True, slots=True)
class Spare:
    """Keys and authorities beside those a daemon started with: before one takes over, and after."""

    signers: tuple[Signer, ...] = ()
    authorities: tuple[Authority, ...] = ()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the daemon signs with, before the hold switch is put in front.

    spare reads whatever else there is on this machine: at the start, and again before a trust bundle is published.
    """

    licence_issuer: Signer
    permit_online: Signer
    evidence: Signer
    authority: Authority
    spare: Callable[[], Spare] = Spare


class KeyReader:
    """Reads the keys of a state directory: those in files, and those on tokens that licd.toml names.

    Both are looked up anew each time, so that a new one needs no restart; a token's session stays open.
    """

    def __init__(self, state: StateDirectory, passphrase: bytes | None) -> None:
        self._state: Final = state
        self._passphrase: Final = passphrase
        self._on_tokens: Final[dict[tuple[KeyPurpose, str], Pkcs11Signer]] = {}

    def signers(self, purpose: KeyPurpose) -> list[Signer]:
        """Every key of a purpose, at least one. Raises KeyFileError, TokenError, Invalid."""
        on_tokens = self.on_tokens(purpose)
        paths = self._state.keys(purpose)
        if not paths and not on_tokens:
            paths = [self._state.key(purpose)]  # its absence is what is told
        return [*on_tokens, *(_read(path, purpose, self._passphrase) for path in paths)]

    def on_tokens(self, purpose: KeyPurpose) -> list[Pkcs11Signer]:
        """Those of a purpose that licd.toml names. Raises TokenError, KeyFileError, Invalid."""
        keys = read_config(self._state.root).keys
        return [self._on_token(purpose, uri, keys) for uri in keys.of(purpose)]

    def _on_token(self, purpose: KeyPurpose, text: str, keys: Keys) -> Pkcs11Signer:
        signer = self._on_tokens.get((purpose, text))
        if signer is None:
            signer = self._on_tokens[purpose, text] = _opened(purpose, parse_pkcs11_uri(text), keys, self._state)
        return signer


def _opened(purpose: KeyPurpose, uri: Pkcs11Uri, keys: Keys, state: StateDirectory) -> Pkcs11Signer:
    module = uri.module or keys.pkcs11_module
    pin_file = uri.pin_source or (state.root / keys.pin_file if keys.pin_file else None)
    if module is None:
        raise Invalid(f"{uri}: which PKCS#11 module? say pkcs11_module, or module-path in the URI", field="keys")
    if pin_file is None:
        raise Invalid(f"{uri}: where is its PIN? say pin_file, or pin-source in the URI", field="keys")
    return Pkcs11Signer(purpose, uri, module, read_pin(pin_file))


def read_secrets(state: StateDirectory, trust_domain: str, passphrase: bytes | None) -> Secrets:
    """The online keys. Raises KeysError naming the file or the token, Invalid."""
    reader = KeyReader(state, passphrase)
    issuer, permit, evidence = (reader.signers(purpose)[0] for purpose in ONLINE)
    return Secrets(
        licence_issuer=issuer,
        permit_online=permit,
        evidence=evidence,
        authority=read_authorities(state, trust_domain)[0],
        spare=partial(_spare, state, trust_domain, reader),
    )


def read_authorities(state: StateDirectory, trust_domain: str) -> Sequence[Authority]:
    """Every authority whose key is here, at least one. Raises CertificateError, KeyFileError."""
    found = [load_authority(trust_domain, *each) for each in state.authorities()]
    return found or [load_authority(trust_domain, *state.authority)]


def _spare(state: StateDirectory, trust_domain: str, reader: KeyReader) -> Spare:
    signers = tuple(each for purpose in ONLINE for each in reader.signers(purpose))
    return Spare(signers, tuple(read_authorities(state, trust_domain)))


def _read(path: Path, purpose: KeyPurpose, passphrase: bytes | None) -> Signer:
    signer = read_key_file(path, passphrase)
    if signer.purpose is not purpose:
        detail = f"it is a key for {signer.purpose.word}, its name says {purpose.word}"
        raise KeyFileError(KeyFileReason.MALFORMED, path, detail)
    return signer
