"""One key to verify with: what it may sign, from when to when, and whose it is."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature

from licd.keys.ed25519 import PublicKey
from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import parse_public_key
from licd.v1 import trust_pb2

KEY_ID_BYTES: Final = 8
"""Bytes of the hash that a key id shows (in hex: twice as many characters)."""


def key_id_of(purpose: KeyPurpose, public_key: bytes) -> str:
    """Name a key: the first 8 bytes of SHA-256(purpose word, 0x00, raw public key), in hex."""
    return hashlib.sha256(purpose.word.encode("ascii") + b"\x00" + public_key).digest()[:KEY_ID_BYTES].hex()


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """An Ed25519 public key with exactly one purpose. Made by `VerificationKey.of`, which derives the id.

    Times are unix milliseconds; it signs in [not_before_ms, not_after_ms). `max_token_life_ms` 0 means the key
    sets no bound. `owner` is empty for licd's own keys, else the path of its identity (`operator/O`).
    """

    key_id: str
    purpose: KeyPurpose
    public_key: bytes
    not_before_ms: int
    not_after_ms: int
    max_token_life_ms: int
    owner: str
    parsed: PublicKey = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        purpose: KeyPurpose,
        public_key: bytes,
        *,
        not_before_ms: int,
        not_after_ms: int,
        max_token_life_ms: int = 0,
        owner: str = "",
    ) -> "VerificationKey":
        """Make a key from its raw public bytes. Raises PublicKeyError when they are unusable."""
        return cls(
            key_id=key_id_of(purpose, public_key),
            purpose=purpose,
            public_key=public_key,
            not_before_ms=not_before_ms,
            not_after_ms=not_after_ms,
            max_token_life_ms=max_token_life_ms,
            owner=owner,
            parsed=parse_public_key(public_key),
        )

    def is_valid_at(self, now_ms: int) -> bool:
        """Say whether `now_ms` lies in the key's validity."""
        return self.not_before_ms <= now_ms < self.not_after_ms

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether `signature` is this key's over exactly `message`; looks at nothing else."""
        try:
            self.parsed.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def key_to_message(key: VerificationKey) -> trust_pb2.Key:
    """Write a key as it stands in a trust bundle."""
    return trust_pb2.Key(
        key_id=key.key_id,
        purpose=trust_pb2.KeyPurpose.ValueType(key.purpose),
        public_key=key.public_key,
        not_before_ms=key.not_before_ms,
        not_after_ms=key.not_after_ms,
        max_token_life_ms=key.max_token_life_ms,
        owner=key.owner,
    )
