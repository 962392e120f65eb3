"""Where a system's files are: a small seam, so that a simulation can put a disk of its own behind it."""

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import Callable
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
    """A directory, 0700, its files 0600. Written in a thread: a slow disk must not keep a lease from stopping.

    A write that is under way when the directory is given up ends first, and only then is the lock let go.
    """

    def __init__(self, directory: Path) -> None:
        """Make nothing yet; `lock` makes the directory."""
        self._directory: Final = directory
        self._lock: int | None = None
        self._open: Final[dict[str, int]] = {}
        self._writing: Final = threading.Lock()
        self._given_up = True

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
        self._given_up = False

    def unlock(self) -> None:
        """Close every file and give the directory up, now or when the write under way has ended."""
        self._given_up = True
        self._close_if_given_up()

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
        await asyncio.to_thread(self._alone, lambda: self._replace(name, data))

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        """One write and one fdatasync."""
        await asyncio.to_thread(self._alone, lambda: self._write_at(name, offset, data))

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        await asyncio.to_thread(self._alone, lambda: self._remove(name))

    def _alone(self, write: Callable[[], None]) -> None:
        try:
            with self._writing:
                if self._given_up:
                    raise OSError(errno.EBADF, "the directory was given up")
                write()
        finally:
            self._close_if_given_up()

    def _close_if_given_up(self) -> None:
        """Whoever finds the directory given up and nobody writing closes it."""
        if not self._given_up or not self._writing.acquire(blocking=False):
            return
        try:
            for name in list(self._open):
                self._forget(name)
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
        finally:
            self._writing.release()

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

    def _replace(self, name: str, data: bytes) -> None:
        self._forget(name)
        replace(self._directory / name, data)

    def _remove(self, name: str) -> None:
        self._forget(name)
        (self._directory / name).unlink(missing_ok=True)

    def _forget(self, name: str) -> None:
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
