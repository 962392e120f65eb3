"""By which keys is a log checked? The checker brings them: verifier keys as C2SP signed notes spell them.

Signatures are checked by OpenSSL through `cryptography`; licd signs by libsodium, so what holds here held twice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licd.evidence.checkpoint import LogVerifier
from licd.evidence.note import NoteInvalid, SignatureType, VerifierKey, decode_verifier_key

MOST_KEYS: Final = 1000
_MOST_BYTES: Final = 1 << 20


class Misused(Exception):
    """The program was called in a way that asks nothing: nobody was found guilty or innocent of anything."""


def ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a plain Ed25519 signature holds."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_keys(words: Sequence[str], kind: SignatureType, option: str) -> tuple[VerifierKey, ...]:
    """The keys in these words: each a verifier key, or @FILE with one on each line (# begins a remark).

    Raises Misused, naming the option, for what is no such key or is there twice; OSError.
    """
    keys = tuple(_key(text, kind, option) for word in words for text in _spelled(word, option))
    if len({key.public_key for key in keys}) != len(keys):
        raise Misused(f"{option}: one key is there twice, and would count twice")
    return keys


def log_verifier(current: Sequence[str], former: Sequence[str]) -> LogVerifier:
    """Who must have signed the log: its origin is the name of its keys, never what a file says. Raises Misused."""
    keys = read_keys(current, SignatureType.ED25519, "--key")
    withdrawn = read_keys(former, SignatureType.ED25519, "--former-key") if former else ()
    names = {key.name for key in (*keys, *withdrawn)}
    if len(names) != 1 or not keys:
        raise Misused(f"--key: the keys of one log have one name, its origin; these have {sorted(names)}")
    return LogVerifier(names.pop(), keys, ed25519, withdrawn)


def _spelled(word: str, option: str) -> list[str]:
    if not word.startswith("@"):
        return [word]
    with Path(word[1:]).open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise Misused(f"{option}: {word[1:]} is larger than a file of keys can be")
    try:
        lines = [line.strip() for line in data.decode().split("\n")]
    except UnicodeDecodeError as error:
        raise Misused(f"{option}: {word[1:]} is no text") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not 0 < len(found) <= MOST_KEYS:
        raise Misused(f"{option}: {word[1:]} has {len(found)} keys, and not 1 to {MOST_KEYS}")
    return found


def _key(text: str, kind: SignatureType, option: str) -> VerifierKey:
    try:
        key = decode_verifier_key(text)
    except NoteInvalid as error:
        raise Misused(f"{option}: {error}") from error
    if key.type is not kind:
        raise Misused(f"{option}: {key.name} is a key for {key.type.name.lower()}, and not for {kind.name.lower()}")
    return key
