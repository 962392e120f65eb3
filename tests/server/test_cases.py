"""CaseService over the wire: worked off by one person, determined by three, applied once, read by few."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from licd.core.errors import Conflict, Forbidden, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.time import DAY, MINUTE
from licd.policy import load
from licd.v1 import case_pb2, condition_service_pb2, operator_pb2
from licd.v1 import case_service_pb2 as pb
from tests.daemon import ROOT
from tests.office import Office, Operator

DETERMINE = "CaseService.DetermineCase"
MISUSE, NO_MISUSE = case_pb2.DETERMINATION_MISUSE, case_pb2.DETERMINATION_NO_MISUSE
INCONCLUSIVE = case_pb2.DETERMINATION_INCONCLUSIVE
STEPS = load(ROOT / "policies").casework.steps


def opened(alice: Operator, licence: str) -> case_pb2.Case:
    request = pb.OpenCaseRequest(licence=licence, code="media", summary="a newspaper")
    found: case_pb2.Case = alice.call("CaseService.OpenCase", request).case
    return found


def moved(alice: Operator, case: str, *states: str) -> case_pb2.Case:
    found = case_pb2.Case()
    for state in states:
        request = pb.MoveCaseRequest(case=case, state=case_pb2.CaseState.Value(f"CASE_STATE_{state}"), note="so")
        found = alice.call("CaseService.MoveCase", request).case
    return found


def ripe(office: Office, licence: str) -> str:
    """A case that waits for its determination."""
    case = opened(office.alice, licence).case
    moved(office.alice, case, "ACKNOWLEDGED", "PRELIMINARY", "INVESTIGATION", "INQUIRIES")
    for name, step in STEPS.items():
        if step.mandatory:
            evidence = sha256(name.encode()).digest()
            office.alice.call(
                "CaseService.CompleteStep", pb.CompleteStepRequest(case=case, step=name, evidence=evidence)
            )
    moved(office.alice, case, "DETERMINATION")
    return case


def determining(case: str, determination: Any = MISUSE, *remedies: tuple[str, str]) -> pb.DetermineCaseRequest:
    return pb.DetermineCaseRequest(
        case=case,
        determination=determination,
        reasons="the journal shows it",
        remedies=[case_pb2.CaseRemedy(remedy=remedy, licence=licence) for remedy, licence in remedies],
    )


def refused(operator: Operator, verb: str, request: Any, kind: type[LicdError]) -> str:
    with pytest.raises(kind) as told:
        operator.call(verb, request)
    return str(told.value)


def test_a_case_shows_its_steps_and_what_is_in_the_way(office: Office):
    case = opened(office.alice, office.licence())
    mandatory = {name for name, step in STEPS.items() if step.mandatory}
    assert {each.step for each in case.steps if each.mandatory} == mandatory
    assert len(case.obstacles) == len(mandatory)
    request = pb.RefuseStepRequest(case=case.case, step="interviews", reason="he does not answer")
    assert "no steps are taken there" in refused(office.alice, "CaseService.RefuseStep", request, IllegalTransition)
    moved(office.alice, case.case, "ACKNOWLEDGED", "PRELIMINARY")
    shown = office.alice.call("CaseService.RefuseStep", request).case
    assert len(shown.obstacles) == len(mandatory) - 1
    listed = office.alice.call("CaseService.ListCases", pb.ListCasesRequest(customer=case.customer)).cases
    assert [each.case for each in listed] == [case.case]


def test_three_persons_determine_and_the_licence_ends_with_the_last_signature(office: Office):
    licence = office.licence()
    case = ripe(office, licence)
    carol = Operator.of(office.daemon, "carol")
    approval = office.alice.call(DETERMINE, determining(case, MISUSE, ("terminate", licence))).approval
    assert approval.needed == 3
    approval = office.alice.sign(approval)
    approval = office.bob.sign(approval)
    assert office.alice.licence_of(licence).status == operator_pb2.LICENCE_STATUS_ACTIVE
    done = carol.sign(approval)
    assert done.status == operator_pb2.APPROVAL_STATUS_EXECUTED
    found = pb.DetermineCaseResponse.FromString(done.result).case
    assert (found.state, found.determination) == (case_pb2.CASE_STATE_REMEDIES, MISUSE)
    assert [(each.remedy, each.licence) for each in found.remedies] == [("terminate", licence)]
    assert office.alice.licence_of(licence).status == operator_pb2.LICENCE_STATUS_TERMINATED
    with pytest.raises((Conflict, IllegalTransition)):
        carol.sign(approval)
    assert moved(office.alice, case, "CLOSED").state == case_pb2.CASE_STATE_CLOSED
    again = office.alice.call("CaseService.ReopenCase", pb.ReopenCaseRequest(case=case, reason="new facts")).case
    assert (again.round, again.state) == (2, case_pb2.CASE_STATE_INVESTIGATION)


def test_a_determination_obliges_the_customer_from_then_on(office: Office):
    licence = office.licence()
    request = determining(ripe(office, licence), INCONCLUSIVE, ("training", licence))
    approval = office.alice.call(DETERMINE, request).approval
    for operator in (office.alice, office.bob, Operator.of(office.daemon, "carol")):
        approval = operator.sign(approval)
    assert approval.status == operator_pb2.APPROVAL_STATUS_EXECUTED
    owed = condition_service_pb2.GetConditionRequest(condition=f"{licence}/training-quarterly")
    found = office.alice.call("ConditionService.GetCondition", owed).condition
    assert found.due_at_ms == pytest.approx(office.daemon.clock.wall() + 60 * DAY, abs=MINUTE)


def test_what_is_owed_sooner_already_stays_due_as_it_is(office: Office):
    licence, soon = office.licence(), office.daemon.clock.wall() + DAY
    added = condition_service_pb2.AddConditionRequest(licence=licence, name="training-quarterly", due_at_ms=soon)
    office.alice.call("ConditionService.AddCondition", added)
    approval = office.alice.call(DETERMINE, determining(ripe(office, licence), MISUSE, ("training", licence))).approval
    for operator in (office.alice, office.bob, Operator.of(office.daemon, "carol")):
        approval = operator.sign(approval)
    owed = condition_service_pb2.GetConditionRequest(condition=f"{licence}/training-quarterly")
    assert office.alice.call("ConditionService.GetCondition", owed).condition.due_at_ms == soon


def test_a_case_that_changed_since_it_was_asked_for_is_not_determined(office: Office):
    licence = office.licence()
    case = ripe(office, licence)
    first = office.alice.call(DETERMINE, determining(case, NO_MISUSE)).approval
    other = office.alice.call(DETERMINE, determining(case, MISUSE, ("terminate", licence))).approval
    carol = Operator.of(office.daemon, "carol")
    for operator in (office.alice, office.bob, carol):
        first = operator.sign(first)
    assert first.status == operator_pb2.APPROVAL_STATUS_EXECUTED
    with pytest.raises((Conflict, IllegalTransition)):
        office.alice.sign(other)
    assert office.alice.licence_of(licence).status == operator_pb2.LICENCE_STATUS_ACTIVE


@pytest.mark.parametrize(
    ("determination", "remedy", "why"),
    [
        (INCONCLUSIVE, "terminate", "terminate does not follow from inconclusive"),
        (NO_MISUSE, "highest-category", "highest-category does not follow from no-misuse"),
        (MISUSE, "whim", 'unknown remedy "whim"'),
        (case_pb2.DETERMINATION_UNSPECIFIED, "terminate", "misuse, no misuse or inconclusive"),
    ],
)
def test_a_remedy_follows_from_what_was_found(office: Office, determination: Any, remedy: str, why: str):
    licence = office.licence()
    request = determining(ripe(office, licence), determination, (remedy, licence))
    assert why in refused(office.alice, DETERMINE, request, Invalid)


def test_what_is_inconclusive_can_narrow(office: Office):
    licence = office.licence(cap=20, grace_ms=3_600_000)
    case = ripe(office, licence)
    request = determining(case, INCONCLUSIVE, ("highest-category", licence))
    approval = office.alice.call(DETERMINE, request).approval
    for operator in (office.alice, office.bob, Operator.of(office.daemon, "carol")):
        approval = operator.sign(approval)
    found = office.alice.licence_of(licence)
    graces = [each.offline_grace.grace_ms for each in found.terms.constraints if each.HasField("offline_grace")]
    assert min(graces) < 3_600_000
    assert found.status == operator_pb2.LICENCE_STATUS_ACTIVE


def test_whoever_has_no_part_in_it_neither_reads_nor_decides(office: Office):
    case = opened(office.alice, office.licence()).case
    clerk = office.admit("clerk", "operator")
    for verb, request in (
        ("CaseService.GetCase", pb.GetCaseRequest(case=case)),
        ("CaseService.ListCases", pb.ListCasesRequest()),
        (DETERMINE, determining(case)),
    ):
        refused(clerk, verb, request, Forbidden)


@pytest.mark.parametrize(
    ("verb", "request_", "kind"),
    [
        ("OpenCase", pb.OpenCaseRequest(licence="x", code="whim", summary="s"), Invalid),
        ("OpenCase", pb.OpenCaseRequest(code="media", summary="s"), Invalid),
        ("OpenCase", pb.OpenCaseRequest(licence="x", code="media", summary=" "), Invalid),
        ("GetCase", pb.GetCaseRequest(case="C-0"), NotFound),
        ("MoveCase", pb.MoveCaseRequest(case="C-0", note="n"), Invalid),
        ("MoveCase", pb.MoveCaseRequest(case="C-0", note="n", state=case_pb2.CASE_STATE_STOPPED), NotFound),
        ("CompleteStep", pb.CompleteStepRequest(case="C-0", step="s", evidence=b"short"), Invalid),
        ("RefuseStep", pb.RefuseStepRequest(case="C-0", step="s", reason=""), Invalid),
        ("ReopenCase", pb.ReopenCaseRequest(case="C-0", reason="r"), NotFound),
        ("DetermineCase", determining("C-0"), NotFound),
    ],
)
def test_what_makes_no_sense_is_refused(office: Office, verb: str, request_: Any, kind: type[LicdError]):
    refused(office.alice, f"CaseService.{verb}", request_, kind)
