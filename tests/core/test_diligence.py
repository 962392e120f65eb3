"""From indicators and answers to a category: by tables, and by what must hold whatever the figures."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.diligence import Factor, Judgement, LineKind, Option, Reading, Rules, judge, shown, worst_option

LADDER = ("green", "yellow", "orange", "red")
FLOORS = {"law": (500, 0, -500), "press": (600, 100, -400)}


def factor(name: str, *options: Option, human_rights: bool = False) -> Factor:
    return Factor(name, f"{name}?", human_rights, {option.name: option for option in options})


KNOWN = factor("known", Option("well", "", -1), Option("new", ""), Option("badly", "", 2))
VISITED = factor("visited", Option("yes", "", -1), Option("no", ""))
COURT = factor("court", Option("yes", ""), Option("no", "", 0, "orange"), human_rights=True)
RULES = Rules(LADDER, FLOORS, (KNOWN, VISITED, COURT), most_improvement=1, missing_at_least="yellow")
PLAIN = {"known": "new", "visited": "no", "court": "yes"}


def readings(law: int | None, press: int | None, why: str = "") -> list[Reading]:
    gap = "the publisher gives none"
    return [
        Reading(name, value, 2030, "I-1", why if value is not None else gap)
        for name, value in (("law", law), ("press", press))
    ]


def judged(law: int | None, press: int | None, answers: Mapping[str, str] = PLAIN, why: str = "") -> Judgement:
    return judge(RULES, readings(law, press, why), answers)


@pytest.mark.parametrize(
    ("law", "press", "category"),
    [
        (500, 600, "green"),
        (499, 600, "yellow"),
        (2_000, 100, "yellow"),
        (2_000, 99, "orange"),
        (-500, 600, "orange"),
        (-501, 2_000, "red"),
    ],
)
def test_the_worst_indicator_decides(law: int, press: int, category: str):
    assert judged(law, press).category == category


@pytest.mark.parametrize(
    ("law", "category"), [(500, "yellow"), (0, "orange"), (-500, "red"), (-501, "red"), (None, "red")]
)
def test_a_missing_indicator_takes_the_next_worse_category(law: int | None, category: str):
    found = judged(law, None)
    assert found.category == category
    assert [line.found for line in found.lines if line.kind is LineKind.MISSING][-1] == "the publisher gives none"


def test_a_missing_indicator_takes_at_least_the_category_that_policy_names():
    rules = Rules(LADDER, FLOORS, (), most_improvement=1, missing_at_least="orange")
    assert judge(rules, readings(500, None), {}).category == "orange"


def test_an_indicator_that_no_import_has_is_missing():
    found = judge(RULES, readings(500, 600)[:1], PLAIN)
    assert (found.category, found.lines[1].found) == ("yellow", "no import has it")


@pytest.mark.parametrize(("press", "category"), [(600, "yellow"), (-400, "orange"), (-401, "red")])
def test_a_value_that_is_too_old_speaks_against_and_never_for(press: int, category: str):
    old = [*readings(500, None)[:1], Reading("press", press, 2010, "I-1", "of 2010, and 4 years are the most")]
    assert judge(RULES, old, PLAIN).category == category


@pytest.mark.parametrize(
    ("answers", "category"),
    [
        ({}, "yellow"),
        ({"known": "well"}, "green"),
        ({"known": "well", "visited": "yes"}, "green"),
        ({"known": "badly"}, "red"),
        ({"known": "badly", "visited": "yes"}, "orange"),
        ({"court": "no"}, "orange"),
        ({"court": "no", "known": "well", "visited": "yes"}, "orange"),
        ({"court": "no", "known": "badly"}, "red"),
    ],
)
def test_answers_move_the_category_by_steps_and_set_its_least(answers: Mapping[str, str], category: str):
    assert judged(0, 600, {**PLAIN, **answers}).category == category


@pytest.mark.parametrize("answer", [None, "perhaps"])
def test_an_answer_nobody_gave_counts_as_the_worst_of_its_kind(answer: str | None):
    answers = PLAIN | ({"court": answer} if answer else {})
    if not answer:
        del answers["court"]
    found = judged(500, 600, answers)
    assert found.category == "orange"
    assert "not answered: counts as no" in [line.found for line in found.lines]


def test_a_least_category_is_worse_than_any_number_of_steps():
    assert worst_option(factor("f", Option("a", "", 9), Option("b", "", 0, "yellow")), LADDER).name == "b"


def test_no_answer_leads_out_of_the_last_category():
    found = judged(-501, 600, {**PLAIN, "known": "well"})
    assert found.category == "red"
    assert found.lines[-1].effect == "no answer leads out of it"


def test_answers_for_the_better_are_bounded_together():
    found = judged(-500, 600, {**PLAIN, "known": "well", "visited": "yes"})
    assert found.category == "yellow"
    assert found.lines[-1].effect == "at most 1 of them count"


def test_every_line_says_the_category_after_it():
    found = judged(0, 600, {"known": "badly", "visited": "yes", "court": "no"})
    assert [(line.kind.value, line.subject, line.category) for line in found.lines] == [
        ("indicator", "law", "yellow"),
        ("indicator", "press", "yellow"),
        ("factor", "known", "red"),
        ("factor", "visited", "orange"),
        ("factor", "court", "orange"),
    ]
    assert [line.effect for line in found.lines[:3]] == [
        "reaches the floor of yellow, 0",
        "reaches the floor of green, 0.6",
        "2 steps worse",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(750, "0.75"), (-1292, "-1.292"), (43_000, "43"), (0, "0"), (100_000, "100"), (-3, "-0.003")]
)
def test_a_value_is_shown_as_its_publisher_writes_it(value: int, text: str):
    assert shown(value) == text


values = st.integers(-1_000, 1_000)
maybe = st.none() | values
answered = st.fixed_dictionaries(
    {}, optional={each.name: st.sampled_from([*each.options, "nonsense"]) for each in RULES.factors}
)


def rank(found: Judgement) -> int:
    return LADDER.index(found.category)


@given(values, values, st.integers(0, 500), answered)
def test_a_worse_value_never_gives_a_better_category(law: int, press: int, less: int, answers: dict[str, str]):
    assert rank(judged(law - less, press, answers)) >= rank(judged(law, press, answers))


@given(maybe, maybe, answered, st.sampled_from(RULES.factors))
def test_leaving_an_answer_out_never_gives_a_better_category(
    law: int | None, press: int | None, answers: dict[str, str], left_out: Factor
):
    without = {name: answer for name, answer in answers.items() if name != left_out.name}
    assert rank(judged(law, press, without)) >= rank(judged(law, press, answers))


@given(values, values, answered)
def test_an_old_value_is_never_better_than_a_new_one(law: int, press: int, answers: dict[str, str]):
    assert rank(judged(law, press, answers, "too old")) >= rank(judged(law, press, answers))


@given(maybe, maybe, answered)
def test_the_last_line_has_the_category_that_was_found(law: int | None, press: int | None, answers: dict[str, str]):
    found = judged(law, press, answers)
    assert found.lines[-1].category == found.category
    assert found == judged(law, press, dict(reversed(answers.items())))
