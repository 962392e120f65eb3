"""Roots of whole subtrees of the log, so that a proof reads some hundred hashes and not every leaf.

Levels of 256 as in C2SP tlog-tiles: level 1 holds one root for each 256 leaves, level 2 one for each 256 of those. They
follow from the leaves and never change, so they are kept in memory, about 0.2 bytes a leaf, and grow with the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from licd.evidence.merkle import TILE, TILE_BITS, Roots, root_of
from licd.ledger.database import Connection
from licd.ledger.log import leaf_hashes

TILES_AT_ONCE: Final = 40
"""About 10 000 leaves: what one turn of a reader may take, some ten milliseconds."""


class Subtrees:
    """The complete subtrees of one log. Used by one reading thread."""

    def __init__(self) -> None:
        self._levels: Final[list[list[bytes]]] = [[]]

    def grow(self, connection: Connection, size: int) -> bool:
        """Takes in some more of the first size leaves; whether all whole subtrees among them are in."""
        have, want = len(self._levels[0]), size // TILE
        first, end = have * TILE, min(want, have + TILES_AT_ONCE) * TILE
        leaves = leaf_hashes(connection, first, end)
        for start in range(0, len(leaves), TILE):
            self._add(root_of(leaves[start : start + TILE]))
        return len(self._levels[0]) >= want

    def _add(self, root: bytes) -> None:
        for level, roots in enumerate(self._levels):
            roots.append(root)
            if len(roots) % TILE:
                return
            root = root_of(roots[-TILE:])
            if level + 1 == len(self._levels):
                self._levels.append([])

    def roots(self, connection: Connection) -> Roots:
        """What proofs are built from: leaves out of the rows, what is above them from here."""

        def read(level: int, first: int, end: int) -> Sequence[bytes]:
            if level == 0:
                return leaf_hashes(connection, first, end)
            while not self.grow(connection, end << TILE_BITS * level):
                pass
            return self._levels[level - 1][first:end]

        return read
