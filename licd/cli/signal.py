"""licctl signal: what misuse rules have found."""

from typing import Annotated, Any

import typer

from licd.cli.desk import Desk
from licd.cli.options import All, PageSize, PageToken
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.times import iso, span, when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.v1 import signal_pb2
from licd.v1 import signal_service_pb2 as pb
from licd.v1.signal_service_pb2_grpc import SignalServiceStub

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Signals of misuse rules: seen by somebody, or getting old."
)

Named = Annotated[str, typer.Argument(metavar="SIGNAL", help="As `signal list` shows it.")]


def _facts(one: signal_pb2.Signal) -> str:
    return ", ".join(f"{each.name} = {each.value}" for each in one.facts)


COLUMNS: Columns = (
    ("SIGNAL", lambda one: one.signal),
    ("RULE", lambda one: one.rule),
    ("SUBJECT", lambda one: one.subject),
    ("CAME TO", lambda one: one.done),
    ("BECAUSE", _facts),
    ("RAISED", lambda one: iso(one.raised_at_ms)),
    ("ACKNOWLEDGE BY", lambda one: f"by {one.acknowledged_by}" if one.acknowledged_by else iso(one.due_at_ms)),
)


def _stub(desk: Desk) -> Any:
    return SignalServiceStub(desk.channel)


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only about this one, or a system of it.")] = "",
    rule: Annotated[str, typer.Option(metavar="RULE", help="Only of this rule.")] = "",
    acknowledged: Annotated[bool, typer.Option("--acknowledged", help="Those that somebody has seen, too.")] = False,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List signals that nobody has acknowledged, newest first."""
    request = pb.ListSignalsRequest(licence=licence, rule=rule, acknowledged=acknowledged)
    page = Page(page_size, page_token, every)
    show_pages(desk, _stub(desk).ListSignals, request, page, name="signals", columns=COLUMNS)


@verb(app, "show")
def show(desk: Desk, signal: Named) -> None:
    """Show a signal: the rule, what was counted from which entries, what came of it and the way back."""
    found = desk.ask(_stub(desk).GetSignal, pb.GetSignalRequest(signal=signal)).signal
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "acknowledge")
def acknowledge(
    desk: Desk,
    signal: Named,
    *,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What you make of it; it is logged.")],
) -> None:
    """Say that you have seen a signal, and what you make of it. Undoes nothing."""
    request = pb.AcknowledgeSignalRequest(request_id=desk.request_id(), signal=signal, note=note)
    found = desk.ask(_stub(desk).AcknowledgeSignal, request).signal
    desk.printer.record(found, _pairs(found, desk.now))


def _pairs(one: signal_pb2.Signal, now: Instant) -> Pairs:
    evidence = [f"entry {each.index}  leaf {each.leaf_hash.hex()}" for each in one.evidence]
    seen = f"by {one.acknowledged_by}, {when(one.acknowledged_at_ms, now)}: {one.note}"
    return [
        ("signal", one.signal),
        ("rule", f"{one.rule}: {one.description}"),
        ("condition", " ".join(one.condition.split())),
        ("policy", one.policy_version),
        (one.subject_kind, one.subject),
        *([("licence", one.licence)] if one.licence and one.licence != one.subject else []),
        ("counted", _facts(one)),
        ("window", f"{span(one.window_ms)} before {when(one.window_end_ms, now)}"),
        *[("evidence" if at == 0 else "", words) for at, words in enumerate(evidence)],
        ("log then", f"{one.log_size} entries"),
        ("came to", one.done + (f" ({one.suspension}, {one.code})" if one.suspension else "")),
        *([("case", one.case)] if one.case else []),
        *[("way back" if at == 0 else "", words) for at, words in enumerate(one.way_back)],
        ("raised", when(one.raised_at_ms, now)),
        ("acknowledged", seen if one.acknowledged_by else f"by nobody; due {when(one.due_at_ms, now)}"),
    ]
