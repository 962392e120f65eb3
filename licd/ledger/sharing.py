"""How a ledger decides on rows that other replicas decide on as well. Alone it owns them all.

On shared rows each batch takes its turn at the licences it looks at: it raises each one's number in `licence_turn`, in
the order of their names, and so holds them until it ends. Whoever finds a number one higher than he left it knows that
nobody else was there since, and goes on with his working copy; else it is read anew. A batch that may look at anything
(every command of an operator, every job) excludes all others. Then, and not before, the database's clock is read; and
last of all the head of the log is locked, so that the log has one order, in which each licence's epochs rise. Locks are
always taken in this order: all or licences by name, then the head.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import ARRAY, BigInteger, Select, Text, any_, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.sql import ClauseElement

from licd.core.time import Instant, Millis
from licd.ledger import tables
from licd.ledger.database import Connection, Row, Statement
from licd.ledger.log import Log, LogKeeper
from licd.ledger.records import LogHead
from licd.ledger.rows import LOG_HEADS
from licd.ledger.timekeeper import Clock

ALL_ROWS: Final = 0x6C696364
"""The key of the advisory lock ("licd"): shared by batches of some licences, exclusive to one that may look at any."""

CHANNEL: Final = "licd"
"""On which replicas tell each other that a directive is to be pushed."""


class SharedConnection(Connection, Protocol):
    """A connection to rows that others work on as well."""

    def sharing(self, keeper: LogKeeper, /) -> Sharing:
        """How a batch on it takes its turn."""
        ...


class ServerConnection(Connection, Protocol):
    """A connection whose begin() and first statements are one exchange with the server."""

    def execute_all(self, queries: list[tuple[str, Row]], /) -> list[list[Row]]:
        """begin(), and what each statement found."""
        ...


class Untaken(Exception):
    """A batch of some licences looks at another one: it is to be decided again, as one that may look at any."""


class Turns(Protocol):
    """What the open batch holds."""

    def number(self, licence: str) -> int:
        """The licence's turn now, taken if it was not. Raises Untaken."""
        ...

    @property
    def taken(self) -> dict[str, int]:
        """Every licence taken so far with its turn."""
        ...


class Sharing(Protocol):
    """What a ledger does before its batch decides and before it commits."""

    def clock(self, process: Clock) -> Clock:
        """The deciding clock, given the process's own."""
        ...

    def begin(self, deployments: Collection[str] | None) -> Turns:
        """Begins a transaction on the licences of these deployments alone; None: on anything."""
        ...

    def mark(self) -> Instant | None:
        """The highest time ever decided at, where somebody else may have moved it."""
        ...

    def size(self) -> int | None:
        """How long the log was when the batch began, where somebody else may have written to it."""
        ...

    def log_end(self, known: Log) -> Log:
        """The end of the log, held until the transaction ends."""
        ...

    def mark_to_keep(self, own: Instant) -> Instant:
        """The highest time, given what this ledger decided at. After log_end()."""
        ...

    def announce(self) -> None:
        """Whoever else works on these rows is told at the commit that there is something to push."""
        ...


class Sole:
    """Nobody else works on these rows: every copy is good, the process's clock decides."""

    taken: Final[dict[str, int]] = {}

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def clock(self, process: Clock) -> Clock:
        """The process's own."""
        return process

    def begin(self, deployments: Collection[str] | None) -> Turns:
        """Begins a transaction."""
        self._connection.begin()
        return self

    def number(self, licence: str) -> int:
        """One turn for ever."""
        return 1

    def mark(self) -> Instant | None:
        """Nobody else moves it."""
        return None

    def size(self) -> int | None:
        """Nobody else writes to it."""
        return None

    def log_end(self, known: Log) -> Log:
        """Where this ledger left it."""
        return known

    def mark_to_keep(self, own: Instant) -> Instant:
        """Its own."""
        return own

    def announce(self) -> None:
        """Nobody else is there."""


class DatabaseClock:
    """The database's wall clock as it was read last, gone on since by this machine's boot clock."""

    def __init__(self, process: Clock, wall: Instant) -> None:
        self._process: Final = process
        self._offset: Millis = wall - process.boot()

    def learn(self, wall: Instant) -> None:
        """Takes a new reading."""
        self._offset = wall - self._process.boot()

    def wall(self) -> Instant:
        """Unix time by the database."""
        return self._process.boot() + self._offset

    def boot(self) -> Millis:
        """This machine's."""
        return self._process.boot()

    def boot_id(self) -> str:
        """This machine's."""
        return self._process.boot_id()


@dataclass(slots=True)
class SharedTurns:
    """What one batch has taken. may_take is false for a batch that has said beforehand what it looks at."""

    connection: Connection
    take_one: Statement
    may_take: bool
    taken: dict[str, int] = field(default_factory=dict)

    def number(self, licence: str) -> int:
        """The licence's turn now, taken if it was not. Raises Untaken."""
        found = self.taken.get(licence)
        if found is None:
            if not self.may_take:
                raise Untaken(licence)
            [(found,)] = self.connection.execute(self.take_one.text, self.take_one.arguments({"licence": licence}))
            self.taken[licence] = found
        return int(found)


class Shared:
    """Replicas on one database: each batch takes its turn, the database's clock decides."""

    def __init__(self, connection: ServerConnection, keeper: LogKeeper) -> None:
        """Prepares what is said to the server."""
        self._connection: Final = connection
        self._keeper: Final = keeper
        dialect = connection.dialect
        self._take_some: Final = Statement(_take_some(), dialect)
        self._take_one: Final = Statement(_take_one(), dialect)
        self._lock_some: Final = Statement(select(func.pg_advisory_xact_lock_shared(literal(ALL_ROWS))), dialect)
        self._lock_all: Final = Statement(select(func.pg_advisory_xact_lock(literal(ALL_ROWS))), dialect)
        self._now: Final = Statement(_now(), dialect)
        self._announce: Final = Statement(select(func.pg_notify(CHANNEL, "")), dialect)
        self._head: Final = Statement(LOG_HEADS.select().with_for_update(), dialect)
        self._began = (0, 0, 0)
        self._alone = False
        self._held: LogHead | None = None
        self._clock: DatabaseClock | None = None

    def clock(self, process: Clock) -> Clock:
        """The database's."""
        [(wall, _, _)] = self._connection.execute(*_asked(self._now))
        self._clock = DatabaseClock(process, wall)
        return self._clock

    def begin(self, deployments: Collection[str] | None) -> Turns:
        """Begins a transaction and waits for its turn, at all licences or at those of these deployments."""
        self._alone, self._held = deployments is None, None
        turns = SharedTurns(self._connection, self._take_one, may_take=self._alone)
        if deployments is None:
            _, [now] = self._connection.execute_all([_asked(self._lock_all), _asked(self._now)])
        else:
            take = _asked(self._take_some, deployments=sorted(deployments))
            _, taken, [now] = self._connection.execute_all([_asked(self._lock_some), take, _asked(self._now)])
            turns.taken.update(taken)
        self._began = now
        if self._clock is not None:
            self._clock.learn(now[0])
        return turns

    def mark(self) -> Instant | None:
        """As the batch found it."""
        return self._began[1]

    def size(self) -> int | None:
        """As the batch found it."""
        return self._began[2]

    def log_end(self, known: Log) -> Log:
        """The end as it is, whoever wrote it; nobody else writes to the log until the transaction ends."""
        found = self._connection.execute(*_asked(self._head))
        self._held = LOG_HEADS.from_row(found[0]) if found else None
        if self._held is not None and self._held.size == known.size:
            return known
        return Log(self._keeper, self._held)

    def mark_to_keep(self, own: Instant) -> Instant:
        """The higher one; a batch that excludes all others may also set it back (AcceptClock)."""
        if self._alone or self._held is None:
            return own
        return max(self._held.clock_mark, own)

    def announce(self) -> None:
        """By NOTIFY, under which commits queue up: for what is rare."""
        self._connection.execute(*_asked(self._announce))


def sharing_of(connection: Connection, keeper: LogKeeper) -> Sharing:
    """What this connection's database asks for."""
    if not connection.shared:
        return Sole(connection)
    server: SharedConnection = connection  # type: ignore[assignment]  # it has just said so
    return server.sharing(keeper)


def _asked(statement: Statement, **given: Any) -> tuple[str, Row]:
    return statement.text, statement.arguments(given)


def _take_some() -> ClauseElement:
    """Takes a turn at the licences of some deployments, in the order of their names."""
    column = tables.deployment.c
    wanted = column.id == any_(bindparam("deployments", type_=ARRAY(Text)))
    licences = select(column.licence, literal(1)).where(wanted).distinct().order_by(column.licence)
    taking = _raised(insert(tables.licence_turn).from_select(["licence", "turn"], licences))
    return taking.returning(tables.licence_turn.c.licence, tables.licence_turn.c.turn)


def _take_one() -> ClauseElement:
    return _raised(insert(tables.licence_turn).values(licence=bindparam("licence"), turn=1)).returning(
        tables.licence_turn.c.turn
    )


def _raised(taking: Insert) -> Insert:
    column = tables.licence_turn.c
    return taking.on_conflict_do_update(index_elements=[column.licence], set_={"turn": column.turn + 1})


def _now() -> Select[Any]:
    """The database's clock in milliseconds, and of the log's head the mark and the size."""
    column = tables.log_head.c
    wall = cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
    head = select(func.coalesce(func.max(column.clock_mark), 0), func.coalesce(func.max(column.size), 0))
    mark, size = head.subquery().c
    return select(wall, mark, size)
