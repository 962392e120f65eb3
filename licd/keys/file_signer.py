"""Keys at rest: one small JSON file per key, its secret encrypted under a passphrase.

Argon2id (RFC 9106) turns the passphrase into a key, AES-256-GCM encrypts the 32 secret bytes with key id, purpose and
format version as additional data, so that no part can be moved to another file. Without a passphrase the file says
plainly `"protection": "none"`: for development. Fields:

  format "licd-key" · version 1 · purpose · key_id · public_key (hex) · protection "argon2id+aes-256-gcm" | "none"
  protected:   argon2id {memory_kib, iterations, lanes, salt}, nonce, sealed_secret   (hex)
  unprotected: secret (hex)
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from licd.keys.kinds import KeyPurpose, purpose_of_word
from licd.keys.private_file import KeyFileError, KeyFileReason, read_private, write_new
from licd.keys.signer import SEED_BYTES, MemorySigner, Randomness

FORMAT: Final = "licd-key"
"""First field of every key file."""
FORMAT_VERSION: Final = 1
"""Version of the file format."""
MAX_KEY_FILE_BYTES: Final = 4096
"""Largest key file that is read."""

_PROTECTED: Final = "argon2id+aes-256-gcm"
_UNPROTECTED: Final = "none"
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_COMMON: Final = frozenset({"format", "version", "purpose", "key_id", "public_key", "protection"})


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What one guess at a passphrase costs."""

    memory_kib: int
    iterations: int
    lanes: int


RECOMMENDED_COST: Final = Argon2Cost(memory_kib=64 * 1024, iterations=3, lanes=4)
"""RFC 9106, section 4, second recommendation: 64 MiB, three passes."""
_MOST: Final = Argon2Cost(memory_kib=1 << 20, iterations=64, lanes=64)


def create_key_file(
    path: Path,
    purpose: KeyPurpose,
    *,
    passphrase: bytes | None,
    randomness: Randomness,
    cost: Argon2Cost = RECOMMENDED_COST,
) -> MemorySigner:
    """Make a fresh key, write it to a new file of mode 0600, and return its signer.

    Raises KeyFileError: EXISTS; PASSPHRASE_MISSING for an empty one. OSError when the disk refuses.
    """
    seed = randomness(SEED_BYTES)
    write_key_file(path, purpose, seed, passphrase=passphrase, randomness=randomness, cost=cost)
    return MemorySigner(purpose, seed)


def write_key_file(
    path: Path,
    purpose: KeyPurpose,
    seed: bytes,
    *,
    passphrase: bytes | None,
    randomness: Randomness,
    cost: Argon2Cost = RECOMMENDED_COST,
) -> None:
    """Write a key from its 32 secret bytes to a new file. Raises as `create_key_file`, ValueError for other lengths."""
    signer = MemorySigner(purpose, seed)
    fields: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "purpose": purpose.word,
        "key_id": signer.key_id,
        "public_key": signer.public_key.hex(),
    }
    if passphrase is None:
        fields |= {"protection": _UNPROTECTED, "secret": seed.hex()}
    elif not passphrase:
        raise KeyFileError(KeyFileReason.PASSPHRASE_MISSING, path, "an empty passphrase protects nothing")
    else:
        fields |= _seal_secret(signer, seed, passphrase, randomness, cost)
    write_new(path, json.dumps(fields, indent=2).encode("ascii") + b"\n")


def read_key_file(path: Path, passphrase: bytes | None) -> MemorySigner:
    """Read a key. `passphrase` None opens unprotected files only, a passphrase protected ones only.

    Raises KeyFileError: MISSING, READABLE_BY_OTHERS, NOT_A_FILE, TOO_LARGE, MALFORMED, PASSPHRASE_MISSING,
    PASSPHRASE_WRONG (or the file was altered: the two look alike), NOT_PROTECTED.
    """
    fields = _fields_of(path)
    purpose = _purpose_of(path, fields)
    match fields.get("protection"):
        case "none" if passphrase is None:
            _refuse_other_fields(path, fields, {"secret"})
            seed = _bytes_of(path, fields, "secret", SEED_BYTES)
        case "none":
            detail = "it is not protected, although a passphrase was given: somebody may have exchanged it"
            raise KeyFileError(KeyFileReason.NOT_PROTECTED, path, detail)
        case "argon2id+aes-256-gcm" if passphrase:
            seed = _open_secret(path, fields, purpose, passphrase)
        case "argon2id+aes-256-gcm":
            raise KeyFileError(KeyFileReason.PASSPHRASE_MISSING, path, "it is protected: a passphrase is needed")
        case _:
            raise _malformed(path, "protection")
    return _signer_of(path, fields, purpose, seed)


def _seal_secret(
    signer: MemorySigner, seed: bytes, passphrase: bytes, randomness: Randomness, cost: Argon2Cost
) -> dict[str, Any]:
    salt, nonce = randomness(_SALT_BYTES), randomness(_NONCE_BYTES)
    sealed = AESGCM(_derived(passphrase, salt, cost)).encrypt(nonce, seed, _bound_to(signer.key_id, signer.purpose))
    return {
        "protection": _PROTECTED,
        "argon2id": {
            "memory_kib": cost.memory_kib,
            "iterations": cost.iterations,
            "lanes": cost.lanes,
            "salt": salt.hex(),
        },
        "nonce": nonce.hex(),
        "sealed_secret": sealed.hex(),
    }


def _open_secret(path: Path, fields: dict[str, Any], purpose: KeyPurpose, passphrase: bytes) -> bytes:
    _refuse_other_fields(path, fields, {"argon2id", "nonce", "sealed_secret"})
    cost, salt = _argon2_of(path, fields["argon2id"])
    nonce = _bytes_of(path, fields, "nonce", _NONCE_BYTES)
    sealed = _bytes_of(path, fields, "sealed_secret", SEED_BYTES + _TAG_BYTES)
    try:
        return AESGCM(_derived(passphrase, salt, cost)).decrypt(nonce, sealed, _bound_to(fields["key_id"], purpose))
    except InvalidTag as error:
        detail = "the passphrase is wrong, or the file was altered"
        raise KeyFileError(KeyFileReason.PASSPHRASE_WRONG, path, detail) from error


def _derived(passphrase: bytes, salt: bytes, cost: Argon2Cost) -> bytes:
    kdf = Argon2id(
        salt=salt, length=_KEY_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return kdf.derive(passphrase)


def _bound_to(key_id: str, purpose: KeyPurpose) -> bytes:
    return f"{FORMAT}\0{key_id}\0{purpose.word}\0{FORMAT_VERSION}".encode()


def _fields_of(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(read_private(path, MAX_KEY_FILE_BYTES))
    except (ValueError, RecursionError) as error:
        raise _malformed(path, "JSON") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise _malformed(path, "format")
    if fields.get("version") != FORMAT_VERSION:
        raise _malformed(path, "version")
    if not isinstance(fields.get("key_id"), str):
        raise _malformed(path, "key_id")
    return fields


def _purpose_of(path: Path, fields: dict[str, Any]) -> KeyPurpose:
    word = fields.get("purpose")
    purpose = purpose_of_word(word) if isinstance(word, str) else None
    if purpose is None:
        raise _malformed(path, "purpose")
    return purpose


def _argon2_of(path: Path, fields: Any) -> tuple[Argon2Cost, bytes]:
    if not isinstance(fields, dict) or fields.keys() != {"memory_kib", "iterations", "lanes", "salt"}:
        raise _malformed(path, "argon2id")
    lanes = _count_of(path, fields, "lanes", least=1, most=_MOST.lanes)
    iterations = _count_of(path, fields, "iterations", least=1, most=_MOST.iterations)
    memory_kib = _count_of(path, fields, "memory_kib", least=8 * lanes, most=_MOST.memory_kib)
    return Argon2Cost(memory_kib, iterations, lanes), _bytes_of(path, fields, "salt", _SALT_BYTES)


def _count_of(path: Path, fields: dict[str, Any], name: str, *, least: int, most: int) -> int:
    value = fields[name]
    if type(value) is not int or not least <= value <= most:
        raise _malformed(path, name)
    return value


def _bytes_of(path: Path, fields: dict[str, Any], name: str, length: int) -> bytes:
    value = fields.get(name)
    try:
        decoded = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError as error:
        raise _malformed(path, name) from error
    if len(decoded) != length:
        raise _malformed(path, name)
    return decoded


def _refuse_other_fields(path: Path, fields: dict[str, Any], secrets: set[str]) -> None:
    other = fields.keys() ^ (_COMMON | secrets)
    if other:
        raise _malformed(path, min(other))


def _signer_of(path: Path, fields: dict[str, Any], purpose: KeyPurpose, seed: bytes) -> MemorySigner:
    signer = MemorySigner(purpose, seed)
    if fields.get("public_key") != signer.public_key.hex():
        raise _malformed(path, "public_key")
    if fields.get("key_id") != signer.key_id:
        raise _malformed(path, "key_id")
    return signer


def _malformed(path: Path, what: str) -> KeyFileError:
    return KeyFileError(KeyFileReason.MALFORMED, path, f"this is no key file of version {FORMAT_VERSION}: {what}")
