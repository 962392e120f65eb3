"""PKCS#11 URIs (RFC 7512): which token, which key on it, which module, and where its PIN is kept.

    pkcs11:token=licd;object=permit?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/licd/pin

Of the attributes those are understood that name a key: token, serial, object, id; module-path and pin-source, and
type when it says private. Any other is refused: one that is passed over could mean another key. pin-value is refused
because a configuration is no place for a PIN.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from licd.keys.errors import KeysError

SCHEME: Final = "pkcs11:"
MAX_URI: Final = 2048
"""Longest URI, in characters."""
_PATH: Final = frozenset({"token", "serial", "object", "id", "type"})
_QUERY: Final = frozenset({"module-path", "pin-source"})
_ATTRIBUTE: Final = re.compile(r"([a-z-]+)=([A-Za-z0-9\-._~:\[\]@!$'()*+,=&/?%|]*)")


class Pkcs11UriError(KeysError):
    """This is no URI of a key, or of one in a way that licd does not take."""


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A private key on a token. Empty attributes were not named; at least one of label and id was."""

    token: str
    serial: bytes
    label: str
    id: bytes
    module: Path | None
    pin_source: Path | None

    def __str__(self) -> str:
        named = [f"token {self.token}" if self.token else "", f"object {self.label}" if self.label else ""]
        named.append(f"id {self.id.hex()}" if self.id else "")
        return " ".join(filter(None, named))


def parse_pkcs11_uri(text: str) -> Pkcs11Uri:
    """Read a URI. Raises Pkcs11UriError naming the attribute."""
    if not text.startswith(SCHEME) or len(text) > MAX_URI:
        raise Pkcs11UriError(f"{text[:60]!r} is no PKCS#11 URI: pkcs11:token=...;object=...")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    found = _attributes(path, ";", _PATH) | _attributes(query, "&", _QUERY)
    if found.get("type", b"private") != b"private":
        raise Pkcs11UriError("type: a private key is what signs")
    if not (found.get("object") or found.get("id")):
        raise Pkcs11UriError("object or id: one of them says which key")
    if not (found.get("token") or found.get("serial")):
        raise Pkcs11UriError("token or serial: one of them says which token")
    return Pkcs11Uri(
        token=_text(found, "token"),
        serial=found.get("serial", b""),
        label=_text(found, "object"),
        id=found.get("id", b""),
        module=_file(found, "module-path"),
        pin_source=_file(found, "pin-source"),
    )


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        match = _ATTRIBUTE.fullmatch(part)
        if match is None:
            raise Pkcs11UriError(f"{part[:60]!r} is no attribute: name=value")
        name, value = match.groups()
        if name not in known:
            raise Pkcs11UriError(f"{name}: licd takes {', '.join(sorted(known))} there")
        if name in found:
            raise Pkcs11UriError(f"{name} comes twice")
        found[name] = unquote_to_bytes(value)
    return found


def _text(found: dict[str, bytes], name: str) -> str:
    try:
        return found.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise Pkcs11UriError(f"{name}: no UTF-8") from error


def _file(found: dict[str, bytes], name: str) -> Path | None:
    text = _text(found, name).removeprefix("file://").removeprefix("file:")
    if not text:
        return None
    if not text.startswith("/"):
        raise Pkcs11UriError(f"{name}: an absolute path of a file")
    return Path(text)
