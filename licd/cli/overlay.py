"""licctl overlay: what authorities permit."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.authority_key import read_authority_key
from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.options import All, Detail, PageSize, PageToken, Reason, Yes, new_file
from licd.cli.overlay_file import read_overlay
from licd.cli.overlay_words import OVERLAYS, overlay_pairs, overlay_terms_pairs
from licd.cli.paging import Page, show_pages
from licd.cli.token_file import read_token
from licd.cli.verb import verb
from licd.keys.armour import armour
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.keys.private_file import EVERYBODY, write_new
from licd.v1 import overlay_pb2
from licd.v1 import overlay_service_pb2 as pb
from licd.v1.overlay_service_pb2_grpc import OverlayServiceStub

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Overlays: what an authority permits of a customer's licences."
)

Named = Annotated[str, typer.Argument(metavar="OVERLAY", help="authority/reference, as `overlay list` shows it.")]


@verb(app, "sign")
def sign(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the authority says: TOML, see docs/overlays.md.")],
    *,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The authority's key, as `authority key` made it.")],
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", callback=new_file, help="Write it there; else print it.")
    ] = None,
) -> None:
    """Sign an overlay, on the authority's own machine, without licd."""
    said = read_overlay(file, desk.now)
    signer = read_authority_key(desk, key, "--key")
    token = armour(seal(Kind.OVERLAY, said.SerializeToString(deterministic=True), signer).SerializeToString())
    if save is None:
        desk.printer.text(token)
        return
    write_new(save, token.encode(), EVERYBODY)
    desk.printer.record(said, [*overlay_terms_pairs(said, desk.now), ("signed by", f"key {signer.key_id}")])


@verb(app, "lodge")
def lodge(
    desk: Desk, file: Annotated[Path, typer.Argument(metavar="FILE", help="As the authority signed it.")]
) -> None:
    """Bring licd what an authority has signed.

    What narrows takes effect at once. A revision that gives more than there was needs a second person.
    """
    token = read_token(file)
    if token.kind is not Kind.OVERLAY:
        raise Stopped(Exit.USAGE, f"{file}: this is a {token.kind}, not an overlay")
    request = pb.LodgeOverlayRequest(request_id=desk.request_id(), overlay=token.envelope)
    _show(desk, widen(desk, OverlayServiceStub(desk.channel).LodgeOverlay, request).overlay)


@verb(app, "withdraw")
def withdraw(desk: Desk, overlay: Named, reason: Reason, detail: Detail, yes: Yes = False) -> None:
    """End an overlay on its authority's word, at once, by one person. Shows it; --yes does it.

    What stands on it has no right any more, until the authority's next revision.
    """
    stub = OverlayServiceStub(desk.channel)
    if not yes:
        _show(desk, desk.ask(stub.GetOverlay, pb.GetOverlayRequest(overlay=overlay)).overlay)
        desk.printer.remark("nothing was done; add --yes to withdraw it")
        return
    request = pb.WithdrawOverlayRequest(
        request_id=desk.request_id(), overlay=overlay, reason_code=reason, detail=detail
    )
    _show(desk, desk.ask(stub.WithdrawOverlay, request).overlay)


@verb(app, "show")
def show(desk: Desk, overlay: Named) -> None:
    """Show one overlay: where it stands, and what its authority says."""
    request = pb.GetOverlayRequest(overlay=overlay)
    _show(desk, desk.ask(OverlayServiceStub(desk.channel).GetOverlay, request).overlay)


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Only about this one.")] = "",
    authority: Annotated[str, typer.Option(metavar="AUTHORITY", help="Only of this one.")] = "",
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List overlays."""
    request = pb.ListOverlaysRequest(customer=customer, authority=authority)
    method, page = OverlayServiceStub(desk.channel).ListOverlays, Page(page_size, page_token, every)
    show_pages(desk, method, request, page, name="overlays", columns=OVERLAYS)


def _show(desk: Desk, found: overlay_pb2.Overlay) -> None:
    desk.printer.record(found, overlay_pairs(found, desk.now))
