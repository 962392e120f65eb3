"""Continuity permits in hands that want more of them: shown again, used twice, by another system, past a suspension."""

from __future__ import annotations

from pathlib import Path

from licd.client.notices import DropReason, LeaseLost, Reinstated, Suspended
from licd.client.sync import System
from licd.core.time import HOUR, MINUTE, SECOND
from licd.v1 import licence_service_pb2 as pb
from licd.v1.session_service_pb2 import SessionResponse
from tests.attacks.wire import Honest, asked, eventually, usable
from tests.office import Office

GRACE = MINUTE


def given(office: Office, licence: str, system: System, honest: Honest) -> bytes:
    """A continuity permit for an hour, with this system alone. Returns the frame that brought it."""
    caught: list[bytes] = []

    def note(frame: SessionResponse) -> bool:
        if frame.HasField("continuity"):
            caught.append(frame.SerializeToString())
        return False

    honest.wire.drops_down = note
    office.continuity(licence, HOUR, deployment=system.name.rpartition("/")[2])
    beat(honest, system)
    eventually(lambda: bool(system.status.continuity), system)
    honest.wire.mend()
    return caught[0]


def beat(honest: Honest, system: System) -> None:
    """A heartbeat later: its link has been answered. Between the two no time passes for the system."""
    decided = system.status.last_decided
    honest.clock.advance(6 * SECOND)
    eventually(lambda: system.status.last_decided > decided and system.status.connected, system)


def let_pass(honest: Honest, system: System, length: int) -> None:
    """So much time of the system's own, in steps that it sees."""
    for _ in range(length // SECOND):
        honest.clock.advance(SECOND)
        assert system.status.failure is None


def back(honest: Honest, system: System) -> None:
    """licd is heard again, by three links."""
    honest.wire.mend()
    for _ in range(3):
        beat(honest, system)


def shown(honest: Honest, system: System, frame: bytes) -> None:
    """The frame comes down once more, and is looked at."""
    honest.wire.injected.append(frame)
    beat(honest, system)
    eventually(lambda: not honest.wire.injected, system)
    beat(honest, system)


def test_continuity_permit_used_ends_with_its_hour(office: Office, tmp_path: Path):
    """What an honest system does with it: no gap, and not a second beyond."""
    licence = office.licence()
    honest = Honest.enrolled(office, tmp_path, licence)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        given(office, licence, system, honest)
        honest.wire.cut()
        let_pass(honest, system, 58 * MINUTE)
        assert usable(lease)
        let_pass(honest, system, 3 * MINUTE)
        assert not usable(lease)
        honest.told.wait(LeaseLost)


def test_continuity_permit_replayed(office: Office, tmp_path: Path):
    """Shown again after its use, the very same bytes give nothing: the next silence ends as any other."""
    licence = office.licence()
    honest = Honest.enrolled(office, tmp_path, licence)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        frame = given(office, licence, system, honest)
        honest.wire.cut()
        let_pass(honest, system, 5 * MINUTE)
        assert usable(lease)
        back(honest, system)
        assert system.status.continuity == ""
        before = system.status.dropped.get(DropReason.LATE, 0)
        shown(honest, system, frame)
        assert system.status.dropped[DropReason.LATE] > before
        assert system.status.continuity == ""
        honest.wire.cut()
        let_pass(honest, system, GRACE + MINUTE)
        assert not usable(lease)


def test_continuity_permit_used_a_second_time(office: Office, tmp_path: Path):
    """One outage, not one after the other until its end."""
    licence = office.licence()
    honest = Honest.enrolled(office, tmp_path, licence)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        given(office, licence, system, honest)
        honest.wire.cut()
        let_pass(honest, system, 5 * MINUTE)
        back(honest, system)
        assert usable(lease)
        honest.wire.cut()
        let_pass(honest, system, GRACE + MINUTE)
        assert not usable(lease)


def test_continuity_permit_shown_to_another_system(office: Office, tmp_path: Path):
    """Another system of the same licence, and another process of the same system, get nothing by it."""
    licence = office.licence()
    honest, other = (Honest.enrolled(office, tmp_path / name, licence) for name in ("one", "two"))
    with honest.opened() as system:
        system.acquire(**asked(1))
        frame = given(office, licence, system, honest)
    with other.opened() as second:
        lease = second.acquire(**asked(2))
        shown(other, second, frame)
        assert second.status.dropped[DropReason.NOT_FOR_US] == 1
        assert second.status.continuity == ""
        other.wire.cut()
        let_pass(other, second, GRACE + MINUTE)
        assert not usable(lease)
    with honest.opened() as again:
        again.acquire(**asked(3))
        shown(honest, again, frame)
        assert again.status.dropped[DropReason.NOT_FOR_US] == 1
        assert again.status.continuity == ""


def test_continuity_permit_after_a_suspension(office: Office, tmp_path: Path):
    """Issued before it, it is worth nothing from the moment the system hears of it, reinstated or not."""
    licence = office.licence()
    honest = Honest.enrolled(office, tmp_path, licence)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        frame = given(office, licence, system, honest)
        office.alice.suspend(licence)
        honest.told.wait(Suspended)
        assert not usable(lease)
        assert system.status.continuity == "", "it is gone with the no, not only at the next occasion"
        shown(honest, system, frame)
        assert not usable(lease)
        assert system.status.continuity == ""
        office.reinstate(licence)
        honest.told.wait(Reinstated)
        eventually(lambda: usable(lease), system)
        shown(honest, system, frame)
        assert system.status.dropped[DropReason.LATE] >= 2
        assert system.status.continuity == ""
        honest.wire.cut()
        let_pass(honest, system, GRACE + MINUTE)
        assert not usable(lease)


def test_continuity_permit_and_a_suspension_that_cannot_be_delivered(office: Office, tmp_path: Path):
    """The system goes on to the bound that the suspension shows, and not beyond it."""
    licence = office.licence()
    honest = Honest.enrolled(office, tmp_path, licence)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        given(office, licence, system, honest)
        honest.wire.cut()
        suspended = office.alice.suspend(licence)
        ask = pb.GetSuspensionRequest(suspension=suspended.suspension)
        [stop] = office.alice.call("LicenceService.GetSuspension", ask).systems
        assert stop.continuity_until_ms == suspended.bounds.continuity_until_ms
        let_pass(honest, system, 30 * MINUTE)
        assert usable(lease)
        left = stop.bounded_until_ms - office.daemon.clock.wall() - 30 * MINUTE
        let_pass(honest, system, left)
        assert not usable(lease)
