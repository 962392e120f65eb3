"""Bringing a database to the present schema. Migrations are additive, so that old replicas go on under a new schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Column, Connection, Engine, Text, create_engine, func, inspect, literal, select
from sqlalchemy.ext.compiler import compiles

from licd.ledger.revision import SCRIPTS, is_postgres
from licd.ledger.signal_tables import metadata

MIGRATING: Final = 0x6C696365
"""The key of the advisory lock under which one replica migrates."""


class SchemaRefused(Exception):
    """The database's schema is newer than this licd, or no schema of licd at all."""


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def sqlite_url(path: Path) -> str:
    """The address of a database file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def migrate(url: str) -> None:
    """Moves the schema forward to what this licd knows. Raises SchemaRefused when it is ahead, or not licd's."""
    known = {each.revision for each in ScriptDirectory.from_config(_config(url)).walk_revisions()}
    found = revision(url)
    if found is not None and found not in known:
        raise SchemaRefused(f"the database is at schema {found}, which this licd does not know; use a newer licd")
    if found is None:
        _refuse_strangers(url)
    command.upgrade(_config(url), "head")


@compiles(Text, "postgresql")
def _text_by_bytes(*_: object, type_expression: object = None, **__: object) -> str:
    """Columns are compared and listed by their bytes, as in SQLite, whatever language the server was set up for."""
    return 'TEXT COLLATE "C"' if isinstance(type_expression, Column) else "TEXT"


def engine_of(url: str) -> Engine:
    """Connections for the schema alone. A server's address goes to libpq as it is: it may name several hosts."""
    if not is_postgres(url):
        return create_engine(url)
    from licd.ledger.postgres import connect  # noqa: PLC0415 -- psycopg comes with an extra

    return create_engine("postgresql+psycopg://", creator=lambda: connect(url))


def wait_alone(connection: Connection) -> None:
    """Until this transaction ends no other one migrates the same database."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(literal(MIGRATING))))


def _refuse_strangers(url: str) -> None:
    engine = engine_of(url)
    try:
        strange = sorted(set(inspect(engine).get_table_names()) & set(metadata.tables))
    finally:
        engine.dispose()
    if strange:
        raise SchemaRefused(f"the database has a table {strange[0]} that licd did not make; give licd one of its own")


def revision(url: str) -> str | None:
    """The schema's revision; None for an empty database."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head() -> str:
    """The newest revision this licd knows."""
    newest = ScriptDirectory.from_config(_config("sqlite://")).get_current_head()
    if newest is None:
        raise SchemaRefused("licd came without its migrations")
    return newest
