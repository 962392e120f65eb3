"""`licd export` and `licd import`: all rows of a licd as one checked file, out of one database into another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, asc, func, select

from licd.core.errors import Invalid
from licd.keys.private_file import sync_directory
from licd.ledger.database import Connection, Row, SqliteConnection, Statement
from licd.ledger.log import check_log
from licd.ledger.rows import ALL, CLOCK_ANCHORS, Rows
from licd.ledger.schema import head, migrate, revision, sqlite_url
from licd.server.config import ServerConfig, read_config
from licd.server.rows_check import check_rows, evidence_keys, log_checker
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from licd.server.store import Store

AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Moved:
    """What was written where, and how long its log is."""

    place: str
    rows: int
    log_size: int


def export_rows(store: Store, config: ServerConfig, to: Path) -> Moved:
    """Writes a new file with all rows of one moment, while replicas serve; checked before it gets its name.

    Raises Invalid, LogRefused, BundleError, StoreFailed, sqlite3.Error, OSError.
    """
    if to.exists() or to.is_symlink():
        raise Invalid(f"{to} is there; nothing is overwritten", field="to")
    with _beside(to) as copy:
        rows = _exported(store, copy)
        with Snapshot(copy) as written:
            sound = check_rows(written, config.trust_domain)
        to.hardlink_to(copy)
    sync_directory(to.absolute().parent)
    return Moved(str(to), rows, sound.head.size)


@contextmanager
def snapshot_of(store: Store) -> Iterator[Snapshot]:
    """All rows as they are at one moment, for whoever only looks. Raises Invalid, StoreFailed, sqlite3.Error."""
    if not store.shared:
        with Snapshot(store.state.database) as rows:
            yield rows
        return
    with tempfile.TemporaryDirectory(dir=store.state.root, prefix=".rows.") as folder:
        copy = Path(folder) / "licd.db"
        _exported(store, copy)
        with Snapshot(copy) as rows:
            yield rows


def rows_of(state: StateDirectory) -> AbstractContextManager[Snapshot]:
    """As snapshot_of, where the directory's own settings say that the rows are."""
    return snapshot_of(Store.of(state, read_config(state.root)))


def import_rows(store: Store, config: ServerConfig, source: Path) -> Moved:
    """Writes all rows of a file into an empty database, in one transaction; checked before it is committed.

    Raises Invalid, SchemaRefused, LogRefused, BundleError, StoreFailed, sqlite3.Error, OSError.
    """
    with Snapshot(source) as rows:
        sound = check_rows(rows, config.trust_domain)
        if sound.revision != head():
            raise Invalid(f"{source} is at schema {sound.revision} and this licd at {head()}; export it with this licd")
        store.migrate()
        if not store.shared:
            store.state.database.chmod(0o600)
        with closing(store.connect()) as target:
            target.begin()
            try:
                _refuse_rows(target, store)
                moved = sum(_copy(rows, target, each) for each in _kinds(target))
                check_log(target, log_checker(config.trust_domain, evidence_keys(sound.trust)))
                target.commit()
            except BaseException:
                target.rollback()
                raise
    return Moved(store.place, moved, sound.head.size)


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """A file on the same file system, only its owner's, gone afterwards."""
    handle, name = tempfile.mkstemp(dir=to.absolute().parent, prefix=f".{to.name}.")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{name}{suffix}").unlink(missing_ok=True)


def _exported(store: Store, copy: Path) -> int:
    migrate(sqlite_url(copy))
    with closing(store.connect()) as source, closing(SqliteConnection(copy)) as target:
        if store.shared and revision(store.url) != head():
            raise Invalid(f"{store.place} has another schema than this licd; see `licd migrate`", field="database")
        with source.snapshot():
            target.begin()
            moved = sum(_copy(source, target, each) for each in _kinds(source))
            target.commit()
        target.execute("PRAGMA journal_mode=DELETE")  # the file stands by itself
    return moved


def _kinds(database: Connection) -> list[Rows[Any]]:
    """What is moved: everything, but clocks that only the machine they were read on can compare."""
    return [each for each in ALL if not (database.shared and each is CLOCK_ANCHORS)]


def _refuse_rows(target: Connection, store: Store) -> None:
    for each in ALL:
        if _asked(target, select(func.count()).select_from(each.table)) != [(0,)]:
            raise Invalid(f"{store.place} holds rows of a licd; they are not mixed with others", field="database")


def _copy(source: Connection, target: Connection, rows: Rows[Any]) -> int:
    """All rows of a table, in portions."""
    moved = 0
    for portion in _portions(source, rows.table):
        rows.put(target, [rows.from_row(row) for row in portion])
        moved += len(portion)
    return moved


def _portions(source: Connection, table: Table) -> Iterator[list[Row]]:
    ordered = select(*table.columns).order_by(*(asc(column) for column in table.primary_key.columns))
    start = 0
    while portion := _asked(source, ordered.limit(AT_ONCE).offset(start)):
        yield portion
        start += len(portion)


def _asked(connection: Connection, clause: Any) -> list[Row]:
    statement = Statement(clause, connection.dialect)
    return connection.execute(statement.text, statement.arguments({}))
