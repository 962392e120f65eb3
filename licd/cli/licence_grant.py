"""licctl licence issue, amend, renew: what gives rights, or changes them."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.amendment import Changes, amended, difference, draft_of
from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.licence_view import licence_pairs
from licd.cli.options import INT, NotAfter, NotBefore, Save
from licd.cli.terms_file import read_terms
from licd.cli.times import parse_duration, parse_instant
from licd.cli.verb import verb
from licd.cli.yields import hand_out
from licd.core.time import Instant, Millis
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub
from licd.v1.operator_pb2 import Licence

app = typer.Typer(add_completion=False)

Named = Annotated[str, typer.Argument(metavar="LICENCE", help="Id of the licence.")]
"""The licence a command is about."""

TermsFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="All terms, as `licence get LICENCE --terms` writes them.")
]


def ask_licence(desk: Desk, licence: str) -> Licence:
    """The licence as it is now."""
    return desk.ask(LicenceServiceStub(desk.channel).GetLicence, pb.GetLicenceRequest(licence=licence)).licence


@verb(app, "issue")
def issue(
    desk: Desk,
    *,
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Who gets it.")],
    template: Annotated[str, typer.Option(metavar="NAME", help="A template of the policy in force.")] = "",
    terms: TermsFile = None,
    licence: Annotated[str, typer.Option(metavar="LICENCE", help="Its id; licd makes one if there is none.")] = "",
    not_before: NotBefore = None,
    save: Save = None,
) -> None:
    """Issue a licence from a template, or with terms from a file. Needs a second person."""
    if bool(template) is (terms is not None):
        raise Stopped(Exit.USAGE, "--template, --terms: give exactly one of the two")
    request = pb.IssueLicenceRequest(
        request_id=desk.request_id(),
        customer=customer,
        licence=licence,
        terms=read_terms(terms) if terms else None,
        not_before_ms=not_before or 0,
    )
    if template:
        request.template = template
    made = widen(desk, LicenceServiceStub(desk.channel).IssueLicence, request).licence
    _show(desk, made, save)


@verb(app, "amend")
def amend(
    desk: Desk,
    licence: Named,
    *,
    terms: TermsFile = None,
    cap: Annotated[int | None, typer.Option(min=0, max=INT, metavar="N", help="Targets at one time.")] = None,
    regions: Annotated[
        str | None, typer.Option(metavar="A,B", help="Target regions, all of them; their bases stay.")
    ] = None,
    deployments: Annotated[int | None, typer.Option(min=0, max=INT, metavar="N", help="Systems at one time.")] = None,
    permit_length: Annotated[
        Millis | None, typer.Option(parser=parse_duration, metavar="SPAN", help="L, as 20s.")
    ] = None,
    grace: Annotated[
        Millis | None, typer.Option(parser=parse_duration, metavar="SPAN", help="G, as 60s; 0s for none.")
    ] = None,
    not_before: NotBefore = None,
    not_after: NotAfter = None,
    reason: Annotated[str, typer.Option(metavar="CODE", help="Reason code, where policy asks for one.")] = "",
    detail: Annotated[str, typer.Option(metavar="TEXT", help="Why, in words; it is logged.")] = "",
    save: Save = None,
) -> None:
    """Change the terms. What narrows takes effect at once; what widens anything needs a second person."""
    chosen = regions.split(",") if regions else ([] if regions == "" else None)
    changes = Changes(cap, chosen, deployments, permit_length, grace, not_before, not_after)
    if changes.none is (terms is None):
        raise Stopped(Exit.USAGE, "say what shall change: --terms FILE, or one of --cap, --regions, --not-after …")
    held = ask_licence(desk, licence)
    draft = read_terms(terms) if terms else amended(held.terms, changes)
    lines = difference(draft_of(held.terms), draft)
    if not lines:
        raise Stopped(Exit.USAGE, f"{licence} has these terms already: nothing to change")
    if not desk.printer.is_json:
        for line in lines:
            desk.printer.line(line)
    request = pb.AmendLicenceRequest(
        request_id=desk.request_id(),
        licence=licence,
        version=held.version,
        terms=draft,
        reason_code=reason,
        detail=detail,
    )
    _show(desk, widen(desk, LicenceServiceStub(desk.channel).AmendLicence, request).licence, save)


@verb(app, "renew")
def renew(
    desk: Desk,
    licence: Named,
    not_after: Annotated[
        Instant, typer.Option(parser=parse_instant, metavar="INSTANT", help="The new end, exclusive.")
    ],
    save: Save = None,
) -> None:
    """Give a licence a longer term under the same terms. The whole issue gate runs again; needs a second person."""
    request = pb.RenewLicenceRequest(
        request_id=desk.request_id(),
        licence=licence,
        version=ask_licence(desk, licence).version,
        not_after_ms=not_after,
    )
    _show(desk, widen(desk, LicenceServiceStub(desk.channel).RenewLicence, request).licence, save)


@verb(app, "drill")
def drill(desk: Desk, licence: Named) -> None:
    """Send an order that takes nothing back: each system acknowledges it, which proves the road of a suspension."""
    request = pb.DrillLicenceRequest(request_id=desk.request_id(), licence=licence)
    made = desk.ask(LicenceServiceStub(desk.channel).DrillLicence, request).licence
    desk.printer.record(made, licence_pairs(made, desk.now, counted=False))
    if not desk.printer.is_json:
        desk.printer.line(f"who has acknowledged epoch {made.epoch}: licctl deployment get DEPLOYMENT")


def _show(desk: Desk, licence: Licence, save: Path | None) -> None:
    desk.printer.record(licence, licence_pairs(licence, desk.now))
    hand_out(desk, licence, save)
