"""PostgreSQL by psycopg 3: one connection of a replica, made anew when it is lost.

Statements run by themselves unless begin() has started a transaction. Every setting travels inside the transaction: a
pooler that gives each transaction another session of the server (pgbouncer, pool_mode = transaction) may stand between.

No pipelines: psycopg ends one with a Flush after its Sync, and on that the server stops to count how long the
transaction stands idle: a licd that stood still then would hold its locks for ever. Several statements go as one query.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect

from licd.ledger.database import Row, StoreFailed
from licd.ledger.log import LogKeeper
from licd.ledger.sharing import CHANNEL, Shared

logger = structlog.get_logger("licd.postgres")

POSTGRES_DIALECT: Final = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]

DISK_FULL: Final = "53100"
PREPARE_AFTER: Final = 5
"""Times that a statement runs before the server keeps its plan."""

SETTINGS: Final = {
    "idle_in_transaction_session_timeout": "2s",
    "lock_timeout": "8s",
    "synchronous_commit": "on",
}
"""Of every transaction: a replica that stands still loses its locks after two seconds, so that no suspension waits for
it longer than that; what is answered is on the disk, and on that of a synchronous standby where the server names one.
There is no statement_timeout: it would end the wait for the standby, and the commit be reported as done."""

DEFAULTS: Final = {
    "application_name": "licd",
    "connect_timeout": "3",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "8000",
    "target_session_attrs": "read-write",
}
"""Where the address does not say otherwise. Of several hosts the one that takes writes is meant."""

_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SET: Final = "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SETTINGS.items())

Query = tuple[str, Sequence[Any]]


def parameters_of(url: str) -> dict[str, str]:
    """What libpq is told: the address, and what licd asks for where it does not say otherwise. Raises StoreFailed."""
    try:
        return DEFAULTS | {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error as error:
        raise StoreFailed(f"not an address of a database: {error}") from error


def place_of(url: str) -> str:
    """Host, port and name of a database, without what opens it."""
    told = parameters_of(url)
    return f"{told.get('host', 'localhost')}:{told.get('port', '5432')}/{told.get('dbname', told.get('user', ''))}"


def connect(url: str, **options: Any) -> psycopg.Connection[Row]:
    """A connection of its own. Raises StoreFailed."""
    try:
        return psycopg.connect(make_conninfo(**parameters_of(url)), **options)
    except psycopg.Error as error:
        raise failed(error) from error


async def announcements(url: str) -> AsyncIterator[None]:
    """Comes once when it begins to listen, then at each directive that a replica has committed. Raises StoreFailed.

    Behind a pooler that gives each transaction another session nothing more may come, without a word.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(make_conninfo(**parameters_of(url)), autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            yield
            async for _ in connection.notifies():
                yield
    except psycopg.Error as error:
        raise failed(error) from error


def failed(error: psycopg.Error) -> StoreFailed:
    """What the server or the way to it did not do."""
    problem = " ".join(str(error).split()) or type(error).__name__
    return StoreFailed(problem, full=error.sqlstate == DISK_FULL)


class PostgresConnection:
    """One connection. A writer's begins transactions; a reader's statements are each a read-only one."""

    def __init__(self, url: str, *, readonly: bool = False, prepared: bool = True) -> None:
        """Url is a libpq connection string or URI, of several hosts too. Raises StoreFailed.

        prepared: whether plans are kept by name; not behind a pooler that does not know them (pgbouncer before 1.21).
        """
        self._url: Final = url
        self._readonly: Final = readonly
        self._threshold: Final = PREPARE_AFTER if prepared else None
        self._warnings: list[str] = []
        self._raw: psycopg.Connection[Row] | None = None
        self._open = False
        self._live()

    @property
    def dialect(self) -> Dialect:
        """PostgreSQL, positional parameters."""
        return POSTGRES_DIALECT

    @property
    def shared(self) -> bool:
        """Any number of replicas."""
        return True

    def sharing(self, keeper: LogKeeper) -> Shared:
        """Batches take turns by locks of the server's."""
        return Shared(self, keeper)

    def _live(self) -> psycopg.Connection[Row]:
        """A lost connection is made anew, but never within a transaction: what came after it would stand alone."""
        if self._raw is not None and not self._raw.closed:
            return self._raw
        if self._open:
            raise StoreFailed("the connection was lost within a transaction")
        self._raw = connect(self._url, autocommit=True, prepare_threshold=self._threshold)
        self._raw.add_notice_handler(lambda notice: self._warnings.append(notice.message_primary or ""))
        return self._raw

    def begin(self) -> None:
        """Starts a transaction whose locks end two seconds after this process stands still."""
        self.execute_all([])

    def execute_all(self, queries: Sequence[Query]) -> list[list[Row]]:
        """begin() and these statements, in one exchange with the server. What each of them found, in order.

        A connection that was lost since it was used last is made anew: nothing was open on it.
        """
        raw = self._live()
        try:
            return self._begun(raw, queries)
        except psycopg.OperationalError as error:
            if not raw.closed:
                raise failed(error) from error
            logger.warning("the connection to the database was lost; it is made anew", error=str(error))
        except psycopg.Error as error:
            raise failed(error) from error
        self._open = False
        try:
            return self._begun(self._live(), queries)
        except psycopg.Error as error:
            raise failed(error) from error

    def _begun(self, raw: psycopg.Connection[Row], queries: Sequence[Query]) -> list[list[Row]]:
        self._open = True
        return _together(raw, [(_BEGIN, ()), (_SET, ()), *queries])[2:]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A reading transaction on one snapshot."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._open = True
        try:
            yield
        finally:
            self.rollback()

    def commit(self) -> None:
        """Returns when the transaction is durable. Raises StoreFailed when it is not, or less than was asked for."""
        self._warnings.clear()
        try:
            said = self._live().execute("COMMIT").statusmessage
        except psycopg.Error as error:
            raise failed(error) from error
        if said != "COMMIT" or self._warnings:
            raise StoreFailed(f"the server answered COMMIT with {said}; {'; '.join(self._warnings)}")
        self._open = False

    def rollback(self) -> None:
        """Undoes the open transaction; does nothing when there is none, or none any more."""
        raw, self._open = self._raw, False
        if raw is None or raw.closed or raw.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            raw.execute("ROLLBACK")
        except psycopg.Error as error:
            logger.warning("the connection to the database is lost", error=str(error))
            raw.close()  # the server undoes what was open

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """Runs one statement and reads all its rows. A reader whose connection was lost reads again, on a new one."""
        raw = self._live()
        try:
            return self._run(raw, text, arguments)
        except psycopg.Error as error:
            if not self._readonly or self._open or not raw.closed:
                raise failed(error) from error
        try:
            return self._run(self._live(), text, arguments)
        except psycopg.Error as error:
            raise failed(error) from error

    def _run(self, raw: psycopg.Connection[Row], text: str, arguments: Sequence[Any]) -> list[Row]:
        if self._readonly:
            return self._read(raw, text, arguments)
        return _rows(raw.cursor(binary=True).execute(text, arguments))

    def _read(self, raw: psycopg.Connection[Row], text: str, arguments: Sequence[Any]) -> list[Row]:
        if raw.info.transaction_status is not TransactionStatus.IDLE:
            return _rows(raw.cursor(binary=True).execute(text, arguments))
        try:
            return _together(raw, [("BEGIN READ ONLY", ()), (text, arguments), ("COMMIT", ())])[1]
        finally:
            self.rollback()

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for all rows: their columns are its parameters.

        They go in binary: as text each value of an array is looked through for what must be quoted, at twice the price.
        """
        columns = [list(column) for column in zip(*rows, strict=True)]
        if columns:
            self.execute(_binary(text), columns)

    def close(self) -> None:
        """Ends the connection."""
        if self._raw is not None:
            self._raw.close()


@cache
def _binary(text: str) -> str:
    """The statement with its parameters sent in binary; there are a few dozen such statements."""
    return text.replace("%s", "%b")


def _together(raw: psycopg.Connection[Row], queries: Sequence[Query]) -> list[list[Row]]:
    """Runs statements in one exchange, values written into their text; what each of them found, in order."""
    cursor = psycopg.ClientCursor(raw)
    cursor.execute("; ".join(cursor.mogrify(text, arguments) for text, arguments in queries).encode())
    found = [_rows(cursor)]
    while cursor.nextset():
        found.append(_rows(cursor))
    return found


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return cursor.fetchall() if cursor.description else []
