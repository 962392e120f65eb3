"""What a run comes to, for people and for programs."""

import json
from collections import Counter

from licd.v1 import licence_pb2 as pb
from simulator.journal import Journal
from simulator.oracle.facts import Rule
from simulator.run import Result, SystemFigures
from simulator.scenario import load_scenario, scenario_file
from simulator.summary import figures, in_words, to_json
from simulator.timeline import Told, amended
from tests.simulator.world import BETA, NOON, Item, World

KEYS = {
    "schema": int,
    "scenario": str,
    "seed": int,
    "duration_ms": int,
    "verdict": str,
    "violations": list,
    "permits": int,
    "grants": int,
    "denials": dict,
    "attempts": dict,
    "acts": dict,
    "bypass_by_kind": dict,
    "stopping": dict,
    "systems": list,
    "events": list,
    "unmet": list,
}


def result(world: World, *, unmet: tuple[str, ...] = (), trouble: bool = False) -> Result:
    journal = Journal()
    journal.note("acquire", "t", "GRANTED")
    systems = (SystemFigures("alpha", "diligent", "north-1", honest=True, journal=journal),)
    told = (Told(1_500, "bob suspends north-1", trouble=trouble),)
    return Result(load_scenario(scenario_file("smoke")), world.verdict(), systems, told, unmet)


def right() -> World:
    world = World()
    permit = world.permit(NOON, Item(1))
    world.act(permit, 1, NOON, NOON + 2_000)
    world.act(None, 1, NOON, NOON + 2_000, system=BETA)
    world.suspended(2, NOON + 1_000)
    return world


def wrong() -> World:
    world = right()
    world.act(world.permit(NOON, Item(2, late=1)), 2, NOON, NOON + 100)
    return world


def test_the_json_has_its_keys_and_keeps_their_kinds() -> None:
    found = json.loads(to_json(result(right())))
    assert {key: type(value) for key, value in found.items()} == KEYS
    assert found["schema"] == 1
    assert found["verdict"] == "ok"
    assert set(found["attempts"]) == {
        "WHILE_SUSPENDED",
        "AFTER_EXPIRY",
        "OUT_OF_REGION",
        "OUT_OF_PURPOSE",
        "UNAUTHORISED",
        "OUT_OF_PLACE",
        "OVER_CAP",
        "OVER_VOLUME",
    }
    assert found["acts"] == {"covered": 1, "wrong": 0, "bypass": 1}
    assert found["bypass_by_kind"] == {"greedy": {"NO_PERMIT": 1}}
    assert found["stopping"]["REACHABLE"] == {
        "systems": 1,
        "median_ms": 1_000,
        "longest_ms": 1_000,
        "bound_ms": 9_000,
        "beyond_bound": 0,
    }


def test_the_json_names_each_violation() -> None:
    found = figures(result(wrong()))
    [violation] = found["violations"]
    assert found["verdict"] == "violated"
    assert found["acts"]["wrong"] == 1
    assert violation["rule"] == Rule.HARD_END.name
    assert violation["lease"] == Item(2).lease


def test_people_read_the_verdict_last() -> None:
    assert in_words(result(right())).endswith("The oracle found no violation.")
    said = in_words(result(wrong()))
    assert "VIOLATION HARD_END" in said
    assert said.endswith("The oracle found 1 violations. Run again: --seed 1")


def test_people_read_what_was_not_shown_and_what_went_wrong() -> None:
    said = in_words(result(right(), unmet=("no denial for CONCURRENT_CAP",), trouble=True))
    assert "NOT SHOWN: no denial for CONCURRENT_CAP" in said
    assert "TROUBLE: bob suspends north-1" in said


def test_a_run_that_did_not_show_what_it_should_is_in_trouble() -> None:
    assert not result(right()).trouble
    assert result(right(), unmet=("x",)).trouble
    assert result(right(), trouble=True).trouble


def test_a_journal_counts_outcomes() -> None:
    journal = Journal()
    for outcome in ("GRANTED", "GRANTED", "CONCURRENT_CAP"):
        journal.note("acquire", "t", outcome)
    assert journal.outcomes == Counter(GRANTED=2, CONCURRENT_CAP=1)
    assert len(journal.lines) == 3


def test_an_amendment_changes_what_it_names_alone() -> None:
    cap = pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=5))
    regions = pb.Constraint(target_regions=pb.TargetRegions(regions=["DK", "NO"]))
    assert amended(cap, 2, ()).concurrent_targets.limit == 2
    assert amended(cap, 0, ("DK",)) == cap
    assert list(amended(regions, 2, ("DK",)).target_regions.regions) == ["NO"]
    assert list(regions.target_regions.regions) == ["DK", "NO"]
