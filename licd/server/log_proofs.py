"""Proofs out of the log for whoever answers with one, from subtree roots that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from licd.evidence.merkle import Roots
from licd.ledger.database import Connection
from licd.ledger.log import read_head
from licd.ledger.subtrees import Subtrees
from licd.server.reader import Reader

R = TypeVar("R")


class LogProofs:
    """The log's subtree roots, grown in turns of the reader: its other callers have theirs in between."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Final = reader
        self._subtrees: Final = Subtrees()

    async def run(self, query: Callable[[Connection, Roots], R]) -> R:
        """Runs a query that proves something. Raises what it raises."""
        while not await self._reader.run(self._grow):
            pass
        return await self._reader.run(lambda connection: query(connection, self._subtrees.roots(connection)))

    def _grow(self, connection: Connection) -> bool:
        head = read_head(connection)
        return head is None or self._subtrees.grow(connection, head.size)
