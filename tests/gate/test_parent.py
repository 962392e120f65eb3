"""Programs forked from a process that has loaded licd are as those that are started."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path

import pytest

from licd import __version__
from licd.server.state_dir import StateDirectory
from tests.daemon import PATIENCE, make_state
from tests.gate.parent import Parent
from tests.process import DidNotStart, Process


@pytest.fixture(scope="module")
def parent() -> Iterator[Parent]:
    with closing(Parent()) as made:
        yield made


def test_a_program_says_what_it_says_and_ends_as_it_ends(parent: Parent, tmp_path: Path):
    log = tmp_path / "log"
    child = parent.run("licd.server", ["version"], log)
    assert child.wait(PATIENCE) == child.poll() == 0
    assert __version__ in log.read_text()
    assert parent.run("licd.server", ["no-such-verb"], log).wait(PATIENCE) == 2


def test_the_end_of_a_program_is_seen_by_a_process_that_has_much_open(parent: Parent, tmp_path: Path):
    child = parent.run("licd.server", ["version"], tmp_path / "log")
    few, child.descriptor = child.descriptor, fcntl(child.descriptor, F_DUPFD_CLOEXEC, 1_024)
    os.close(few)
    assert child.wait(PATIENCE) == child.poll() == 0


def test_a_daemon_that_does_not_start_says_why(parent: Parent, tmp_path: Path):
    with pytest.raises(DidNotStart, match="licd"):
        Process(StateDirectory(tmp_path / "nothing"), parent=parent, log=tmp_path / "log").start()


def test_a_daemon_serves_is_killed_and_serves_again(parent: Parent, tmp_path: Path):
    make_state(tmp_path / "state")
    process = Process(StateDirectory(tmp_path / "state"), parent=parent, log=tmp_path / "log").start()
    first = process.pid
    process.kill()
    assert process.process is not None
    assert process.process.returncode == -signal.SIGKILL
    process.start()
    assert process.pid != first
    assert process.stop() == 0
