"""More targets than the licence has seats, or a lease for longer than it was given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from licd.core.time import SECOND
from licd.v1 import licence_service_pb2, session_pb2
from tests.daemon import PATIENCE, Daemon
from tests.office import Office, draft
from tests.wired_system import System, acquire, holding, joined, reason

L = 20 * SECOND


def test_renewing_by_unary_acquires_alone(own_daemon: Callable[..., Daemon]):
    """No heartbeat, only calls: no live lease is extended, no grace is ever earned, and a suspension bites within L."""
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence(cap=1)
    system = joined(office, licence)
    system.open()
    last = 0
    for _ in range(3):
        first = grant(system)
        for _ in range(4):
            daemon.clock.passed += L // 5
            again = grant(system)
            assert again.existing
            assert again.hard_end_ms == first.hard_end_ms
        assert first.hard_end_ms - first.granted_at_ms <= L
        assert first.hard_end_ms > last
        last = first.hard_end_ms
        daemon.clock.passed += L // 5 + 1
    office.alice.suspend(licence)
    assert reason(system.read(system.acquire(1).denial)) == "LICENCE_SUSPENDED"
    assert last <= daemon.clock.wall() + L


def grant(system: System) -> session_pb2.Grant:
    permit = system.read(system.acquire(1).permit)
    found: session_pb2.Grant = permit.outcomes[0].grant
    assert list(permit.hard_ends_ms) == [found.hard_end_ms]
    return found


def test_leaving_leases_out_of_links(own_daemon: Callable[..., Daemon]):
    """What is left out is only not renewed: its permit lives, so its seat is taken until that has run out."""
    daemon = own_daemon()
    office = Office(daemon)
    system = holding(office, office.licence(cap=2), 1, 2)
    with system.stream() as stream:
        daemon.clock.passed += 5 * SECOND
        full = stream.beat()
        last = max(full.hard_ends_ms)
        for kept in ([], list(system.held), []):
            daemon.clock.passed += SECOND
            permit = stream.beat(acquire(3), acquire(4), held=kept)
            assert [reason(each.denial) for each in permit.outcomes] == ["CONCURRENT_CAP"] * 2
            assert list(permit.leases) == []
        daemon.clock.passed += last - daemon.clock.wall() - 1
        assert reason(stream.beat(acquire(3)).outcomes[0].denial) == "CONCURRENT_CAP"
        free_at = full.header.decided_ms + max(each - full.header.decided_ms for each in full.hard_ends_ms) + 5 * SECOND
        daemon.clock.passed += free_at - daemon.clock.wall()
        assert stream.beat(acquire(3), acquire(4)).outcomes[1].HasField("grant")


def amend(office: Office, licence: str, cap: int) -> Any:
    found = office.alice.licence_of(licence)
    request = licence_service_pb2.AmendLicenceRequest(
        licence=licence,
        version=found.version,
        terms=draft(found.terms.not_before_ms, cap=cap, grace_ms=0),
        detail="less",
    )
    return office.alice.call("LicenceService.AmendLicence", request).licence


def test_cap_narrowed_under_load(own_daemon: Callable[..., Daemon]):
    """Four systems acquire, renew and give back while the cap falls from 8 to 3: it holds for what is decided after.

    The eldest leases stay, each system loses its own youngest, and nothing is granted while the cap is passed.
    """
    daemon = own_daemon(requests_per_second=100_000, requests_at_once=100_000)
    office = Office(daemon)
    licence = office.licence(cap=8, grace_ms=0)
    elders = holding(office, licence, 100, 101)
    eldest = list(elders.held)
    systems = [joined(office, licence) for _ in range(3)]
    permits: list[session_pb2.Permit] = []
    done, beaten, numbers = threading.Event(), threading.Semaphore(0), count()

    def work(system: System) -> None:
        system.open()
        with system.stream() as stream:
            while not done.is_set():
                wishes = [acquire(next(numbers) % 12) for _ in range(2)]
                back = [session_pb2.Operation(release=session_pb2.Release(lease=each)) for each in system.held[3:]]
                permits.append(stream.beat(*wishes, *back))
                beaten.release()

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(work, system) for system in systems]
        try:
            for _ in range(30):
                assert beaten.acquire(timeout=PATIENCE)
            epoch = amend(office, licence, 3).epoch
            for _ in range(60):
                assert beaten.acquire(timeout=PATIENCE)
        finally:
            done.set()
        for each in running:
            each.result()
    after = [each for each in permits if each.header.epoch >= epoch]
    assert len(after) > 30
    assert any(end.reason for each in after for end in each.ended)
    assert not [one for each in after for one in each.outcomes if one.HasField("grant") and not one.grant.existing]
    with elders.stream() as stream:
        assert list(stream.beat().leases) == eldest
    for system in systems:
        with system.stream() as stream:
            stream.beat()
    assert len(elders.held) + sum(len(system.held) for system in systems) <= 3
    assert office.alice.licence_of(licence).live <= 3
