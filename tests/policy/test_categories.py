import pytest

from licd.core.terms import Basis
from licd.core.time import DAY
from licd.policy import Policies
from tests.policy.folder import Folder

FILE = "categories.toml"


def test_reads_a_category_with_its_ceiling(policies: Policies):
    high = policies.categories["high"]
    assert high.ceiling is not None
    assert high.ceiling.grace == 0
    assert high.ceiling.bases == {Basis.PRESENT_LOCATION}
    assert high.review_interval == 30 * DAY
    assert high.approvals == 3


def test_a_category_may_be_beyond_all_licensing(policies: Policies):
    assert policies.categories["unacceptable"].ceiling is None


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("term_days = 180", "term_days = 271", "term_days"),
        ("concurrent_targets = 8", "concurrent_targets = 16", "concurrent_targets"),
        ("{ limit = 60, period_days = 90 }", "{ limit = 60, period_days = 30 }", "distinct_targets"),
        ("grace_seconds = 300", "grace_seconds = 3601", "grace_seconds"),
        ("review_interval_days = 90", "review_interval_days = 121", "review_interval_days"),
        ("least_penalty_years = 3", "least_penalty_years = 5", "least_penalty_years"),
        ("approvals = 2\nreview_interval_days = 120", "approvals = 3\nreview_interval_days = 120", "approvals"),
    ],
)
def test_a_higher_risk_is_never_wider(folder: Folder, old: str, new: str, key: str):
    folder.edit(FILE, old, new)
    told = [problem for problem in folder.problems() if problem.startswith(FILE)]
    assert len(told) == 1
    assert f"{key} is wider than in category moderate, which is of lower risk" in told[0]
    assert told[0].startswith(f"{FILE}:{_line_of_elevated(folder, key)}: ")


def _line_of_elevated(folder: Folder, key: str) -> int:
    try:
        return folder.line(FILE, "category", "elevated", "ceiling", key)
    except KeyError:
        return folder.line(FILE, "category", "elevated", key)


def test_a_category_above_one_that_may_not_issue_may_not_either(folder: Folder):
    folder.edit(FILE, "rank = 5", "rank = 0x1")
    folder.edit(FILE, "rank = 1\n", "rank = 6\n")
    assert any("may_issue is wider than in category" in problem for problem in folder.problems())


def test_two_categories_of_one_rank_are_refused(folder: Folder):
    folder.edit(FILE, "rank = 2", "rank = 1")
    assert f"{FILE}:{folder.line(FILE, 'category', 'moderate', 'rank')}: rank 1 is also that of category low; " in (
        " ".join(folder.problems())
    )


def test_the_highest_category_in_use_has_no_grace(folder: Folder):
    folder.edit(FILE, "grace_seconds = 0", "grace_seconds = 1")
    line = folder.line(FILE, "category", "high", "ceiling", "grace_seconds")
    assert f"{FILE}:{line}: high is the highest category in use: its grace_seconds must be 0" in folder.problems()


def test_a_category_without_a_ceiling_must_say_that_nothing_is_issued(folder: Folder):
    folder.edit(FILE, "may_issue = false\n", "")
    assert any("ceiling is missing" in problem for problem in folder.problems())


def test_a_ceiling_where_nothing_is_issued_is_refused(folder: Folder):
    folder.append(FILE, "[category.unacceptable.ceiling]\nterm_days = 1\n")
    assert any('unknown key "ceiling"' in problem for problem in folder.problems())


def test_the_shortest_permit_is_within_the_longest(folder: Folder):
    folder.edit(FILE, "shortest_permit_seconds = 10", "shortest_permit_seconds = 61")
    line = folder.line(FILE, "category", "low", "shortest_permit_seconds")
    told = f"{FILE}:{line}: shortest_permit_seconds is longer than the ceiling's permit_seconds"
    assert folder.problems() == [told]


@pytest.mark.parametrize("approvals", [0, 1])
def test_nothing_is_issued_by_one_person(folder: Folder, approvals: int):
    folder.edit(FILE, "approvals = 2", f"approvals = {approvals}")
    assert folder.problems()[0].endswith(f"approvals must be a whole number from 2 to 10, got {approvals}")


def test_there_is_at_least_one_category(folder: Folder):
    folder.write(FILE, "example = true\n")
    assert f"{FILE}:1: category is missing" in folder.problems()
