import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from licd.ledger.schema import migrate, sqlite_url
from licd.ledger.signal_tables import metadata
from licd.server.memory_server import MemoryServer
from tests.ledger.rig import OPENED, Rig, Store
from tests.postgres import serving_postgres

NOT_DURABLE = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")
"""What survives a crash is the gate's question."""

HAND_CLOCK = """
CREATE SCHEMA hand;
CREATE FUNCTION hand.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  $$ SELECT pg_catalog.to_timestamp(current_setting('licd.now')::numeric / 1000) $$;
"""
"""The server's clock, moved by the test: found before the catalogue's own."""


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with nothing in it, made once."""
    path = tmp_path_factory.mktemp("empty") / "licd.db"
    migrate(sqlite_url(path))
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    path = tmp_path / "licd.db"
    copyfile(empty_database, path)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A database of a server that runs as long as the tests do."""
    with serving_postgres(*NOT_DURABLE) as server:
        url = server.new_database()
        migrate(url)
        server.execute(HAND_CLOCK, url.rpartition("/")[2])
        yield url


def close_opened() -> None:
    """Ends every connection of the test."""
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(autouse=True)
def connections() -> Iterator[None]:
    """End with the test."""
    yield
    close_opened()


@pytest.fixture
def server_store(postgres: str) -> Iterator[str]:
    """An empty database of the server."""
    yield f"{postgres}?options=-csearch_path%3Dhand,pg_catalog,public"
    close_opened()
    with psycopg.connect(postgres) as emptied:
        emptied.execute(f"TRUNCATE {', '.join(metadata.tables)}".encode())


@pytest.fixture
def memory_store(database: Path) -> MemoryServer:
    """An empty database on the simulation's server: it must be like the real one to stand for it."""
    with closing(sqlite3.connect(database)) as empty:
        empty.execute("PRAGMA journal_mode=DELETE")
        return MemoryServer(empty.serialize(), lambda: 0)


@pytest.fixture(params=["database", "server_store", "memory_store"], ids=["sqlite", "postgres", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty database of each kind: what holds on one holds on the others."""
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def rig(store: Store) -> Iterator[Rig]:
    """A ledger on each of the databases."""
    made = Rig(store)
    yield made
    made.close()


@pytest.fixture
def rig_on_server(server_store: str) -> Iterator[Rig]:
    """A ledger on the server: for what only rows that are shared can show."""
    made = Rig(server_store)
    yield made
    made.close()


@pytest.fixture
def file_rig(database: Path) -> Iterator[Rig]:
    """A ledger on a file of its own: for what only one process's rows, its file or its clock can show."""
    made = Rig(database)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged, as values; nothing is printed."""
    with capture_logs() as found:
        yield found
