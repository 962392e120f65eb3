"""What widens a right takes two persons. The first one asks, checks what licd made of the request, and signs it."""

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from licd.cli.command import ReadCommand, read_result, refuse_other_request, signed
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped, explain
from licd.cli.json_form import as_json, enum_word
from licd.v1.approval_service_pb2 import SignApprovalRequest
from licd.v1.approval_service_pb2_grpc import ApprovalServiceStub
from licd.v1.operator_pb2 import APPROVAL_STATUS_EXECUTED, APPROVAL_STATUS_PENDING, Approval

if TYPE_CHECKING:
    import grpc

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)


def widen(desk: Desk, method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q) -> R:
    """Asks for what may need a second person; the answer, once there is nobody left to ask.

    Raises Stopped(PENDING) after it has said who must sign next; Stopped(UNVERIFIED) when licd made another request of
    it than was sent.
    """
    response = desk.ask(method, request)
    approval = getattr(response, str(response.WhichOneof("outcome")), None)
    if not isinstance(approval, Approval):
        return response
    found = refuse_other_request(approval, request, f"operator/{desk.settings.operator}")
    try:
        after = sign(desk, found)
    except Exception as error:
        raise _unsigned(approval, error) from error
    if after.status != APPROVAL_STATUS_EXECUTED:
        raise pending(desk, after)
    return read_result(after, type(response))


def sign(desk: Desk, found: ReadCommand) -> Approval:
    """Adds this operator's signature over the very bytes that were read; the approval as it is then."""
    request = SignApprovalRequest(
        request_id=desk.request_id(), approval=found.command.approval, command=signed(found, desk.signer)
    )
    return desk.ask(ApprovalServiceStub(desk.channel).SignApproval, request).approval


def pending(desk: Desk, approval: Approval) -> Stopped:
    """Says who must sign next; gives what ends the command."""
    name, missing = approval.approval, max(1, approval.needed - len(set(approval.signed_by)))
    if approval.status != APPROVAL_STATUS_PENDING:
        status = enum_word(Approval.DESCRIPTOR.fields_by_name["status"], approval.status).lower()
        return Stopped(
            Exit.CONFLICT, f"approval {name} is {status}" + (approval.rejection and f": {approval.rejection}")
        )
    persons = "1 more person" if missing == 1 else f"{missing} more persons"
    if desk.printer.is_json:
        desk.printer.value({"approval": as_json(approval)})
    else:
        desk.printer.line(f"approval {name} needs {persons}: licctl approval show {name}; licctl approval sign {name}")
    return Stopped(Exit.PENDING, f"approval {name} waits for {persons}; until then nothing is done")


def _unsigned(approval: Approval, error: Exception) -> Exception:
    foreseen = explain(error)
    if foreseen is None:
        return error
    name = approval.approval
    why = f"waits without your signature ({foreseen[1]})"
    return Stopped(foreseen[0], f"approval {name} {why}: licctl approval sign {name}")
