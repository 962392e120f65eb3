"""Clocks that are turned, and processes that are stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from licd.client import LeaseStopped
from licd.client.notices import LeaseLost
from licd.core.errors import ClockDoubted
from licd.core.time import DAY, MINUTE, SECOND
from licd.v1 import session_pb2, status_service_pb2
from tests.attacks.wire import Honest, asked, eventually
from tests.daemon import Daemon, new_id
from tests.office import Office
from tests.wired_system import acquire, holding, joined, reason

L, G = 20 * SECOND, 60 * SECOND


@pytest.mark.parametrize("jump", [-2 * DAY, -10 * SECOND, 10 * SECOND, 2 * DAY], ids=lambda jump: f"{jump // SECOND}s")
def test_wall_clock_set_back_and_forward(own_daemon: Callable[..., Daemon], jump: int):
    """licd's: nothing is granted, no seat freed, no lease lapsed and nobody fenced; a suspension works all the same."""
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence(cap=1)
    system, other = holding(office, licence, 1), joined(office, licence)
    other.open()
    daemon.clock.set_off += jump
    for ask in (system.open, lambda: other.acquire(1), lambda: other.acquire(2)):
        with pytest.raises(ClockDoubted):
            ask()
    with system.stream(system.connect()) as stream:
        stream.send(system.link(nonce=b"anything"))
        with pytest.raises(ClockDoubted):
            stream.reply()
    assert daemon.metric("licd_forks_total") == 0
    daemon.clock.set_off -= jump
    request = status_service_pb2.AcceptClockRequest(request_id=new_id(), detail="set right again")
    office.alice.call("StatusService.AcceptClock", request)
    assert reason(other.read(other.acquire(2).denial)) == "CONCURRENT_CAP"
    with system.stream() as stream:
        permit = stream.beat()
    assert isinstance(permit, session_pb2.Permit)
    assert len(permit.leases) == 1
    daemon.clock.set_off += jump
    assert office.alice.suspend(licence).licences
    with system.stream() as stream:
        stream.send(system.link())
        refusal = stream.reply()
    daemon.clock.set_off -= jump
    assert reason(system.read(refusal)) == "LICENCE_SUSPENDED"


@pytest.mark.parametrize("jump", [-400 * DAY, 400 * DAY], ids=["back", "forward"])
def test_the_systems_own_wall_clock_gives_and_takes_nothing(office: Office, tmp_path: Path, jump: int):
    honest = Honest.enrolled(office, tmp_path)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        left = lease.check()
        honest.clock.wall_ms = lambda: jump  # type: ignore[method-assign]
        assert 0 < lease.check() <= left
        honest.clock.stop_and_go(left)
        assert not lease.usable


def test_sigstop_for_longer_than_length_and_grace(own_daemon: Callable[..., Daemon], tmp_path: Path):
    """A process that is stopped while it holds a lease, and goes on when another has the target.

    The first thing it does afterwards must not be an act: no timer of its own has run yet.
    """
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence(cap=1)
    honest = Honest.enrolled(office, tmp_path, licence)
    other = joined(office, licence)
    other.open()
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        assert lease.check() > 0
        honest.clock.stop_and_go(L + G + 1)
        assert not lease.usable
        with pytest.raises(LeaseStopped):
            lease.check()
        daemon.clock.passed += L + G + MINUTE // 2
        other.open(acquire(1))
        assert len(other.held) == 1
        honest.clock.advance(0)
        assert honest.told.wait(LeaseLost)
        eventually(lambda: system.status.leases == 0, system)
        with pytest.raises(LeaseStopped):
            lease.check()
