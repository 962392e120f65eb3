"""Writes by the SDK's disk and says so: before each write what it will be, after it that it is done.

    python -m tests.gate.scribe DIRECTORY SEED

The directory may have been written to by an earlier scribe. Ends with the first write that fails.
"""

from __future__ import annotations

import asyncio
import json
import random  # seeded
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from licd.client.disk import FileDisk

FILES = ("one", "two", "three")
SLOTTED = "slotted"
SLOT = 700
SLOTS = 16
WRITES = 400
LONGEST = 10_000


def content(size: int, number: int) -> bytes:
    """That many bytes that say which write they belong to."""
    return (sha256(b"%d" % number).digest() * (size // 32 + 1))[:size]


async def write(directory: Path, chance: random.Random) -> None:
    """Raises OSError when the disk fails."""
    disk = FileDisk(directory)
    disk.lock()
    await disk.replace(SLOTTED, bytes(SLOT * SLOTS))
    print(json.dumps(["ready"]), flush=True)
    for _ in range(WRITES):
        number = chance.getrandbits(60)
        if chance.random() < 0.5:
            name, size = chance.choice(FILES), chance.randrange(1, LONGEST)
            print(json.dumps(["replace", name, size, number]), flush=True)
            await disk.replace(name, content(size, number))
        else:
            slot = chance.randrange(SLOTS)
            print(json.dumps(["write_at", slot, SLOT, number]), flush=True)
            await disk.write_at(SLOTTED, slot * SLOT, content(SLOT, number))
        print(json.dumps(["done"]), flush=True)


def misread(directory: Path, lines: Iterable[str]) -> Iterator[str]:
    """What is in the directory after the cut that the contract of Disk does not allow."""
    said = [json.loads(line) for line in lines]
    files: dict[str, bytes] = {}
    slots: dict[int, bytes] = {}
    pending: Sequence[object] | None = None
    ready = bool(said) and said[0] == ["ready"]
    for each in said[1:]:
        if each != ["done"]:
            pending = each
            continue
        assert pending is not None
        _apply(pending, files, slots)
        pending = None
    allowed = [(files, slots)]
    if pending is not None:
        later = (dict(files), dict(slots))
        _apply(pending, *later)
        allowed.append(later)
    for name in files:
        found = _read(directory / name)
        if all(found != after.get(name) for after, _ in allowed):
            yield f"{name} is neither what it was nor what it was to be"
    if not ready:
        return
    found = _read(directory / SLOTTED) or b""
    written = pending[1] if pending is not None and pending[0] == "write_at" else None
    for slot in range(SLOTS):
        there = found[slot * SLOT : (slot + 1) * SLOT]
        if slot != written and there != slots.get(slot, bytes(SLOT)):
            yield f"slot {slot} changed, though it was not being written"


def _apply(write: Sequence[object], files: dict[str, bytes], slots: dict[int, bytes]) -> None:
    match write:
        case ["replace", str(name), int(size), int(number)]:
            files[name] = content(size, number)
        case ["write_at", int(slot), int(size), int(number)]:
            slots[slot] = content(size, number)
        case _:
            raise ValueError(write)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    with suppress(OSError):
        asyncio.run(write(Path(sys.argv[1]), random.Random(int(sys.argv[2]))))
