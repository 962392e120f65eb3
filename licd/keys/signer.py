"""What can sign: the interface, and the signer that holds its key in memory."""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from licd.keys.ed25519 import PrivateKey
from licd.keys.kinds import KeyPurpose
from licd.keys.verification_key import VerificationKey, key_id_of

Randomness: TypeAlias = Callable[[int], bytes]
"""Gives that many unpredictable bytes. Injected, never taken from the system here."""

SEED_BYTES: Final = 32
"""Length of an Ed25519 secret (RFC 8032, section 5.1.5)."""


class Signer(Protocol):
    """One signing key, wherever it lives.

    Guarantee: `sign` returns the 64-byte Ed25519 signature over exactly the bytes given, or raises; it never signs
    anything on its own account. It may block for a token's round trip.
    """

    @property
    def key_id(self) -> str:
        """Id of the key, as verifiers look it up."""
        ...

    @property
    def purpose(self) -> KeyPurpose:
        """The one thing this key is for."""
        ...

    @property
    def public_key(self) -> bytes:
        """Raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Sign these bytes. Raises SigningHeld when this machine is held."""
        ...


class MemorySigner:
    """Signs with a key in this process's memory. Never shows the secret, not even in its repr."""

    __slots__ = ("_sign", "key_id", "public_key", "purpose")

    def __init__(self, purpose: KeyPurpose, seed: bytes) -> None:
        """Make the signer from the 32 secret bytes. Raises ValueError for another length."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 secret has {SEED_BYTES} bytes, not {len(seed)}")
        private_key = PrivateKey(seed)
        self._sign: Final = private_key.sign
        self.purpose: Final = purpose
        self.public_key: Final = private_key.public_raw
        self.key_id: Final = key_id_of(purpose, self.public_key)

    @classmethod
    def generate(cls, purpose: KeyPurpose, randomness: Randomness) -> "MemorySigner":
        """Make a signer with a fresh key."""
        return cls(purpose, randomness(SEED_BYTES))

    def sign(self, message: bytes, /) -> bytes:
        """Sign these bytes."""
        return self._sign(message)

    def __repr__(self) -> str:
        return f"MemorySigner({self.purpose.word}, {self.key_id})"


def verification_key_of(
    signer: Signer, *, not_before_ms: int, not_after_ms: int, max_token_life_ms: int = 0, owner: str = ""
) -> VerificationKey:
    """Return the public side of a signer, as it goes into a trust bundle or an enrolment."""
    return VerificationKey.of(
        signer.purpose,
        signer.public_key,
        not_before_ms=not_before_ms,
        not_after_ms=not_after_ms,
        max_token_life_ms=max_token_life_ms,
        owner=owner,
    )
