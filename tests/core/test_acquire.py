"""One lease on one target, or why not."""

from dataclasses import replace
from typing import Any

import pytest

from licd.core.acquire_lease import SEATS_TOLD, Granted
from licd.core.bounds import epsilon
from licd.core.reasons import Denied, Reason
from licd.core.release_lease import Released
from licd.core.scope import RegionClaim
from licd.core.terms import AuthorisationRequired, Basis
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from tests.builders import GRACE, LENGTH, NOW, TIMING, make_ask
from tests.core.rig import Rig

EPSILON = epsilon(LENGTH, GRACE, TIMING)


def test_denies_a_fourth_seat_when_three_are_held():
    rig = Rig(cap=3)
    for number in (1, 2, 3):
        rig.grant(number)
    denied = rig.refuse(4)
    assert (denied.reason, denied.live, denied.cooling, denied.limit) == (Reason.CONCURRENT_CAP, 3, 0, 3)


def test_a_cap_of_nothing_permits_nothing_and_waiting_does_not_help():
    denied = Rig(cap=0).refuse()
    assert (denied.reason, denied.retry_at) == (Reason.CONCURRENT_CAP, 0)


def test_a_grant_says_what_counted_and_ends_with_the_permit_length():
    rig = Rig()
    rig.now += 5
    ask = make_ask(region="AT", basis=Basis.DECLARED, offence="o:1", authorisation="w", authorisation_end=NOW + HOUR)
    outcome = rig.operate(ask)
    assert isinstance(outcome, Granted)
    lease = outcome.lease
    assert (outcome.hard_end, outcome.existing) == (rig.now + LENGTH, False)
    assert (lease.region, lease.basis, lease.purpose, lease.offence) == ("AT", Basis.DECLARED, ask.purpose, "o:1")
    assert (lease.authorisation, lease.authorisation_end, lease.granted_at) == ("w", NOW + HOUR, rig.now)


def test_the_same_target_under_the_same_terms_is_the_same_lease():
    rig = Rig(cap=1)
    first = rig.grant()
    again = rig.acquire()
    assert isinstance(again, Granted)
    assert (again.lease.id, again.existing) == (first.id, True)


def test_the_same_target_twice_in_one_link_takes_one_seat():
    rig = Rig(cap=1)
    permit = rig.renew("a", make_ask(), make_ask())
    first, second = permit.outcomes
    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    assert (first.existing, second.existing) == (False, True)
    assert [each.lease for each in permit.leases] == [first.lease.id]


@pytest.mark.parametrize("number", [1, 2])
def test_a_target_held_by_another_system_is_held(number: int):
    rig = Rig(cap=2)
    held = rig.grant(1, "a")
    outcome = rig.acquire(number, "b")
    if number == 1:
        assert isinstance(outcome, Denied)
        assert outcome.reason is Reason.TARGET_HELD
        assert outcome.seats == ()
        assert rig.state.seats.live[held.target].deployment == "a"
    else:
        assert isinstance(outcome, Granted)


def test_a_held_target_says_from_when_asking_again_can_help():
    rig = Rig()
    rig.grant(1, "a")
    denied = rig.refuse(1, "b")
    rig.now = denied.retry_at - 1
    assert rig.refuse(1, "b").reason is Reason.TARGET_HELD
    rig.now = denied.retry_at
    assert isinstance(rig.acquire(1, "b"), Granted)


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "test:two"},
        {"region": "AT"},
        {"offence": "o:2"},
        {"authorisation": "w-2"},
        {"authorisation_end": NOW + 2 * HOUR},
    ],
)
def test_the_same_target_under_other_terms_differs(other: dict[str, Any]):
    rig = Rig()
    same: dict[str, Any] = {"offence": "o:1", "authorisation": "w-1", "authorisation_end": NOW + HOUR}
    lease = rig.grant(1, **same)
    denied = rig.refuse(1, **(same | other))
    assert denied.reason is Reason.TERMS_DIFFER
    assert rig.state.seats.live[lease.target].id == lease.id


def test_another_system_learns_nothing_of_the_terms_a_target_is_held_under():
    rig = Rig()
    rig.grant(1, "a")
    assert rig.refuse(1, "b", purpose="test:two").reason is Reason.TARGET_HELD


# ----------------------------------------------------------------------------------------------- the full cap
def test_a_full_cap_names_the_callers_own_seats_oldest_first_and_nobody_elses():
    rig = Rig(cap=4)
    theirs = rig.grant(1, "b")
    rig.now += 10
    live = rig.grant(2, "a")
    rig.now += 10
    given_back = rig.grant(3, "a")
    rig.grant(4, "b")
    released = rig.release(given_back.id)
    assert isinstance(released, Released)
    denied = rig.refuse(5, "a")
    assert [seat.lease for seat in denied.seats] == [live.id, given_back.id]
    assert [seat.cooling for seat in denied.seats] == [False, True]
    assert [seat.granted_at for seat in denied.seats] == [live.granted_at, given_back.granted_at]
    assert (denied.live, denied.cooling, denied.limit) == (3, 1, 4)
    assert theirs.id not in {seat.lease for seat in denied.seats}
    # The live one was renewed by the link that asked: it is 10 ms old and gets 10 ms of grace.
    assert denied.seats[0].free_at == rig.now + LENGTH + 10 + EPSILON
    assert denied.seats[1].free_at == released.free_at


def test_a_full_cap_tells_of_so_many_seats_and_no_more():
    rig = Rig(cap=SEATS_TOLD + 8)
    for number in range(SEATS_TOLD + 8):
        rig.grant(number)
        rig.now += 1
    assert [seat.lease for seat in rig.refuse(99).seats] == list(range(1, SEATS_TOLD + 1))


def test_a_full_cap_says_when_the_next_seat_is_free():
    rig = Rig(cap=2)
    first, second = rig.grant(1), rig.grant(2)
    assert rig.refuse(3).retry_at == 0
    late, soon = rig.release(second.id), None
    rig.now += 1_000
    soon = rig.release(first.id)
    assert isinstance(soon, Released)
    assert isinstance(late, Released)
    denied = rig.refuse(3)
    assert denied.retry_at == min(late.free_at, soon.free_at)
    rig.now = denied.retry_at - 1
    assert rig.refuse(3).reason is Reason.CONCURRENT_CAP
    rig.now = denied.retry_at
    assert isinstance(rig.acquire(3), Granted)


def test_a_narrowed_cap_says_when_enough_seats_are_free():
    rig = Rig(cap=4)
    freed = []
    for number in range(4):
        released = rig.release(rig.grant(number).id)
        assert isinstance(released, Released)
        freed.append(released.free_at)
        rig.now += 100
    rig.amend(cap=2)
    denied = rig.refuse(9)
    assert denied.retry_at == freed[2]
    rig.now = denied.retry_at - 1
    assert rig.refuse(9).reason is Reason.CONCURRENT_CAP
    rig.now += 1
    assert isinstance(rig.acquire(9), Granted)


def test_a_narrowed_cap_that_cooling_alone_does_not_free_promises_nothing():
    rig = Rig(cap=3)
    leases = [rig.grant(number) for number in range(3)]
    rig.amend(cap=1)
    rig.release(leases[2].id)
    denied = rig.refuse(9, "b")
    assert (denied.reason, denied.retry_at) == (Reason.CONCURRENT_CAP, 0)


def test_a_lapsed_lease_nobody_reaped_holds_its_seat_until_it_is_free_and_no_longer():
    rig = Rig(cap=1)
    rig.grant(1, "a")
    rig.now += LENGTH
    assert rig.refuse(2, "b").reason is Reason.CONCURRENT_CAP
    rig.now += EPSILON - 1
    assert rig.refuse(2, "b").reason is Reason.CONCURRENT_CAP
    rig.now += 1
    assert isinstance(rig.acquire(2, "b"), Granted)


# ------------------------------------------------------------------------------------------------------ cooling
def test_a_released_seat_is_not_free_before_its_last_permit_has_run_out():
    rig = Rig(cap=1)
    lease = rig.grant()
    released = rig.release(lease.id)
    assert released == Released(lease.id, rig.now + LENGTH + EPSILON)
    rig.now = released.free_at - 1
    assert rig.refuse(2).reason is Reason.CONCURRENT_CAP
    rig.now = released.free_at
    assert isinstance(rig.acquire(2), Granted)


@pytest.mark.parametrize("end", ["released", "lapsed"])
def test_a_cooling_target_is_held_for_other_systems_until_no_permit_of_its_own_runs_on(end: str):
    """Else two systems would act on one target at once, each by a permit that licd gave."""
    rig = Rig(cap=2)
    lease = rig.grant(1, "a")
    rig.keep(GRACE)
    if end == "released":
        rig.release(lease.id, "a")
    else:
        rig.now += LENGTH + GRACE
    denied = rig.refuse(1, "b")
    assert denied.reason is Reason.TARGET_HELD
    assert denied.retry_at == rig.now + EPSILON + (LENGTH + GRACE if end == "released" else 0)
    rig.now = denied.retry_at - 1
    assert rig.refuse(1, "b").reason is Reason.TARGET_HELD
    rig.now = denied.retry_at
    assert isinstance(rig.acquire(1, "b"), Granted)


def test_a_target_is_regained_ten_times_a_minute_and_not_more():
    rig = Rig(cap=1)
    for _ in range(10):
        rig.release(rig.grant(1).id)
    denied = rig.refuse(1)
    assert (denied.reason, denied.retry_at, denied.limit) == (Reason.CHURN_LIMIT, NOW + MINUTE, 10)
    assert rig.refuse(1, "b").reason is Reason.TARGET_HELD


def test_a_cooling_target_regains_its_own_seat():
    rig = Rig(cap=1)
    first = rig.grant(1, "a")
    rig.release(first.id, "a")
    again = rig.grant(1, "a")
    assert again.id != first.id
    assert again.granted_at == rig.now
    assert rig.occupied == 1


def test_a_regained_seat_is_freed_no_earlier_than_it_would_have_been():
    rig = Rig(cap=1)
    lease = rig.grant()
    rig.keep(GRACE)
    released = rig.release(lease.id)
    assert isinstance(released, Released)
    again = rig.grant(1)
    regained = rig.release(again.id)
    assert isinstance(regained, Released)
    assert regained.free_at == released.free_at == rig.now + LENGTH + GRACE + EPSILON


def test_a_regained_lease_is_new_and_its_first_permit_is_as_short_as_any_first():
    rig = Rig(cap=1)
    lease = rig.grant()
    rig.keep(GRACE)
    rig.release(lease.id)
    outcome = rig.acquire()
    assert isinstance(outcome, Granted)
    assert outcome.hard_end == rig.now + LENGTH
    asked_again = rig.acquire()
    assert isinstance(asked_again, Granted)
    assert asked_again.hard_end == rig.now + LENGTH


def test_a_regained_lease_ends_with_its_authorisation_though_the_seat_is_taken_for_longer():
    rig = Rig(AuthorisationRequired(DAY), cap=1)
    long: dict[str, Any] = {"authorisation": "w-1", "authorisation_end": NOW + DAY}
    lease = rig.grant(1, **long)
    rig.keep(GRACE)
    rig.release(lease.id)
    again = rig.grant(1, authorisation="w-2", authorisation_end=rig.now + 2 * SECOND)
    rig.now += 2 * SECOND
    permit = rig.renew()
    assert permit.ended == ((again.id, Reason.AUTHORISATION_EXPIRED),)
    assert permit.leases == ()


def test_no_seat_is_regained_while_the_cap_is_passed():
    # Else a narrowed cap would never be reached: what is not renewed would come straight back.
    rig = Rig(cap=4)
    for number in range(4):
        rig.grant(number)
        rig.now += 1
    rig.amend(cap=2)
    permit = rig.renew("a", make_ask(2), make_ask(3))
    assert [reason for _, reason in permit.ended] == [Reason.CAP_NARROWED] * 2
    assert len(permit.leases) == 2
    for outcome in permit.outcomes:
        assert isinstance(outcome, Denied)
        assert outcome.reason is Reason.CONCURRENT_CAP


def test_a_seat_is_regained_where_the_cap_is_full_but_not_passed():
    rig = Rig(cap=2)
    first = rig.grant(1)
    rig.grant(2)
    rig.release(first.id)
    assert isinstance(rig.acquire(1), Granted)


# ------------------------------------------------------------------------------------------- unary acquires
def test_a_unary_lease_holds_for_the_permit_length_and_asking_again_extends_nothing():
    rig = Rig()
    first = rig.unary()
    assert isinstance(first, Granted)
    for _ in range(3):
        rig.now += 5 * SECOND
        again = rig.unary()
        assert isinstance(again, Granted)
        assert (again.existing, again.lease.id, again.hard_end) == (True, first.lease.id, first.hard_end)
    rig.now = first.hard_end
    fresh = rig.unary()
    assert isinstance(fresh, Granted)
    assert (fresh.existing, fresh.hard_end) == (False, rig.now + LENGTH)


def test_asking_again_by_unary_calls_extends_no_regained_lease_either():
    # The seat is taken until the old lease's last permit ends; the new lease has no right to that.
    rig = Rig()
    lease = rig.grant()
    rig.keep(GRACE)
    rig.release(lease.id)
    first = rig.unary()
    assert isinstance(first, Granted)
    rig.now += 5 * SECOND
    again = rig.unary()
    assert isinstance(again, Granted)
    assert again.hard_end == first.hard_end


def test_asking_again_gives_no_more_than_the_figures_as_they_now_are():
    rig = Rig()
    rig.grant(1)
    rig.keep(GRACE)
    rig.amend(length=2 * SECOND, grace=0)
    outcome = rig.unary(1)
    assert isinstance(outcome, Granted)
    assert outcome.hard_end == rig.now + 2 * SECOND
    permit = rig.renew("a", make_ask(1))
    [said] = permit.outcomes
    assert isinstance(said, Granted)
    assert said.hard_end == permit.leases[0].hard_end == rig.now + 2 * SECOND


def test_asking_again_gives_nothing_past_a_term_cut_short():
    rig = Rig()
    first = rig.unary()
    assert isinstance(first, Granted)
    rig.amend(not_after=rig.now + SECOND)
    again = rig.unary()
    assert isinstance(again, Granted)
    assert again.hard_end == rig.now + SECOND
    assert rig.state.bound(again.lease) == first.hard_end


def test_asking_by_a_unary_call_for_a_renewed_lease_does_not_extend_it():
    rig = Rig()
    lease = rig.grant()
    rig.now += 5 * SECOND
    permit = rig.renew()
    rig.now += 5 * SECOND
    again = rig.unary()
    assert isinstance(again, Granted)
    assert (again.existing, again.hard_end) == (True, permit.leases[0].hard_end)
    assert rig.state.seats.live[lease.target].attached


def test_a_unary_lease_that_a_link_holds_on_to_is_renewed_from_then_on():
    rig = Rig()
    first = rig.unary()
    assert isinstance(first, Granted)
    rig.now += 5 * SECOND
    permit = rig.renew()
    assert rig.ends(permit) == {first.lease.id: LENGTH + 5 * SECOND}


def test_a_unary_lease_that_a_link_asks_for_is_renewed_and_told_so():
    rig = Rig()
    first = rig.unary()
    assert isinstance(first, Granted)
    rig.now += 5 * SECOND
    permit = rig.renew("a", make_ask(), held=())
    [outcome] = permit.outcomes
    assert isinstance(outcome, Granted)
    assert outcome.existing
    assert [each.hard_end for each in permit.leases] == [outcome.hard_end] == [rig.now + LENGTH + 5 * SECOND]


def test_a_unary_lease_left_out_of_a_link_just_runs_out():
    rig = Rig()
    first = rig.unary()
    assert isinstance(first, Granted)
    assert rig.renew(held=()).leases == ()
    assert rig.state.seats.live[first.lease.target].seat_until == first.hard_end


# ------------------------------------------------------------------------------------------------- releasing
def test_releasing_twice_answers_the_same():
    rig = Rig()
    lease = rig.grant()
    first = rig.release(lease.id)
    rig.now += SECOND
    assert rig.release(lease.id) == first


@pytest.mark.parametrize("system", ["b", "stranger"])
def test_anothers_lease_answers_as_missing(system: str):
    rig = Rig()
    lease = rig.grant()
    for identifier in (lease.id, 999):
        denied = rig.release(identifier, system)
        assert isinstance(denied, Denied)
        assert denied == Denied(Reason.LEASE_NOT_FOUND, "the caller holds no such lease")
    assert lease.target in rig.state.seats.live


def test_claims_beyond_the_one_that_counts_make_no_other_lease():
    rig = Rig()
    lease = rig.grant(1)
    more = replace(make_ask(1), regions=(*make_ask(1).regions, RegionClaim("AT", Basis.DECLARED)))
    outcome = rig.operate(more)
    assert isinstance(outcome, Granted)
    assert outcome.lease.id == lease.id
