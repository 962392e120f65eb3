"""policies/casework.toml: what is read, and what is refused by line."""

import pytest

from licd.core.case import Determination
from licd.core.time import DAY
from licd.policy import Policies
from licd.policy.casework import Action
from tests.policy.folder import Folder

FILE = "casework.toml"


def test_reads_steps_persons_and_remedies(policies: Policies):
    casework = policies.casework
    assert (casework.persons, casework.acknowledge) == (3, 7 * DAY)
    # 01-mission and domain.md A6: what the first report says was done.
    wanted = {"legal-review", "contract-review", "interviews", "metadata-review", "journal-inspection"}
    assert {name for name, mandatory in casework.asked if mandatory} == wanted
    ending = casework.remedies["terminate"]
    assert (ending.action, ending.code, ending.after) == (Action.TERMINATE, "misuse", frozenset({Determination.MISUSE}))


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("persons = 3", "persons = 1", ("determination", "persons"), "from 2 to 10"),
        (
            'after = ["misuse"]',
            'after = ["misuse", "inconclusive"]',
            ("remedy", "terminate", "after"),
            "and after nothing",
        ),
        ('after = ["misuse"]', 'after = ["no-misuse"]', ("remedy", "terminate", "after"), 'unknown after "no-misuse"'),
        ('code = "misuse"', 'code = "whim"', ("remedy", "terminate", "code"), "unknown reason to terminate"),
        (
            'category = "high"',
            'category = "unacceptable"',
            ("remedy", "highest-category", "category"),
            "unknown category in which something is licensed",
        ),
        (
            'obligation = "training-quarterly"',
            'obligation = "penance"',
            ("remedy", "training", "obligation"),
            'unknown obligation "penance"',
        ),
        ('action = "tighten"', 'action = "fine"', ("remedy", "highest-category", "action"), 'unknown action "fine"'),
    ],
)
def test_a_bad_figure_is_refused_at_its_line(folder: Folder, old: str, new: str, key: tuple[str, ...], reason: str):
    folder.edit(FILE, old, new)
    line = folder.line(FILE, *key)
    assert any(reason in each and f"{FILE}:{line}" in each for each in folder.problems())


def test_a_case_is_not_determined_without_anybody_having_looked(folder: Folder):
    folder.write(FILE, folder.text(FILE).replace("mandatory = true", "mandatory = false"))
    assert any("no step is mandatory" in each for each in folder.problems())
