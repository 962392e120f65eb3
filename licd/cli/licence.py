"""licctl licence: look up and export; what changes something stands in licence_grant, licence_stop, licence_return."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli import licence_continuity, licence_grant, licence_return, licence_rights, licence_stop
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.licence_view import COLUMNS, licence_pairs
from licd.cli.options import All, PageSize, PageToken, new_file
from licd.cli.paging import Page, show_pages
from licd.cli.states import LicenceState, number_of
from licd.cli.terms_file import write_terms
from licd.cli.verb import verb
from licd.cli.yields import hand_out, yielded
from licd.v1 import licence_service_pb2 as pb
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub
from licd.v1.operator_pb2 import LicenceStatus

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Licences: what a customer may do, and until when.")


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Only of this one.")] = "",
    status: Annotated[LicenceState | None, typer.Option(help="Only these.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List licences."""
    request = pb.ListLicencesRequest(customer=customer, status=number_of(LicenceStatus, status))
    method = LicenceServiceStub(desk.channel).ListLicences
    show_pages(desk, method, request, Page(page_size, page_token, every), name="licences", columns=COLUMNS)


@verb(app, "get")
def get(
    desk: Desk,
    licence: licence_grant.Named,
    terms: Annotated[bool, typer.Option("--terms", help="Only its terms, as a file for amend and issue.")] = False,
) -> None:
    """Show one licence: its state, and what it permits."""
    found = licence_grant.ask_licence(desk, licence)
    if terms:
        desk.printer.text(write_terms(found.terms))
    else:
        desk.printer.record(found, licence_pairs(found, desk.now))


@verb(app, "export")
def export(
    desk: Desk,
    licence: licence_grant.Named,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", callback=new_file, help="Write it there; else it is printed."),
    ] = None,
) -> None:
    """Write the signed licence as an armoured file: anybody with the trust bundle can check it, without licd."""
    found = licence_grant.ask_licence(desk, licence)
    exported = yielded(found)
    if exported is None:
        raise Stopped(Exit.CONFLICT, f"licence: {licence} has no signed terms yet")
    if save is None:
        desk.printer.text(exported.text)
    hand_out(desk, found, save)


app.add_typer(licence_rights.app)
app.add_typer(licence_grant.app)
app.add_typer(licence_continuity.app)
app.add_typer(licence_stop.app)
app.add_typer(licence_return.app)
