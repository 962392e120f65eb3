"""A system's directory in memory, with the crashes that the SDK's Disk allows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from licd.client.errors import DirectoryInUse
from simulator.chance import Random
from simulator.deterministic.loop import Process

SLOWEST: Final = 0.004
"""Seconds that a write takes at most."""
SECTOR: Final = 64
"""Bytes that a torn write keeps or loses together."""


@dataclass(slots=True)
class _Writing:
    """A write under way: the file as it was and as it will be; in_place tears byte by byte."""

    name: str
    old: bytes | None
    new: bytes | None
    in_place: bool


class Directory:
    """What is on the disk, and what is being written. Copied, it is a copy of the disk at that moment."""

    def __init__(self, chance: Random, files: dict[str, bytes] | None = None) -> None:
        self.files: Final[dict[str, bytes]] = dict(files or {})
        self._chance: Final = chance
        self._writing: Final[list[_Writing]] = []
        self._alone: Final = asyncio.Lock()

    def crash(self) -> None:
        """What was being written is there, or is not, or is torn."""
        for write in self._writing:
            self._put(write.name, self._torn(write))
        self._writing.clear()

    def _torn(self, write: _Writing) -> bytes | None:
        if not write.in_place or write.old is None or write.new is None:
            return self._chance.choice((write.old, write.new))
        pairs = zip(range(0, len(write.new), SECTOR), range(SECTOR, len(write.new) + SECTOR, SECTOR), strict=True)
        return b"".join(self._chance.choice((write.old, write.new))[start:end] for start, end in pairs)

    def copy(self, chance: Random) -> Directory:
        """Another disk with the same files."""
        return Directory(chance, self.files)

    async def write(self, name: str, new: bytes | None, *, in_place: bool) -> None:
        """Takes a while; a crash meanwhile leaves what `crash` says."""
        async with self._alone:
            write = _Writing(name, self.files.get(name), new, in_place)
            self._writing.append(write)
            await asyncio.sleep(SLOWEST * self._chance.random())
            if write in self._writing:
                self._writing.remove(write)
                self._put(name, new)

    def _put(self, name: str, data: bytes | None) -> None:
        if data is None:
            self.files.pop(name, None)
        else:
            self.files[name] = data


class ProcessDisk:
    """The SDK's Disk for one process on a directory. Nothing that a dead process does reaches it."""

    def __init__(self, directory: Directory, process: Process) -> None:
        self._directory: Final = directory
        self._process: Final = process
        self._locked = False

    def lock(self) -> None:
        """Raises DirectoryInUse."""
        if self._locked:
            raise DirectoryInUse("in use")
        self._locked = True

    def unlock(self) -> None:
        """Gives it up."""
        self._locked = False

    def read(self, name: str) -> bytes | None:
        """The file as it is."""
        return self._directory.files.get(name)

    async def replace(self, name: str, data: bytes) -> None:
        """The old file or the new one."""
        await self._write(name, data, in_place=False)

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        """Any mix of old and new bytes in the stretch."""
        old = self._directory.files[name]
        if offset + len(data) > len(old):
            raise OSError("written past the end of the file")
        await self._write(name, old[:offset] + data + old[offset + len(data) :], in_place=True)

    async def remove(self, name: str) -> None:
        """Gone, or still there."""
        await self._write(name, None, in_place=False)

    async def _write(self, name: str, new: bytes | None, *, in_place: bool) -> None:
        """A write goes on when its caller no longer waits, as one in a thread does."""
        await asyncio.shield(self._process.run(self._directory.write(name, new, in_place=in_place)))
