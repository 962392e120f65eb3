"""A database as it is at one moment, for those who only look: doctor, backup, restore."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from sqlalchemy.engine.interfaces import Dialect

from licd.core.errors import Invalid
from licd.ledger.database import SQLITE_DIALECT, Row


class Snapshot:
    """A connection in one reading transaction, while others write.

    Opened mode=ro: it takes part in no checkpoint, and never is the second of two writers.
    """

    def __init__(self, path: Path) -> None:
        """Raises Invalid when there is no such file, sqlite3.Error when it is no database."""
        if not path.is_file():
            raise Invalid(f"{path}: there is no database", field="state")
        self._raw: Final = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            self._raw.execute("BEGIN")
            self._raw.execute("SELECT count(*) FROM sqlite_master")  # the transaction begins with the first reading
        except sqlite3.Error:
            self._raw.close()
            raise

    @property
    def dialect(self) -> Dialect:
        """SQLite's."""
        return SQLITE_DIALECT

    @property
    def shared(self) -> bool:
        """Nobody else writes what this looks at."""
        return False

    def snapshot(self) -> AbstractContextManager[None]:
        """It is one."""
        return nullcontext()

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """Raises sqlite3.OperationalError for whatever would write."""
        return self._raw.execute(text, arguments).fetchall()

    def begin(self) -> NoReturn:
        """A snapshot is not written to."""
        raise NotImplementedError

    def commit(self) -> NoReturn:
        """A snapshot is not written to."""
        raise NotImplementedError

    def rollback(self) -> NoReturn:
        """A snapshot is not written to."""
        raise NotImplementedError

    def executemany(self, text: str, rows: Iterable[Sequence[Any]]) -> NoReturn:
        """A snapshot is not written to."""
        raise NotImplementedError

    def copy_to(self, target: Path) -> None:
        """Writes all of it into a new database file that stands by itself, without a write-ahead log."""
        copy = sqlite3.connect(target)
        try:
            self._raw.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        finally:
            copy.close()

    def damage(self, *, quick: bool = False) -> str:
        """What SQLite itself finds wrong with the file; empty when nothing."""
        found = [str(row[0]) for row in self.execute("PRAGMA quick_check" if quick else "PRAGMA integrity_check")]
        return "" if found == ["ok"] else "; ".join(found[:3])

    def revision(self) -> str:
        """The schema's revision; empty when it has none."""
        named = self.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
        found = self.execute("SELECT version_num FROM alembic_version") if named else []
        return str(found[0][0]) if found else ""

    def close(self) -> None:
        """Lets go of the moment."""
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
