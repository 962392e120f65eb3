"""One record, written often: two slots in one file, written in turn, so that a torn write leaves the other whole.

A slot is: magic, counter, length, SHA-256 over those two and the data, the data. The whole slot with the highest
counter is the record. There is no rename and no growing file, so a write is one pwrite and one fdatasync.
"""

import hashlib
import struct
from typing import Final

from licd.client.disk import Disk
from licd.client.errors import StateDamaged

_MAGIC: Final = b"LICDslot"
_COUNT: Final = struct.Struct(">QI")
_HASH_BYTES: Final = 32
HEAD_BYTES: Final = len(_MAGIC) + _COUNT.size + _HASH_BYTES
FIRST_SLOT_BYTES: Final = 1 << 14


class SlotFile:
    """A file of two slots. `load` or `create` comes first. For one task at a time."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk: Final = disk
        self._name: Final = name
        self._counter = 0
        self._slot = 0
        self._slot_bytes = FIRST_SLOT_BYTES

    def load(self) -> bytes | None:
        """Read the record; None when there is no such file. Raises StateDamaged when neither slot is whole."""
        raw = self._disk.read(self._name)
        if raw is None:
            return None
        half = len(raw) // 2
        found = [slot for slot in (_read_slot(raw[:half], 0), _read_slot(raw[half:], 1)) if slot is not None]
        if not found:
            raise StateDamaged(f"{self._name}: no whole record is left in it; the system has to be enrolled anew")
        self._slot_bytes = half
        self._counter, self._slot, data = max(found)
        return data

    async def create(self, data: bytes) -> None:
        """Make the file with this record. Raises OSError."""
        self._counter, self._slot = 1, 0
        await self._write_whole(data)

    async def save(self, data: bytes) -> None:
        """Make this the record; durable on return. Raises OSError, and then the record is the old one or this one.

        A failed write is tried again in the same slot: the other one holds the last record that is certainly whole.
        """
        if HEAD_BYTES + len(data) > self._slot_bytes:
            self._counter, self._slot = self._counter + 1, 0
            await self._write_whole(data)
            return
        slot = 1 - self._slot
        await self._disk.write_at(self._name, slot * self._slot_bytes, _made_slot(self._counter + 1, data))
        self._counter, self._slot = self._counter + 1, slot

    async def _write_whole(self, data: bytes) -> None:
        while HEAD_BYTES + len(data) > self._slot_bytes:
            self._slot_bytes *= 2
        # Zeros are written out, so that later writes change no metadata and fdatasync has only data to sync.
        await self._disk.replace(self._name, _made_slot(self._counter, data).ljust(2 * self._slot_bytes, b"\0"))


def _made_slot(counter: int, data: bytes) -> bytes:
    head = _COUNT.pack(counter, len(data))
    return b"".join((_MAGIC, head, hashlib.sha256(head + data).digest(), data))


def _read_slot(raw: bytes, slot: int) -> tuple[int, int, bytes] | None:
    """Counter, slot and data of a whole slot; None for any other."""
    if len(raw) < HEAD_BYTES or not raw.startswith(_MAGIC):
        return None
    head = raw[len(_MAGIC) : len(_MAGIC) + _COUNT.size]
    counter, length = _COUNT.unpack(head)
    data = raw[HEAD_BYTES : HEAD_BYTES + length]
    expected = raw[HEAD_BYTES - _HASH_BYTES : HEAD_BYTES]
    if len(data) != length or hashlib.sha256(head + data).digest() != expected:
        return None
    return counter, slot, data
