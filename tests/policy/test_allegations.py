"""policies/allegations.toml: what is read, and what is refused by line."""

import pytest

from licd.core.allegation import Deadlines
from licd.core.time import DAY, HOUR
from licd.policy import Policies
from tests.policy.folder import Folder

FILE = "allegations.toml"


def test_reads_deadlines_purposes_and_answers(policies: Policies):
    policy = policies.allegations
    assert policy.deadlines == Deadlines(acknowledge=7 * DAY, answer=90 * DAY, show_after=30 * DAY)
    assert (policy.persons, policy.life) == (2, 24 * HOUR)
    assert set(policy.purposes) == {"contact", "protection", "law"}
    assert set(policy.answers) == {"examined", "other-matter"}


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("answer_days = 90", "answer_days = 6", ("deadline", "answer_days"), "due after the acknowledgement"),
        ("show_after_days = 30", "show_after_days = 91", ("deadline", "show_after_days"), "would not be shown yet"),
        ("acknowledge_days = 7", "acknowledge_days = 0", ("deadline", "acknowledge_days"), "from 1 to 31"),
        ("persons = 2", "persons = 1", ("disclosure", "persons"), "from 2 to 10"),
        ("hours = 24", "hours = 1000", ("disclosure", "hours"), "from 1 to 168"),
        ("hours = 24", "hours = 24\nalone = true", ("disclosure", "alone"), 'unknown key "alone"'),
        ("[purpose.law]", "[purpose.Law]", ("purpose", "Law"), "must be small letters"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_line(
    folder: Folder, old: str, new: str, key: tuple[str, ...], reason: str
):
    folder.edit(FILE, old, new)
    line = folder.line(FILE, *key)
    assert any(each.startswith(f"{FILE}:{line}: ") and reason in each for each in folder.problems())


def test_without_a_purpose_nobody_looks_at_a_reporter(folder: Folder):
    text = (folder.path / FILE).read_text()
    kept, _, rest = text.partition("[purpose.contact]")
    folder.write(FILE, kept + "[answer" + rest.partition("[answer")[2])
    assert any("there must be at least one [purpose.NAME]" in each for each in folder.problems())


def test_nobody_may_look_alone(folder: Folder):
    text = (folder.path / "roles.toml").read_text()
    before, mark, after = text.partition("[four_eyes]")
    folder.write("roles.toml", before + mark + after.replace('    "AllegationService.PermitDisclosure",\n', ""))
    assert any("nobody alone looks at who reported" in each for each in folder.problems())
