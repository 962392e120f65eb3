"""What stands in the way of a reinstatement, from the demands and the cases."""

from dataclasses import replace

import pytest

from licd.core.case import Case, CaseState, Determination
from licd.core.errors import IllegalTransition
from licd.core.reinstatement import Demands, missing, refuse_contradicted, refuse_missing, undetermined
from licd.core.time import HOUR

DEMANDS = Demands(("users-interviewed", "training-done"), 48 * HOUR, 3)
SUSPENDED = 1_000_000
CASE = Case(
    id="C-1",
    customer="north",
    licence="",
    code="media",
    summary="s",
    signal="",
    state=CaseState.CLOSED,
    state_since=0,
    opened_at=0,
    opened_by="carol",
    acknowledge_by=0,
    round=1,
    version=1,
    determination=Determination.NO_MISUSE,
    reasons="r",
    determined_at=SUSPENDED,
    remedies="",
)


@pytest.mark.parametrize(
    ("met", "elapsed", "left"),
    [
        ((), 0, ("users-interviewed", "training-done", "cooling_off")),
        (("training-done",), 48 * HOUR, ("users-interviewed",)),
        (("training-done", "users-interviewed"), 48 * HOUR - 1, ("cooling_off",)),
        (("training-done", "users-interviewed", "another"), 48 * HOUR, ()),
    ],
)
def test_everything_that_is_missing_is_named(met: tuple[str, ...], elapsed: int, left: tuple[str, ...]):
    assert missing(DEMANDS, met, elapsed) == left


def test_where_nothing_is_waited_for_a_clock_set_back_since_is_no_wait():
    assert missing(Demands(mistake=True), (), -HOUR) == ()
    assert missing(DEMANDS, DEMANDS.items, -HOUR) == ("cooling_off",)


def test_a_refusal_says_what_and_how_long():
    with pytest.raises(IllegalTransition) as refused:
        refuse_missing("north-1", DEMANDS, ["training-done"], SUSPENDED, SUSPENDED + 46 * HOUR + 1)
    assert "not done: users-interviewed; 2 h of the time to wait are left" in refused.value.detail
    refuse_missing("north-1", DEMANDS, DEMANDS.items, SUSPENDED, SUSPENDED + 48 * HOUR)


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ([], "no case"),
        ([CASE], ""),
        ([replace(CASE, determined_at=SUSPENDED - 1)], "no case"),
        ([CASE, replace(CASE, id="C-2", state=CaseState.INVESTIGATION, determined_at=0)], "C-2 is in investigation"),
        ([CASE, replace(CASE, id="C-2", determination=Determination.MISUSE)], "C-2 found misuse"),
        ([replace(CASE, determination=Determination.INCONCLUSIVE)], "C-1 found inconclusive"),
        ([CASE, replace(CASE, id="C-2", state=CaseState.STOPPED, determination="", determined_at=0)], ""),
    ],
)
def test_a_determination_is_one_of_no_misuse_since_the_suspension_with_nothing_open(cases: list[Case], problem: str):
    found = undetermined(cases, SUSPENDED)
    assert problem in found
    assert bool(found) is bool(problem)


@pytest.mark.parametrize(
    ("case", "refusal"),
    [
        (replace(CASE, licence="north-1", state=CaseState.PRELIMINARY), "stop it or determine it first"),
        (replace(CASE, determination=Determination.MISUSE), "found misuse"),
        (
            replace(CASE, licence="north-1", state=CaseState.REMEDIES, determination=Determination.MISUSE),
            "found misuse",
        ),
        (replace(CASE, licence="north-1", state=CaseState.STOPPED, determination=""), ""),
        (replace(CASE, determination=Determination.MISUSE, determined_at=SUSPENDED - 1), ""),
        (replace(CASE, state=CaseState.PRELIMINARY, determination=""), ""),
    ],
)
def test_nobody_calls_it_a_mistake_while_a_case_says_otherwise(case: Case, refusal: str):
    if not refusal:
        refuse_contradicted("north-1", [case], SUSPENDED)
        return
    with pytest.raises(IllegalTransition, match=refusal):
        refuse_contradicted("north-1", [case], SUSPENDED)
