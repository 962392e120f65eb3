import pytest

from licd.core.reasons import Reason
from licd.policy import Policies
from licd.policy.denials import Retry, RetryHint
from tests.policy.folder import Folder

FILE = "denials.toml"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_hint(policies: Policies, reason: Reason):
    hint = policies.denials[reason]
    assert (hint.after > 0) is (hint.retry is Retry.AFTER)
    assert hint.advice


@pytest.mark.parametrize(
    ("hint", "known", "expected"),
    [
        (RetryHint(Retry.NEVER, 0, "x"), 9_000, 0),
        (RetryHint(Retry.AFTER, 5_000, "x"), 9_000, 6_000),
        (RetryHint(Retry.AT, 0, "x"), 9_000, 9_000),
        (RetryHint(Retry.AT, 0, "x"), 0, 0),
    ],
)
def test_tells_when_asking_again_can_help(hint: RetryHint, known: int, expected: int):
    assert hint.retry_at(1_000, known) == expected


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[denial.OVERDUE]", "[denial.OVERDU]", 'unknown denial reason "OVERDU"; did you mean "OVERDUE"?'),
        ("[denial.OVERDUE]", "[denial.OVERDU]", "[denial.OVERDUE] is missing"),
        ("after_seconds = 60\n", "", "after_seconds is missing"),
        ("after_seconds = 60", "after_seconds = 0", "after_seconds must be a whole number from 1 to 86400, got 0"),
        ('retry = "after"\nafter_seconds = 60', 'retry = "never"\nafter_seconds = 60', 'unknown key "after_seconds"'),
        ('retry = "at"', 'retry = "later"', 'unknown retry "later"'),
    ],
)
def test_refuses_a_hint_that_helps_nobody(folder: Folder, old: str, new: str, told: str):
    folder.edit(FILE, old, new)
    assert any(problem.startswith(f"{FILE}:") and told in problem for problem in folder.problems())
