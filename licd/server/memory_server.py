"""A database server in memory, for replicas inside one program: the deterministic simulation's PostgreSQL.

Each batch is one step of that program, so a lock is never found taken; what is left of PostgreSQL's is what replicas
see of each other: turns, one clock, one log, announcements, and connections that break at any statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine.interfaces import Dialect

from licd.core.time import Instant
from licd.ledger.database import SQLITE_DIALECT, Row, Statement, StoreFailed
from licd.ledger.log import Log, LogKeeper
from licd.ledger.records import LogHead
from licd.ledger.rows import LOG_HEADS
from licd.ledger.sharing import DatabaseClock, SharedTurns, Turns
from licd.ledger.timekeeper import Clock
from licd.server.memory_database import MemoryDatabase

_TAKE_ONE: Final = Statement(
    text(
        "INSERT INTO licence_turn (licence, turn) VALUES (:licence, 1) "
        "ON CONFLICT (licence) DO UPDATE SET turn = turn + 1 RETURNING turn"
    ),
    SQLITE_DIALECT,
)


class MemoryServer:
    """Rows that several daemons work on, the clock that decides for all of them, and who listens."""

    def __init__(self, image: bytes, clock: Callable[[], Instant]) -> None:
        self.rows: Final = MemoryDatabase(image)
        self.clock = clock
        self._listening: Final[set[asyncio.Event]] = set()

    def connect(self) -> ServerRows:
        """One daemon's connection."""
        return ServerRows(self)

    def announce(self) -> None:
        """Whoever listens is told."""
        for each in self._listening:
            each.set()

    async def announcements(self) -> AsyncIterator[None]:
        """As `licd.ledger.postgres.announcements`."""
        told = asyncio.Event()
        self._listening.add(told)
        try:
            while True:
                yield
                await told.wait()
                told.clear()
        finally:
            self._listening.discard(told)


class ServerRows:
    """One daemon's connection. before is told of each statement, and may raise instead: the daemon crashes there."""

    def __init__(self, server: MemoryServer) -> None:
        self.server: Final = server
        self.before: Callable[[str], None] = lambda _: None
        self.cut = False
        """Whether the way to the server is broken: every statement fails, and what was begun is undone."""
        self._announces = False
        self._within = False

    @property
    def dialect(self) -> Dialect:
        """SQLite, positional parameters."""
        return SQLITE_DIALECT

    @property
    def shared(self) -> bool:
        """By any number of daemons."""
        return True

    def sharing(self, keeper: LogKeeper) -> InTurn:
        """As on PostgreSQL."""
        return InTurn(self, keeper)

    def _said(self, statement: str) -> None:
        if self.cut:
            self.rollback()
            raise StoreFailed("the server is out of reach")
        self.before(statement)

    def snapshot(self) -> AbstractContextManager[None]:
        """A step of the program: nobody writes meanwhile."""
        return nullcontext()

    def begin(self) -> None:
        """Starts a transaction."""
        self._said("begin")
        self._announces = False
        self.server.rows.begin()
        self._within = True

    def commit(self) -> None:
        """Returns when the transaction is durable."""
        self._said("commit")
        self.server.rows.commit()
        self._within = False
        if self._announces:
            self.server.announce()

    def rollback(self) -> None:
        """Undoes this daemon's open transaction; does nothing when it has none."""
        if self._within:
            self._within = False
            self.server.rows.rollback()

    def announce(self) -> None:
        """Whoever listens is told once this transaction is durable."""
        self._announces = True

    def execute(self, text: str, arguments: Sequence[object] = ()) -> list[Row]:
        """Runs one statement and reads all its rows."""
        self._said(text)
        return self.server.rows.execute(text, arguments)

    def executemany(self, text: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs one statement for each row of parameters."""
        self._said(text)
        self.server.rows.executemany(text, rows)

    def close(self) -> None:
        """The rows stay."""
        self.rollback()


class InTurn:
    """`licd.ledger.sharing.Shared` where nobody ever waits for a lock."""

    def __init__(self, connection: ServerRows, keeper: LogKeeper) -> None:
        self._connection: Final = connection
        self._keeper: Final = keeper
        self._clock: DatabaseClock | None = None
        self._alone = False
        self._head: LogHead | None = None

    def clock(self, process: Clock) -> Clock:
        """The server's."""
        self._clock = DatabaseClock(process, self._connection.server.clock())
        return self._clock

    def begin(self, deployments: Collection[str] | None) -> Turns:
        """Begins a transaction, and takes the turns at the licences of these deployments."""
        self._alone = deployments is None
        self._connection.begin()
        turns = SharedTurns(self._connection, _TAKE_ONE, may_take=True)
        for deployment in sorted(deployments or ()):
            for (licence,) in self._connection.execute("SELECT licence FROM deployment WHERE id = ?", (deployment,)):
                turns.number(licence)
        turns.may_take = self._alone
        if self._clock is not None:
            self._clock.learn(self._connection.server.clock())
        self._head = self._read_head()
        return turns

    def _read_head(self) -> LogHead | None:
        statement = Statement(LOG_HEADS.select(), self._connection.dialect)
        found = self._connection.execute(statement.text, statement.arguments({}))
        return LOG_HEADS.from_row(found[0]) if found else None

    def mark(self) -> Instant | None:
        """As the batch found it."""
        return self._head.clock_mark if self._head else 0

    def size(self) -> int | None:
        """As the batch found it."""
        return self._head.size if self._head else 0

    def log_end(self, known: Log) -> Log:
        """As the batch found it: nobody else has written meanwhile."""
        if self._head is not None and self._head.size == known.size:
            return known
        return Log(self._keeper, self._head)

    def mark_to_keep(self, own: Instant) -> Instant:
        """The higher one; a batch that excludes all others may also set it back (AcceptClock)."""
        return own if self._alone or self._head is None else max(self._head.clock_mark, own)

    def announce(self) -> None:
        """At the commit."""
        self._connection.announce()
