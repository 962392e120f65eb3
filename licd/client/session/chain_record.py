"""What a system keeps of its chain, as bytes. Written once for every link."""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from licd.core.time import Instant

_HEAD: Final = struct.Struct(">B32s32sQQQQ")
_LENGTH: Final = struct.Struct(">I")
_VERSION: Final = 1


class RecordUnreadable(ValueError):
    """These bytes are no record of a chain, or one of a newer SDK."""


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """The state of a chain between two processes.

    enrolment is the SHA-256 of the enrolment receipt: a chain belongs to one enrolment. link is the outstanding link
    (an envelope; empty for none), last_reply the reply before it (an envelope; empty for none), previous that reply's
    payload hash. epoch_seen is the newest epoch acted on, floor the lowest whose permits give rights.
    """

    enrolment: bytes
    sequence: int
    previous: bytes
    link: bytes
    last_reply: bytes
    epoch_seen: int
    floor: int
    latest_decided: Instant

    @classmethod
    def first(cls, receipt: bytes) -> "ChainRecord":
        """The chain before its first link: the receipt stands as the reply that link 1 follows."""
        digest = hashlib.sha256(receipt).digest()
        return cls(digest, 0, digest, b"", b"", 0, 0, 0)

    def to_bytes(self) -> bytes:
        """Write the record."""
        head = _HEAD.pack(
            _VERSION, self.enrolment, self.previous, self.sequence, self.epoch_seen, self.floor, self.latest_decided
        )
        return b"".join((head, _LENGTH.pack(len(self.link)), self.link, self.last_reply))

    @classmethod
    def from_bytes(cls, data: bytes) -> "ChainRecord":
        """Read a record. Raises RecordUnreadable."""
        begin = _HEAD.size + _LENGTH.size
        if len(data) < begin or data[0] != _VERSION:
            raise RecordUnreadable("no record of a chain in the format of this SDK")
        _, enrolment, previous, sequence, epoch_seen, floor, latest = _HEAD.unpack_from(data)
        end = begin + _LENGTH.unpack_from(data, _HEAD.size)[0]
        if end > len(data):
            raise RecordUnreadable("the record of the chain is cut short")
        return cls(enrolment, sequence, previous, data[begin:end], data[end:], epoch_seen, floor, latest)
