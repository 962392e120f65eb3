"""Limits on how many different targets, and how many new seats, in any window of a period."""

import pytest

from licd.core.acquire_lease import Granted
from licd.core.reasons import Denied, Reason
from licd.core.release_lease import Released
from licd.core.terms import DistinctTargets, TargetChurn
from licd.core.time import HOUR, MINUTE, SECOND
from tests.builders import GRACE, LENGTH, make_ask
from tests.core.rig import Rig


def use(rig: Rig, number: int, system: str = "a") -> Released:
    """Takes a seat and gives it back at once."""
    lease = rig.grant(number, system)
    released = rig.release(lease.id, system)
    assert isinstance(released, Released)
    return released


def assert_retry_is_right(rig: Rig, number: int, reason: Reason) -> None:
    """At retry_at asking again helps, a millisecond earlier it does not."""
    denied = rig.refuse(number)
    assert denied.reason is reason
    assert denied.retry_at > rig.now
    rig.now = denied.retry_at - 1
    assert rig.refuse(number).reason is reason
    rig.now = denied.retry_at
    assert isinstance(rig.acquire(number), Granted)


def test_denies_a_third_target_in_the_period_when_two_are_permitted():
    rig = Rig(DistinctTargets(2, HOUR), cap=9)
    use(rig, 1)
    use(rig, 2)
    denied = rig.refuse(3)
    assert (denied.reason, denied.limit) == (Reason.DISTINCT_CAP, 2)


def test_the_period_rolls_and_the_hint_is_right_to_the_millisecond():
    rig = Rig(DistinctTargets(2, HOUR), cap=9)
    use(rig, 1)
    rig.now += 10 * MINUTE
    use(rig, 2)
    assert_retry_is_right(rig, 3, Reason.DISTINCT_CAP)
    assert rig.refuse(4).reason is Reason.DISTINCT_CAP


def test_a_target_counts_from_when_it_was_last_in_use():
    rig = Rig(DistinctTargets(1, HOUR), cap=9)
    use(rig, 1)
    last_use = rig.now + LENGTH
    assert rig.refuse(2).retry_at == last_use + HOUR


def test_a_target_that_counts_already_may_come_back():
    rig = Rig(DistinctTargets(2, HOUR), cap=9)
    use(rig, 1)
    use(rig, 2)
    rig.now += 30 * MINUTE
    assert isinstance(rig.acquire(1), Granted)
    assert rig.refuse(3).reason is Reason.DISTINCT_CAP


def test_live_targets_count_for_as_long_as_they_live():
    rig = Rig(DistinctTargets(2, MINUTE), cap=9)
    rig.grant(1)
    rig.grant(2)
    for _ in range(20):
        rig.now += 10 * SECOND
        rig.renew()
    denied = rig.refuse(3)
    assert (denied.reason, denied.retry_at) == (Reason.DISTINCT_CAP, 0)


def test_one_licences_systems_share_its_volume():
    rig = Rig(DistinctTargets(2, HOUR), TargetChurn(3, HOUR), cap=9)
    use(rig, 1, "a")
    use(rig, 2, "b")
    assert rig.refuse(3, "a").reason is Reason.DISTINCT_CAP
    assert rig.refuse(3, "b").reason is Reason.DISTINCT_CAP


def test_a_lapsed_lease_counts_from_its_last_permit_whether_or_not_it_was_reaped():
    reaped, left = (Rig(DistinctTargets(1, HOUR), cap=9) for _ in range(2))
    for rig in (reaped, left):
        rig.grant(1)
        rig.now += LENGTH + 30 * MINUTE
    reaped.state.reap(reaped.now)
    assert left.refuse(2, "b") == reaped.refuse(2, "b")
    for rig in (reaped, left):
        rig.now += 30 * MINUTE
        assert isinstance(rig.acquire(2, "b"), Granted)


def test_every_distinct_limit_holds_not_just_the_first():
    rig = Rig(DistinctTargets(3, MINUTE), DistinctTargets(4, HOUR), cap=9)
    for number in (1, 2, 3):
        use(rig, number)
    assert rig.refuse(4).limit == 3
    rig.now += LENGTH + MINUTE
    use(rig, 4)
    assert rig.refuse(5).limit == 4


def test_a_narrowed_distinct_limit_says_when_enough_have_left():
    rig = Rig(DistinctTargets(4, HOUR), cap=9)
    for number in range(4):
        use(rig, number)
        rig.now += MINUTE
    rig.amend(DistinctTargets(2, HOUR), cap=9)
    assert_retry_is_right(rig, 9, Reason.DISTINCT_CAP)


def test_a_limit_of_nothing_is_never_worth_waiting_for():
    rig = Rig(DistinctTargets(2, HOUR), cap=9)
    use(rig, 1)
    rig.amend(DistinctTargets(0, HOUR), cap=9)
    assert rig.refuse(2).retry_at == 0
    rig.amend(TargetChurn(0, HOUR), cap=9)
    denied = rig.refuse(2)
    assert (denied.reason, denied.retry_at) == (Reason.CHURN_LIMIT, 0)


def test_denies_a_third_new_seat_in_the_period_when_two_are_permitted():
    rig = Rig(TargetChurn(2, MINUTE), cap=9)
    rig.grant(1)
    rig.now += 10 * SECOND
    rig.grant(2)
    denied = rig.refuse(3)
    assert (denied.reason, denied.limit) == (Reason.CHURN_LIMIT, 2)
    assert denied.retry_at == rig.now + 50 * SECOND
    rig.now = denied.retry_at - 1
    rig.renew()
    assert rig.refuse(3).reason is Reason.CHURN_LIMIT
    rig.now += 1
    assert isinstance(rig.acquire(3), Granted)
    assert rig.refuse(4).retry_at == rig.now + 10 * SECOND


def test_a_narrowed_churn_limit_says_when_enough_have_left():
    rig = Rig(TargetChurn(4, HOUR), cap=9)
    for number in range(4):
        use(rig, number)
        rig.now += MINUTE
    rig.amend(TargetChurn(2, HOUR), cap=9)
    assert_retry_is_right(rig, 9, Reason.CHURN_LIMIT)


def test_a_regained_seat_is_not_newly_taken():
    rig = Rig(TargetChurn(1, HOUR), cap=9)
    lease = rig.grant(1)
    for _ in range(5):
        rig.release(lease.id)
        lease = rig.grant(1)
    assert rig.refuse(2).reason is Reason.CHURN_LIMIT


def test_a_seat_taken_again_after_it_was_free_is_newly_taken():
    rig = Rig(TargetChurn(2, HOUR), cap=9)
    for _ in range(2):
        rig.now = use(rig, 1).free_at
    assert rig.refuse(1).reason is Reason.CHURN_LIMIT


def test_volume_comes_before_the_cap_and_distinct_before_churn():
    rig = Rig(DistinctTargets(1, HOUR), TargetChurn(1, HOUR), cap=1)
    rig.grant(1)
    assert rig.refuse(2).reason is Reason.DISTINCT_CAP
    rig.amend(TargetChurn(1, HOUR), cap=1)
    assert rig.refuse(2).reason is Reason.CHURN_LIMIT
    rig.amend(cap=1)
    assert rig.refuse(2).reason is Reason.CONCURRENT_CAP


def test_a_denied_acquisition_counts_for_nothing():
    rig = Rig(DistinctTargets(2, HOUR), TargetChurn(2, HOUR), cap=1)
    lease = rig.grant(1)
    for number in range(2, 9):
        assert rig.refuse(number).reason is Reason.CONCURRENT_CAP
    released = rig.release(lease.id)
    assert isinstance(released, Released)
    rig.now = released.free_at
    assert isinstance(rig.acquire(2), Granted)


def test_each_operation_of_a_link_is_counted_before_the_next_is_decided():
    rig = Rig(TargetChurn(2, HOUR), cap=9)
    permit = rig.renew("a", *(make_ask(number) for number in range(4)))
    granted = [isinstance(outcome, Granted) for outcome in permit.outcomes]
    assert granted == [True, True, False, False]
    assert all(each.reason is Reason.CHURN_LIMIT for each in permit.outcomes if isinstance(each, Denied))


@pytest.mark.parametrize("limit", [DistinctTargets(2, HOUR), TargetChurn(2, HOUR)])
def test_a_widened_limit_takes_effect_at_once(limit: DistinctTargets | TargetChurn):
    rig = Rig(limit, cap=9)
    use(rig, 1)
    use(rig, 2)
    rig.refuse(3)
    rig.amend(type(limit)(3, HOUR), cap=9)
    assert isinstance(rig.acquire(3), Granted)
    rig.refuse(4)


def test_what_is_forgotten_is_only_what_no_limit_looks_back_on():
    rig = Rig(DistinctTargets(3, HOUR), TargetChurn(3, HOUR), cap=9)
    for number in (1, 2, 3):
        use(rig, number)
    rig.now += HOUR - 1
    rig.state.reap(rig.now)
    assert rig.refuse(4).reason is Reason.DISTINCT_CAP
    rig.now += LENGTH + GRACE
    rig.state.reap(rig.now)
    assert isinstance(rig.acquire(4), Granted)
