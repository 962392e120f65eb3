"""The transparency report's figures: counted from entries alone, small cells without their names."""

from hypothesis import given
from hypothesis import strategies as st

from licd.core.report import AGES, BREAKDOWNS, TOTALS, Figures, Reckoning, Told, broken_down
from licd.core.time import DAY

SINCE, UNTIL = 100 * DAY, 200 * DAY


def figures(*told: Told, least: int = 2) -> Figures:
    reckoning = Reckoning(SINCE, UNTIL, least)
    reckoning.hear(told)
    return reckoning.figures()


def test_every_figure_is_there_even_of_an_empty_log():
    found = figures()
    assert set(TOTALS) <= set(found.totals)
    assert (set(found.breakdowns), set(found.ages)) == (set(BREAKDOWNS), set(AGES))
    assert {*found.totals.values(), *found.standing.values()} == {0}


def test_only_what_is_within_the_period_counts():
    at = (SINCE - 1, SINCE, UNTIL - 1, UNTIL)
    found = figures(*(Told(each, "licence.issued", f"north-{each}") for each in at))
    assert found.totals["licences_issued"] == 2
    assert found.standing["licences_not_ended"] == 3


def test_how_licences_stand_at_the_end_follows_from_all_that_was_before():
    found = figures(
        Told(1, "licence.issued", "a"),
        Told(1, "licence.issued", "b"),
        Told(2, "licence.suspended", "a", "media"),
        Told(3, "licence.terminated", "b", "misuse"),
    )
    assert found.standing == {
        "licences_not_ended": 1,
        "licences_suspended": 1,
        "allegations_unanswered": 0,
        "allegations_overdue": 0,
    }
    assert found.totals["licences_suspended"] == 0
    assert found.breakdowns["suspensions_by_reason"].cells == {}


def test_what_was_done_late_and_what_is_overdue_are_figures():
    due = (SINCE + DAY, SINCE + 9 * DAY)
    found = figures(
        *(Told(SINCE, "allegation.filed", each, due=due) for each in "abc"),
        Told(due[0], "allegation.acknowledged", "a"),
        Told(due[0] + 1, "allegation.acknowledged", "b"),
        Told(due[1] + 1, "allegation.answered", "b"),
    )
    assert (found.totals["allegations_acknowledged_late"], found.totals["allegations_answered_late"]) == (1, 1)
    assert (found.standing["allegations_unanswered"], found.standing["allegations_overdue"]) == (2, 2)


def test_ages_are_told_of_as_many_as_are_enough():
    told = [Told(SINCE, "case.opened", each) for each in "abc"]
    ends = [Told(SINCE + days * DAY, "case.determined", each) for each, days in (("a", 3), ("b", 5), ("c", 40))]
    enough = figures(*told, *ends, least=3).ages["case_to_determination"]
    assert (enough.ended, enough.median_days, enough.longest_days) == (3, 5, 40)
    few = figures(*told, *ends, least=4).ages["case_to_determination"]
    assert (few.ended, few.median_days, few.longest_days) == (3, None, None)


def test_a_counted_denial_stands_for_as_many_as_it_says():
    found = figures(Told(SINCE, "denied", word="CAP"), Told(SINCE, "denied.counted", word="CAP", times=41))
    assert found.breakdowns["denials_by_reason"].cells == {"CAP": 42}


def test_a_small_cell_takes_the_next_smallest_along():
    found = broken_down({"a": 1, "b": 30, "c": 7, "d": 0}, 5)
    assert (found.cells, found.others) == ({"b": 30}, 8)
    assert broken_down({"a": 1, "b": 1}, 5).cells == {}


@given(cells=st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 30)), least=st.integers(2, 10))
def test_no_small_number_is_told_with_its_name_and_nothing_is_lost(cells: dict[str, int], least: int):
    found = broken_down(cells, least)
    assert sum(found.cells.values()) + found.others == sum(cells.values())
    assert all(number >= least and cells[word] == number for word, number in found.cells.items())
    # fewer than least stay together only where all there is are fewer
    assert found.others == 0 or found.others >= least or not found.cells
