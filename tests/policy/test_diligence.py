import hashlib
from datetime import timedelta

import pytest

from licd.core.gate import OPEN
from licd.core.time import DAY
from licd.policy import Policies
from licd.policy.diligence import is_country
from licd.policy.indicators.economy_table import ALPHA_2
from tests.policy import make_economy_table
from tests.policy.folder import SHIPPED, Folder

FILE = "diligence.toml"


def test_reads_floors_in_thousandths_by_rising_risk(policies: Policies):
    rules = policies.diligence.rules
    assert rules.ladder == ("low", "moderate", "elevated", "high", "unacceptable")
    assert rules.floors["va"] == (750, 100, -500, -1_200)
    assert rules.floors["cpi"] == (60_000, 42_000, 30_000, 18_000)


def test_every_list_begins_with_what_is_always_asked_for(policies: Policies):
    lists = policies.diligence.checklists
    assert lists["low"][:3] == ("clause-suspension", "clause-cooperation", "clause-human-rights")
    assert set(lists["low"]) < set(lists["moderate"]) < set(lists["elevated"]) < set(lists["high"])
    assert lists["unacceptable"] == lists["high"]


def test_the_clauses_that_come_along_are_those_that_are_accepted(policies: Policies):
    for name in ("suspension", "cooperation", "human-rights"):
        text = (SHIPPED.parent / "docs" / "examples" / "diligence" / f"clause-{name}.txt").read_bytes()
        assert policies.diligence.items[f"clause-{name}"].accepts == {hashlib.sha256(text).hexdigest()}


def test_the_codes_of_three_letters_are_iso_3166_1():
    assert make_economy_table.TABLE.read_text(encoding="utf-8") == make_economy_table.render()
    assert len(ALPHA_2) == 249
    assert all(is_country(code) for code in ALPHA_2.values())


@pytest.mark.parametrize(("code", "known"), [("NO", True), ("XK", True), ("QN", True), ("NO-03", False), ("EU", False)])
def test_an_assessment_is_about_a_country_or_a_code_left_to_users(code: str, known: bool):
    assert is_country(code) is known


@pytest.mark.parametrize(("days", "answer"), [(90, "trial"), (91, "year"), (366, "year"), (367, "longer"), (3_661, "")])
def test_the_term_answers_by_the_table(policies: Policies, days: int, answer: str):
    term = timedelta(days=days) // timedelta(milliseconds=1)
    assert policies.diligence.answered({}, "locator", term)["duration"] == answer


def test_nobody_answers_in_the_place_of_a_table(policies: Policies):
    given = {"product-class": "narrow", "duration": "trial", "law": "complete"}
    found = policies.diligence.answered(given, "remote-collector", 400 * DAY)
    assert found == {"product-class": "remote", "duration": "longer", "law": "complete"}


@pytest.mark.parametrize(
    ("judged", "wanted", "may"),
    [
        ("high", "elevated", True),
        ("high", "moderate", False),
        ("low", "high", True),
        ("high", "unacceptable", True),
        ("unacceptable", "high", False),
        ("high", "purple", False),
    ],
)
def test_an_override_goes_down_by_a_step_and_never_out_of_the_last(
    policies: Policies, judged: str, wanted: str, may: bool
):
    assert policies.diligence.may_override(judged, wanted) is may


@pytest.mark.parametrize(
    ("old", "new", "key", "told"),
    [
        ("low = 0.75", "low = 5", ("source", "wgi", "floors", "cc", "low"), "low must be a number from -4 to 4"),
        ("low = 0.75", "low = 0.7501", ("source", "wgi", "floors", "cc", "low"), "with at most three decimals"),
        ("moderate = 0,", "moderate = 0.8,", ("source", "wgi", "floors", "cc", "moderate"), "is above that of low"),
        ("ge = { low", "gg = { low", ("source", "wgi", "floors"), "ge is missing"),
        ("[source.cpi]\n", "[source.cpy]\n", ("source", "cpy"), 'unknown source "cpy"; did you mean "cpi"?'),
        ('ROM = "RO"', 'ROU = "RO"', ("economy", "ROU"), "ROU is ISO 3166-1's own code of RO"),
        ('ROM = "RO"', 'ROM = "Romania"', ("economy", "ROM"), '"Romania" is no country'),
        ('locator = "narrow"', 'locator = "wide"', ("product", "locator"), 'unknown locator "wide"'),
        ("steps = -1", "steps = -1.5", ("factor", "relationship", "option", "clean", "steps"), "steps must be"),
        ('at_least = "elevated"', 'at_least = "elevatd"', None, 'unknown category "elevatd"; did you mean "elevated"?'),
        ("up_to_days = 90", "days = 90", None, "up_to_days is missing"),
        ('"9f7d', '"xf7d', ("item", "clause-suspension", "accepts"), "is no SHA-256 in hex"),
        (
            'moderate = ["adverse-information"]',
            "moderate = []\n",
            None,
            None,
        ),
        (
            'elevated = ["adverse-information", ',
            "elevated = [",
            ("checklist", "elevated"),
            "adverse-information is asked",
        ),
        ('on_worse = "tighten"', 'on_worse = "hope"', ("review", "on_worse"), "(one of review, tighten)"),
        (
            'suspend_code = "country_change"',
            'suspend_code = "weather"',
            ("review", "suspend_code"),
            'unknown reason "w',
        ),
        ("assessment_days = 90", "assessment_days = 0", ("gate", "assessment_days"), "from 1 to 366"),
        ("missing_at_least", "missing_least", ("judging",), "missing_at_least is missing"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(
    folder: Folder, old: str, new: str, key: tuple[str, ...] | None, told: str | None
):
    folder.edit(FILE, old, new)
    problems = [problem for problem in folder.problems() if problem.startswith(FILE)]
    if told is None:
        assert problems == []
        return
    assert any(told in problem for problem in problems), problems
    if key:
        assert any(problem.startswith(f"{FILE}:{folder.line(FILE, *key)}: ") for problem in problems), problems


def test_a_factor_with_one_answer_decides_nothing(folder: Folder):
    folder.append(FILE, '\n[factor.weather]\nquestion = "?"\n[factor.weather.option.fair]\ndescription = "fair"\n')
    assert any("weather must have at least two answers" in problem for problem in folder.problems())


def test_there_is_a_category_in_which_nothing_is_licensed(folder: Folder):
    text = folder.text("categories.toml")
    folder.write("categories.toml", text[: text.index("[category.unacceptable]")])
    assert f"{FILE}:1: category high is of the highest risk and is licensed: one must not be" in folder.problems()


def test_a_broken_file_of_categories_is_not_blamed_on_the_assessment(folder: Folder):
    folder.write("categories.toml", "[")
    assert [problem for problem in folder.problems() if problem.startswith(FILE)] == []


def test_a_policy_that_assesses_nobody_says_that_and_nothing_else(folder: Folder):
    folder.write(FILE, "example = true\nassess = false\n")
    policy = folder.load().diligence
    assert (policy.assesses, policy.gate) == (False, OPEN)
    folder.append(FILE, "[gate]\nissue = true\n")
    assert f'{FILE}:3: unknown key "gate"' in [problem for problem in folder.problems() if FILE in problem]
