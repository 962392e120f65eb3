"""licctl approval."""

from typing import Annotated, Any

import typer
from google.protobuf.message import Message

from licd.cli.amendment import difference, draft_of
from licd.cli.command import ReadCommand, read_command, read_result
from licd.cli.consent import pending, sign
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.json_form import as_json, enum_word
from licd.cli.licence_grant import ask_licence
from licd.cli.methods import response_type
from licd.cli.options import All, Detail, PageSize, PageToken, Save
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.request_words import message_pairs
from licd.cli.result_words import result_pairs
from licd.cli.states import ApprovalState, number_of
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.cli.yields import hand_out
from licd.core.time import Instant
from licd.v1 import approval_service_pb2 as pb
from licd.v1.approval_service_pb2_grpc import ApprovalServiceStub
from licd.v1.licence_service_pb2 import AmendLicenceRequest
from licd.v1.operator_pb2 import APPROVAL_STATUS_EXECUTED, APPROVAL_STATUS_PENDING, Approval, ApprovalStatus

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What widens a right takes two persons.")

Named = Annotated[str, typer.Argument(metavar="APPROVAL", help="As `approval list` shows it.")]


def _status_of(approval: Approval) -> str:
    return enum_word(Approval.DESCRIPTOR.fields_by_name["status"], approval.status).lower()


COLUMNS: Columns = (
    ("APPROVAL", lambda one: one.approval),
    ("STATUS", _status_of),
    ("METHOD", lambda one: one.method.rpartition("/")[2]),
    ("SUBJECT", lambda one: one.subject),
    ("ASKED BY", lambda one: one.requested_by),
    ("SIGNED", lambda one: f"{len(set(one.signed_by))} of {one.needed}"),
    ("EXPIRES", lambda one: iso(one.expires_at_ms)),
    ("SUMMARY", lambda one: one.summary),
)


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    status: Annotated[ApprovalState, typer.Option(help="Only these.")] = ApprovalState.PENDING,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List approvals."""
    request = pb.ListApprovalsRequest(status=number_of(ApprovalStatus, status))
    method = ApprovalServiceStub(desk.channel).ListApprovals
    show_pages(desk, method, request, Page(page_size, page_token, every), name="approvals", columns=COLUMNS)


@verb(app, "show")
def show(desk: Desk, approval: Named, save: Save = None) -> None:
    """Show what an approval would do, from the very bytes that are signed; or what came of it."""
    found = _ask(desk, approval)
    read = read_command(found)
    if desk.printer.is_json:
        desk.printer.value(as_json(found) | {"decoded": _decoded(read, found)})
    else:
        _print_command(desk, found, read)
        _print_result(desk, found)
    hand_out(desk, _result(found), save)


@verb(app, "sign")
def sign_(
    desk: Desk,
    approval: Named,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without being asked.")] = False,
    save: Save = None,
) -> None:
    """Show what an approval does, ask, and sign it. It is carried out when enough persons have signed."""
    found = _ask(desk, approval)
    read = read_command(found)
    if found.status != APPROVAL_STATUS_PENDING:
        raise pending(desk, found)
    if not desk.printer.is_json:
        _print_command(desk, found, read)
    if not yes and not desk.confirm(f"sign {approval} as {desk.settings.operator}?"):
        raise Stopped(Exit.REFUSED, f"approval {approval}: not signed")
    after = sign(desk, read)
    if after.status != APPROVAL_STATUS_EXECUTED:
        raise pending(desk, after)
    if desk.printer.is_json:
        desk.printer.value(as_json(after) | {"decoded": _decoded(read, after)})
    else:
        _print_result(desk, after)
    hand_out(desk, _result(after), save)


@verb(app, "reject")
def reject(desk: Desk, approval: Named, detail: Detail) -> None:
    """Reject an approval: nobody can sign it any more."""
    request = pb.RejectApprovalRequest(request_id=desk.request_id(), approval=approval, detail=detail)
    after = desk.ask(ApprovalServiceStub(desk.channel).RejectApproval, request).approval
    desk.printer.record(after, [("approval", after.approval), ("status", _status_of(after))])


def _ask(desk: Desk, approval: str) -> Approval:
    request = pb.GetApprovalRequest(approval=approval)
    found = desk.ask(ApprovalServiceStub(desk.channel).GetApproval, request).approval
    if found.approval != approval:
        raise Stopped(Exit.UNVERIFIED, f"approval {approval}: licd answered with {found.approval!r}")
    return found


def _print_command(desk: Desk, approval: Approval, read: ReadCommand) -> None:
    desk.printer.pairs(_command_pairs(approval, read, desk.now))
    desk.printer.pairs([(f"  {name}", value) for name, value in message_pairs(read.request, desk.now)])
    if isinstance(read.request, AmendLicenceRequest) and approval.status == APPROVAL_STATUS_PENDING:
        _print_difference(desk, read.request)


def _command_pairs(approval: Approval, read: ReadCommand, now: Instant) -> Pairs:
    command = read.command
    return [
        ("approval", approval.approval),
        ("status", _status_of(approval) + (f": {approval.rejection}" if approval.rejection else "")),
        ("asked by", f"{command.requested_by}, {when(command.requested_at_ms, now)}"),
        ("expires", when(command.expires_at_ms, now)),
        ("signed by", f"{', '.join(approval.signed_by) or 'nobody yet'} ({approval.needed} needed)"),
        ("issuer", command.issuer),
        ("changes", f"{command.subject}, version {command.subject_version}"),
        ("licd says", command.summary),
        ("method", command.method),
    ]


def _print_difference(desk: Desk, request: AmendLicenceRequest) -> None:
    held = ask_licence(desk, request.licence)
    desk.printer.line("against the terms in force:")
    for line in difference(draft_of(held.terms), request.terms) or ["nothing changes"]:
        desk.printer.line(f"  {line}")
    if held.version != request.version:
        desk.printer.line(f"  the licence has changed since: version {held.version}, this is for {request.version}")


def _result(approval: Approval) -> Message | None:
    """What carrying it out gave: the member of the response's outcome that is set."""
    kind = response_type(approval.method or read_command(approval).command.method)
    if approval.status != APPROVAL_STATUS_EXECUTED or kind is None:
        return None
    response = read_result(approval, kind)
    set_one = response.WhichOneof("outcome") if "outcome" in response.DESCRIPTOR.oneofs_by_name else None
    found = getattr(response, set_one) if set_one else None
    return found if isinstance(found, Message) else response


def _print_result(desk: Desk, approval: Approval) -> None:
    result = _result(approval)
    if result is None:
        return
    desk.printer.line("carried out:")
    desk.printer.pairs([(f"  {name}", value) for name, value in result_pairs(result, desk.now)])


def _decoded(read: ReadCommand, approval: Approval) -> dict[str, Any]:
    result = _result(approval)
    return {
        "method": read.command.method,
        "request": as_json(read.request),
        "requested_by": read.command.requested_by,
        "expires_at_ms": read.command.expires_at_ms,
        "subject": read.command.subject,
        "subject_version": read.command.subject_version,
        "summary": read.command.summary,
        "result": as_json(result) if result else None,
    }
