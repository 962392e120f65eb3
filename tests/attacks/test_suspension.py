"""Who holds the wire, or the moment between commit and signing, against a suspension."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from typing import Any, TypeVar, cast

import pytest

from licd.client import LeaseDenied, Reason
from licd.client.notices import Suspended
from licd.ledger.transaction import Command
from licd.ledger.verbs.answer_link import Reply
from licd.server import serve
from licd.server.writer import ThreadWriter
from licd.v1 import licence_service_pb2, log_service_pb2, operator_pb2, session_pb2
from tests.attacks.test_copies import deployment_of, status_of
from tests.attacks.wire import Honest, Wire, asked, eventually, usable
from tests.daemon import PATIENCE, Daemon, make_state, set_limits
from tests.office import Office
from tests.postgres import serving_postgres
from tests.replicas import replicas, shared_states
from tests.wired_system import System as WiredSystem
from tests.wired_system import holding, reason

R = TypeVar("R")
L, G = 20_000, 60_000


def suspended_systems(office: Office, suspension: str) -> list[Any]:
    request = licence_service_pb2.GetSuspensionRequest(suspension=suspension)
    return list(office.alice.call("LicenceService.GetSuspension", request).systems)


def test_dropping_only_pushes(office: Office, tmp_path: Path):
    """A proxy that knows directives by their looks: the refusal in the next reply says the same."""
    licence = office.licence()
    honest = Honest.enrolled(office, tmp_path, licence)
    honest.wire.drops_down = lambda frame: frame.HasField("directive")
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        office.alice.suspend(licence)
        eventually(lambda: honest.wire.lost > 0, system)
        assert honest.told.notices == []
        honest.clock.advance(5_000)
        assert honest.told.wait(Suspended).denied.reason is Reason.LICENCE_SUSPENDED
        assert not lease.usable


def test_dropping_everything(office: Office, tmp_path: Path):
    """Cut off, the system stops by its own clock at the hard end; licd names a bound that is no earlier."""
    licence = office.licence(grace_ms=0)
    honest = Honest.enrolled(office, tmp_path, licence)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        honest.wire.cut()
        answer = office.alice.suspend(licence)
        [row] = suspended_systems(office, answer.suspension)
        left = lease.check()
        assert office.daemon.clock.wall() + left <= row.bounded_until_ms
        honest.clock.stop_and_go(left // 2)
        assert usable(lease)
        honest.clock.stop_and_go(left // 2 + 1)
        assert not usable(lease)
        honest.wire.mend()
        honest.clock.advance(5_000)
        assert honest.told.wait(Suspended).denied.reason is Reason.LICENCE_SUSPENDED
        assert not lease.usable


def test_losing_half_the_replies(office: Office, tmp_path: Path):
    """Half of what licd answers never arrives: what was asked for is done once, the cap holds, a stop is a stop."""
    chance = Random(7)
    licence = office.licence(cap=3)
    honest = Honest.enrolled(office, tmp_path, licence)

    def loses(_: object) -> bool:
        lost = chance.random() < 0.5
        if lost:
            honest.clock.advance(500)  # the wait for it is over sooner
        return lost

    honest.wire = Wire(drops_down=lambda frame: frame.HasField("reply") and loses(frame), loses_answer=loses)
    with honest.opened() as system:
        for number in range(12):
            kept = system.acquire(**asked(number % 3))
            assert kept.check() > 0
        with pytest.raises(LeaseDenied, match="CONCURRENT_CAP"):
            system.acquire(**asked(9))
        assert honest.wire.lost > 5
        office.alice.suspend(licence)
        honest.clock.advance(5_000)
        assert honest.told.wait(Suspended).denied.reason is Reason.LICENCE_SUSPENDED
        assert not kept.usable
        eventually(lambda: office.alice.licence_of(licence).live == 0, system)
        assert office.alice.licence_of(licence).cooling <= 3
        assert status_of(office, deployment_of(system)) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED


class PausedWriter(ThreadWriter):
    """The next permit, once told to, is decided and durable, and then waits to be signed."""

    armed = False
    caught: Reply | None = None
    is_caught = threading.Event()
    released = threading.Event()

    async def execute(self, command: Command[R], /) -> R:
        answer = await super().execute(command)
        kind, reply = PausedWriter, cast("object", answer)
        if kind.armed and isinstance(reply, Reply):
            kind.armed, kind.caught = False, reply
            kind.is_caught.set()
            await asyncio.to_thread(kind.released.wait, PATIENCE)
        return answer


SYSTEMS, BEATS = 5, 200
WIDE = {"requests_per_second": 100_000, "requests_at_once": 100_000}


def test_suspend_racing_1_000_renewals(own_daemon: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch):
    """Five systems renew as fast as they can while one permit is held between its commit and its signing.

    Every permit was decided before the suspension's entry, every answer after it is a no, and the permit that was held
    up and comes late runs no longer than the bound that the suspension named.
    """
    monkeypatch.setattr(serve, "ThreadWriter", PausedWriter)
    race([own_daemon(**WIDE)])


def test_suspend_racing_1_000_renewals_on_3_replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As above, with the systems at three replicas on one PostgreSQL, and the suspension at the first of them."""
    monkeypatch.setattr(serve, "ThreadWriter", PausedWriter)
    first = make_state(tmp_path / "licd")
    set_limits(first.root, **WIDE)
    with serving_postgres() as server, replicas(shared_states(first, server.new_database(), 3, limits=WIDE)) as daemons:
        race(daemons)


def race(daemons: Sequence[Daemon]) -> None:
    """Systems renew at each daemon in turn; the first one suspends their licence among that."""
    PausedWriter.armed, PausedWriter.caught = False, None
    PausedWriter.is_caught, PausedWriter.released = threading.Event(), threading.Event()
    office = Office(daemons[0])
    licence = office.licence(cap=SYSTEMS, systems=SYSTEMS)
    systems = [holding(office, licence, number) for number in range(SYSTEMS)]
    systems = [replace(each, daemon=daemons[number % len(daemons)]) for number, each in enumerate(systems)]
    permits: list[session_pb2.Permit] = []
    refusals: list[session_pb2.Refusal] = []
    enough = threading.Semaphore(0)

    def renew(system: WiredSystem) -> None:
        with system.stream() as stream:
            for _ in range(BEATS):
                reply = stream.beat()
                (permits if isinstance(reply, session_pb2.Permit) else refusals).append(reply)
                enough.release()

    with ThreadPoolExecutor(SYSTEMS) as pool:
        running = [pool.submit(renew, system) for system in systems]
        for _ in range(SYSTEMS * BEATS // 4):
            assert enough.acquire(timeout=PATIENCE)
        PausedWriter.armed = True
        assert PausedWriter.is_caught.wait(PATIENCE)
        answer = office.alice.suspend(licence)
        PausedWriter.released.set()
        for each in running:
            each.result()
    epoch = answer.licences[0].epoch
    entry = entries(office, licence, "licence.suspended")[0]
    assert len(permits) + len(refusals) == SYSTEMS * BEATS
    assert permits
    assert refusals
    assert {each.header.epoch for each in permits} == {epoch - 1}
    assert {each.header.epoch for each in refusals} == {epoch}
    assert {reason(each) for each in refusals} == {"LICENCE_SUSPENDED"}
    assert max(each.header.decided_ms for each in permits) <= int(entry["at"])
    caught = cast("Reply | None", PausedWriter.caught)
    assert caught is not None
    held_up = session_pb2.Permit.FromString(caught.payload)
    assert held_up in permits
    bound = max(each.bounded_until_ms for each in suspended_systems(office, answer.suspension))
    assert max(end for each in permits for end in each.hard_ends_ms) <= bound
    assert not [each for each in entries(office, licence, "lease.granted") if int(each["index"]) > int(entry["index"])]


def entries(office: Office, licence: str, kind: str) -> list[dict[str, str]]:
    request = log_service_pb2.ListEntriesRequest(licence=licence, kind=kind)
    found = office.alice.call("LogService.ListEntries", request).entries
    return [{field.name: field.value for field in each.fields} | {"index": str(each.index)} for each in found]
