"""The blocking face: the same, on a thread of its own."""

import random  # noqa: TID251 -- seeded
import threading
from typing import Any

import pytest

from licd.client.answers import Released
from licd.client.errors import LeaseDenied, LeaseStopped, SystemClosed
from licd.client.sync import Lease, System
from tests.client.conftest import join_token
from tests.client.fake_licd import NOW, SECOND, SYSTEM, FakeLicd
from tests.client.rig import target
from tests.client.virtual import MemoryDisk, MemoryNetwork, VirtualClock

PURPOSE = "licd:serious-crime"


def usable(lease: Lease) -> bool:
    return lease.usable


@pytest.fixture
def settings(licd: FakeLicd) -> dict[str, Any]:
    """A system enrolled by the blocking face itself."""
    clock = VirtualClock()
    network = MemoryNetwork(licd, clock)
    given = {
        "disk": MemoryDisk(),
        "network": network,
        "clock": clock,
        "randomness": random.Random(4).randbytes,
    }
    assert System.enrol(join_token(), "unused", **given) == SYSTEM
    return given


def test_a_lease_is_held_in_a_block(settings: dict[str, Any], licd: FakeLicd) -> None:
    with System.open("unused", **settings) as system:
        with system.lease(target(), purpose=PURPOSE, limit=20) as lease:
            assert lease.check() == 20 * SECOND
            assert usable(lease)
            assert (lease.number, lease.region) == (101, "DE")
        assert not usable(lease)
        with pytest.raises(LeaseStopped):
            lease.check()
        assert system.name == SYSTEM
        assert system.status.connected
        assert system.licence.customer == "acme"
        assert len(system.pseudonym_of("+491711234567")) == 32
        assert system.check_licence().terms == system.licence
        assert system.renew_certificate()
    assert licd.seats == {}


def test_leases_are_acquired_released_and_denied(settings: dict[str, Any], licd: FakeLicd) -> None:
    licd.cap = 1
    with System.open("unused", **settings) as system:
        lease = system.acquire(target("one"), purpose=PURPOSE, limit=20)
        with pytest.raises(LeaseDenied, match="CONCURRENT_CAP"):
            system.acquire(target("two"), purpose=PURPOSE)
        assert lease.release() == Released(NOW + 21 * SECOND)
        unary = system.acquire_unary(target("two"), purpose=PURPOSE)
        assert unary.usable


def test_who_waits_too_long_is_told_and_gets_nothing_later(settings: dict[str, Any], licd: FakeLicd) -> None:
    settings["network"].reachable = False
    with System.open("unused", **settings) as system:
        with pytest.raises(TimeoutError):
            system.acquire(target(), purpose=PURPOSE, limit=0.01)
        assert system.status.leases == 0


def test_closing_ends_the_thread_and_stops_every_lease(settings: dict[str, Any]) -> None:
    before = threading.active_count()
    with System.open("unused", **settings) as system:
        lease = system.acquire(target(), purpose=PURPOSE)
    assert not usable(lease)
    assert threading.active_count() == before
    with pytest.raises(SystemClosed):
        system.acquire(target(), purpose=PURPOSE)


def test_a_system_that_cannot_start_leaves_no_thread(settings: dict[str, Any]) -> None:
    before = threading.active_count()
    settings["disk"] = MemoryDisk()
    with pytest.raises(Exception, match="no enrolled system"), System.open("unused", **settings):
        pass
    assert threading.active_count() == before


def test_a_system_that_is_not_open_says_so(settings: dict[str, Any]) -> None:
    with pytest.raises(SystemClosed):
        System.open("unused", **settings).acquire(target(), purpose=PURPOSE)
