"""The formulas of the protocol, against figures worked out by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.bounds import Timing, epsilon, hard_end, stop_bounds
from licd.core.time import DAY, SECOND
from tests.builders import GRACE, LENGTH, NOW

millis = st.integers(0, DAY)


@pytest.mark.parametrize(
    ("length", "grace", "ppm", "act", "skew", "by_hand"),
    [
        # 320 000 · 200 / 999 800 = 64.01…, rounded up, + 1 000
        (LENGTH, GRACE, 200, 1_000, 0, 1_065),
        (LENGTH, 0, 200, 1_000, 0, 1_005),
        (LENGTH, GRACE, 200, 0, 250, 315),
        (LENGTH, DAY, 200, 0, 0, 17_288),
        (LENGTH, GRACE, 0, 0, 0, 0),
        (999_800, 0, 200, 0, 0, 200),
    ],
)
def test_a_seat_rests_for_the_drift_the_act_and_the_skew(length, grace, ppm, act, skew, by_hand):
    timing = Timing(act=act, skew=skew, rate_error_ppm=ppm)
    assert epsilon(length, grace, timing) == by_hand


def test_the_suggested_figures_give_the_bounds_of_the_protocol():
    bounds = stop_bounds(LENGTH, GRACE, 1, Timing())
    assert bounds.push == 50 + 1 + 500 + 1_000
    assert bounds.pull == 5_001 + 3_000 + 1_000
    assert bounds.unreachable == 320_065 + 1_000  # 320 000 / 0.9998 = 320 064.01…, rounded up


@pytest.mark.parametrize(("systems", "more"), [(0, 0), (1, 1), (10, 3), (11, 4), (2_000, 600)])
def test_a_push_takes_three_tenths_of_a_millisecond_for_each_system(systems: int, more: int):
    assert stop_bounds(LENGTH, GRACE, systems, Timing()).push == 1_550 + more


def test_a_push_goes_by_notification_or_by_the_poll_whichever_is_faster():
    assert stop_bounds(LENGTH, 0, 0, Timing(notify=5_000, poll=700)).push == 700 + 500 + 1_000


@given(millis, millis, st.integers(0, 100_000), st.integers(1, DAY))
def test_no_bound_is_rounded_to_the_wrong_side(length: int, grace: int, ppm: int, heartbeat: int):
    timing = Timing(rate_error_ppm=ppm, heartbeat=heartbeat)
    rho = Fraction(ppm, 1_000_000)
    bounds = stop_bounds(length, grace, 1, timing)
    exact = (length + grace) / (1 - rho) + timing.act
    assert exact <= bounds.unreachable < exact + 1
    exact = heartbeat * (1 + rho) + timing.rpc_timeout + timing.act
    assert exact <= bounds.pull < exact + 1
    exact = (length + grace) * rho / (1 - rho) + timing.act + timing.skew
    assert exact <= epsilon(length, grace, timing) < exact + 1


@given(millis, millis, st.integers(0, 100_000))
def test_a_seat_is_freed_no_earlier_than_the_slowest_system_stops(length: int, grace: int, ppm: int):
    timing = Timing(rate_error_ppm=ppm)
    assert length + grace + epsilon(length, grace, timing) >= stop_bounds(length, grace, 0, timing).unreachable


@pytest.mark.parametrize(
    ("age", "ends_in", "by_hand"),
    [
        (0, DAY, LENGTH),
        (1, DAY, LENGTH + 1),
        (GRACE - 1, DAY, LENGTH + GRACE - 1),
        (GRACE, DAY, LENGTH + GRACE),
        (GRACE + 1, DAY, LENGTH + GRACE),
        (DAY, DAY, LENGTH + GRACE),
        (GRACE, LENGTH, LENGTH),
        (GRACE, 1, 1),
        (-5 * SECOND, DAY, LENGTH),
    ],
)
def test_a_hard_end_is_the_length_and_the_grace_the_lease_has_grown_into(age: int, ends_in: int, by_hand: int):
    assert hard_end(NOW, NOW - age, LENGTH, GRACE, NOW + ends_in) == NOW + by_hand


@given(decided=millis, later=millis, granted=millis, length=millis, grace=millis, ends=st.integers(0, 3 * DAY))
def test_a_later_decision_under_the_same_figures_never_gives_an_earlier_end(
    decided: int, later: int, granted: int, length: int, grace: int, ends: int
):
    first = hard_end(decided, granted, length, grace, ends)
    assert hard_end(decided + later, granted, length, grace, ends) >= first


def test_timing_is_a_value():
    assert replace(Timing(), act=5) == Timing(act=5)
