"""A continuity permit in the machine's hands: goes on while licd is silent, once, not beyond its end."""

from __future__ import annotations

from typing import Any

import pytest

from licd.client.notices import ContinuityBegun, DropReason, LeaseLapsing, LeaseLost, Suspended
from licd.client.session.events import FrameReceived, Rebooted
from licd.client.session.hold import Hold
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid
from tests.client.fake_licd import ISSUER, SECOND, continuity_frame, directive_frame
from tests.client.rig import Rig

OUTAGE = 7_200 * SECOND


def rig_with(length: int = OUTAGE, **changes: Any) -> tuple[Rig, Hold]:
    """A system with a lease and a continuity permit for it."""
    rig = Rig().start()
    hold = rig.acquire()
    rig.push(continuity_frame(rig.licd.continuity(length, **changes)))
    return rig, hold


def test_while_licd_is_heard_it_lies_there_and_the_next_link_names_it() -> None:
    rig, hold = rig_with()
    rig.advance(600 * SECOND)
    assert rig.usable(hold)
    assert rig.told(ContinuityBegun) == []
    assert {(link.continuity, link.continuity_used) for link in rig.licd.links[-3:]} == {("C-2", False)}
    assert hold.until <= rig.now + 320 * SECOND, "permits alone say how long, as long as they come"


def test_a_system_that_has_none_stops_when_its_permits_run_out() -> None:
    rig = Rig().start()
    hold = rig.acquire()
    rig.cut()
    rig.advance(60 * SECOND)
    assert not rig.usable(hold)


def test_when_licd_falls_silent_it_goes_on_to_the_end_and_not_beyond() -> None:
    rig, hold = rig_with()
    given = rig.now
    rig.advance(7 * SECOND)
    rig.cut()
    rig.advance(OUTAGE - 10 * SECOND)
    assert rig.usable(hold)
    assert rig.told(LeaseLost) == []
    [begun] = rig.told(ContinuityBegun)
    assert begun.continuity == "C-2"
    assert hold.until == given + OUTAGE
    assert [notice.remaining for notice in rig.told(LeaseLapsing)][-1:] != [0]
    rig.advance(given + OUTAGE - 1 - rig.now)
    assert rig.usable(hold)
    rig.advance(1)
    assert not rig.usable(hold)
    assert len(rig.told(LeaseLost)) == 1


def test_it_goes_on_without_a_gap() -> None:
    rig, hold = rig_with()
    rig.cut()
    for _ in range(600):
        rig.advance(100)
        assert rig.usable(hold)


def test_what_licd_meant_is_an_upper_bound_however_long_its_answers_take() -> None:
    rig = Rig().start()
    hold = rig.acquire()
    rig.advance(5 * SECOND - 1)
    rig.advance(1)
    envelope = rig.licd.continuity(OUTAGE)
    decided = rig.now
    rig.now += 2 * SECOND
    rig.push(continuity_frame(envelope))
    rig.cut()
    rig.advance(60 * SECOND)
    assert hold.until <= decided + OUTAGE


def test_a_lease_had_after_it_is_not_on_it() -> None:
    rig, hold = rig_with()
    later = rig.acquire("another")
    rig.cut()
    rig.advance(60 * SECOND)
    assert rig.usable(hold)
    assert not rig.usable(later)


def test_when_licd_is_heard_again_the_leases_go_on_and_its_use_is_told_and_over() -> None:
    rig, hold = rig_with()
    rig.cut()
    rig.advance(3_600 * SECOND)
    rig.mend()
    rig.advance(120 * SECOND)
    assert rig.usable(hold)
    assert rig.told(LeaseLost) == []
    used = [link.continuity for link in rig.licd.links if link.continuity_used]
    assert used == ["C-2"], "told once, by the link whose answer ended it"
    assert rig.licd.links[-1].continuity == ""
    assert rig.machine.view.continuity is None
    assert hold.until <= rig.now + 320 * SECOND


def test_used_once_it_does_nothing_in_the_next_silence() -> None:
    rig = Rig().start()
    hold = rig.acquire()
    envelope = rig.licd.continuity(OUTAGE)
    rig.push(continuity_frame(envelope))
    rig.cut()
    rig.advance(60 * SECOND)
    rig.mend()
    rig.advance(20 * SECOND)
    assert rig.machine.view.continuity is None
    rig.push(continuity_frame(envelope))
    assert rig.dropped[-1] is DropReason.LATE
    rig.cut()
    rig.advance(400 * SECOND)
    assert not rig.usable(hold)
    assert len(rig.told(ContinuityBegun)) == 1


def test_an_outage_that_ends_before_permits_run_out_has_not_used_it() -> None:
    rig, hold = rig_with()
    rig.cut()
    rig.advance(5 * SECOND)
    rig.mend()
    rig.advance(30 * SECOND)
    assert rig.machine.view.continuity is not None
    rig.cut()
    rig.advance(1_000 * SECOND)
    assert rig.usable(hold)


def test_an_authoritative_no_ends_it_in_use_or_not() -> None:
    rig, hold = rig_with()
    rig.push(directive_frame(rig.licd.suspend()))
    assert not rig.usable(hold)
    assert rig.machine.view.continuity is None
    used, held = rig_with()
    used.cut()
    used.advance(60 * SECOND)
    assert used.usable(held)
    used.licd.suspend()
    used.mend()
    used.advance(10 * SECOND)
    assert not used.usable(held)
    assert len(used.told(Suspended)) == 1
    used.cut()
    used.advance(60 * SECOND)
    assert not used.usable(held)


def test_one_from_before_a_stop_gives_nothing_after_it() -> None:
    rig = Rig().start()
    hold = rig.acquire()
    envelope = rig.licd.continuity(OUTAGE)
    rig.push(directive_frame(rig.licd.suspend()))
    rig.push(continuity_frame(envelope))
    assert rig.dropped[-1] is DropReason.LATE
    rig.push(directive_frame(rig.licd.reinstate()))
    rig.advance(5 * SECOND)
    rig.push(continuity_frame(envelope))
    assert rig.dropped[-1] is DropReason.LATE
    assert rig.machine.view.continuity is None
    rig.cut()
    rig.advance(400 * SECOND)
    assert not rig.usable(hold)


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "customer/acme/system/south"},
        {"issuer": "other.example"},
        {"licence": "lic-2"},
        {"session": "session-9"},
        {"session": ""},
        {"boot_nonce": b"another process."},
    ],
    ids=str,
)
def test_one_for_somebody_else_is_dropped(changes: dict[str, Any]) -> None:
    rig, hold = rig_with(**changes)
    assert rig.dropped == [DropReason.NOT_FOR_US]
    rig.cut()
    rig.advance(60 * SECOND)
    assert not rig.usable(hold)


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": b"short"},
        {"hard_ends_ms": []},
        {"hard_ends_ms": [1 << 60]},
        {"hard_ends_ms": [0]},
        {"continuity": ""},
    ],
    ids=str,
)
def test_one_that_contradicts_itself_is_dropped(changes: dict[str, Any]) -> None:
    rig, _ = rig_with(**changes)
    assert rig.dropped == [DropReason.CONTRADICTORY]
    assert rig.machine.view.continuity is None


def test_one_of_another_epoch_is_dropped() -> None:
    rig, _ = rig_with(epoch=2)
    assert rig.dropped == [DropReason.LATE]


def test_one_that_another_key_signed_is_dropped() -> None:
    rig = Rig().start()
    rig.acquire()
    permit = rig.licd.continuity(OUTAGE)
    with pytest.raises(SealInvalid):
        seal(Kind.CONTINUITY_PERMIT, permit.payload, ISSUER)
    permit.signatures[0].sig = bytes(64)
    rig.feed(FrameReceived(continuity_frame(permit)))
    assert rig.dropped == [DropReason.NOT_SEALED]


def test_a_target_under_another_number_is_not_on_it() -> None:
    rig, hold = rig_with(targets=b"x" * 32)
    rig.cut()
    rig.advance(60 * SECOND)
    assert not rig.usable(hold)


def test_it_dies_with_the_boot_clock_and_with_the_process() -> None:
    rig, hold = rig_with()
    rig.feed(Rebooted())
    assert rig.machine.view.continuity is None
    assert not rig.usable(hold)
    other, _ = rig_with()
    again = other.restart().start()
    assert again.machine.view.continuity is None
    again.push(continuity_frame(other.licd.continuity(OUTAGE, boot_nonce=b"the first one...")))
    assert again.dropped[-1] is DropReason.NOT_FOR_US


def test_a_lease_that_was_taken_back_does_not_come_back_by_it() -> None:
    rig, hold = rig_with()
    rig.push(directive_frame(rig.licd.force_release(hold.lease)))
    rig.cut()
    rig.advance(60 * SECOND)
    assert not rig.usable(hold)
