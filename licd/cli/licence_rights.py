"""licctl licence rights: what a licence comes to, and who narrowed it in what."""

import typer

from licd.cli.desk import Desk
from licd.cli.licence_grant import Named
from licd.cli.overlay_words import narrowing_words
from licd.cli.printing import Pairs
from licd.cli.terms_words import constraint_words
from licd.cli.times import when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.v1.overlay_pb2 import Rights
from licd.v1.overlay_service_pb2 import GetRightsRequest
from licd.v1.overlay_service_pb2_grpc import OverlayServiceStub

app = typer.Typer(add_completion=False)


@verb(app, "rights")
def rights(desk: Desk, licence: Named) -> None:
    """Show the effective right: the terms and every overlay about them, and which overlay narrows what."""
    found = desk.ask(OverlayServiceStub(desk.channel).GetRights, GetRightsRequest(licence=licence)).rights
    desk.printer.record(found, _pairs(found, desk.now))


def _pairs(found: Rights, now: Instant) -> Pairs:
    permits = [constraint_words(one) for one in found.constraints]
    narrowed = [narrowing_words(one, now) for one in found.narrowed] or ["by nobody"]
    return [
        ("licence", f"{found.licence}, epoch {found.epoch}"),
        ("now", found.denial.detail if found.HasField("denial") else "may be used"),
        ("valid from", when(found.not_before_ms, now)),
        ("valid until", when(found.not_after_ms, now)),
        *[("permits" if at == 0 else "", words) for at, words in enumerate(permits)],
        *[("narrowed" if at == 0 else "", words) for at, words in enumerate(narrowed)],
    ]
