"""Request ids: UUID version 7 (RFC 9562, section 5.7), from time and randomness that the caller gives."""

from uuid import UUID

from licd.core.time import Instant
from licd.keys.signer import Randomness


def request_id(now: Instant, randomness: Randomness) -> str:
    """48 bits of unix milliseconds, version 7, 12 random bits, variant 10, 62 random bits."""
    chance = int.from_bytes(randomness(10), "big")
    high, low = chance >> 68, chance & ((1 << 62) - 1)
    return str(UUID(int=(now & (1 << 48) - 1) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
