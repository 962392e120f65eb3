from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from structlog.testing import capture_logs

from licd.ledger.schema import migrate, sqlite_url
from tests.ledger.rig import Rig


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


@pytest.fixture
def rig(database: Path) -> Iterator[Rig]:
    made = Rig(database)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged, as values; nothing is printed."""
    with capture_logs() as found:
        yield found
