"""A forked child acts on nothing, whatever state the process was in when it forked."""

import os
from collections.abc import Callable

import pytest

from licd.client.answers import StopCause
from licd.client.forks import dies_in_children
from tests.client.rig import Rig


class Ended:
    """Something that ends in children, and may fail at it."""

    def __init__(self, fails: type[BaseException] | None) -> None:
        self.fails = fails
        self.over = False
        dies_in_children(self)

    def forked(self) -> None:
        self.over = True
        if self.fails is not None:
            raise self.fails


def said_by_a_child(say: Callable[[], str]) -> str:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, say().encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        said = told.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_one_that_fails_to_end_keeps_no_other_alive_in_the_child() -> None:
    """A system whose event loop was closed before it was is the one that fails: it cannot wake who waits for it."""
    everybody = [Ended((None, RuntimeError, KeyboardInterrupt)[number % 3]) for number in range(21)]
    assert said_by_a_child(lambda: " ".join(str(each.over) for each in everybody)) == " ".join(["True"] * 21)
    assert not any(each.over for each in everybody)


def test_every_lease_stops_though_the_thread_was_frozen_between_two_lines() -> None:
    """The books of holds may be half written when another thread forks."""
    rig = Rig().start()
    holds = [rig.acquire(name) for name in ("one", "two", "three")]
    holds[0].queued = True  # as where it is being put back into a link, and is not in the queue yet
    rig.machine.kill(rig.now, StopCause.FORKED)
    assert [(rig.usable(hold), hold.stopped.cause) for hold in holds] == [(False, StopCause.FORKED)] * 3
    assert rig.machine.view.finished
