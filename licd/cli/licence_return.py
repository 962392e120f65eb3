"""licctl licence checklist, meet, reinstate."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.diligence_file import evidence_of
from licd.cli.licence_grant import Named, ask_licence
from licd.cli.licence_view import licence_pairs
from licd.cli.options import LONGEST, Detail, Reason
from licd.cli.printing import Pairs
from licd.cli.times import when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub

app = typer.Typer(add_completion=False)


def _checklist(desk: Desk, licence: str) -> pb.Reinstatement:
    stub = LicenceServiceStub(desk.channel)
    return desk.ask(stub.GetReinstatement, pb.GetReinstatementRequest(licence=licence)).reinstatement


def _pairs(found: pb.Reinstatement, now: Instant) -> Pairs:
    over = found.waits_until_ms <= now
    return [
        ("licence", f"{found.licence}, suspended at epoch {found.epoch} for {found.suspension_code}"),
        ("not before", f"{when(found.waits_until_ms, now)}{', which is over' if over else ''}"),
        ("persons", f"{found.persons}, the one who asks included"),
        *((each.item, _stands(each, now)) for each in found.items),
        (
            "a mistake",
            f"takes the persons alone: --reason {' or '.join(found.mistaken_codes) or '(policy knows none)'}",
        ),
    ]


def _stands(item: pb.ReinstatementItem, now: Instant) -> str:
    if not item.met_at_ms:
        return f"NOT DONE: {item.description}"
    note = f", {item.note}" if item.note else ""
    return f"done {when(item.met_at_ms, now)} by {item.met_by}, SHA-256 {item.evidence_sha256.hex()[:16]}…{note}"


@verb(app, "checklist")
def checklist(desk: Desk, licence: Named) -> None:
    """Show what lifting its suspension takes, and what of it is done."""
    found = _checklist(desk, licence)
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "meet")
def meet(
    desk: Desk,
    licence: Named,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="As `licence checklist` shows it.")],
    *,
    evidence: Annotated[Path, typer.Option(metavar="FILE", help="What shows it; only its hash is sent.")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="Beside it; it is logged.")] = "",
) -> None:
    """Record that an item of the checklist is done. It lifts nothing by itself."""
    request = pb.MeetReinstatementItemRequest(
        request_id=desk.request_id(),
        licence=licence,
        epoch=ask_licence(desk, licence).epoch,
        item=item,
        evidence_sha256=evidence_of(item, evidence, "").sha256,
        note=note,
    )
    found = desk.ask(LicenceServiceStub(desk.channel).MeetReinstatementItem, request).item
    desk.printer.record(found, [(found.item, _stands(found, desk.now))])


@verb(app, "reinstate")
def reinstate(
    desk: Desk,
    licence: Named,
    *,
    reason: Reason,
    detail: Detail,
    epoch: Annotated[
        int | None,
        typer.Option(min=0, max=LONGEST, metavar="N", help="Of the suspension it lifts; else the newest."),
    ] = None,
) -> None:
    """Lift a suspension. Needs a second person."""
    request = pb.ReinstateLicenceRequest(
        request_id=desk.request_id(),
        licence=licence,
        epoch=ask_licence(desk, licence).epoch if epoch is None else epoch,
        reason_code=reason,
        detail=detail,
    )
    found = widen(desk, LicenceServiceStub(desk.channel).ReinstateLicence, request).licence
    desk.printer.record(found, licence_pairs(found, desk.now))
