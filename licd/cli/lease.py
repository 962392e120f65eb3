"""licctl lease."""

from typing import Annotated

import typer

from licd.cli.desk import Desk
from licd.cli.json_form import enum_word
from licd.cli.options import All, Detail, PageSize, PageToken, Reason
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.states import LeaseState, number_of
from licd.cli.terms_words import basis_words
from licd.cli.times import iso, parse_duration, when
from licd.cli.verb import verb
from licd.core.time import Instant, Millis
from licd.v1 import lease_service_pb2 as pb
from licd.v1 import operator_pb2
from licd.v1.lease_service_pb2_grpc import LeaseServiceStub

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Leases: one system, one target, until a hard end.")

_SHOWN_TARGET = 12


def _state_of(lease: operator_pb2.Lease) -> str:
    return enum_word(operator_pb2.Lease.DESCRIPTOR.fields_by_name["state"], lease.state).lower()


COLUMNS: Columns = (
    ("LEASE", lambda one: str(one.lease)),
    ("LICENCE", lambda one: one.licence),
    ("DEPLOYMENT", lambda one: one.deployment),
    ("TARGET", lambda one: one.target.hex()[:_SHOWN_TARGET] + "…"),
    ("STATE", _state_of),
    ("REGION", lambda one: one.region),
    ("PURPOSE", lambda one: one.purpose),
    ("GRANTED", lambda one: iso(one.granted_at_ms)),
    ("HARD END", lambda one: iso(one.hard_end_ms)),
    ("FREE AT", lambda one: iso(one.free_at_ms)),
)


def _pairs(lease: operator_pb2.Lease, now: Instant) -> Pairs:
    return [
        ("lease", str(lease.lease)),
        ("state", _state_of(lease)),
        ("licence", lease.licence),
        ("deployment", lease.deployment),
        ("target", lease.target.hex()),
        ("region", f"{lease.region}, by {basis_words([lease.basis])}"),
        ("purpose", f"{lease.purpose}{', offence ' + lease.offence if lease.offence else ''}"),
        ("granted", when(lease.granted_at_ms, now)),
        ("hard end", when(lease.hard_end_ms, now)),
        ("ended", f"{when(lease.ended_at_ms, now)} {lease.end_reason}".rstrip()),
        ("seat free", when(lease.free_at_ms, now)),
    ]


def _lease_id(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 1 << 64:
        raise typer.BadParameter(f"{text!r} is no lease id: a decimal number, as `lease list` shows it")
    return int(text)


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Only under this one.")] = "",
    deployment: Annotated[str, typer.Option(metavar="DEPLOYMENT", help="Only of this one.")] = "",
    status: Annotated[LeaseState | None, typer.Option(help="Only these.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List leases. A target is a pseudonym: licd never sees the identifier behind it."""
    request = pb.ListLeasesRequest(
        licence=licence, deployment=deployment, state=number_of(operator_pb2.LeaseState, status)
    )
    method = LeaseServiceStub(desk.channel).ListLeases
    show_pages(desk, method, request, Page(page_size, page_token, every), name="leases", columns=COLUMNS)


@verb(app, "force-release")
def force_release(
    desk: Desk,
    lease: Annotated[int, typer.Argument(parser=_lease_id, metavar="LEASE", help="Its id, decimal.")],
    reason: Reason,
    detail: Detail,
    cool_down: Annotated[
        Millis | None,
        typer.Option(
            parser=parse_duration, metavar="SPAN", help="How long its target stays away; else as policy says."
        ),
    ] = None,
) -> None:
    """End one lease now, and keep its target from coming straight back."""
    request = pb.ForceReleaseLeaseRequest(
        request_id=desk.request_id(), lease=lease, reason_code=reason, detail=detail, cool_down_ms=cool_down or 0
    )
    found = desk.ask(LeaseServiceStub(desk.channel).ForceReleaseLease, request).lease
    desk.printer.record(found, _pairs(found, desk.now))
