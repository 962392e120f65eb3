"""A system's directory in memory: the SDK's Disk for thousands of systems that share one real disk with licd.

Nothing here is durable. What a power cut does to a system is shown elsewhere (the gate's power rows).
"""

from __future__ import annotations

from typing import Final

from licd.client.errors import DirectoryInUse


class MemoryDisk:
    """Files by name. A write is there when it returns."""

    def __init__(self) -> None:
        self._files: Final[dict[str, bytes]] = {}
        self._locked = False

    def lock(self) -> None:
        """Raises DirectoryInUse."""
        if self._locked:
            raise DirectoryInUse("this directory is open already")
        self._locked = True

    def unlock(self) -> None:
        """Give it up."""
        self._locked = False

    def read(self, name: str) -> bytes | None:
        """What is in a file; None when there is none."""
        return self._files.get(name)

    async def replace(self, name: str, data: bytes) -> None:
        """Write a file whole."""
        self._files[name] = data

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        """Write over a stretch of a file."""
        old = self._files[name]
        self._files[name] = old[:offset] + data + old[offset + len(data) :]

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._files.pop(name, None)
