"""Request ids: UUID version 7 (RFC 9562, section 5.7), made of given time and chance."""

import uuid
from typing import Final

from licd.core.time import Instant

CHANCE_BYTES: Final = 10


def make_request_id(now_ms: Instant, chance: bytes) -> str:
    """A UUIDv7 of this instant and these ten random bytes."""
    high, low = int.from_bytes(chance[:2], "big") & 0x0FFF, int.from_bytes(chance[2:CHANCE_BYTES], "big")
    number = (now_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low & 0x3FFF_FFFF_FFFF_FFFF
    return str(uuid.UUID(int=number))
