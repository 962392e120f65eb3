"""The log as static files (c2sp.org/tlog-tiles), for anybody's client: `checkpoint`, `tile/...` and `tile/entries/...`.

An entry here is its leaf data: names and commitments, no value and no salt. So the files can be public while what
the entries say is not, and an erasure changes none of them.

    tile/<level>/<index>[.p/<width>]     256 hashes of 32 bytes, or fewer; level 0 has the leaves, each above the roots
                                         of the full tiles below
    tile/entries/<index>[.p/<width>]     the same 256 entries, each after its length as two bytes, big endian
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from licd.evidence import merkle
from licd.evidence.checkpoint import Checkpoint
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import HASH_SIZE, TILE, TILE_BITS

Read = Callable[[str], bytes | None]
"""The bytes at a path, None where there is nothing."""

CHECKPOINT: Final = "checkpoint"
ENTRIES: Final = "entries"
LONGEST_ENTRY: Final = (1 << 16) - 1
_LENGTH: Final = 2
_TOP: Final = 63 // TILE_BITS


class TilesInvalid(EvidenceInvalid):
    """Files that are not the log of their checkpoint. path: the first that shows it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


def tile_path(level: int | str, index: int, width: int = TILE) -> str:
    """Where a tile of this level is, or of ENTRIES; a width below 256 is a partial one."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    named = "/".join([*[f"x{part}" for part in parts[:-1]], parts[-1]])
    return f"tile/{level}/{named}" + (f".p/{width}" if width < TILE else "")


@dataclass(slots=True)
class TileWriter:
    """Makes the files of a log as its entries come, in order: what `add` and `finish` yield is never changed later."""

    size: int = 0
    _levels: list[list[bytes]] = field(default_factory=lambda: [[]])
    _entries: list[bytes] = field(default_factory=list)

    def add(self, leaf_data: bytes) -> Iterator[tuple[str, bytes]]:
        """The next entry, as the bytes under its leaf; yields files that are full. Raises ValueError for a long one."""
        if len(leaf_data) > LONGEST_ENTRY:
            raise ValueError(f"an entry bundle holds entries of up to {LONGEST_ENTRY} bytes, not {len(leaf_data)}")
        self._entries.append(len(leaf_data).to_bytes(_LENGTH, "big") + leaf_data)
        if len(self._entries) == TILE:
            yield tile_path(ENTRIES, self.size >> TILE_BITS), b"".join(self._entries)
            self._entries = []
        self.size += 1
        yield from self._push(merkle.leaf_hash(leaf_data))

    def _push(self, node: bytes) -> Iterator[tuple[str, bytes]]:
        for level, hashes in enumerate(self._levels):
            hashes.append(node)
            if len(hashes) < TILE:
                return
            yield tile_path(level, (self.size >> TILE_BITS * (level + 1)) - 1), b"".join(hashes)
            node = merkle.root_of(hashes)
            hashes.clear()
        self._levels.append([node])

    def finish(self) -> Iterator[tuple[str, bytes]]:
        """The partial files at the right edge."""
        if self._entries:
            yield tile_path(ENTRIES, self.size >> TILE_BITS, len(self._entries)), b"".join(self._entries)
        for level, hashes in enumerate(self._levels):
            if hashes:
                yield tile_path(level, self.size >> TILE_BITS * (level + 1), len(hashes)), b"".join(hashes)


def check_tiles(read: Read, stated: Checkpoint, held: Sequence[Checkpoint] = ()) -> None:
    """Every file that a log of this size has is there and is right, and the trees held from before are in it.

    stated: the checkpoint beside them, its signature checked. Streams: one tile of each level. Raises TilesInvalid.
    """
    later = [one for one in held if one.size > stated.size]
    if later:
        raise TilesInvalid(CHECKPOINT, f"is over {stated.size} entries, and one over {later[0].size} is held")
    wanted = {one.size: one for one in held if one.size}
    frontier, writer = merkle.EMPTY, TileWriter()
    for start in range(0, stated.size, TILE):
        width = min(TILE, stated.size - start)
        for data in _bundle(read, start >> TILE_BITS, width):
            frontier = frontier.append(merkle.leaf_hash(data))
            _compare(frontier, wanted.get(frontier.size), "the held checkpoint")
            _same(read, writer.add(data))
    _same(read, writer.finish())
    _compare(frontier, stated, "the checkpoint")


def _compare(frontier: merkle.Frontier, stated: Checkpoint | None, which: str) -> None:
    if stated is not None and frontier.root() != stated.root:
        raise TilesInvalid(
            tile_path(ENTRIES, max(frontier.size - 1, 0) >> TILE_BITS), _other_root(frontier.size, which)
        )


def _other_root(size: int, which: str) -> str:
    return f"the root over the first {size} entries is not the one in {which}"


def _same(read: Read, files: Iterator[tuple[str, bytes]]) -> None:
    for path, data in files:
        if path.startswith(f"tile/{ENTRIES}/"):
            continue
        found = read(path)
        if found is None:
            raise TilesInvalid(path, "is missing")
        if found != data:
            at = next(
                (at for at in range(0, len(data), HASH_SIZE) if found[at : at + HASH_SIZE] != data[at:][:32]), None
            )
            raise TilesInvalid(path, "is longer than it can be" if at is None else f"hash {at // HASH_SIZE} is another")


def _bundle(read: Read, index: int, width: int) -> Iterator[bytes]:
    path = tile_path(ENTRIES, index, width)
    found = read(path)
    if found is None:
        raise TilesInvalid(path, "is missing")
    at = 0
    for number in range(width):
        start = at + _LENGTH
        at = start + int.from_bytes(found[at:start], "big")
        if start > len(found) or at > len(found):
            raise TilesInvalid(path, f"ends within entry {number} of {width}")
        yield found[start:at]
    if at != len(found):
        raise TilesInvalid(path, f"has {len(found) - at} bytes after its {width} entries")


def roots_in(read: Read, size: int) -> merkle.Roots:
    """What inclusion and consistency proofs are built from (`merkle.range_root`), out of the files of a log this long.

    The files are not checked here: a proof from wrong ones does not verify. Raises TilesInvalid for one not there.
    """

    def roots(level: int, first: int, end: int) -> list[bytes]:
        found: list[bytes] = []
        for index in range(first >> TILE_BITS, -(-end >> TILE_BITS)):
            width = min(TILE, (size >> TILE_BITS * level) - (index << TILE_BITS))
            path = tile_path(level, index, width)
            data = read(path)
            if data is None or len(data) != width * HASH_SIZE or level > _TOP:
                raise TilesInvalid(path, "is missing, or has another width")
            low, high = max(first - (index << TILE_BITS), 0), min(end - (index << TILE_BITS), TILE)
            found += [data[at * HASH_SIZE : (at + 1) * HASH_SIZE] for at in range(low, high)]
        return found

    return roots
