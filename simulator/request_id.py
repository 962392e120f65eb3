"""Ids of requests: UUIDv7 (RFC 9562, section 5.7) from injected time and chance."""

from uuid import UUID

from simulator.chance import Random
from simulator.clock import Instant


def request_id(now: Instant, chance: Random) -> str:
    """A fresh id."""
    value = (now & (2**48 - 1)) << 80 | 0x7 << 76 | chance.getrandbits(12) << 64 | 0b10 << 62 | chance.getrandbits(62)
    return str(UUID(int=value))
