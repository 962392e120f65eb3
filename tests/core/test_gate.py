"""Each thing that keeps the gate closed, told in words that say what would open it."""

from dataclasses import replace
from typing import Any

import pytest

from licd.core.errors import IllegalTransition
from licd.core.gate import (
    OPEN,
    Assessment,
    Channel,
    ChecklistItem,
    Gate,
    ItemState,
    Standing,
    obstacles,
    refuse_obstacles,
)
from licd.core.time import DAY
from tests.builders import NOW, make_terms

GATE = Gate(
    on_issue=True,
    on_renewal=True,
    on_widening=False,
    assessment_age=90 * DAY,
    channel_age=30 * DAY,
    ladder=("green", "yellow", "red"),
)
ASSESSMENT = Assessment(
    id="D-1",
    customer="c1",
    product="product",
    country="NO",
    category="green",
    judged="green",
    term=366 * DAY,
    policy_version="p1",
    assessed_at=NOW - DAY,
    assessed_by="alice",
    review_due=NOW + 100 * DAY,
    facts=b"",
    judgement=b"",
    overridden_by="",
    overridden_at=0,
    override_reason="",
    superseded_by="",
)
DONE = ChecklistItem("D-1", "clause", "", ItemState.DONE, "aa", "", "alice", NOW - DAY)
PROVED = Channel("sys-1", "l1", NOW - DAY)
TERMS = make_terms(now=NOW, not_after=NOW + 365 * DAY)


def told(standing: Standing, gate: Gate = GATE, **terms: Any) -> tuple[str, ...]:
    return obstacles(gate, replace(TERMS, **terms), standing, NOW)


def standing(*items: ChecklistItem, channels: tuple[Channel, ...] = (), **changes: Any) -> Standing:
    return Standing(replace(ASSESSMENT, **changes), items or (DONE,), channels)


def test_nothing_is_in_the_way_when_all_is_done():
    assert told(standing(channels=(PROVED,))) == ()


def test_a_stricter_category_may_always_be_taken():
    assert told(standing(), category="yellow") == ()


@pytest.mark.parametrize(
    ("changes", "terms", "words"),
    [
        ({"category": "yellow"}, {}, "assessment D-1 found yellow, and the terms are of green"),
        ({}, {"category": "blue"}, "assessment D-1 found green, and the terms are of blue"),
        ({"category": "blue"}, {}, "assessment D-1 found blue, which policy no longer knows; assess again"),
        ({"term": 30 * DAY}, {}, "assessment D-1 looked at 30 days, and the term is longer"),
        ({"superseded_by": "D-2"}, {}, "assessment D-1 was superseded by D-2"),
        ({"assessed_at": NOW - 90 * DAY - 1}, {}, "assessment D-1 is older than 90 days; assess again"),
        ({"review_due": NOW}, {}, "assessment D-1 was due for review; assess again"),
    ],
)
def test_an_assessment_that_does_not_carry_the_terms(changes: dict[str, Any], terms: dict[str, Any], words: str):
    assert told(standing(**changes), **terms) == (words,)


def test_an_assessment_just_fresh_enough_carries_them():
    assert told(standing(assessed_at=NOW - 90 * DAY, review_due=NOW + 1)) == ()


def test_without_an_assessment_that_alone_is_told_of_it():
    words = "there is no assessment of c1 for product: licctl diligence assess"
    assert told(Standing(None, (), ())) == (words,)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (replace(DONE, state=ItemState.PENDING), "clause is not done: licctl diligence complete D-1 clause"),
        (replace(DONE, state=ItemState.REFUSED, note="no time"), "clause was refused (no time)"),
    ],
)
def test_what_is_not_done_is_in_the_way(item: ChecklistItem, words: str):
    assert told(standing(item)) == (words,)


@pytest.mark.parametrize("proved_at", [0, NOW - 30 * DAY - 1])
def test_a_system_that_has_long_acknowledged_nothing_is_in_the_way_with_or_without_an_assessment(proved_at: int):
    silent = Channel("sys-2", "l7", proved_at)
    words = "sys-2 has acknowledged no order within 30 days: licctl licence drill l7"
    assert told(standing(channels=(PROVED, silent))) == (words,)
    assert told(Standing(None, (), (silent,)))[-1] == words


def test_what_is_overdue_is_told_last():
    assert told(Standing(ASSESSMENT, (DONE,), (), ("a review is open",))) == ("a review is open",)


def test_every_obstacle_is_told_at_once():
    pending = replace(DONE, state=ItemState.PENDING)
    found = standing(pending, channels=(Channel("sys-2", "l7", 0),), category="red", review_due=NOW)
    assert len(told(found)) == 4
    with pytest.raises(IllegalTransition) as refused:
        refuse_obstacles(GATE, TERMS, found, NOW)
    assert str(refused.value).startswith("diligence: the gate is closed: assessment D-1 found red")
    assert str(refused.value).count(";") == 4  # one is inside "…; assess again"


@pytest.mark.parametrize(("verb", "stands"), [("issued", True), ("renewed", True), ("widened", False)])
def test_it_stands_where_policy_puts_it(verb: str, stands: bool):
    assert GATE.stands(verb) is stands
    assert OPEN.stands(verb) is False
