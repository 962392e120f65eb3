"""State directories that `licd init` made, and the command in this process."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from licd.server.command.entry import app
from licd.server.command.init import packaged_policies
from licd.server.initialise import Wishes, initialise
from licd.server.state_dir import StateDirectory


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has run."""

    code: int
    out: str
    err: str


Licd = Callable[..., Done]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("licd") / "state"
    initialise(root, wishes())
    return root


def wishes() -> Wishes:
    return Wishes("licd.example", ["alice", "bob"], ["localhost", "127.0.0.1"], 7441, packaged_policies(), None)


@pytest.fixture
def state(made: Path, tmp_path: Path) -> StateDirectory:
    """A state directory of the test's own."""
    root = tmp_path / "state"
    shutil.copytree(made, root)
    root.chmod(0o700)
    return StateDirectory(root)


@pytest.fixture
def licd() -> Iterator[Licd]:
    def run(*arguments: object) -> Done:
        result = CliRunner().invoke(app, [str(each) for each in arguments], prog_name="licd")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    yield run
    structlog.reset_defaults()
