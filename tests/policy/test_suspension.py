import pytest

from licd.core.reinstatement import OVERSEER, Demands
from licd.core.time import DAY, HOUR
from licd.policy import Policies
from licd.policy.suspension import SuspendCode
from tests.policy.folder import Folder

FILE = "suspension.toml"

# domain.md D5
SUSPEND = {
    *("report_external", "report_internal", "media", "rule_cap", "rule_volume", "rule_churn", "rule_region"),
    *("rule_purpose", "rule_scope", "protected_person", "log_gap", "clock", "certification_overdue"),
    *("training_overdue", "country_change", "export_authority", "non_cooperation"),
}
TERMINATE = {"misuse", "non_cooperation", "expired_in_suspension", "export_revoked"}


def test_knows_every_reason_that_the_research_found(policies: Policies):
    assert set(policies.suspension.suspend) >= SUSPEND
    assert set(policies.suspension.terminate) >= TERMINATE
    assert set(policies.suspension.lift) >= {"comfort_full", "comfort_restricted"}
    assert policies.suspension.lift["comfort_restricted"].restricted


def satisfied(reason: SuspendCode) -> dict[str, object]:
    return {
        "met": frozenset(reason.demands.items),
        "elapsed": reason.cooling_off,
        "persons": reason.approvals,
    }


def test_a_suspension_can_be_lifted_once_all_of_it_is_done_and_not_before(policies: Policies):
    for code, reason in policies.suspension.suspend.items():
        enough = satisfied(reason)
        assert policies.suspension.missing_to_lift(code, **enough) == ()  # type: ignore[arg-type]
        short: list[tuple[dict[str, object], str]] = [
            *((enough | {"met": frozenset(reason.demands.items) - {item}}, item) for item in reason.demands.items),
            (enough | {"persons": reason.approvals - 1}, "approvals"),
            *([(enough | {"elapsed": reason.cooling_off - 1}, "cooling_off")] if reason.cooling_off else []),
        ]
        for lacking, missing in short:
            assert policies.suspension.missing_to_lift(code, **lacking) == (missing,)  # type: ignore[arg-type]


def test_an_unknown_reason_cannot_be_lifted(policies: Policies):
    with pytest.raises(KeyError):
        policies.suspension.missing_to_lift("whim", met=frozenset(), elapsed=DAY, persons=9)


def test_reads_durations_in_milliseconds(policies: Policies):
    media = policies.suspension.suspend["media"]
    assert (media.review, media.cooling_off) == (30 * DAY, 72 * HOUR)
    monthly = policies.suspension.obligations["certification-monthly"]
    assert (monthly.every, monthly.tolerance, monthly.consequence) == (30 * DAY, 3 * DAY, "certification_overdue")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('conditions = ["clock-explained"]', 'conditions = ["clock-explain"]', 'did you mean "clock-explained"?'),
        ('conditions = ["clock-explained"]', "conditions = []", "an empty list permits nothing"),
        ('origin = "person"', 'origin = "hearsay"', 'unknown origin "hearsay"'),
        ("approvals = 3", "approvals = 1", "approvals must be a whole number from 2 to 10, got 1"),
        ('consequence = "certification_overdue"', 'consequence = "certification_due"', "unknown consequence"),
        ("restricted = true", "restricted = 1", "restricted must be true or false, got 1"),
        ("review_days = 30", "review_days = 0", "review_days must be a whole number from 1 to 366, got 0"),
        ("[terminate.misuse]", "[terminate.misuse.x]", "description is missing"),
    ],
)
def test_refuses_reasons_that_lead_nowhere(folder: Folder, old: str, new: str, told: str):
    folder.edit(FILE, old, new)
    assert any(problem.startswith(f"{FILE}:") and told in problem for problem in folder.problems())


def test_a_mistake_takes_the_persons_alone_and_comfort_takes_everything(policies: Policies):
    found = policies.suspension
    for code, reason in found.suspend.items():
        assert found.demands(code, "unfounded") == Demands(persons=reason.approvals, mistake=True)
        for lift in ("comfort_full", "comfort_restricted"):
            assert found.demands(code, lift) == reason.demands
    assert OVERSEER in found.demands("report_external", "comfort_full").items
    assert found.demands("a reason that was once", "comfort_full") == Demands()
