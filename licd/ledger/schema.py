"""Bringing a database to the present schema. Migrations are additive, so that old replicas go on under a new schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

SCRIPTS: Final = Path(__file__).parent / "migrations"


class SchemaRefused(Exception):
    """The database's schema is newer than this licd, or no schema of licd at all."""


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def migrate(url: str) -> None:
    """Moves the schema forward to what this licd knows. Raises SchemaRefused when it is ahead already."""
    known = {each.revision for each in ScriptDirectory.from_config(_config(url)).walk_revisions()}
    found = revision(url)
    if found is not None and found not in known:
        raise SchemaRefused(f"the database is at schema {found}, which this licd does not know; use a newer licd")
    command.upgrade(_config(url), "head")


def revision(url: str) -> str | None:
    """The schema's revision; None for an empty database."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def head() -> str:
    """The newest revision this licd knows."""
    newest = ScriptDirectory.from_config(_config("sqlite://")).get_current_head()
    assert newest is not None, "the migrations have exactly one head"
    return newest
