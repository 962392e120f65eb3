"""What widens rights takes two persons who sign the very same bytes; nobody counts twice, or after he has left."""

from collections.abc import Callable
from os import urandom  # noqa: TID251 - keys of operators
from typing import Any

import pytest

from licd.core.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    IllegalTransition,
    Invalid,
    NotFound,
    RequestIdReused,
    SealRefused,
)
from licd.core.time import DAY, HOUR, MINUTE
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import (
    approval_service_pb2,
    customer_service_pb2,
    key_service_pb2,
    licence_pb2,
    licence_service_pb2,
    log_service_pb2,
    operator_pb2,
)
from licd.v1.session_pb2 import OperatorCommand
from tests.daemon import Daemon, fresh, new_id
from tests.diligence import assess, evidence
from tests.office import Office, Operator, draft

FRESH = (KeyPurpose.OPERATOR, urandom)
ISSUE = "LicenceService.IssueLicence"
PENDING, EXECUTED = operator_pb2.APPROVAL_STATUS_PENDING, operator_pb2.APPROVAL_STATUS_EXECUTED


def wanted(office: Office, **limits: Any) -> licence_service_pb2.IssueLicenceRequest:
    return licence_service_pb2.IssueLicenceRequest(
        customer=office.alice.customer(), licence=fresh("licence"), terms=draft(office.daemon.clock.wall(), **limits)
    )


def asked(office: Office) -> operator_pb2.Approval:
    """A licence that alice asks for."""
    approval: operator_pb2.Approval = office.alice.call(ISSUE, wanted(office)).approval
    return approval


def again(operator: Operator, approval: operator_pb2.Approval) -> operator_pb2.Approval:
    """The approval as it stands."""
    request = approval_service_pb2.GetApprovalRequest(approval=approval.approval)
    found: operator_pb2.Approval = operator.call("ApprovalService.GetApproval", request).approval
    return found


def issued(office: Office, approval: operator_pb2.Approval) -> bool:
    command = OperatorCommand.FromString(approval.command.payload)
    request = licence_service_pb2.IssueLicenceRequest.FromString(command.request)
    try:
        office.alice.licence_of(request.licence)
    except NotFound:
        return False
    return True


def test_asking_changes_nothing_and_says_what_is_asked(office: Office):
    approval = asked(office)
    assert (approval.status, approval.needed, list(approval.signed_by)) == (PENDING, 2, [])
    assert approval.requested_by == "alice"
    assert approval.method == "/licd.v1.LicenceService/IssueLicence"
    assert "4 concurrent targets" in approval.summary
    command = OperatorCommand.FromString(approval.command.payload)
    assert (command.summary, command.subject) == (approval.summary, approval.subject)
    assert command.expires_at_ms - command.requested_at_ms == 4 * HOUR
    assert not issued(office, approval)


def test_two_persons_who_sign_the_same_bytes_execute_it(office: Office):
    approval = asked(office)
    first = office.alice.sign(approval)
    assert (first.status, list(first.signed_by)) == (PENDING, ["alice"])
    assert not issued(office, approval)
    second = office.bob.sign(approval)
    assert (second.status, list(second.signed_by)) == (EXECUTED, ["alice", "bob"])
    assert issued(office, approval)
    licence = licence_service_pb2.IssueLicenceResponse.FromString(second.result).licence
    assert office.alice.licence_of(licence.licence).token == licence.token


def test_the_log_names_who_asked_and_who_signed(office: Office):
    approval = asked(office)
    for person in (office.alice, office.bob):
        person.sign(approval)
    entries = office.alice.call("LogService.ListEntries", log_service_pb2.ListEntriesRequest(descending=True)).entries
    told = [{field.name: field.value for field in entry.fields} for entry in entries]
    mine = [(each["kind"], each.get("actor")) for each in told if each.get("approval") == approval.approval]
    assert mine == [
        ("approval.executed", None),
        ("approval.signed", "bob"),
        ("approval.signed", "alice"),
        ("approval.requested", "alice"),
    ]


def test_the_order_of_signing_does_not_matter(office: Office):
    approval = asked(office)
    assert office.bob.sign(approval).status == PENDING
    assert office.alice.sign(approval).status == EXECUTED


def test_nobody_counts_twice(office: Office):
    approval = asked(office)
    office.alice.sign(approval)
    with pytest.raises(Conflict):
        office.alice.sign(approval)
    assert not issued(office, approval)


def test_two_others_do_not_stand_in_for_the_one_who_asked(office: Office, daemon: Daemon):
    approval = asked(office)
    office.bob.sign(approval)
    Operator.of(daemon, "carol").sign(approval)
    assert again(office.alice, approval).status == PENDING
    assert not issued(office, approval)
    assert office.alice.sign(approval).status == EXECUTED


def test_another_ones_signature_is_not_ones_own(office: Office):
    approval = asked(office)
    office.alice.sign(approval)
    by_alice = seal(Kind.OPERATOR_COMMAND, approval.command.payload, office.alice.signer)
    both = seal(Kind.OPERATOR_COMMAND, approval.command.payload, office.bob.signer)
    both.signatures.extend(by_alice.signatures)
    unsigned = type(both)(payload=both.payload, payload_type=both.payload_type)
    other_kind = type(both)(
        payload=both.payload, payload_type=Kind.LICENCE.payload_type, signatures=both.signatures[:1]
    )
    for envelope, error in (
        (by_alice, SealRefused),
        (both, Invalid),
        (unsigned, SealRefused),
        (other_kind, SealRefused),
    ):
        request = approval_service_pb2.SignApprovalRequest(approval=approval.approval, command=envelope)
        with pytest.raises(error):
            office.bob.call("ApprovalService.SignApproval", request)
    assert not issued(office, approval)


def test_who_has_no_role_that_approves_may_sign_only_what_he_asked_for(office: Office):
    clerk = office.admit(fresh("clerk"), "operator")
    approval = asked(office)
    with pytest.raises(Forbidden):
        clerk.sign(approval)
    own = clerk.call(ISSUE, wanted(office)).approval
    clerk.sign(own)
    assert office.bob.sign(own).status == EXECUTED


def test_what_is_executed_is_not_executed_again(office: Office, daemon: Daemon):
    approval = asked(office)
    office.alice.sign(approval)
    office.bob.sign(approval)
    with pytest.raises(IllegalTransition):
        Operator.of(daemon, "carol").sign(approval)


def test_what_is_rejected_stays_rejected(office: Office):
    approval = asked(office)
    office.alice.sign(approval)
    request = approval_service_pb2.RejectApprovalRequest(approval=approval.approval, detail="not now")
    done = office.bob.call("ApprovalService.RejectApproval", request).approval
    assert (done.status, done.rejected_by, done.rejection) == (operator_pb2.APPROVAL_STATUS_REJECTED, "bob", "not now")
    with pytest.raises(IllegalTransition):
        office.bob.sign(approval)


def disable(by: Operator, operator: Operator) -> None:
    request = key_service_pb2.DisableOperatorRequest(operator=operator.name, detail="left")
    by.call("KeyService.DisableOperator", request)


def test_what_a_disabled_person_asked_for_is_not_done(office: Office):
    clerk = office.admit(fresh("clerk"), "operator")
    approval = clerk.call(ISSUE, wanted(office)).approval
    clerk.sign(approval)
    disable(office.alice, clerk)
    with pytest.raises(Forbidden, match=clerk.name):
        office.bob.sign(approval)
    assert not issued(office, approval)


def test_what_somebody_asked_for_falls_with_his_right_to_ask(office: Office):
    clerk = office.admit(fresh("clerk"), "operator")
    approval = clerk.call(ISSUE, wanted(office)).approval
    clerk.sign(approval)
    office.admit(clerk.name, "viewer")
    with pytest.raises(Forbidden):
        office.bob.sign(approval)


def test_the_signature_of_a_person_disabled_since_does_not_count(office: Office):
    """A stolen key: its owner is disabled, and what it has approved meanwhile must not go through."""
    thief = office.admit(fresh("clerk"), "approver")
    approval = asked(office)
    thief.sign(approval)
    disable(office.alice, thief)
    with pytest.raises(Forbidden, match=thief.name):
        office.alice.sign(approval)
    assert not issued(office, approval)


def test_a_changed_subject_is_a_conflict(office: Office):
    licence = office.licence()
    found = office.alice.licence_of(licence)
    request = licence_service_pb2.RenewLicenceRequest(
        licence=licence, version=found.version, not_after_ms=found.terms.not_after_ms + DAY
    )
    approval = office.alice.call("LicenceService.RenewLicence", request).approval
    office.alice.sign(approval)
    office.alice.suspend(licence)
    with pytest.raises(Conflict):
        office.bob.sign(approval)
    ended = again(office.alice, approval)
    assert (ended.status, ended.rejected_by) == (operator_pb2.APPROVAL_STATUS_REJECTED, "licd")
    assert "the licence is at version" in ended.rejection


def test_what_was_asked_for_twice_is_done_once_and_nobody_is_asked_again(office: Office):
    request = wanted(office)
    first = office.alice.call(ISSUE, request).approval
    request.request_id = ""
    second = office.alice.call(ISSUE, request).approval
    office.alice.sign(first)
    office.bob.sign(first)
    ended = again(office.alice, second)
    assert (ended.status, ended.rejected_by) == (operator_pb2.APPROVAL_STATUS_REJECTED, "licd")
    request.request_id = ""
    with pytest.raises(AlreadyExists):
        office.alice.call(ISSUE, request)


def test_a_licence_whose_term_is_over_is_not_even_asked_for(office: Office):
    request = wanted(office)
    request.terms.not_before_ms -= 60 * DAY
    request.terms.not_after_ms -= 60 * DAY
    with pytest.raises(Invalid) as refused:
        office.alice.call(ISSUE, request)
    assert refused.value.field == "terms.not_after_ms"


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_reinstatement_that_lifts_nothing_is_not_even_asked_for(office: Office, epoch: int):
    licence = office.licence()
    request = licence_service_pb2.ReinstateLicenceRequest(
        licence=licence, epoch=epoch, reason_code="unfounded", detail="it was nothing"
    )
    with pytest.raises(IllegalTransition):
        office.alice.call("LicenceService.ReinstateLicence", request)
    office.alice.suspend(licence)
    request.request_id = ""
    with pytest.raises(Conflict):
        office.alice.call("LicenceService.ReinstateLicence", request)


def test_another_product_takes_two_persons(office: Office):
    licence = office.licence()
    found = office.alice.licence_of(licence)
    assess(office.alice, found.customer, product="forensic-reader", evidence=evidence("adverse-information"))
    bound = (
        licence_pb2.Constraint(authorisation_required=licence_pb2.AuthorisationRequired()),
        licence_pb2.Constraint(protected_person_attestation=licence_pb2.ProtectedPersonAttestation()),
    )
    terms = draft(found.terms.not_before_ms, churn=10, extra=bound)
    terms.not_after_ms, terms.product, terms.category = found.terms.not_after_ms, "forensic-reader", "moderate"
    request = licence_service_pb2.AmendLicenceRequest(licence=licence, version=found.version, terms=terms)
    answer = office.alice.call("LicenceService.AmendLicence", request)
    assert "widening product, category" in answer.approval.summary
    assert office.alice.licence_of(licence).terms == found.terms


@pytest.mark.parametrize("which", ["public_key", "csr"])
def test_nobody_is_admitted_under_a_second_name(office: Office, which: str):
    key = make_private_key()
    name = fresh("clerk")
    office.agree("KeyService.AddOperator", admission(name, office.alice.signer.generate(*FRESH), key))
    twin = admission(fresh("shadow"), office.alice.signer, make_private_key())
    if which == "csr":
        twin = admission(fresh("shadow"), office.alice.signer.generate(*FRESH), key)
    asked = office.alice.call("KeyService.AddOperator", twin)
    office.alice.sign(asked.approval)
    with pytest.raises(AlreadyExists) as refused:
        office.bob.sign(asked.approval)
    assert refused.value.field == which
    assert ("alice" if which == "public_key" else name) in str(refused.value)


def test_who_signs_for_an_operator_sees_which_key_he_lets_in(office: Office):
    signer = office.alice.signer.generate(*FRESH)
    asked = office.alice.call("KeyService.AddOperator", admission(fresh("clerk"), signer, make_private_key()))
    assert signer.key_id in asked.approval.summary


def test_a_signature_by_a_key_that_was_replaced_counts_for_nothing(own_daemon: Callable[..., Daemon]):
    office = Office(own_daemon())
    carol = Operator.of(office.daemon, "carol")
    approval = asked(office)
    office.bob.sign(approval)
    changed = admission("bob", office.bob.signer.generate(*FRESH), make_private_key(), "approver", "keymaster")
    change = office.alice.call("KeyService.AddOperator", changed).approval
    office.alice.sign(change)
    assert carol.sign(change).status == EXECUTED
    with pytest.raises(Forbidden, match="bob has had another key"):
        office.alice.sign(approval)
    assert not issued(office, approval)


def admission(name: str, signer: MemorySigner, key: Any, *roles: str) -> key_service_pb2.AddOperatorRequest:
    return key_service_pb2.AddOperatorRequest(
        operator=name, roles=roles or ["approver"], public_key=signer.public_key, csr=make_request(key)
    )


def test_a_customer_who_was_banned_meanwhile_gets_no_licence(office: Office):
    request = wanted(office)
    approval = office.alice.call(ISSUE, request).approval
    office.alice.sign(approval)
    ban = customer_service_pb2.BanCustomerRequest(customer=request.customer, reason_code="manual", detail="misuse")
    office.alice.call("CustomerService.BanCustomer", ban)
    with pytest.raises((Conflict, IllegalTransition)):
        office.bob.sign(approval)
    assert not issued(office, approval)


@pytest.mark.parametrize("wrong", [0, 2, 99])
def test_what_names_another_version_is_not_even_asked_for(office: Office, wrong: int):
    licence = office.licence()
    found = office.alice.licence_of(licence)
    end = found.terms.not_after_ms + DAY
    with pytest.raises(Conflict):
        office.alice.call(
            "LicenceService.RenewLicence",
            licence_service_pb2.RenewLicenceRequest(licence=licence, version=wrong, not_after_ms=end),
        )


def test_an_approval_runs_out(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    approval = asked(office)
    office.alice.sign(approval)
    daemon.clock.passed += 4 * HOUR
    assert again(office.alice, approval).status == operator_pb2.APPROVAL_STATUS_EXPIRED
    with pytest.raises(IllegalTransition, match="past its time"):
        office.bob.sign(approval)
    assert not issued(office, approval)
    listed = approval_service_pb2.ListApprovalsRequest
    for status, count in ((operator_pb2.APPROVAL_STATUS_EXPIRED, 1), (PENDING, 0)):
        assert len(office.alice.call("ApprovalService.ListApprovals", listed(status=status)).approvals) == count


def test_a_licence_by_template_runs_from_its_issue_if_nothing_else_is_said(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    request = licence_service_pb2.IssueLicenceRequest(customer=office.alice.customer(), template="coastal-rescue")
    approval = office.alice.call(ISSUE, request).approval
    assert "365 days from its issue" in approval.summary
    office.alice.sign(approval)
    daemon.clock.passed += HOUR
    done = office.bob.sign(approval)
    terms = licence_service_pb2.IssueLicenceResponse.FromString(done.result).licence.terms
    assert terms.not_after_ms - terms.not_before_ms == 365 * DAY
    assert abs(terms.not_before_ms - daemon.clock.wall()) < MINUTE
    assert terms.licence in approval.summary


# ------------------------------------------------------------------------------------- asked again, answered the same


def test_the_same_question_gets_the_same_approval(office: Office):
    request = wanted(office)
    request.licence = ""
    request.request_id = new_id()
    first = office.alice.call(ISSUE, request).approval
    assert office.alice.call(ISSUE, request).approval == first
    request.customer = office.alice.customer()
    with pytest.raises(RequestIdReused):
        office.alice.call(ISSUE, request)


def test_the_same_question_gets_the_same_approval_when_it_was_executed_long_since(office: Office):
    licence = office.licence()
    found = office.alice.licence_of(licence)
    request = licence_service_pb2.RenewLicenceRequest(
        request_id=new_id(), licence=licence, version=1, not_after_ms=found.terms.not_after_ms + DAY
    )
    approval = office.alice.call("LicenceService.RenewLicence", request).approval
    office.alice.sign(approval)
    sign = approval_service_pb2.SignApprovalRequest(
        request_id=new_id(),
        approval=approval.approval,
        command=seal(Kind.OPERATOR_COMMAND, approval.command.payload, office.bob.signer),
    )
    executed = office.bob.call("ApprovalService.SignApproval", sign)
    assert executed.approval.status == EXECUTED
    assert office.bob.call("ApprovalService.SignApproval", sign) == executed
    assert office.alice.call("LicenceService.RenewLicence", request).approval == approval
    assert office.alice.licence_of(licence).version == 2


def test_a_question_that_is_wrong_is_still_refused(office: Office):
    request = licence_service_pb2.RenewLicenceRequest(licence="no-such-licence", version=1, not_after_ms=1)
    with pytest.raises(NotFound):
        office.alice.call("LicenceService.RenewLicence", request)


def test_clock_and_keys_take_the_same_road(office: Office):
    """Adding an operator waits; what it would admit cannot call before."""
    clerk = office.admit(fresh("clerk"), "viewer")
    assert list(clerk.status().caller_roles) == ["viewer"]
    request = key_service_pb2.AddOperatorRequest(
        operator=fresh("clerk"), roles=["no-such-role"], public_key=b"k" * 32, csr=b""
    )
    with pytest.raises(Invalid) as refused:
        office.alice.call("KeyService.AddOperator", request)
    assert refused.value.field == "roles"


def test_a_key_that_anybody_could_sign_with_is_admitted_for_nobody(office: Office):
    """A point of small order verifies what nobody has signed."""
    weak = bytes([1]) + bytes(31)
    request = key_service_pb2.AddOperatorRequest(
        operator=fresh("clerk"), roles=["operator"], public_key=weak, csr=make_request(make_private_key())
    )
    with pytest.raises(Invalid):
        office.alice.call("KeyService.AddOperator", request)
