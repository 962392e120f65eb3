"""Whether a database file has the newest schema, without loading what moves it there: at most starts it has."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from licd.ledger.database import SqliteConnection

SCRIPTS: Final = Path(__file__).parent / "migrations"


def newest() -> str:
    """The newest revision this licd knows: each migration's file is named by its revision, in their order."""
    return max(each.stem for each in (SCRIPTS / "versions").glob("[0-9]*.py"))


def is_newest(database: Path) -> bool:
    """Whether the file is there already. Raises sqlite3.Error for one that is no database."""
    with closing(SqliteConnection(database, readonly=True)) as rows:
        if not rows.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'"):
            return False
        return rows.execute("SELECT version_num FROM alembic_version") == [(newest(),)]


def is_postgres(url: str) -> bool:
    """Whether an address is a PostgreSQL server's."""
    return url.startswith(("postgresql://", "postgres://"))
