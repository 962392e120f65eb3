"""Where a system's files are: a small seam, so that a simulation can put a disk of its own behind it."""

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from licd.client.errors import DirectoryInUse, StateDamaged
from licd.keys.private_file import KeyFileError, KeyFileReason, read_private, replace

MOST_BYTES: Final = 1 << 24
_LOCK: Final = "lock"


class Disk(Protocol):
    """Files of one system, by plain names. Whoever holds the lock is alone.

    `replace` and `write_at` return when the bytes are durable, and raise OSError when they may not be. A crash inside
    `replace` leaves the old file or the new one. A crash inside `write_at` leaves any mix of old and new bytes in the
    stretch that was being written, and nothing else changed.
    """

    def lock(self) -> None:
        """Take the directory for this process. Raises DirectoryInUse when another has it, OSError."""
        ...

    def unlock(self) -> None:
        """Give the directory up."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return what is in a file; None when there is none. Raises StateDamaged, OSError."""
        ...

    async def replace(self, name: str, data: bytes) -> None:
        """Write a file whole, in place of the one that may be there."""
        ...

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        """Write over a stretch of a file that is long enough already."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


class FileDisk:
    """A directory, 0700, its files 0600. Written in a thread: a slow disk must not keep a lease from stopping."""

    def __init__(self, directory: Path) -> None:
        """Make nothing yet; `lock` makes the directory."""
        self._directory: Final = directory
        self._lock: int | None = None
        self._open: dict[str, int] = {}

    def lock(self) -> None:
        """Take the directory for this process. Raises DirectoryInUse, OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._directory / _LOCK, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise DirectoryInUse(f"{self._directory} is open already; two at once would look like a copy") from error
        self._lock = descriptor

    def unlock(self) -> None:
        """Close every file and give the directory up."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self, name: str) -> bytes | None:
        """Return what is in a file that its owner alone may read; None when there is none. Raises StateDamaged."""
        try:
            return read_private(self._directory / name, MOST_BYTES)
        except KeyFileError as error:
            if error.reason is KeyFileReason.MISSING:
                return None
            raise StateDamaged(str(error)) from error

    async def replace(self, name: str, data: bytes) -> None:
        """Write to a temporary file, sync it, rename it, sync the directory."""
        self._close(name)
        await asyncio.to_thread(replace, self._directory / name, data)

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        """One write and one fdatasync."""
        await asyncio.to_thread(self._write_at, name, offset, data)

    def _write_at(self, name: str, offset: int, data: bytes) -> None:
        descriptor = self._open.get(name)
        if descriptor is None:
            descriptor = self._open[name] = os.open(self._directory / name, os.O_RDWR | os.O_CLOEXEC)
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view = view[written:]
            offset += written
        os.fdatasync(descriptor)

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there. What is left after a crash is removed another time."""
        self._close(name)
        with suppress(FileNotFoundError):
            await asyncio.to_thread((self._directory / name).unlink)

    def _close(self, name: str) -> None:
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
