"""Ed25519 once a signature: what a signer of this very process has made is not worked out again by whoever checks it.

Signing is real, and so are keys, envelopes and every refusal. Left out is the arithmetic by which a signature that was
made here, over these bytes, by this key, is found to be just that. Whatever was not made here is verified as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from licd.keys.signer import MemorySigner
from licd.keys.verification_key import VerificationKey


@contextmanager
def remembered() -> Iterator[None]:
    """For as long as the block lasts."""
    made: dict[tuple[bytes, bytes], bytes] = {}
    sign, verifies = MemorySigner.sign, VerificationKey.verifies

    def signed(self: MemorySigner, message: bytes, /) -> bytes:
        signature = sign(self, message)
        made[self.public_key, signature] = message
        return signature

    def verified(self: VerificationKey, signature: bytes, message: bytes) -> bool:
        return made.get((self.public_key, signature)) == message or verifies(self, signature, message)

    MemorySigner.sign, VerificationKey.verifies = signed, verified  # type: ignore[method-assign]
    try:
        yield
    finally:
        MemorySigner.sign, VerificationKey.verifies = sign, verifies  # type: ignore[method-assign]
