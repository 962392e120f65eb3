"""Whether the deciding clock can be believed, and what is done meanwhile."""

from dataclasses import replace
from typing import Any, cast

import pytest

from licd.core.errors import ClockDoubted, Conflict, DatabaseFailed, IllegalTransition
from licd.core.model import LicenceStatus
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.keys.kinds import Kind
from licd.ledger.log import read_head
from licd.ledger.timekeeper import Timekeeper
from licd.ledger.verbs.approvals import RequestApproval, pending
from licd.ledger.verbs.clock import AcceptClock
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.deployments import InviteDeployment
from licd.ledger.verbs.leases import AcquireLease, ForceReleaseLease, ReapLeases
from licd.ledger.verbs.licences import AmendLicence, SuspendLicence, SuspensionScope, TerminateLicence
from licd.v1.session_pb2 import Permit, Refusal
from tests.ledger.rig import NOON, HandClock, Rig, terms, wish
from tests.ledger.system import PaperSystem
from tests.wired_system import reason

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")


@pytest.fixture
def rig(file_rig: Rig) -> Rig:
    """A clock of one process alone, and what is kept of it over a restart."""
    return file_rig


def accept(rig: Rig) -> int:
    return rig.do(AcceptClock(rig.ledger.timekeeper, rig.ledger.timekeeper.move(), "alice", "looked at it"))


def boot_end(permit: Permit, sent_at: int) -> int:
    """Until when a permit's holder may act, by his own boot clock, which starts with the sending."""
    return sent_at + permit.hard_ends_ms[0] - permit.header.decided_ms


def two_systems(rig: Rig, **limits: Any) -> tuple[PaperSystem, PaperSystem, int]:
    """One seat, held for a while by alpha; beta wants it. Until when alpha may act on it by the boot clock."""
    rig.licence(cap=1, grace=HOUR, **limits)
    alpha, beta = PaperSystem(rig, "alpha"), PaperSystem(rig, "beta")
    alpha.open()
    beta.open()
    alpha.acquire(wish(1))
    permit = None
    for _ in range(200):
        rig.clock.advance(20 * SECOND - 1)
        permit = alpha.beat()
    assert isinstance(permit, Permit)
    return alpha, beta, boot_end(permit, rig.clock.boot())


def is_granted(answer: object) -> bool:
    return isinstance(answer, Permit) and answer.outcomes[0].HasField("grant")


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
    assert isinstance(rig.ask(AcceptClock(rig.ledger.timekeeper, -HOUR, "alice", "looked"))[0], DatabaseFailed)
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


@pytest.mark.parametrize("step", [1_900, -900])
def test_many_small_steps_are_found_as_one_large_one_is(step: int):
    clock = HandClock()
    keeper = Timekeeper(clock, NOON)
    doubts = []
    for _ in range(3):
        clock.jump(step)
        clock.advance(SECOND)
        doubts.append(keeper.read().doubt)
    assert doubts[0] == ""
    assert "jumped" in doubts[2]


def test_a_clock_that_runs_at_a_crystals_rate_is_never_doubted():
    clock = HandClock()
    keeper = Timekeeper(clock, NOON)
    for _ in range(20_000):
        clock.advance(10 * SECOND)
        clock.jump(2)
        assert keeper.read().doubt == ""
    assert keeper.read().now == NOON + 20_000 * (10 * SECOND + 2)


@pytest.mark.parametrize("jump", [2 * HOUR, -2_500])
def test_a_wall_clock_that_was_set_while_licd_was_down_is_doubted(rig: Rig, jump: int):
    _, beta, _ = two_systems(rig)
    rig.clock.jump(jump)
    beta.rig = again = rig.reopened()
    again.clock.advance(SECOND)
    assert again.ledger.impediments()
    assert isinstance(again.ask(beta.link([wish(2)]))[0], ClockDoubted)


def test_a_doubt_outlives_a_restart_of_the_machine(rig: Rig):
    rig.licence()
    rig.clock.jump(HOUR)
    rig.do(SUSPEND)
    rig.clock.reboot(MINUTE)
    again = rig.reopened()
    assert any("jumped" in each for each in again.ledger.impediments())
    assert again.look(lambda tx: tx.now) == NOON


def test_steps_between_batches_free_no_seat_early(rig: Rig):
    _, beta, ends = two_systems(rig)
    for _ in range(2_000):
        rig.clock.advance(10)
        rig.clock.jump(1_900)
        rig.look(lambda tx: tx.now)
    assert rig.clock.boot() < ends
    assert isinstance(rig.ask(beta.link([wish(2)]))[0], ClockDoubted)


@pytest.mark.parametrize("jump", [2 * HOUR, 365 * DAY])
def test_a_clock_accepted_forwards_frees_no_seat_before_its_permits_have_run_out(rig: Rig, jump: int):
    _, beta, ends = two_systems(rig, term=1_000 * DAY)
    rig.clock.jump(jump)
    assert rig.ledger.impediments()
    accept(rig)
    assert rig.ledger.impediments() == ()
    rig.clock.advance(ends - rig.clock.boot())
    assert not is_granted(beta.beat(wish(2)))
    beta.rig = again = rig.reopened()
    assert not is_granted(beta.beat(wish(2)))
    again.clock.advance(10 * SECOND)
    assert is_granted(beta.beat(wish(2)))


def test_a_lease_outlives_a_clock_accepted_forwards(rig: Rig):
    alpha, _, _ = two_systems(rig)
    rig.clock.jump(2 * HOUR)
    assert rig.ledger.impediments()
    accept(rig)
    permit = alpha.beat()
    assert isinstance(permit, Permit)
    assert list(permit.leases) == alpha.held


def test_a_released_and_barred_seat_cools_on_after_a_clock_accepted_forwards(rig: Rig):
    alpha, beta, ends = two_systems(rig)
    [lease] = alpha.held
    rig.do(ForceReleaseLease(lease, DAY, "manual", "because", "alice"))
    rig.clock.jump(2 * DAY)
    assert rig.ledger.impediments()
    accept(rig)
    rig.clock.advance(ends - rig.clock.boot())
    assert not is_granted(beta.beat(wish(2)))
    rig.clock.advance(20 * SECOND)
    assert is_granted(beta.beat(wish(2)))
    answer = beta.beat(wish(1))
    assert isinstance(answer, Permit)
    assert reason(answer.outcomes[0]) == "FORCE_RELEASED"


@pytest.mark.parametrize("off", [0, 2 * HOUR])
def test_a_start_of_the_machine_frees_no_seat(rig: Rig, off: int):
    """How long it was off is known by its wall clock alone, which may be wrong by as much."""
    _, beta, ends = two_systems(rig)
    left = ends - rig.clock.boot()
    rig.clock.reboot(off)
    beta.rig = again = rig.reopened()
    assert again.ledger.impediments() == ()
    assert not is_granted(beta.beat(wish(2)))
    again.clock.advance(left)
    beta.rig = again = again.reopened()
    assert not is_granted(beta.beat(wish(2)))
    again.clock.advance(10 * SECOND)
    assert is_granted(beta.beat(wish(2)))


def test_a_lease_that_ran_out_while_the_machine_was_off_is_no_reason_to_pass_a_cap_narrowed_since(rig: Rig):
    """Nobody knows whether its permit has run out. Its seat is kept, and it is renewed only where there is room."""
    rig.licence(cap=2)
    alpha, beta = PaperSystem(rig, "alpha"), PaperSystem(rig, "beta")
    for number, system in enumerate((alpha, beta)):
        system.open()
        system.acquire(wish(number))
    rig.clock.reboot(2 * HOUR)
    alpha.rig = beta.rig = again = rig.reopened()
    narrowed = terms("north-1", "north", NOON, cap=1, revision=2)
    again.do(AmendLicence("north-1", 1, narrowed, "", "", "alice", "amended"))
    told_again = again.do(AcquireLease(beta.name, wish(1), "127.0.0.1", "r-1"))
    assert told_again.kind is Kind.DENIAL
    renewed = alpha.beat()
    assert isinstance(renewed, Permit)
    assert list(renewed.leases) == []


def test_a_lease_that_ran_out_while_the_machine_was_off_regains_its_seat(rig: Rig):
    alpha, _, _ = two_systems(rig)
    rig.clock.reboot(2 * HOUR)
    alpha.rig = rig.reopened()
    renewed = alpha.beat()
    assert isinstance(renewed, Permit)
    assert list(renewed.leases) == []
    assert is_granted(alpha.beat(wish(1)))


def test_a_start_of_the_machine_whose_rows_are_not_taken_is_made_up_for(rig: Rig):
    _, beta, _ = two_systems(rig)
    rig.clock.reboot(2 * HOUR)
    beta.rig = again = rig.reopened()
    again.connection.fail("commit")
    again.ask(CreateCustomer("south", "South", "alice"))
    assert not is_granted(beta.beat(wish(2)))


def test_what_had_expired_stays_so_when_the_clock_is_accepted_backwards(rig: Rig):
    rig.licence(term=DAY)
    system = PaperSystem(rig, "alpha")
    system.open(wish(1))
    rig.clock.advance(DAY + HOUR)
    assert isinstance(system.beat(), Refusal)
    rig.clock.jump(-2 * HOUR)
    assert rig.ledger.impediments()
    accept(rig)
    for restart in (False, True):
        system.rig = rig.reopened() if restart else rig
        refused = system.open(wish(1))
        assert isinstance(refused, Refusal)
        assert reason(refused) == "LICENCE_EXPIRED"
    assert [entry["licence"] for entry in system.rig.entries("licence.expired")] == [b"north-1"]


@pytest.mark.parametrize("restarts", [(), ("licd",), ("machine",), ("machine", "licd")], ids="-".join)
def test_a_term_that_was_over_by_a_clock_that_nobody_vouches_for_is_not_over_for_good(
    rig: Rig, restarts: tuple[str, ...]
):
    """A machine whose clock is years ahead when it starts, until a time service has been reached."""
    rig.licence(term=30 * DAY)
    system = PaperSystem(rig, "alpha")
    system.open(wish(1))
    rig.clock.reboot(365 * DAY)
    system.rig = again = rig.reopened()
    assert reason(cast("Refusal", system.open())) == "LICENCE_EXPIRED"
    for each in restarts:
        if each == "machine":
            again.clock.reboot(MINUTE)
        system.rig = again = again.reopened()
        assert reason(cast("Refusal", system.open())) == "LICENCE_EXPIRED"
    again.clock.jump(-365 * DAY)
    assert again.ledger.impediments()
    accept(again)
    assert isinstance(system.open(wish(1)), Permit)
    assert again.entries("licence.expired") == []
    [entry] = again.entries("clock.accepted")
    assert int(entry["unvouched"]) >= 365 * DAY
    again.clock.advance(30 * DAY)
    assert reason(cast("Refusal", system.open())) == "LICENCE_EXPIRED"


def test_a_term_that_was_over_without_the_time_that_nobody_vouches_for_stays_over(rig: Rig):
    rig.licence(term=DAY)
    rig.licence("south-1", term=DAY + HOUR + 1)
    rig.clock.advance(DAY)
    rig.do(SUSPEND)
    rig.clock.reboot(2 * HOUR)
    again = rig.reopened()
    again.clock.advance(HOUR)
    again.do(CreateCustomer("south", "South", "alice"))
    again.clock.jump(-DAY)
    assert again.ledger.impediments()
    accept(again)
    assert [entry["licence"] for entry in again.entries("licence.expired")] == [b"north-1"]


@pytest.mark.parametrize(("move", "unvouched"), [(0, 2 * HOUR), (3 * SECOND, 0)], ids=["one", "two"])
def test_time_is_vouched_for_where_two_persons_accept_a_move(rig: Rig, move: int, unvouched: int):
    rig.licence()
    rig.clock.reboot(2 * HOUR)
    again = rig.reopened()
    again.clock.jump(HOUR)
    assert again.ledger.impediments()
    again.look(lambda tx: tx.now)
    again.clock.jump(move - HOUR)
    assert again.ledger.timekeeper.unvouched == 2 * HOUR
    accept(again)
    assert again.ledger.timekeeper.unvouched == unvouched
    assert again.reopened().ledger.timekeeper.unvouched == unvouched


def test_an_expired_licence_comes_back_with_a_later_end_alone(rig: Rig):
    rig.licence(term=DAY)
    system = PaperSystem(rig, "alpha")
    rig.clock.advance(DAY + HOUR)
    rig.clock.jump(-2 * HOUR)
    assert rig.ledger.impediments()
    accept(rig)
    for version, (term, revived) in enumerate([(DAY, False), (2 * DAY, True)], 1):
        new = replace(terms("north-1", "north", NOON, term=term), revision=version)
        rig.do(AmendLicence("north-1", version, new, "", "", "alice", "renewed"))
        assert isinstance(system.open(wish(1)), Permit) is revived
    assert rig.reopened().ledger.impediments() == ()


def test_join_tokens_and_approvals_whose_time_was_over_stay_so(rig: Rig):
    rig.licence()
    rig.do(InviteDeployment("north-1", "late", b"t" * 32, HOUR, "alice"))
    asked = rig.do(RequestApproval("/m", b"", "alice", "licence/north-1", 1, "does it", 2, HOUR))
    rig.clock.advance(2 * HOUR)
    rig.clock.jump(-2 * HOUR)
    assert rig.ledger.impediments()
    accept(rig)
    assert rig.look(lambda tx: tx.state("north-1").deployments["late"].token_hash) == b""
    with pytest.raises(IllegalTransition):
        rig.look(lambda tx: pending(tx, asked.id))


@pytest.mark.parametrize("off", [2_001, -2_001, HOUR])
def test_another_move_than_was_told_of_is_refused(rig: Rig, off: int):
    rig.licence()
    rig.clock.jump(HOUR)
    assert rig.ledger.impediments()
    with pytest.raises(Conflict):
        rig.do(AcceptClock(rig.ledger.timekeeper, HOUR + off, "alice", "looked"))
    assert rig.ledger.impediments()


def test_a_clock_that_was_put_right_again_is_accepted_without_a_move(rig: Rig):
    rig.licence()
    rig.clock.jump(HOUR)
    assert rig.ledger.impediments()
    rig.look(lambda tx: tx.now)
    rig.clock.jump(-HOUR)
    assert rig.ledger.impediments()
    rig.do(AcceptClock(rig.ledger.timekeeper, 0, "alice", "put right"))
    assert rig.ledger.impediments() == ()
