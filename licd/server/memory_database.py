"""Rows in memory, for a daemon inside another program."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from sqlalchemy.engine.interfaces import Dialect

from licd.ledger.database import SQLITE_DIALECT, Row


class MemoryDatabase:
    """Rows in memory. What was committed outlives a daemon; what was not is lost with it.

    before is told of each statement, of `begin` and of `commit`, and may raise instead: the daemon has crashed there.
    after_commit is told once the rows are durable.
    """

    def __init__(self, image: bytes) -> None:
        self._raw: Final = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._raw.deserialize(image)
        self.before: Callable[[str], None] = lambda _: None
        self.after_commit: Callable[[], None] = lambda: None

    @property
    def dialect(self) -> Dialect:
        """SQLite, positional parameters."""
        return SQLITE_DIALECT

    @property
    def shared(self) -> bool:
        """One daemon at a time has it."""
        return False

    def snapshot(self) -> AbstractContextManager[None]:
        """Nobody writes beside it."""
        return nullcontext()

    def begin(self) -> None:
        """Starts a transaction."""
        self.before("begin")
        self._raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Returns when the transaction is durable."""
        self.before("commit")
        self._raw.execute("COMMIT")
        self.after_commit()

    def rollback(self) -> None:
        """Undoes the open transaction; does nothing when there is none."""
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")

    def execute(self, text: str, arguments: Sequence[object] = ()) -> list[Row]:
        """Runs one statement and reads all its rows."""
        self.before(text)
        return self._raw.execute(text, arguments).fetchall()

    def executemany(self, text: str, rows: Iterable[Sequence[object]]) -> None:
        """Runs one statement for each row of parameters."""
        self.before(text)
        self._raw.executemany(text, rows)

    def look(self, text: str, arguments: Sequence[object] = ()) -> list[Row]:
        """A query of whoever watches: no step of the daemon's."""
        return self._raw.execute(text, arguments).fetchall()

    def image(self) -> bytes:
        """What is durable now, whole."""
        self.rollback()
        return self._raw.serialize()

    def restore(self, image: bytes) -> None:
        """Puts an image in place of the rows."""
        self.rollback()
        self._raw.deserialize(image)

    def close(self) -> None:
        """The database stays: it is its owner's to drop."""

    def drop(self) -> None:
        """Ends it."""
        self._raw.close()
