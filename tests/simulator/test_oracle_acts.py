"""The oracle against what systems do: covered, past the permit, honest or not, and how long after a suspension."""

import pytest

from licd.v1 import denial_pb2, session_pb2
from licd.v1.licence_pb2 import REGION_BASIS_DECLARED
from simulator.oracle.acts import Bypass
from simulator.oracle.attempts import Beyond, Tried
from simulator.oracle.facts import Rule
from simulator.oracle.latency import Reach
from tests.simulator.world import ACT, ALPHA, BETA, NOON, Item, L, World

SUSPEND = session_pb2.DIRECTIVE_KIND_SUSPEND
STOPPED = NOON + 4_000


@pytest.fixture
def world() -> World:
    return World()


def test_counts_a_cheats_acts_past_the_permit_and_blames_nobody(world: World) -> None:
    own = world.permit(NOON, Item(1), system=BETA)
    other = world.permit(NOON, Item(2))
    world.act(None, 1, NOON, NOON + 500, system=BETA)
    world.act(b"forged" * 5 + b"!!", 1, NOON, NOON + 500, system=BETA)
    world.act(other, 2, NOON, NOON + 500, system=BETA)
    world.act(own, 3, NOON, NOON + 500, system=BETA)
    world.act(own, 1, NOON, NOON + 500, system=BETA, purpose="licd:journalism")
    world.act(own, 1, NOON, NOON + 500, system=BETA, region="NO")
    world.act(own, 1, NOON + L, NOON + L + 500, system=BETA)
    verdict = world.verdict()
    assert verdict.sound
    assert verdict.covered_acts == 0
    assert verdict.bypass_acts == {
        "greedy": {
            Bypass.NO_PERMIT: 1,
            Bypass.FOREIGN: 2,
            Bypass.OTHER_TARGET: 1,
            Bypass.OTHER_USE: 2,
            Bypass.OVERRUN: 1,
        }
    }


@pytest.mark.parametrize("late", [0, ACT])
def test_an_act_may_take_the_time_that_stopping_takes(world: World, late: int) -> None:
    permit = world.permit(NOON, Item(1))
    world.act(permit, 1, NOON, NOON + L + late)
    assert world.verdict().covered_acts == 1


def test_an_act_that_takes_longer_runs_over(world: World) -> None:
    permit = world.permit(NOON, Item(1), system=BETA)
    world.act(permit, 1, NOON, NOON + L + ACT + 1, system=BETA)
    assert world.verdict().bypass_acts == {"greedy": {Bypass.OVERRUN: 1}}


def test_a_permit_counts_from_its_links_first_send_and_not_from_its_decision(world: World) -> None:
    permit = world.permit(NOON + 3_000, Item(1, granted_at=NOON + 3_000), asked_at=NOON, system=BETA)
    world.act(permit, 1, NOON + L + 1, NOON + L + 2, system=BETA)
    assert world.verdict().bypass_acts == {"greedy": {Bypass.OVERRUN: 1}}


def test_an_honest_system_that_acts_without_cover_is_a_violation(world: World) -> None:
    world.act(None, 1, NOON, NOON + 500)
    assert world.broken() == {Rule.HONEST_UNCOVERED}


def test_an_honest_system_that_overruns_is_a_violation(world: World) -> None:
    permit = world.permit(NOON, Item(1))
    world.act(permit, 1, NOON + L, NOON + L + 1)
    assert world.broken() == {Rule.HONEST_UNCOVERED}


@pytest.mark.parametrize(("end", "found"), [(STOPPED + ACT, set()), (STOPPED + ACT + 1, {Rule.HONEST_DEAF})])
def test_an_honest_system_stops_when_it_hears_a_directive(world: World, end: int, found: set[Rule]) -> None:
    permit = world.permit(NOON, Item(1))
    world.order(SUSPEND, 2, STOPPED)
    world.act(permit, 1, NOON, end)
    assert world.broken() == found


def test_an_honest_system_stops_when_it_hears_a_refusal(world: World) -> None:
    permit = world.permit(NOON, Item(1))
    world.refuse(STOPPED, denial_pb2.DENIAL_REASON_LICENCE_SUSPENDED, epoch=2)
    world.act(permit, 1, NOON, STOPPED + ACT + 1)
    assert world.broken() == {Rule.HONEST_DEAF}


def test_a_force_release_stops_the_leases_it_names_alone(world: World) -> None:
    permit = world.permit(NOON, Item(1), Item(2))
    world.order(session_pb2.DIRECTIVE_KIND_FORCE_RELEASE, 2, STOPPED, leases=[Item(1).lease])
    world.act(permit, 2, NOON, STOPPED + 3_000)
    assert world.broken() == set()
    world.act(permit, 1, NOON, STOPPED + 3_000)
    assert world.broken() == {Rule.HONEST_DEAF}


def test_the_withdrawal_of_anothers_enrolment_stops_nobody_else(world: World) -> None:
    permit = world.permit(NOON, Item(1))
    world.order(session_pb2.DIRECTIVE_KIND_REVOKE, 2, STOPPED, system=BETA)
    world.act(permit, 1, NOON, STOPPED + 3_000)
    assert world.broken() == set()
    world.order(session_pb2.DIRECTIVE_KIND_REVOKE, 3, STOPPED, system=ALPHA)
    assert world.broken() == {Rule.HONEST_DEAF}


def test_a_cheat_that_hears_a_directive_may_be_deaf_to_it(world: World) -> None:
    permit = world.permit(NOON, Item(1), system=BETA)
    world.order(SUSPEND, 2, STOPPED)
    world.act(permit, 1, NOON, NOON + L, system=BETA)
    assert world.verdict().sound


# -------------------------------------------------------------------------------------------------- latency
def test_measures_from_the_suspension_to_the_last_covered_act_of_each_reach(world: World) -> None:
    honest = world.permit(NOON, Item(1))
    cheat = world.permit(NOON, Item(2), system=BETA)
    world.suspended(2, STOPPED)
    world.act(honest, 1, NOON, STOPPED + 40)
    world.act(honest, 1, NOON, STOPPED + 20)
    world.act(cheat, 2, NOON, NOON + L, system=BETA)
    world.act(cheat, 2, NOON + L, NOON + L + 5_000, system=BETA)
    figures = world.verdict().latencies
    assert (figures[Reach.REACHABLE].systems, figures[Reach.REACHABLE].longest) == (1, 40)
    assert figures[Reach.REACHABLE].bound == 9_000
    assert (figures[Reach.DEFIANT].longest, figures[Reach.DEFIANT].bound) == (NOON + L - STOPPED, 41_100)


def test_who_was_cut_off_is_measured_beside_the_bound_for_the_unreachable(world: World) -> None:
    permit = world.permit(NOON, Item(1))
    world.suspended(2, STOPPED, cut=[ALPHA])
    world.act(permit, 1, NOON, NOON + L)
    [figures] = world.verdict().latencies.values()
    assert set(world.verdict().latencies) == {Reach.UNREACHABLE}
    assert (figures.longest, figures.bound, figures.beyond) == (NOON + L - STOPPED, 41_100, 0)


def test_says_who_took_longer_than_his_bound(world: World) -> None:
    permit = world.permit(NOON, Item(1), system=ALPHA)
    world.suspended(2, NOON + 500)
    world.act(permit, 1, NOON, NOON + L)
    assert world.verdict().latencies[Reach.REACHABLE].beyond == 1


def test_does_not_measure_who_was_not_at_work(world: World) -> None:
    permit = world.permit(NOON, Item(1))
    world.suspended(2, STOPPED)
    world.act(permit, 1, NOON, STOPPED)
    assert world.verdict().latencies == {}


def test_acts_after_a_reinstatement_are_not_the_suspensions(world: World) -> None:
    first = world.permit(NOON, Item(1))
    world.suspended(2, STOPPED)
    world.order(session_pb2.DIRECTIVE_KIND_REINSTATE, 3, STOPPED + 5_000)
    second = world.permit(STOPPED + 5_500, Item(1, asked=False), epoch=3)
    world.act(first, 1, NOON, STOPPED + 10)
    world.act(second, 1, STOPPED + 5_500, STOPPED + 9_000)
    assert world.verdict().latencies[Reach.REACHABLE].longest == 10


# ------------------------------------------------------------------------------------------------- attempts
def test_counts_what_was_tried_and_what_got_through(world: World) -> None:
    elsewhere = Item(9, region="BR", claims=(("BR", REGION_BASIS_DECLARED),))
    world.refuse(NOON, denial_pb2.DENIAL_REASON_LICENCE_SUSPENDED, Item(1), Item(2))
    world.refuse(NOON, denial_pb2.DENIAL_REASON_LICENCE_EXPIRED)
    world.refuse(NOON, denial_pb2.DENIAL_REASON_REGION_NOT_PERMITTED, elsewhere)
    world.permit(NOON, elsewhere)
    attempts = world.verdict().attempts
    assert attempts[Beyond.WHILE_SUSPENDED] == Tried(2, 0)
    assert attempts[Beyond.AFTER_EXPIRY] == Tried(1, 0)
    assert attempts[Beyond.OUT_OF_REGION] == Tried(2, 1)
    assert attempts[Beyond.OUT_OF_PURPOSE] == Tried(0, 0)
    assert world.verdict().denials == {
        "LICENCE_SUSPENDED": 2,
        "LICENCE_EXPIRED": 1,
        "REGION_NOT_PERMITTED": 1,
    }


def test_a_request_out_of_region_is_one_whatever_reason_licd_gives(world: World) -> None:
    world.refuse(
        NOON, denial_pb2.DENIAL_REASON_CONCURRENT_CAP, Item(9, region="BR", claims=(("BR", REGION_BASIS_DECLARED),))
    )
    assert world.verdict().attempts[Beyond.OUT_OF_REGION] == Tried(1, 0)
