from importlib import import_module
from pkgutil import iter_modules

import pytest

import licd.v1
from licd.core.time import HOUR
from licd.policy import Policies
from licd.policy.roles import ALONE
from tests.policy.folder import Folder

FILE = "roles.toml"
CUSTOMERS_OWN = {"EnrolmentService", "SessionService"}


def operator_verbs() -> set[str]:
    """Every method of the API that is not a customer system's own."""
    names = [module.name for module in iter_modules(licd.v1.__path__) if module.name.endswith("_service_pb2")]
    services = [
        service
        for name in names
        for service in import_module(f"licd.v1.{name}").DESCRIPTOR.services_by_name.values()
        if service.name not in CUSTOMERS_OWN
    ]
    return {f"{service.name}.{method.name}" for service in services for method in service.methods}


def test_every_verb_of_the_operator_api_can_be_called_by_somebody_and_no_other_is_named(policies: Policies):
    assert {verb for role in policies.roles.roles.values() for verb in role.verbs} == operator_verbs()


def test_every_verb_that_never_waits_exists():
    assert operator_verbs() >= ALONE


def test_a_role_has_the_verbs_of_the_roles_it_includes(policies: Policies):
    roles = policies.roles.roles
    assert roles["operator"].verbs > roles["viewer"].verbs
    assert roles["head-of-compliance"].verbs > roles["auditor"].verbs


def test_nobody_can_ask_for_and_approve_the_same_thing_by_one_role(policies: Policies):
    """Two roles in one hand do not help either: an approval counts persons."""
    asking = {"LicenceService.IssueLicence", "LicenceService.RenewLicence", "KeyService.AddOperator"}
    for role in policies.roles.roles.values():
        assert not (asking & role.verbs and "ApprovalService.SignApproval" in role.verbs)


def test_a_role_that_does_not_exist_may_do_nothing(policies: Policies):
    assert not policies.roles.may_call(["root", ""], "StatusService.GetStatus")


def test_an_approval_lives_for_four_hours_at_most(policies: Policies, folder: Folder):
    assert policies.roles.approval_life == 4 * HOUR
    folder.edit(FILE, "ttl_seconds = 14_400", "ttl_seconds = 14_401")
    assert any("ttl_seconds must be a whole number from 1 to 14400, got 14401" in told for told in folder.problems())


@pytest.mark.parametrize("verb", sorted(ALONE))
def test_stopping_never_waits_for_a_second_person(folder: Folder, verb: str):
    folder.edit(FILE, '    "OverlayService.WithdrawAuthority",\n]\n# Only', f'    "{verb}",\n]\n# Only')
    told = f"{verb} never waits for a second person: stopping is done alone and at once"
    assert any(problem.endswith(told) for problem in folder.problems())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"LogService.ExportLog"', '"LicenceService.SuspendLicence"', "auditor changes nothing, but may call"),
        ('"LogService.ExportLog"', '"LogService.exportLog"', "is not a verb; write Service.Method"),
        ('"LogService.ExportLog"', '"*"', "is not a verb; write Service.Method"),
        ('includes = ["auditor", "viewer"]', 'includes = ["auditors", "viewer"]', 'did you mean "auditor"?'),
        ('includes = ["auditor", "viewer"]', 'includes = ["operator"]', "operator includes roles itself"),
        (
            '    "KeyService.AddOperator",\n    "Licence',
            '    "KeyService.AddOperators",\n    "Licence',
            "no role may call it",
        ),
        ("[four_eyes]", "[six_eyes]", "four_eyes is missing"),
        ("verbs_when_widening = ", "verbs_when_wider = ", "verbs_when_widening is missing"),
        ('\n    "StatusService.AcceptClock",\n]\n', "\n]\n", "whoever moves the clock moves every term"),
        (
            'AddOperator",\n    "LicenceService.IssueContinuityPermit",\n',
            'AddOperator",\n',
            "until it ends nothing calls it back",
        ),
    ],
)
def test_refuses_a_division_of_work_that_does_not_hold(folder: Folder, old: str, new: str, told: str):
    folder.edit(FILE, old, new)
    assert any(problem.startswith(f"{FILE}:") and told in problem for problem in folder.problems())


def test_somebody_must_be_able_to_approve(folder: Folder):
    folder.write(FILE, folder.text(FILE).replace('    "ApprovalService.SignApproval",\n', ""))
    assert any("nothing could ever be approved" in problem for problem in folder.problems())
