"""One DBAPI connection with statements that are compiled once.

SQLAlchemy Core is the one source of schema and statements; what runs is the compiled text on the raw cursor, for
executing through SQLAlchemy costs more than the database does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import ClauseElement

SQLITE_DIALECT: Final = sqlite.dialect(paramstyle="qmark")

Row = tuple[Any, ...]

CACHE_KIBIBYTES: Final = 64 * 1024


class StoreFailed(Exception):
    """A database server did not do what was asked. full: for want of room on its disk."""

    def __init__(self, problem: str, *, full: bool = False) -> None:
        super().__init__(problem)
        self.full: Final = full


FAILURES: Final = (sqlite3.Error, StoreFailed)
"""What a connection raises when the database fails: whatever was open is undone, or at commit perhaps kept."""


def is_full(error: Exception) -> bool:
    """Whether the database failed for want of room on its disk."""
    if isinstance(error, StoreFailed):
        return error.full
    return isinstance(error, sqlite3.Error) and "full" in str(error)


class Statement:
    """A statement compiled for one dialect: its text and the order of its parameters."""

    __slots__ = ("_defaults", "_order", "text")

    def __init__(self, clause: ClauseElement, dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.text: Final = str(compiled)
        self._order: Final[Sequence[str]] = compiled.positiontup or ()  # type: ignore[attr-defined]
        self._defaults: Final[Mapping[str, Any]] = dict(compiled.params)

    def arguments(self, given: Mapping[str, Any]) -> Row:
        """The parameters in the order of the text; those not given take the value they were built with."""
        defaults = self._defaults
        return tuple([given[name] if name in given else defaults[name] for name in self._order])


class Prepared:
    """A selection that is built and compiled once for each dialect: what two runs of it differ in are bind parameters.

    Building and compiling cost ten times what SQLite needs for a small selection. A decorator of what builds it.
    """

    def __init__(self, build: Callable[[], ClauseElement]) -> None:
        self._build: Final = build
        self._compiled: Final[dict[str, Statement]] = {}

    def rows(self, connection: Connection, **given: Any) -> list[Row]:
        """All it finds."""
        name = connection.dialect.name
        statement = self._compiled.get(name)
        if statement is None:
            statement = self._compiled[name] = Statement(self._build(), connection.dialect)
        return connection.execute(statement.text, statement.arguments(given))

    def number(self, connection: Connection, **given: Any) -> int:
        """The one number it finds; 0 for NULL."""
        return int(self.rows(connection, **given)[0][0] or 0)


class Connection(Protocol):
    """What the ledger needs of a database connection. Raises one of FAILURES when the database does."""

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes write the same rows. Their transactions and this one's then go on side by side."""
        ...

    def begin(self) -> None:
        """Starts a writing transaction; where it is not shared, blocks until this connection is the only writer."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read within is of one moment, whatever others write meanwhile."""
        ...

    def commit(self) -> None:
        """Returns when the transaction is durable."""
        ...

    def rollback(self) -> None:
        """Undoes the open transaction; does nothing when there is none."""
        ...

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """Runs one statement and reads all its rows."""
        ...

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs a statement of licd.ledger.rows for each row of parameters."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


class SqliteConnection:
    """SQLite in WAL mode. A writer syncs every commit to disk (synchronous=FULL); a reader never writes."""

    def __init__(self, path: Path | str, *, readonly: bool = False) -> None:
        self._raw: Final = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False, timeout=10.0)
        self._tell: Callable[[], None] = lambda: None
        if readonly:
            self._raw.execute("PRAGMA query_only=ON")
            return
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.execute("PRAGMA synchronous=FULL")
        self._raw.execute(f"PRAGMA cache_size=-{CACHE_KIBIBYTES}")

    @property
    def dialect(self) -> Dialect:
        """SQLite, positional parameters."""
        return SQLITE_DIALECT

    @property
    def shared(self) -> bool:
        """One process works on a database file."""
        return False

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A reading transaction."""
        self._raw.execute("BEGIN")
        try:
            yield
        finally:
            self.rollback()

    def begin(self) -> None:
        """Takes the write lock at once, so that what is read stays true."""
        self._raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Returns when the write-ahead log is synced."""
        self._tell()
        self._raw.execute("COMMIT")

    def before_commit(self, tell: Callable[[], None]) -> None:
        """From now on tells it that a transaction is about to be committed, on the committing thread."""
        self._tell = tell

    def rollback(self) -> None:
        """Undoes the open transaction; does nothing when there is none."""
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """Runs one statement and reads all its rows."""
        return self._raw.execute(text, arguments).fetchall()

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for each row of parameters."""
        self._raw.executemany(text, rows)

    def backup(self, target: Path) -> None:
        """Copies the whole database, consistently, while it is in use."""
        with sqlite3.connect(str(target)) as copy:
            self._raw.backup(copy)
        copy.close()

    def close(self) -> None:
        """Ends the connection."""
        self._raw.close()
