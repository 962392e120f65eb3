"""Reading for lists and status: a connection of its own, so that a long list never holds the writer up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from licd.ledger.database import Connection

R = TypeVar("R")


class Reader(Protocol):
    """Runs a query over what is durable now."""

    async def run(self, query: Callable[[Connection], R], /) -> R:
        """Raises what the query raises."""
        ...


class ThreadReader:
    """Queries one after the other in a thread of their own."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection
        self._pool: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="licd-reader")

    async def run(self, query: Callable[[Connection], R], /) -> R:
        """Raises what the query raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, query, self._connection)

    def close(self) -> None:
        """Waits for the running query."""
        self._pool.shutdown()
        self._connection.close()


class InlineReader:
    """Queries on the calling loop: for the deterministic simulation."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    async def run(self, query: Callable[[Connection], R], /) -> R:
        """Raises what the query raises."""
        return query(self._connection)
