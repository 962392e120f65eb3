from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from licd.server.state_dir import StateDirectory
from tests.daemon import Daemon, connections_ending, copy_state, make_state, serving
from tests.office import Office, Operator
from tests.wired_system import System, joined

FAILURES = {"call failed", "command failed", "batch failed", "observer failed", "the ledger failed"}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh state directory, made once and copied."""
    root = tmp_path_factory.mktemp("template") / "state"
    make_state(root)
    return root


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Daemon]:
    """One daemon for all tests that only add to it."""
    crowd = {"operator_connections": 4_000, "enrolment_connections": 2_000}  # each test leaves some open
    state = copy_state(template, tmp_path_factory.mktemp("daemon") / "state", drain_seconds=1, **crowd)
    with capture_logs(), serving(state) as made:
        yield made


@pytest.fixture
def own_daemon(tmp_path: Path, template: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons for tests that break something; on the same directory again when called again."""
    with ExitStack() as stack:

        def make(**limits: int) -> Daemon:
            root = tmp_path / "state"
            if not root.exists():
                copy_state(template, root, **({"drain_seconds": 1} | limits))
            return stack.enter_context(serving(StateDirectory(root)))

        yield make


@pytest.fixture
def office(daemon: Daemon) -> Office:
    return Office(daemon)


@pytest.fixture
def alice(office: Office) -> Operator:
    return office.alice


@pytest.fixture
def system(office: Office) -> System:
    """A system of a licence of its own, with a session open."""
    made = joined(office)
    made.open()
    return made


@pytest.fixture(autouse=True)
def connections() -> Iterator[None]:
    """End with the test."""
    with connections_ending():
        yield


@pytest.fixture(autouse=True)
def logs(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """What is logged, as values; nothing is printed. licd failing inside fails the test, whatever the caller saw."""
    with capture_logs() as found:
        yield found
    if not getattr(request.function, "licd_may_fail", False):
        assert [each for each in found if each["event"] in FAILURES] == []
