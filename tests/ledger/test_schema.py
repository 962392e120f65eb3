"""A database comes to the present schema, or is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from licd.ledger import schema
from licd.ledger.database import SqliteConnection
from licd.ledger.revision import is_newest, newest
from licd.ledger.rows import ALL, FORKS, SESSIONS
from licd.ledger.schema import SchemaRefused, head, migrate, revision, sqlite_url
from licd.ledger.signal_tables import metadata


def test_an_empty_database_comes_to_the_newest_schema(tmp_path: Path):
    url = sqlite_url(tmp_path / "new.db")
    assert revision(url) is None
    migrate(url)
    assert revision(url) == head()
    migrate(url)
    assert revision(url) == head()


def test_what_a_start_takes_for_the_newest_schema_is_what_the_migrations_end_with(database: Path):
    assert newest() == head()
    assert is_newest(database)


def test_an_older_schema_is_not_taken_for_the_newest(database: Path, tmp_path: Path):
    command.downgrade(schema._config(sqlite_url(database)), "-1")
    assert not is_newest(database)
    assert not is_newest(tmp_path / "empty.db")


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Path):
    engine = create_engine(sqlite_url(database))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_every_table_has_its_values_and_the_other_way_round():
    numbers_of_turns = {"licence_turn"}  # what replicas take; no value of licd's
    assert {rows.table.name for rows in ALL} == set(metadata.tables) - numbers_of_turns


def test_no_column_may_be_missing_a_value(database: Path):
    engine = create_engine(sqlite_url(database))
    inspector = inspect(engine)
    nullable = [
        f"{table}.{column['name']}"
        for table in metadata.tables
        for column in inspector.get_columns(table)
        if column["nullable"]
    ]
    engine.dispose()
    assert nullable == []


def test_refuses_a_schema_from_the_future_and_changes_nothing(database: Path):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaRefused, match="9999"):
        migrate(sqlite_url(database))
    assert revision(sqlite_url(database)) == "9999"


def test_refuses_a_database_that_is_not_of_licd(tmp_path: Path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customer (id TEXT)")
    connection.close()
    with pytest.raises(SchemaRefused, match="customer"):
        migrate(sqlite_url(path))


def test_a_path_with_odd_characters_is_one_path(tmp_path: Path):
    folder = tmp_path / "100% of it, ~?"
    folder.mkdir()
    migrate(sqlite_url(folder / "licd.db"))
    assert [each.name for each in folder.iterdir()] == ["licd.db"]


def test_every_migration_can_be_taken_back(database: Path):
    url = sqlite_url(database)
    command.downgrade(schema._config(url), "base")
    assert revision(url) is None
    migrate(url)
    assert revision(url) == head()


def test_rows_of_the_first_schema_are_read_after_the_second(tmp_path: Path):
    url = sqlite_url(tmp_path / "old.db")
    command.upgrade(schema._config(url), "0001")
    with sqlite3.connect(tmp_path / "old.db") as connection:
        columns = connection.execute("PRAGMA table_info(session)").fetchall()
        values = [b"bytes" if kind == "BLOB" else 1 for _, _, kind, *_ in columns]
        places = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO session VALUES ({places})", values)  # noqa: S608 -- only question marks
        connection.execute("INSERT INTO fork VALUES ('a', 1, x'00', x'01', x'02')")
    connection.close()
    migrate(url)
    with closing(SqliteConnection(tmp_path / "old.db")) as rows:
        assert [each.frame for each in SESSIONS.where(rows)] == [b""]
        assert [(each.enrolment, each.accepted, each.frame) for each in FORKS.where(rows)] == [(0, b"", b"\x02")]
