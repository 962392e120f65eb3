"""licctl case: suspicion that is looked into."""

from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.options import All, PageSize, PageToken
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.core.case import CaseState, Determination
from licd.core.time import Instant
from licd.v1 import case_pb2
from licd.v1 import case_service_pb2 as pb
from licd.v1.case_service_pb2_grpc import CaseServiceStub

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Cases: opened on suspicion, worked off by steps, determined."
)

Named = Annotated[str, typer.Argument(metavar="CASE", help="As `case list` shows it.")]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="A step of the case.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, or what came of it; it is logged.")]

To = StrEnum("To", {each.name: each.value for each in CaseState})  # type: ignore[misc]  # made of another's members
Found = StrEnum("Found", {each.name: each.value for each in Determination})  # type: ignore[misc]


def _state(one: case_pb2.Case) -> str:
    return _word(case_pb2.CaseState.Name(one.state), "CASE_STATE_")


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", "-")


COLUMNS: Columns = (
    ("CASE", lambda one: one.case),
    ("CUSTOMER", lambda one: one.customer),
    ("LICENCE", lambda one: one.licence or "all"),
    ("STATE", _state),
    ("SINCE", lambda one: iso(one.state_since_ms)),
    ("CODE", lambda one: one.code),
    ("SUMMARY", lambda one: one.summary),
)


def _stub(desk: Desk) -> Any:
    return CaseServiceStub(desk.channel)


def _show(desk: Desk, found: case_pb2.Case) -> None:
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "open")
def open_(
    desk: Desk,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="CODE", help="Reason code; policies/ lists them.")],
    summary: Annotated[str, typer.Option("--summary", metavar="TEXT", help="What is suspected; it is logged.")],
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="About whom.")] = "",
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only about this one of his.")] = "",
    signal: Annotated[str, typer.Option(metavar="SIGNAL", help="For which signal; it says about whom.")] = "",
) -> None:
    """Open a case. Suspends nobody: `licence suspend` does."""
    request = pb.OpenCaseRequest(
        request_id=desk.request_id(), customer=customer, licence=licence, code=reason, summary=summary, signal=signal
    )
    _show(desk, desk.ask(_stub(desk).OpenCase, request).case)


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Only of this one.")] = "",
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over, too.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List cases, newest first."""
    request = pb.ListCasesRequest(customer=customer, ended=ended)
    page = Page(page_size, page_token, every)
    show_pages(desk, _stub(desk).ListCases, request, page, name="cases", columns=COLUMNS)


@verb(app, "show")
def show(desk: Desk, case: Named) -> None:
    """Show a case: its steps, and what stands in the way of a determination."""
    _show(desk, desk.ask(_stub(desk).GetCase, pb.GetCaseRequest(case=case)).case)


@verb(app, "move")
def move(
    desk: Desk,
    case: Named,
    to: Annotated[To, typer.Argument(help="The next state; what cannot be the next is refused with what can.")],
    *,
    note: Note,
) -> None:
    """Take a case on to its next state."""
    state = case_pb2.CaseState.Value(f"CASE_STATE_{to.name}")
    request = pb.MoveCaseRequest(request_id=desk.request_id(), case=case, state=state, note=note)
    _show(desk, desk.ask(_stub(desk).MoveCase, request).case)


@verb(app, "complete")
def complete(
    desk: Desk,
    case: Named,
    step: StepName,
    *,
    evidence: Annotated[Path, typer.Option(metavar="FILE", help="What shows it; its hash alone is sent.")],
    note: Note = "",
) -> None:
    """Say that a step is done."""
    hashed = sha256(read_input(evidence)).digest()
    request = pb.CompleteStepRequest(request_id=desk.request_id(), case=case, step=step, evidence=hashed, note=note)
    _show(desk, desk.ask(_stub(desk).CompleteStep, request).case)


@verb(app, "refuse")
def refuse(
    desk: Desk,
    case: Named,
    step: StepName,
    *,
    detail: Annotated[str, typer.Option("--detail", metavar="WHY", help="Why not; it is logged.")],
) -> None:
    """Say that a step will not be done, and why."""
    request = pb.RefuseStepRequest(request_id=desk.request_id(), case=case, step=step, reason=detail)
    _show(desk, desk.ask(_stub(desk).RefuseStep, request).case)


@verb(app, "determine")
def determine(
    desk: Desk,
    case: Named,
    found: Annotated[Found, typer.Argument(help="What was the case.")],
    *,
    detail: Annotated[str, typer.Option("--detail", metavar="WHY", help="The reasons; they are logged.")],
    remedy: Annotated[
        list[str] | None,
        typer.Option("--remedy", metavar="REMEDY:LICENCE", help="What follows, for which licence; may come again."),
    ] = None,
) -> None:
    """Determine a case, by several persons. What it does to licences is done with the last signature, once."""
    request = pb.DetermineCaseRequest(
        request_id=desk.request_id(),
        case=case,
        determination=case_pb2.Determination.Value(f"DETERMINATION_{found.name}"),
        reasons=detail,
        remedies=[_remedy(each) for each in remedy or []],
    )
    _show(desk, widen(desk, _stub(desk).DetermineCase, request).case)


def _remedy(text: str) -> case_pb2.CaseRemedy:
    name, colon, licence = text.partition(":")
    if not colon or not licence:
        raise Stopped(Exit.USAGE, f"--remedy {text}: want REMEDY:LICENCE, as in terminate:north-1")
    return case_pb2.CaseRemedy(remedy=name, licence=licence)


@verb(app, "reopen")
def reopen(
    desk: Desk,
    case: Named,
    *,
    detail: Annotated[str, typer.Option("--detail", metavar="WHY", help="Why again; it is logged.")],
) -> None:
    """Look into a case again that was closed or stopped: every step anew."""
    request = pb.ReopenCaseRequest(request_id=desk.request_id(), case=case, reason=detail)
    _show(desk, desk.ask(_stub(desk).ReopenCase, request).case)


def _pairs(one: case_pb2.Case, now: Instant) -> Pairs:
    steps = [_step_words(each) for each in one.steps]
    found = _word(case_pb2.Determination.Name(one.determination), "DETERMINATION_") if one.determination else ""
    remedies = [f"{each.remedy}: licence {each.licence}" for each in one.remedies]
    return [
        ("case", f"{one.case}, round {one.round}"),
        ("customer", one.customer),
        ("licence", one.licence or "all of them"),
        ("suspected", f"{one.code}: {one.summary}"),
        *([("signal", one.signal)] if one.signal else []),
        ("state", f"{_state(one)}, since {when(one.state_since_ms, now)}"),
        ("opened", f"by {one.opened_by}, {when(one.opened_at_ms, now)}; acknowledge by {iso(one.acknowledge_by_ms)}"),
        *[("steps" if at == 0 else "", words) for at, words in enumerate(steps)],
        *[("in the way" if at == 0 else "", words) for at, words in enumerate(one.obstacles)],
        *([("determined", f"{found}, {when(one.determined_at_ms, now)}: {one.reasons}")] if found else []),
        *[("remedies" if at == 0 else "", words) for at, words in enumerate(remedies)],
    ]


def _step_words(one: case_pb2.CaseStep) -> str:
    state = _word(case_pb2.CaseStepState.Name(one.state), "CASE_STEP_STATE_")
    must = "" if one.mandatory else " (optional)"
    shown = f" by {one.actor}, evidence {one.evidence.hex()[:16]}… {one.note}" if one.evidence else ""
    why = f" by {one.actor}: {one.note}" if one.actor and not one.evidence else ""
    return f"{one.step}{must}: {state}{shown}{why}"
