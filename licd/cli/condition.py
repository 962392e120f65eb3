"""licctl condition: what customers owe for their licences."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.diligence_file import evidence_of
from licd.cli.failure import Exit, Stopped
from licd.cli.json_form import enum_word
from licd.cli.options import All, Detail, PageSize, PageToken
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.times import iso, parse_instant, when
from licd.cli.token_file import read_token
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.keys.kinds import Kind
from licd.v1 import condition_service_pb2 as pb
from licd.v1.condition_pb2 import Condition
from licd.v1.condition_service_pb2_grpc import ConditionServiceStub

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Conditions: what is owed for a licence, and what follows."
)

Named = Annotated[str, typer.Argument(metavar="CONDITION", help="licence/name, as `condition list` shows it.")]


def state_of(condition: Condition) -> str:
    """`pending`, `met`, `overdue`."""
    return enum_word(Condition.DESCRIPTOR.fields_by_name["state"], condition.state).lower()


COLUMNS: Columns = (
    ("CONDITION", lambda one: one.condition),
    ("STATE", state_of),
    ("PERIOD", lambda one: str(one.period)),
    ("DUE", lambda one: iso(one.due_at_ms) if one.due_at_ms else "-"),
    ("NEXT", lambda one: f"{one.next_consequence} {iso(one.next_at_ms)}" if one.next_consequence else "-"),
    ("CONTACT", lambda one: one.contact or "-"),
)


def _pairs(found: Condition, now: Instant) -> Pairs:
    pairs = [
        ("condition", f"{found.condition}, period {found.period}"),
        ("owed", found.description or "policy no longer knows it"),
        ("state", state_of(found)),
        ("due", when(found.due_at_ms, now) if found.due_at_ms else "when somebody says so"),
        ("met by", f"what {found.contact or 'a contact (nobody is named)'} signs" if found.certified else "evidence"),
    ]
    if found.met_at_ms:
        shown = f", SHA-256 {found.evidence_sha256.hex()}" if found.evidence_sha256 else ""
        pairs.append(("last met", f"{when(found.met_at_ms, now)}, by {found.met_by}{shown}"))
    if found.reminded_at_ms:
        pairs.append(("reminded", when(found.reminded_at_ms, now)))
    if found.tightened_steps:
        pairs.append(("tightened", f"{found.tightened_steps} times: licctl licence rights {found.licence}"))
    if found.suspended_at_ms:
        pairs.append(("suspended", f"{when(found.suspended_at_ms, now)}; reinstated by persons, once it is met"))
    if found.next_consequence:
        pairs.append(("next", f"{found.next_consequence}, {when(found.next_at_ms, now)}"))
    return pairs


def _show(desk: Desk, found: Condition) -> None:
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Only of this one.")] = "",
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only for this one.")] = "",
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List what is owed."""
    request = pb.ListConditionsRequest(customer=customer, licence=licence, overdue=overdue)
    method, page = ConditionServiceStub(desk.channel).ListConditions, Page(page_size, page_token, every)
    show_pages(desk, method, request, page, name="conditions", columns=COLUMNS)


@verb(app, "show")
def show(desk: Desk, condition: Named) -> None:
    """Show one: when it is due, who must sign, what was done and what comes next."""
    request = pb.GetConditionRequest(condition=condition)
    _show(desk, desk.ask(ConditionServiceStub(desk.channel).GetCondition, request).condition)


@verb(app, "add")
def add(
    desk: Desk,
    licence: Annotated[str, typer.Argument(metavar="LICENCE", help="For which it is owed.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="An obligation of policies/suspension.toml.")],
    *,
    due: Annotated[
        Instant | None,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="When; else as it is, or by its calendar."),
    ] = None,
    contact: Annotated[str, typer.Option(metavar="CONTACT", help="customer/C/contact/P, who must sign.")] = "",
) -> None:
    """Oblige to one thing more, have one due sooner, or name who must sign for it.

    Another one in his place needs a second person.
    """
    request = pb.AddConditionRequest(
        request_id=desk.request_id(), licence=licence, name=name, due_at_ms=due or 0, contact=contact
    )
    _show(desk, widen(desk, ConditionServiceStub(desk.channel).AddCondition, request).condition)


@verb(app, "meet")
def meet(
    desk: Desk,
    condition: Named,
    *,
    evidence: Annotated[Path, typer.Option(metavar="FILE", help="What shows it; only its hash is sent.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="Beside it; it is logged.")] = "",
) -> None:
    """Record that it was met. Where something was tightened for it, needs a second person."""
    stub = ConditionServiceStub(desk.channel)
    found = desk.ask(stub.GetCondition, pb.GetConditionRequest(condition=condition)).condition
    request = pb.MeetConditionRequest(
        request_id=desk.request_id(),
        condition=condition,
        period=found.period,
        evidence_sha256=evidence_of(condition, evidence, "").sha256,
        note=note,
    )
    _show(desk, widen(desk, stub.MeetCondition, request).condition)


@verb(app, "certify")
def certify(
    desk: Desk, file: Annotated[Path, typer.Argument(metavar="FILE", help="As the contact signed it.")]
) -> None:
    """Bring licd what a contact has signed with `licd-contact certify`."""
    token = read_token(file)
    if token.kind is not Kind.CERTIFICATION:
        raise Stopped(Exit.USAGE, f"{file}: this is a {token.kind}, not a certification")
    request = pb.LodgeCertificationRequest(request_id=desk.request_id(), certification=token.envelope)
    _show(desk, desk.ask(ConditionServiceStub(desk.channel).LodgeCertification, request).condition)


@verb(app, "waive")
def waive(desk: Desk, condition: Named, detail: Detail) -> None:
    """Let it not be owed this time, for a reason. Needs a second person."""
    stub = ConditionServiceStub(desk.channel)
    found = desk.ask(stub.GetCondition, pb.GetConditionRequest(condition=condition)).condition
    request = pb.WaiveConditionRequest(
        request_id=desk.request_id(), condition=condition, period=found.period, detail=detail
    )
    _show(desk, widen(desk, stub.WaiveCondition, request).condition)
