"""Disk space set aside, so that a suspension can still be written when the disk is full."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MEBIBYTE: Final = 1024 * 1024


class FileReserve:
    """A file of real blocks beside the database."""

    def __init__(self, path: Path, size: int) -> None:
        self._path: Final = path
        self._size: Final = size

    def release(self) -> None:
        """Gives the space back to the file system."""
        self._path.unlink(missing_ok=True)

    def restore(self) -> bool:
        """Sets the space aside; False while there is not enough of it, and some to work with besides."""
        if self.held():
            return True
        try:
            if self._free() < self._size + max(self._size // 4, MEBIBYTE):
                return False
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
                os.fsync(file.fileno())
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True

    def _free(self) -> int:
        disk = os.statvfs(self._path.parent)
        return disk.f_bavail * disk.f_frsize

    def held(self) -> bool:
        """Whether the space is set aside now."""
        return self._path.is_file() and self._path.stat().st_size == self._size


class NoReserve:
    """For a database that is not on a disk of ours."""

    def release(self) -> None:
        """Nothing to give back."""

    def restore(self) -> bool:
        """Nothing to set aside."""
        return True

    def held(self) -> bool:
        """Always."""
        return True
