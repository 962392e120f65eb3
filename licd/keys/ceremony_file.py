"""The file of a key ceremony: what changes from one trust bundle to the next, reviewed by people before they sign.

TOML. The bundle follows from this file and the bundle before alone, so everybody who signs makes the same bytes of it
on a machine of his own. Times carry their offset. An unknown key is refused.

    trust_domain = "licd.example"
    follows = 1                              # the version in force
    issued_at = 2026-03-01T09:00:00Z         # root keys must be valid then
    expires_at = 2027-03-01T09:00:00Z
    refresh_hint_seconds = 3600              # how long a withdrawn key may still be believed
    reason = "the yearly change of the permit key"
    root_threshold = 2                       # may be left out: as before

    [[add]]                                  # purpose root makes it a root key
    purpose = "permit-online"
    public_key = "…64 hex digits…"
    not_before = 2026-03-01T10:00:00Z
    not_after = 2026-06-01T10:00:00Z
    max_token_life_seconds = 0               # may be left out, as may owner

    [[retire]]                               # signs until then; what it signed stays believed
    key = "…16 hex digits…"
    not_after = 2026-03-02T10:00:00Z

    [[withdraw]]                             # believed no more, nor anything it ever signed
    key = "…"
    why = "the laptop was stolen"

    [[drop]]                                 # a key that has run out, or a root key
    key = "…"

    [[add_authority]]
    pem = '''…'''

    [[drop_authority]]
    sha256 = "…of the certificate, DER…"
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from licd.core.time import SECOND, Instant, Millis
from licd.core.toml_text import TomlInvalid, parse_toml
from licd.keys.errors import KeysError
from licd.keys.kinds import KeyPurpose, purpose_of_word
from licd.keys.pem_files import certificates_from_pem, certificates_to_pem
from licd.keys.pki import CertificateError
from licd.keys.public_key import PublicKeyError
from licd.keys.verification_key import VerificationKey

MAX_FILE_BYTES: Final = 1 << 18
"""Largest ceremony file that is read."""
MOST: Final = (1 << 31) - 1
"""Largest figure of the file: seconds for sixty years, and what a bundle's fields can hold."""
MAX_REASON: Final = 2000
"""Longest reason, in characters."""


class CeremonyInvalid(KeysError):
    """A ceremony that cannot be held. The message names the key of the file and what would be right."""


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a ceremony file asks for. retire: until when a key still signs; withdraw: why. Both by key id.

    drop_authorities are SHA-256 of certificates in hex; root_threshold 0 leaves it as it is.
    """

    trust_domain: str
    follows: int
    issued_at: Instant
    expires_at: Instant
    refresh_hint: Millis
    reason: str
    root_threshold: int
    add: tuple[VerificationKey, ...]
    retire: Mapping[str, Instant]
    withdraw: Mapping[str, str]
    drop: tuple[str, ...]
    add_authorities: tuple[str, ...]
    drop_authorities: tuple[str, ...]


def read_ceremony(path: Path) -> Ceremony:
    """Read a ceremony file. Raises CeremonyInvalid, OSError."""
    data = path.read_bytes()
    if len(data) > MAX_FILE_BYTES:
        raise CeremonyInvalid(f"{path}: more than {MAX_FILE_BYTES} bytes")
    try:
        return parse_ceremony(data.decode())
    except (UnicodeDecodeError, CeremonyInvalid) as error:
        raise CeremonyInvalid(f"{path}: {error}") from error


def parse_ceremony(text: str) -> Ceremony:
    """Read a ceremony from its text. Raises CeremonyInvalid."""
    try:
        fields = _Fields(parse_toml(text), "")
    except TomlInvalid as error:
        raise CeremonyInvalid(str(error)) from error
    ceremony = Ceremony(
        trust_domain=fields.text("trust_domain"),
        follows=fields.number("follows", least=1),
        issued_at=fields.moment("issued_at"),
        expires_at=fields.moment("expires_at"),
        refresh_hint=fields.number("refresh_hint_seconds", least=1) * SECOND,
        reason=fields.text("reason"),
        root_threshold=fields.number("root_threshold", least=1, default=0),
        add=tuple(_key(each) for each in fields.tables("add")),
        retire=_by_key(fields, "retire", lambda each: each.moment("not_after")),
        withdraw=_by_key(fields, "withdraw", lambda each: each.text("why")),
        drop=tuple(_by_key(fields, "drop", lambda _: None)),
        add_authorities=tuple(_authority(each) for each in fields.tables("add_authority")),
        drop_authorities=tuple(_thumbprint(each) for each in fields.tables("drop_authority")),
    )
    fields.done()
    return ceremony


class _Fields:
    """A table of the file; each key is read once, and what is left over is unknown."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._left: Final = dict(table)
        self._where: Final = where

    def _take(self, name: str) -> Any:
        if name not in self._left:
            raise CeremonyInvalid(f"{self._where}{name} is missing")
        return self._left.pop(name)

    def wrong(self, name: str, what: str) -> CeremonyInvalid:
        """The error that names a key."""
        return CeremonyInvalid(f"{self._where}{name}: {what}")

    def text(self, name: str, default: str | None = None) -> str:
        if default is not None and name not in self._left:
            return default
        value = self._take(name)
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_REASON or not value.isprintable():
            raise self.wrong(name, f"one line of text, at most {MAX_REASON} characters")
        return value

    def number(self, name: str, *, least: int, default: int | None = None) -> int:
        if default is not None and name not in self._left:
            return default
        value = self._take(name)
        if type(value) is not int or not least <= value <= MOST:
            raise self.wrong(name, f"a whole number from {least} to {MOST}")
        return value

    def moment(self, name: str) -> Instant:
        value = self._take(name)
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise self.wrong(name, "a date and time with its offset, as 2026-03-01T09:00:00Z")
        return int(value.timestamp()) * SECOND

    def pem(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str):
            raise self.wrong(name, "PEM text")
        return value

    def tables(self, name: str) -> "list[_Fields]":
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(name, f"tables, each headed [[{name}]]")
        return [_Fields(each, f"{name}[{index}].") for index, each in enumerate(value)]

    def done(self) -> None:
        if self._left:
            raise CeremonyInvalid(f"{self._where}{min(self._left)} is not a key of this file")


def _key(fields: _Fields) -> VerificationKey:
    word = fields.text("purpose")
    purpose = purpose_of_word(word)
    if purpose is None:
        raise fields.wrong("purpose", f"{word!r} is none of {', '.join(each.word for each in KeyPurpose)}")
    try:
        public_key = bytes.fromhex(fields.text("public_key"))
        key = VerificationKey.of(
            purpose,
            public_key,
            not_before_ms=fields.moment("not_before"),
            not_after_ms=fields.moment("not_after"),
            max_token_life_ms=fields.number("max_token_life_seconds", least=0, default=0) * SECOND,
            owner=fields.text("owner", default=""),
        )
    except (ValueError, PublicKeyError) as error:
        raise fields.wrong("public_key", str(error)) from error
    fields.done()
    return key


def _by_key(fields: _Fields, name: str, read: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in fields.tables(name):
        key_id = each.text("key")
        if key_id in found:
            raise each.wrong("key", f"{key_id} comes twice")
        found[key_id] = read(each)
        each.done()
    return found


def _authority(fields: _Fields) -> str:
    try:
        certificates = certificates_from_pem(fields.pem("pem").encode())
    except CertificateError as error:
        raise fields.wrong("pem", str(error)) from error
    if len(certificates) != 1:
        raise fields.wrong("pem", "one certificate")
    fields.done()
    return certificates_to_pem(certificates).decode()


def _thumbprint(fields: _Fields) -> str:
    value = fields.text("sha256").replace(":", "").lower()
    fields.done()
    return value
