"""The oracle against everything that can be worked on at one time, and in one period."""

import pytest

from licd.v1 import licence_pb2 as pb
from simulator.oracle.facts import Rule
from simulator.oracle.seats import epsilon
from tests.simulator.world import BETA, FIGURES, LICENCE, NOON, G, Item, L, World

LATER = NOON + 60_000
HOUR = 3_600_000


@pytest.fixture
def world() -> World:
    return World(cap=2)


def test_a_full_cap_is_not_over_it(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.permit(NOON + 1_000, Item(1, asked=False), Item(2, asked=False))
    assert world.broken() == set()


def test_finds_one_target_too_many_on_one_permit(world: World) -> None:
    world.permit(NOON, Item(1), Item(2), Item(3))
    assert world.broken() == {Rule.CAP}


def test_finds_one_target_too_many_over_several_systems(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.permit(NOON + 1_000, Item(3, granted_at=NOON + 1_000), system=BETA)
    assert world.broken() == {Rule.CAP}


def test_finds_a_seat_that_was_freed_at_release_though_the_permit_runs_on(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.permit(NOON + L - 1, Item(2, asked=False), Item(3, granted_at=NOON + L - 1))
    assert world.broken() == {Rule.CAP}


def test_a_seat_is_free_when_its_last_permit_has_run_out(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.permit(NOON + L, Item(3, granted_at=NOON + L), Item(4, granted_at=NOON + L))
    assert world.broken() == set()


def test_finds_a_target_that_two_systems_could_work_on_at_once(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.permit(NOON + L - 1, Item(1, granted_at=NOON + L - 1), system=BETA)
    assert world.broken() == {Rule.SHARED}


def test_a_target_may_go_to_another_system_when_the_last_permit_has_run_out(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.permit(NOON + L, Item(1, granted_at=NOON + L), system=BETA)
    assert world.broken() == set()


def test_what_was_decided_before_a_narrowing_runs_out_unblamed(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.revise(2, issued_at=NOON + 1_000, cap=1)
    world.permit(NOON + 1_500, Item(1, asked=False), revision=2)
    assert world.broken() == set()


def test_finds_too_many_renewed_after_a_narrowing(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.revise(2, issued_at=NOON + 1_000, cap=1)
    world.permit(NOON + 1_500, Item(1, asked=False), Item(2, asked=False), revision=2)
    assert world.broken() == {Rule.CAP}


def test_a_widened_cap_gives_its_room_at_once(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.revise(2, issued_at=NOON + 1_000, cap=3)
    world.permit(NOON + 1_500, Item(1, asked=False), Item(2, asked=False), Item(3, granted_at=NOON + 1_500), revision=2)
    assert world.broken() == set()


def _limited(world: World, *, distinct: int = 99, churn: int = 99) -> None:
    period = {"period_ms": HOUR}
    more = [
        pb.Constraint(distinct_targets=pb.DistinctTargets(limit=distinct, **period)),
        pb.Constraint(target_churn=pb.TargetChurn(limit=churn, **period)),
    ]
    world.revise(1, cap=9, ends=NOON + 9 * HOUR, more=more)


@pytest.mark.parametrize(("limits", "rule"), [({"distinct": 2}, Rule.DISTINCT), ({"churn": 2}, Rule.CHURN)])
def test_finds_the_third_new_target_where_two_are_allowed(world: World, limits: dict[str, int], rule: Rule) -> None:
    _limited(world, **limits)
    for number in (1, 2):
        at = NOON + number * LATER % HOUR
        world.permit(at, Item(number, granted_at=at))
    assert world.broken() == set()
    world.permit(NOON + HOUR - 1, Item(3, granted_at=NOON + HOUR - 1))
    assert world.broken() == {rule}


@pytest.mark.parametrize("limits", [{"distinct": 2}, {"churn": 2}])
def test_a_new_period_is_a_new_count(world: World, limits: dict[str, int]) -> None:
    _limited(world, **limits)
    for number, at in ((1, NOON), (2, NOON + 1_000), (3, NOON + HOUR), (4, NOON + HOUR + 1_000)):
        world.permit(at, Item(number, granted_at=at))
    assert world.broken() == set()


def test_a_target_that_regains_its_cooling_seat_is_no_new_seat(world: World) -> None:
    _limited(world, churn=1)
    world.permit(NOON, Item(1))
    regained = NOON + L + 1_000
    world.permit(regained, Item(1, granted_at=regained))
    assert world.broken() == set()


def test_a_target_that_comes_back_long_after_is_a_new_seat(world: World) -> None:
    _limited(world, churn=1)
    world.permit(NOON, Item(1))
    back = NOON + 2 * L + G + 10_000
    world.permit(back, Item(1, granted_at=back))
    assert world.broken() == {Rule.CHURN}


def test_a_seat_rests_beyond_its_hard_end_for_as_long_as_the_formula_says(world: World) -> None:
    # (10 + 30) s × 0.0002 / (1 − 0.0002), rounded up, + 1 s + 500 ms
    assert epsilon(world.record.terms[LICENCE][1], FIGURES) == 1_509


@pytest.mark.parametrize(("told", "found"), [(41_009, set()), (41_008, {Rule.BOUND})])
def test_finds_a_w_that_is_shorter_than_the_formulas(world: World, told: int, found: set[Rule]) -> None:
    # (10 + 30) s / (1 − 0.0002) + 1 s, rounded up
    world.suspended(2, LATER, unreachable=told)
    assert world.broken() == found
