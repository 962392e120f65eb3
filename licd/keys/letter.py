"""Letters: bytes that one key alone opens. HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305.

A letter is bound to what it is for: another purpose, or another allegation, does not open it. It is padded to full
steps, so that its length tells how long the words are to half a kilobyte and no closer.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from licd.keys.errors import KeysError
from licd.keys.private_file import EVERYBODY, read_private, read_public, refuse_existing, write_new

SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
DOMAIN: Final = b"licd-letter-v1\x00"
KEY_BYTES: Final = 32
STEP: Final = 512
LENGTH_BYTES: Final = 4
OVERHEAD: Final = 32 + 16
MAX_PEM_BYTES: Final = 4096


class Part(StrEnum):
    """What a letter holds: each opens under its own name alone."""

    BODY = "body"
    IDENTITY = "identity"
    MESSAGE_TO_OFFICE = "message to office"
    MESSAGE_TO_REPORTER = "message to reporter"


class LetterRefused(KeysError):
    """A letter that this key does not open, or no letter at all."""


def _info(part: Part, tracking: bytes) -> bytes:
    return DOMAIN + part.value.encode() + b"\x00" + tracking


def seal_letter(public_key: bytes, part: Part, tracking: bytes, content: bytes) -> bytes:
    """Seals content for whoever has the key. tracking is the hash of the allegation's tracking code."""
    framed = len(content).to_bytes(LENGTH_BYTES, "big") + content
    padded = framed + bytes(-len(framed) % STEP)
    return SUITE.encrypt(padded, X25519PublicKey.from_public_bytes(public_key), _info(part, tracking))


def open_letter(private_key: X25519PrivateKey, part: Part, tracking: bytes, letter: bytes) -> bytes:
    """What was sealed. Raises LetterRefused."""
    try:
        padded = SUITE.decrypt(letter, private_key, _info(part, tracking))
    except (InvalidTag, ValueError) as error:
        raise LetterRefused("this key does not open it: another key, another allegation, or changed bytes") from error
    length = int.from_bytes(padded[:LENGTH_BYTES], "big")
    content = padded[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(content) != length or any(padded[LENGTH_BYTES + length :]):
        raise LetterRefused("what was sealed is no letter")
    return content


def public_bytes(private_key: X25519PrivateKey) -> bytes:
    """The 32 bytes that letters are sealed to."""
    return private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def make_letter_key(path: Path, passphrase: bytes | None) -> bytes:
    """Writes a new private key to path and its public half to path.pub; gives that. Raises KeyFileError, OSError."""
    public_path = path.with_name(path.name + ".pub")
    refuse_existing(public_path)
    key = X25519PrivateKey.generate()
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_new(public_path, pem, EVERYBODY)
    return pem


def read_letter_key(path: Path, passphrase: bytes | None) -> X25519PrivateKey:
    """A key that `make_letter_key` wrote. Raises KeysError, OSError."""
    pem = read_private(path, MAX_PEM_BYTES)
    try:
        key = load_pem_private_key(pem, passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise KeysError(f"{path}: no private key, or another passphrase") from error
    if not isinstance(key, X25519PrivateKey):
        raise KeysError(f"{path}: not a key for letters (X25519)")
    return key


def is_protected(path: Path) -> bool:
    """Whether a passphrase opens the file. Raises KeysError, OSError."""
    return b"ENCRYPTED PRIVATE KEY" in read_private(path, MAX_PEM_BYTES)


def read_office_key(path: Path) -> bytes:
    """The public half, which licd seals to. Raises KeysError, OSError."""
    try:
        key = load_pem_public_key(read_public(path, MAX_PEM_BYTES))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeysError(f"{path}: no public key") from error
    if not isinstance(key, X25519PublicKey):
        raise KeysError(f"{path}: not a key for letters (X25519)")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
