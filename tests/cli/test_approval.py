"""Two persons: what the first one signs is what he sent, what the second one signs is what he saw."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from licd.cli.methods import path_of, request_type
from licd.core.errors import NotFound
from licd.core.time import DAY
from licd.keys.envelope import verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import Kind
from licd.keys.signer import verification_key_of
from licd.server.caller import Listener
from licd.server.methods import METHODS
from licd.v1 import approval_service_pb2 as approvals
from licd.v1 import deployment_service_pb2, key_service_pb2, operator_pb2
from licd.v1 import licence_service_pb2 as licences
from licd.v1.customer_service_pb2 import UnbanCustomerResponse
from licd.v1.session_pb2 import OperatorCommand
from tests.cli.conftest import NOW, Licctl
from tests.cli.samples import approval_of, constraints, licence

REINSTATE = ("licence", "reinstate", "acme-1", "--reason", "cleared", "--detail", "the report was wrong")


def wait_for_second(
    licctl: Licctl, name: str, response: type[Message], falsified: OperatorCommand | None = None
) -> None:
    """Scripts a method that makes an approval, and the first signature under it."""
    made: list[operator_pb2.Approval] = []

    def make(request: Message) -> Message:
        made.append(approval_of(request, falsified))
        return response(approval=made[0])

    def sign(request: approvals.SignApprovalRequest) -> Message:
        made[0].command.signatures.extend(request.command.signatures)
        made[0].signed_by.append("operator/anna")
        return approvals.SignApprovalResponse(approval=made[0])

    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    licctl.licd.on(name, make)
    licctl.licd.on("SignApproval", sign)


def offer(licctl: Licctl, request: Message, result: Message | None = None) -> operator_pb2.Approval:
    """Scripts an approval that another operator asked for; the next signature executes it."""
    waiting = approval_of(request)
    waiting.signed_by.append("operator/anna")
    after = operator_pb2.Approval()
    after.CopyFrom(waiting)
    after.status = operator_pb2.APPROVAL_STATUS_EXECUTED
    after.result = result.SerializeToString() if result else b""
    licctl.licd.on("GetApproval", approvals.GetApprovalResponse(approval=waiting))
    licctl.licd.on("SignApproval", approvals.SignApprovalResponse(approval=after))
    return waiting


def reinstatement() -> licences.ReinstateLicenceRequest:
    return licences.ReinstateLicenceRequest(
        request_id="r-1", licence="acme-1", epoch=3, reason_code="cleared", detail="the report was wrong"
    )


def signed_payload(licctl: Licctl, name: str) -> bytes:
    """The payload of the command that came, once it is known to be signed by this operator and nobody else."""
    sent = licctl.licd.asked(approvals.SignApprovalRequest).command
    key = verification_key_of(licctl.keys[name], not_before_ms=0, not_after_ms=NOW + DAY, owner=f"operator/{name}")
    verified = verify(sent, Kind.OPERATOR_COMMAND, Keyring([key]), NOW)
    assert [one.keyid for one in sent.signatures] == [key.key_id]
    return verified.payload


def test_the_requester_signs_the_bytes_of_what_was_sent(licctl: Licctl) -> None:
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    result = licctl(*REINSTATE)
    sent = licctl.licd.asked(licences.ReinstateLicenceRequest)
    command = OperatorCommand.FromString(signed_payload(licctl, "anna"))
    assert command.request == sent.SerializeToString()
    assert command.method == "/licd.v1.LicenceService/ReinstateLicence"
    assert sent.epoch == 3
    assert result.exit_code == 5


def test_says_who_must_sign_next(licctl: Licctl) -> None:
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    expected = "approval A-1 needs 1 more person: licctl approval show A-1; licctl approval sign A-1\n"
    assert licctl(*REINSTATE).stdout == expected


@pytest.mark.parametrize("form", ["table", "json"])
def test_says_beside_the_answer_that_nothing_is_done_yet(licctl: Licctl, form: str) -> None:
    """A script that looks at the exit code shows what is on standard error."""
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    result = licctl("--output", form, *REINSTATE)
    assert result.exit_code == 5
    assert result.stderr == "licctl: approval A-1 waits for 1 more person; until then nothing is done\n"


def test_where_policy_lets_one_person_it_is_done_at_once(licctl: Licctl) -> None:
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    response = licences.ReinstateLicenceResponse(licence=licence(epoch=4))
    done = operator_pb2.Approval(
        approval="A-1", status=operator_pb2.APPROVAL_STATUS_EXECUTED, result=response.SerializeToString()
    )
    licctl.licd.on("SignApproval", approvals.SignApprovalResponse(approval=done))
    assert "active, epoch 4" in licctl(*REINSTATE).stdout
    licctl.licd.on("ReinstateLicence", response)
    assert "active, epoch 4" in licctl(*REINSTATE).stdout


def test_gives_a_program_the_approval_that_waits(licctl: Licctl) -> None:
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    shown = licctl.json(*REINSTATE, exit_code=5)
    assert shown["approval"]["approval"] == "A-1"
    assert shown["approval"]["status"] == "PENDING"


@pytest.mark.parametrize(
    ("falsified", "why"),
    [
        ({"request": reinstatement().SerializeToString()}, "its request is not the one that was sent"),
        ({"method": "/licd.v1.LicenceService/TerminateLicence"}, "asked for was /licd.v1.LicenceService/Reinstate"),
        ({"requested_by": "operator/mallory"}, "its bytes say that 'operator/mallory' asked"),
        ({"approval": "A-2"}, "its bytes are those of approval 'A-2'"),
    ],
)
def test_refuses_to_sign_a_command_that_is_not_what_was_asked(
    licctl: Licctl, falsified: dict[str, Any], why: str
) -> None:
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse, OperatorCommand(**falsified))
    result = licctl(*REINSTATE)
    assert result.exit_code == 7
    assert why in result.stderr
    assert "nothing was signed" in result.stderr
    assert "SignApprovalRequest" not in licctl.licd.names()


def test_refuses_a_command_with_a_field_it_does_not_know(licctl: Licctl) -> None:
    def make(request: Message) -> Message:
        waiting = approval_of(request)
        waiting.command.payload += b"\xfa\x7f\x01x"  # field 2047, bytes
        return licences.ReinstateLicenceResponse(approval=waiting)

    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    licctl.licd.on("ReinstateLicence", make)
    result = licctl(*REINSTATE)
    assert result.exit_code == 7
    assert "approval A-1: UNKNOWN_FIELD: OperatorCommand: field 2047; nothing was signed" in result.stderr
    assert "SignApprovalRequest" not in licctl.licd.names()


def test_refuses_to_sign_another_kind_in_place_of_a_command(licctl: Licctl) -> None:
    def make(request: Message) -> Message:
        waiting = approval_of(request)
        waiting.command.payload_type = Kind.OVERLAY.payload_type
        return licences.ReinstateLicenceResponse(approval=waiting)

    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    licctl.licd.on("ReinstateLicence", make)
    result = licctl(*REINSTATE)
    assert (result.exit_code, "SignApprovalRequest" in licctl.licd.names()) == (7, False)


def test_an_approval_without_the_requesters_signature_is_said_to_wait_for_it(licctl: Licctl) -> None:
    wait_for_second(licctl, "ReinstateLicence", licences.ReinstateLicenceResponse)
    (licctl.folder / "operators/anna/signing.key").chmod(0o644)
    result = licctl(*REINSTATE)
    assert result.exit_code == 2
    assert "approval A-1 waits without your signature" in result.stderr
    assert result.stderr.endswith("licctl approval sign A-1\n")


def issue(licctl: Licctl) -> None:
    assert licctl("licence", "issue", "--customer", "acme", "--template", "moderate").exit_code == 5


def unban(licctl: Licctl) -> None:
    assert licctl("customer", "unban", "acme", "--reason", "r", "--detail", "d").exit_code == 5


def renew(licctl: Licctl) -> None:
    assert licctl("licence", "renew", "acme-1", "--not-after", "2027-01-01").exit_code == 5


def amend(licctl: Licctl) -> None:
    assert licctl("licence", "amend", "acme-1", "--cap", "3").exit_code == 5


def re_enrol(licctl: Licctl) -> None:
    assert licctl("deployment", "re-enrol", "site-1", "--detail", "disk was lost").exit_code == 5


@pytest.mark.parametrize(
    ("act", "method", "response"),
    [
        (issue, "IssueLicence", licences.IssueLicenceResponse),
        (unban, "UnbanCustomer", UnbanCustomerResponse),
        (renew, "RenewLicence", licences.RenewLicenceResponse),
        (amend, "AmendLicence", licences.AmendLicenceResponse),
        (re_enrol, "ReenrolDeployment", deployment_service_pb2.ReenrolDeploymentResponse),
    ],
)
def test_every_verb_that_widens_asks_a_second_person(
    licctl: Licctl, act: Callable[[Licctl], None], method: str, response: type[Message]
) -> None:
    wait_for_second(licctl, method, response)
    act(licctl)
    assert OperatorCommand.FromString(signed_payload(licctl, "anna")).method.endswith(f"/{method}")


def test_the_approver_sees_what_it_does_before_signing(licctl: Licctl) -> None:
    offer(licctl, reinstatement())
    result = licctl("approval", "sign", "A-1", name="bert", answer="n\n")
    assert result.exit_code == 1
    assert "method     /licd.v1.LicenceService/ReinstateLicence" in result.stdout
    assert "asked by   operator/anna, 2026-03-01T12:00:00Z, now" in result.stdout
    assert "expires    2026-03-02T12:00:00Z, in 1 d" in result.stdout
    assert "  epoch        3\n" in result.stdout
    assert "  detail       the report was wrong\n" in result.stdout
    assert "sign A-1 as bert? [y/N]" in result.stderr
    assert result.stderr.endswith("licctl: approval A-1: not signed\n")
    assert "SignApprovalRequest" not in licctl.licd.names()


def test_the_approver_signs_the_very_bytes_that_were_shown(licctl: Licctl) -> None:
    waiting = offer(licctl, reinstatement(), licences.ReinstateLicenceResponse(licence=licence(epoch=4)))
    result = licctl("approval", "sign", "A-1", name="bert", answer="y\n")
    assert result.exit_code == 0
    assert signed_payload(licctl, "bert") == waiting.command.payload
    assert "carried out:" in result.stdout
    assert "  status       active, epoch 4, version 7\n" in result.stdout


def test_yes_signs_without_a_question(licctl: Licctl) -> None:
    offer(licctl, reinstatement(), licences.ReinstateLicenceResponse(licence=licence()))
    shown = licctl.json("approval", "sign", "A-1", "--yes", name="bert")
    assert shown["status"] == "EXECUTED"
    assert shown["decoded"]["request"]["licence"] == "acme-1"
    assert shown["decoded"]["result"]["licence"] == "acme-1"


def test_no_answer_is_a_no(licctl: Licctl) -> None:
    offer(licctl, reinstatement())
    assert licctl("approval", "sign", "A-1", name="bert").exit_code == 1


def test_a_summary_that_says_another_method_than_the_bytes_is_refused(licctl: Licctl) -> None:
    waiting = offer(licctl, reinstatement())
    waiting.method = "/licd.v1.LicenceService/TerminateLicence"
    licctl.licd.on("GetApproval", approvals.GetApprovalResponse(approval=waiting))
    result = licctl("approval", "sign", "A-1", "--yes", name="bert")
    assert result.exit_code == 7
    assert "SignApprovalRequest" not in licctl.licd.names()


def test_an_amendment_is_shown_against_the_terms_in_force(licctl: Licctl) -> None:
    wider = constraints()
    wider[0].concurrent_targets.limit = 5
    draft = licences.TermsDraft(
        not_before_ms=NOW - DAY, not_after_ms=NOW + 30 * DAY, product="sample", category="moderate", constraints=wider
    )
    offer(licctl, licences.AmendLicenceRequest(licence="acme-1", version=6, terms=draft))
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    shown = licctl("approval", "show", "A-1", name="bert").stdout
    assert "  - at most 2 targets at one time, cooling seats included\n" in shown
    assert "  + at most 5 targets at one time, cooling seats included\n" in shown
    assert "the licence has changed since: version 7, this is for 6" in shown


def test_a_certificate_that_an_approval_yields_is_written_to_a_file(licctl: Licctl) -> None:
    admission = key_service_pb2.OperatorAdmission(
        operator=operator_pb2.Operator(operator="carl"), certificate_chain_pem="-----BEGIN CERTIFICATE-----\n"
    )
    request = key_service_pb2.AddOperatorRequest(operator="carl", roles=["approver"], public_key=b"\x07" * 32)
    offer(licctl, request, key_service_pb2.AddOperatorResponse(admission=admission))
    file = licctl.folder / "carl.pem"
    assert licctl("approval", "sign", "A-1", "--yes", "--save", str(file), name="bert").exit_code == 0
    assert file.read_text() == "-----BEGIN CERTIFICATE-----\n"


def test_an_approver_does_not_sign_a_method_this_licctl_does_not_know(licctl: Licctl) -> None:
    waiting = approval_of(reinstatement(), OperatorCommand(method="/licd.v1.LicenceService/DoAnything"))
    licctl.licd.on("GetApproval", approvals.GetApprovalResponse(approval=waiting))
    result = licctl("approval", "sign", "A-1", "--yes", name="bert")
    assert result.exit_code == 7
    assert "does not know the method '/licd.v1.LicenceService/DoAnything'; nothing was signed" in result.stderr


def test_an_approver_does_not_sign_a_request_with_a_field_this_licctl_does_not_know(licctl: Licctl) -> None:
    request = reinstatement().SerializeToString() + b"\xfa\x7f\x01x"  # field 2047, bytes
    licctl.licd.on(
        "GetApproval",
        approvals.GetApprovalResponse(approval=approval_of(reinstatement(), OperatorCommand(request=request))),
    )
    result = licctl("approval", "sign", "A-1", "--yes", name="bert")
    assert result.exit_code == 7
    assert "UNKNOWN_FIELD: ReinstateLicenceRequest: field 2047" in result.stderr


def test_an_approval_that_is_over_is_not_signed(licctl: Licctl) -> None:
    waiting = offer(licctl, reinstatement())
    waiting.status = operator_pb2.APPROVAL_STATUS_REJECTED
    waiting.rejection = "not enough comfort"
    licctl.licd.on("GetApproval", approvals.GetApprovalResponse(approval=waiting))
    result = licctl("approval", "sign", "A-1", "--yes", name="bert")
    assert result.exit_code == 4
    assert result.stderr == "licctl: approval A-1 is rejected: not enough comfort\n"


def test_rejects_an_approval_with_a_reason(licctl: Licctl) -> None:
    over = approval_of(reinstatement())
    over.status = operator_pb2.APPROVAL_STATUS_REJECTED
    licctl.licd.on("RejectApproval", approvals.RejectApprovalResponse(approval=over))
    assert "rejected" in licctl("approval", "reject", "A-1", "--detail", "no").stdout
    assert licctl.licd.asked(approvals.RejectApprovalRequest).detail == "no"


def test_lists_what_is_pending_unless_told_otherwise(licctl: Licctl) -> None:
    licctl.licd.on("ListApprovals", approvals.ListApprovalsResponse(approvals=[approval_of(reinstatement())]))
    shown = licctl("approval", "list").stdout.splitlines()
    assert shown[0].split() == [
        "APPROVAL",
        "STATUS",
        "METHOD",
        "SUBJECT",
        "ASKED",
        "BY",
        "SIGNED",
        "EXPIRES",
        "SUMMARY",
    ]
    assert shown[1].startswith("A-1       pending  ReinstateLicence  licence/acme-1  operator/anna  0 of 2")
    licctl("approval", "list", "--status", "any")
    statuses = [one.status for one in licctl.licd.requests if isinstance(one, approvals.ListApprovalsRequest)]
    assert statuses == [operator_pb2.APPROVAL_STATUS_PENDING, 0]


def test_an_approval_that_is_not_there_ends_with_three(licctl: Licctl) -> None:
    licctl.licd.on("GetApproval", NotFound("there is no approval A-9", field="approval"))
    result = licctl("approval", "show", "A-9")
    assert result.exit_code == 3
    assert result.stderr == "licctl: NOT_FOUND: approval: there is no approval A-9\n"


def test_licctl_knows_every_method_that_operators_are_served() -> None:
    served = [method for method in METHODS.values() if method.listener is Listener.OPERATOR]
    assert [method.path for method in served if request_type(method.path) is not method.request] == []
    assert [method.path for method in served if path_of(method.request()) != method.path] == []
