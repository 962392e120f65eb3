"""What follows from being late, in which order, and when it is owed again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.condition import Condition, Consequence, Due, Schedule, consequences, due_now, next_due
from licd.core.time import DAY, HOUR
from tests.builders import NOW

REMIND, TIGHTEN, SUSPEND = Consequence.REMIND, Consequence.TIGHTEN, Consequence.SUSPEND
QUARTERLY = Schedule(every=90 * DAY, tolerance=9 * DAY, remind=14 * DAY, steps=2)


def condition(**changes: Any) -> Condition:
    values: dict[str, Any] = {
        "id": "l1/training",
        "licence": "l1",
        "customer": "c1",
        "name": "training",
        "contact": "",
        "period": 1,
        "due_at": NOW,
        "opened_at": NOW - 90 * DAY,
        "met_at": 0,
        "met_by": "",
        "evidence": "",
        "certification": b"",
        "reminded_at": 0,
        "steps": 0,
        "suspended_at": 0,
        "version": 1,
    }
    return Condition(**values | changes)


@pytest.mark.parametrize(
    ("changes", "after", "expected"),
    [
        ({}, -15 * DAY, None),
        ({}, -14 * DAY, Due(REMIND, NOW - 14 * DAY)),
        ({"reminded_at": 1}, -DAY, None),
        ({}, 0, Due(REMIND, NOW - 14 * DAY)),
        ({"reminded_at": 1}, 3 * DAY - 1, None),
        ({"reminded_at": 1}, 3 * DAY, Due(TIGHTEN, NOW + 3 * DAY, 1)),
        ({"reminded_at": 1, "steps": 1}, 6 * DAY - 1, None),
        ({"reminded_at": 1, "steps": 1}, 6 * DAY, Due(TIGHTEN, NOW + 6 * DAY, 2)),
        ({"reminded_at": 1}, 6 * DAY, Due(TIGHTEN, NOW + 6 * DAY, 2)),
        ({"reminded_at": 1, "steps": 2}, 9 * DAY - 1, None),
        ({"reminded_at": 1, "steps": 2}, 9 * DAY, Due(SUSPEND, NOW + 9 * DAY)),
        ({}, 99 * DAY, Due(SUSPEND, NOW + 9 * DAY)),
        ({"steps": 1}, 4 * DAY, None),
        ({"suspended_at": 1}, 99 * DAY, None),
        ({"due_at": 0}, 99 * DAY, None),
    ],
)
def test_the_worst_consequence_whose_time_has_come_is_carried_out_once(
    changes: dict[str, int], after: int, expected: Due | None
):
    assert due_now(condition(**changes), QUARTERLY, NOW + after) == expected


def test_without_tolerance_it_is_suspended_when_it_is_due():
    at_once = Schedule(every=0, tolerance=0, remind=0, steps=2)
    assert due_now(condition(), at_once, NOW - 1) is None
    assert due_now(condition(), at_once, NOW) == Due(SUSPEND, NOW)


def test_all_that_is_ahead_is_told_in_its_order():
    ahead = consequences(condition(), QUARTERLY)
    assert [each.consequence for each in ahead] == [REMIND, TIGHTEN, TIGHTEN, SUSPEND]
    assert [each.at for each in ahead] == sorted(each.at for each in ahead)
    assert consequences(condition(due_at=0), QUARTERLY) == ()


@pytest.mark.parametrize(
    ("due_at", "every", "met", "expected"),
    [
        (NOW, 90 * DAY, NOW - DAY, NOW + 90 * DAY),
        (NOW, 90 * DAY, NOW + 5 * DAY, NOW + 90 * DAY),
        (NOW, 90 * DAY, NOW + 90 * DAY, NOW + 180 * DAY),
        (NOW, 90 * DAY, NOW + 200 * DAY, NOW + 270 * DAY),
        (NOW, 0, NOW + DAY, 0),
        (0, 90 * DAY, NOW, NOW + 90 * DAY),
    ],
)
def test_it_is_owed_again_by_its_own_calendar(due_at: int, every: int, met: int, expected: int):
    assert next_due(condition(due_at=due_at), every, met) == expected


@given(st.integers(0, 5), st.integers(0, 90), st.integers(0, 30), st.integers(0, 500))
def test_whoever_never_meets_it_is_suspended_within_the_tolerance_and_every_step_comes_once(
    steps: int, tolerance: int, remind: int, hours: int
):
    schedule = Schedule(every=90 * DAY, tolerance=tolerance * DAY, remind=remind * DAY, steps=steps)
    row, now, seen = condition(), NOW - remind * DAY - hours * HOUR, []
    while not row.suspended_at:
        due = due_now(row, schedule, now)
        if due is None:
            now += HOUR
            continue
        seen.append((due.consequence, due.step))
        row = condition(
            reminded_at=row.reminded_at or (now if due.consequence is REMIND else 0),
            steps=due.step or row.steps,
            suspended_at=now if due.consequence is SUSPEND else 0,
        )
        assert now - due.at < HOUR
    assert now - NOW < tolerance * DAY + HOUR
    tightened = [step for consequence, step in seen if consequence is TIGHTEN]
    assert tightened == sorted(set(tightened))
    assert len(seen) == len(set(seen))
