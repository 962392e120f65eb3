"""A file system that forgets what was not synced, as a disk does when the power goes.

    python -m tests.gate.forgetful MOUNT SOURCE IMAGE --seed N --cut-at OPS

Begins with SOURCE, all of it durable. At the so many-th changing call, or at the first after SIGUSR1, the power goes:
what survives is written to IMAGE, and from then on every call fails. What survives is decided by the seed:

- what fsync or fdatasync has returned for is there, whole;
- of each page written since, the old bytes or the new, now and then a mix of sectors;
- a file that grew or shrank since has its old size or its new one;
- a name that was made, renamed or removed is durable when its directory was synced; until then it may be either.
"""

from __future__ import annotations

import argparse
import errno
import os
import random  # seeded: what survives can be made to survive again
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy

PAGE = 4096
SECTOR = 512
TORN = 0.05
DONE = "done"
BLOCKS = 1 << 20


@dataclass
class Inode:
    """A file or directory: as the programs see it, and as the disk has it."""

    mode: int
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    dirty: set[int] = field(default_factory=set)

    def write(self, offset: int, data: bytes) -> None:
        """Not durable yet."""
        if offset > len(self.data):
            self.resize(offset)
        self.data[offset : offset + len(data)] = data
        self.dirty.update(range(offset // PAGE, (offset + len(data) + PAGE - 1) // PAGE))

    def resize(self, size: int) -> None:
        """Not durable yet."""
        first, last = sorted((size, len(self.data)))
        self.dirty.update(range(first // PAGE, (last + PAGE - 1) // PAGE))
        if size < len(self.data):
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))

    def sync(self) -> None:
        """Now it is."""
        self.durable = bytes(self.data)
        self.dirty.clear()

    def survivor(self, chance: random.Random, kept: float) -> bytes:
        """What is on the disk when the power comes back. kept is the share of unsynced pages that got there."""
        if not self.dirty:
            return self.durable
        left = bytearray(self.durable)
        for page in sorted(self.dirty):
            if chance.random() >= kept:
                continue
            start = page * PAGE
            new = bytes(self.data[start : start + PAGE])
            if len(left) < start + len(new):
                left.extend(bytes(start + len(new) - len(left)))
            for at in range(0, len(new), SECTOR):
                if chance.random() >= TORN or page % 2:
                    left[start + at : start + min(at + SECTOR, len(new))] = new[at : at + SECTOR]
        if len(self.data) < len(left) and chance.random() < kept:
            del left[len(self.data) :]
        return bytes(left)


Change = tuple[str, str, Inode | None]
"""What happened to a name: made or removed, in which order; a rename is both, in one."""


class Forgetful(mfusepy.Operations):  # type: ignore[misc]
    """Path by path; one call at a time."""

    use_ns = True

    def __init__(self, source: Path, image: Path, seed: int, cut_at: int) -> None:
        self.image, self.chance, self.cut_at = image, random.Random(seed), cut_at
        self.names: dict[str, Inode] = {"/": Inode(stat.S_IFDIR | 0o755)}
        for path in sorted(source.rglob("*")):
            inode = Inode(path.stat().st_mode)
            if path.is_file():
                inode.data = bytearray(path.read_bytes())
                inode.sync()
            self.names["/" + str(path.relative_to(source))] = inode
        self.durable_names = dict(self.names)
        self.pending: list[list[Change]] = []
        self.open_files: dict[int, Inode] = {}
        self.handles = iter(range(1, 1 << 40))
        self.changes = 0
        self.syncs = 0
        self.commits = 0
        self.dead = False

    # ------------------------------------------------------------------------------------------ the power
    def cut_now(self, *_: object) -> None:
        """From the next changing call on."""
        self.cut_at = 0

    def _alive(self) -> None:
        if self.dead:
            raise mfusepy.FuseOSError(errno.EIO)

    def _changing(self) -> None:
        self._alive()
        self.changes += 1
        if self.changes >= self.cut_at:
            self.dead = True
            self._write_image()
            raise mfusepy.FuseOSError(errno.EIO)

    def _write_image(self) -> None:
        kept = self.chance.choice((0.0, 0.3, 0.7, 1.0))
        names = dict(self.durable_names)
        for change in self.pending:
            if self.chance.random() < kept:
                _apply(change, names)
        for path, inode in sorted(names.items()):
            target = self.image / path.lstrip("/")
            if stat.S_ISDIR(inode.mode):
                target.mkdir(parents=True, exist_ok=True)
            elif target.parent.is_dir():
                target.write_bytes(inode.survivor(self.chance, kept))
            target.chmod(stat.S_IMODE(inode.mode))
        self.image.with_suffix("." + DONE).write_text(f"{self.syncs} {self.commits}")

    # -------------------------------------------------------------------------------------------- names
    def _inode(self, path: str, handle: int | None = None) -> Inode:
        inode = self.open_files.get(handle) if handle else self.names.get(path)
        if inode is None:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return inode

    def _change(self, *change: Change) -> None:
        """A change of names; durable when one of the directories is synced."""
        self._changing()
        _apply(list(change), self.names)
        self.pending.append(list(change))

    def _open(self, inode: Inode) -> int:
        handle = next(self.handles)
        self.open_files[handle] = inode
        return handle

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        self._alive()
        inode = self._inode(path, fh)
        return {
            "st_mode": inode.mode,
            "st_nlink": 2 if stat.S_ISDIR(inode.mode) else 1,
            "st_size": len(inode.data),
            "st_blocks": (len(inode.data) + SECTOR - 1) // SECTOR,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_mtime": 0,
            "st_atime": 0,
            "st_ctime": 0,
        }

    def readdir(self, path: str, _: int) -> Iterator[str]:
        self._alive()
        yield from (".", "..")
        yield from [each.rpartition("/")[2] for each in self.names if each != "/" and _parent(each) == path]

    def mkdir(self, path: str, mode: int) -> int:
        self._change((_parent(path), path, Inode(stat.S_IFDIR | mode)))
        return 0

    def create(self, path: str, mode: int, fi: object = None) -> int:
        inode = Inode(stat.S_IFREG | stat.S_IMODE(mode))
        self._change((_parent(path), path, inode))
        return self._open(inode)

    def unlink(self, path: str) -> int:
        self._change((_parent(path), path, None))
        return 0

    rmdir = unlink

    def rename(self, old: str, new: str) -> int:
        moved = self._inode(old)
        self._change((_parent(old), old, None), (_parent(new), new, moved))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._changing()
        self._inode(path).mode = stat.S_IFMT(self._inode(path).mode) | stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: object = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": PAGE, "f_frsize": PAGE, "f_blocks": BLOCKS, "f_bavail": BLOCKS, "f_bfree": BLOCKS}

    # -------------------------------------------------------------------------------------------- bytes
    def open(self, path: str, flags: int) -> int:
        self._alive()
        return self._open(self._inode(path))

    def release(self, path: str, fh: int) -> int:
        self.open_files.pop(fh, None)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._alive()
        return bytes(self._inode(path, fh).data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._changing()
        self._inode(path, fh).write(offset, data)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._changing()
        self._inode(path, fh).resize(length)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._changing()
        self._inode(path, fh).sync()
        self.syncs += 1
        self.commits += path.endswith("-wal")
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._changing()
        done = [each for each in self.pending if any(parent == path for parent, _, _ in each)]
        for change in done:
            _apply(change, self.durable_names)
        self.pending = [each for each in self.pending if each not in done]
        self.syncs += 1
        return 0


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _apply(change: list[Change], names: dict[str, Inode]) -> None:
    for _, path, inode in change:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


def main(arguments: list[str]) -> None:
    """Serves until it is unmounted."""
    parser = argparse.ArgumentParser()
    for name in ("mount", "source", "image"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cut-at", type=int, required=True)
    asked = parser.parse_args(arguments)
    asked.image.mkdir(parents=True)
    disk = Forgetful(asked.source, asked.image, asked.seed, asked.cut_at)
    signal.signal(signal.SIGUSR1, disk.cut_now)
    mfusepy.FUSE(disk, str(asked.mount), foreground=True, nothreads=True, fsname="licd-gate", default_permissions=True)


if __name__ == "__main__":
    main(sys.argv[1:])
