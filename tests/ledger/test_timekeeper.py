"""Whether the deciding clock can be believed, and what is done meanwhile."""

import pytest

from licd.core.errors import ClockDoubted, DatabaseFailed
from licd.core.model import LicenceStatus
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.ledger.log import read_head
from licd.ledger.timekeeper import Timekeeper
from licd.ledger.verbs.clock import AcceptClock
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.leases import ReapLeases
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope, TerminateLicence
from licd.v1.session_pb2 import Permit, Refusal
from tests.ledger.rig import NOON, HandClock, Rig, wish
from tests.ledger.system import PaperSystem

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")


def accept(rig: Rig) -> int:
    return rig.do(AcceptClock(rig.ledger.timekeeper, "alice", "looked at it"))


def test_decides_at_the_wall_clock_while_it_runs_with_the_boot_clock():
    clock = HandClock()
    keeper = Timekeeper(clock, 0)
    clock.advance(HOUR)
    assert keeper.read().now == NOON + HOUR
    assert keeper.mark == NOON + HOUR
    assert keeper.read().doubt == ""


def test_is_patient_for_a_second_and_never_decides_below_the_mark():
    clock = HandClock()
    keeper = Timekeeper(clock, NOON + SECOND)
    assert keeper.read().doubt == ""
    assert keeper.read().now == NOON + SECOND
    behind = Timekeeper(clock, NOON + SECOND + 1).read()
    assert "behind" in behind.doubt
    assert behind.now == NOON + SECOND + 1


@pytest.mark.parametrize("jump", [2_001, -2_001, HOUR, -HOUR, 3650 * DAY])
def test_a_jump_is_doubted_until_it_is_accepted(jump: int):
    clock = HandClock()
    keeper = Timekeeper(clock, 0)
    clock.jump(jump)
    assert "jumped" in keeper.read().doubt
    clock.jump(-jump)
    assert "jumped" in keeper.read().doubt
    keeper.accept()
    assert keeper.read().doubt == ""


@pytest.mark.parametrize("jump", [2_000, -999])
def test_a_small_correction_is_no_jump(jump: int):
    clock = HandClock()
    keeper = Timekeeper(clock, NOON)
    clock.jump(jump)
    assert keeper.read().doubt == ""


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_in_doubt_time_goes_on_with_the_boot_clock_and_the_mark_stays(jump: int):
    clock = HandClock()
    keeper = Timekeeper(clock, NOON)
    clock.jump(jump)
    clock.advance(7 * SECOND)
    assert keeper.read().now == NOON + 7 * SECOND
    assert keeper.mark == NOON


def test_a_look_changes_nothing():
    clock = HandClock()
    keeper = Timekeeper(clock, NOON)
    clock.advance(HOUR)
    before = keeper.saved()
    assert keeper.look().now == NOON + HOUR
    clock.jump(HOUR)
    assert keeper.look().doubt
    assert keeper.saved() == before


def test_the_mark_is_kept_over_a_restart(rig: Rig):
    rig.clock.advance(HOUR)
    rig.licence()
    rig.clock.advance(-2 * SECOND)
    again = rig.reopened()
    assert again.ledger.timekeeper.mark == NOON + HOUR
    assert any("clock" in each for each in again.ledger.impediments())


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_doubted_clock_grants_nothing_and_suspends(rig: Rig, jump: int):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    system.open(wish(1))
    rig.clock.jump(jump)
    refused = rig.ask(system.link())[0]
    assert isinstance(refused, ClockDoubted)
    assert refused.retry_after
    assert rig.do(SUSPEND).licences[0].status is LicenceStatus.SUSPENDED
    assert len(rig.ledger.impediments()) == 1


def test_a_suspended_system_hears_its_refusal_although_the_clock_is_doubted(rig: Rig):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    assert isinstance(system.open(wish(1)), Permit)
    rig.clock.jump(HOUR)
    rig.do(SUSPEND)
    assert isinstance(system.beat(), Refusal)


def test_no_copy_is_fenced_by_a_doubted_clock(rig: Rig):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    system.open()
    rig.do(SUSPEND)
    other = system.link(salt="other copy")
    system.beat()
    rig.clock.jump(HOUR)
    assert isinstance(rig.ask(other)[0], ClockDoubted)


def test_a_forward_jump_frees_no_seat_and_lapses_no_lease(rig: Rig):
    """Ten years ahead every seat would be free; the systems that act on them have seen no time pass."""
    rig.licence(cap=2)
    system = PaperSystem(rig, "alpha")
    system.open()
    first, _ = system.acquire(wish(1), wish(2))
    rig.clock.advance(SECOND)
    system.held.remove(first)
    system.beat()
    rig.clock.jump(3650 * DAY)
    rig.do(ReapLeases(("north-1",), ()))
    rig.clock.jump(-3650 * DAY)
    accept(rig)
    assert rig.look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 2
    assert rig.reopened().look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 2


def test_a_forward_jump_does_not_poison_the_mark(rig: Rig):
    rig.licence()
    rig.clock.jump(3650 * DAY)
    rig.do(SUSPEND)
    rig.clock.jump(-3650 * DAY)
    assert rig.ledger.timekeeper.mark == NOON
    accept(rig)
    assert rig.ledger.impediments() == ()
    assert rig.entries("licence.suspended")[0]["at"] == b"%d" % NOON


def test_an_accepted_clock_is_logged_with_both_marks(rig: Rig):
    rig.licence()
    rig.clock.jump(-HOUR)
    assert rig.ledger.impediments()
    accept(rig)
    entry = rig.entries("clock.accepted")[0]
    assert (entry["mark_before"], entry["mark"]) == (b"%d" % NOON, b"%d" % (NOON - HOUR))
    head = read_head(rig.connection)
    assert head is not None
    assert head.clock_mark == NOON - HOUR
    rig.clock.advance(MINUTE)
    rig.licence("north-2")
    assert rig.entries("licence.issued")[-1]["at"] == b"%d" % (NOON - HOUR + MINUTE)


def test_a_clock_accepted_backwards_frees_no_seat_early(rig: Rig):
    rig.licence(cap=1)
    system = PaperSystem(rig, "alpha")
    system.open(wish(1))
    rig.clock.advance(SECOND)
    system.held.clear()
    system.beat()
    rig.clock.advance(HOUR)
    assert rig.look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 0
    rig.clock.jump(-HOUR)
    accept(rig)
    assert rig.look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 1


def test_a_clock_whose_acceptance_was_not_written_is_still_doubted(rig: Rig):
    rig.licence()
    rig.clock.jump(-HOUR)
    assert rig.ledger.impediments()
    rig.connection.fail("commit")
    assert isinstance(rig.ask(AcceptClock(rig.ledger.timekeeper, "alice", "looked"))[0], DatabaseFailed)
    assert rig.ledger.impediments()
    assert rig.ledger.timekeeper.mark == NOON


def test_expires_by_the_clock_and_not_before(rig: Rig):
    rig.licence(term=HOUR)
    system = PaperSystem(rig, "alpha")
    rig.clock.advance(HOUR - 1)
    permit = system.open(wish(1))
    assert isinstance(permit, Permit)
    assert list(permit.hard_ends_ms) == [NOON + HOUR]
    rig.clock.advance(1)
    assert isinstance(system.beat(), Refusal)


def test_termination_and_new_customers_need_no_clock(rig: Rig):
    rig.licence()
    rig.clock.jump(-DAY)
    rig.do(TerminateLicence("north-1", "misuse", "because", "alice"))
    rig.do(CreateCustomer("south", "South", "alice"))
