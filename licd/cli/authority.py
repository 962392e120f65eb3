"""licctl authority: who may narrow rights from outside."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.operator_request import new_passphrase
from licd.cli.options import All, Detail, PageSize, PageToken
from licd.cli.overlay_words import AUTHORITIES, authority_pairs
from licd.cli.paging import Page, show_pages
from licd.cli.verb import verb
from licd.keys.file_signer import create_key_file
from licd.keys.kinds import KeyPurpose
from licd.v1 import overlay_pb2
from licd.v1 import overlay_service_pb2 as pb
from licd.v1.overlay_service_pb2_grpc import OverlayServiceStub

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Authorities that may narrow rights, each with a key of its own."
)

Named = Annotated[str, typer.Argument(metavar="AUTHORITY", help="3 to 40 lower-case letters, digits and hyphens.")]


class Ground(StrEnum):
    """On what ground it may."""

    EXPORT = "export"
    DOMESTIC = "domestic"


_KINDS = {
    Ground.EXPORT: overlay_pb2.AUTHORITY_KIND_EXPORT,
    Ground.DOMESTIC: overlay_pb2.AUTHORITY_KIND_DOMESTIC,
}


@verb(app, "key")
def key(
    desk: Desk,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key shall live: a new file.")],
    *,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave it unprotected: for development.")
    ] = False,
) -> None:
    """Make an authority's key, on the authority's own machine. It never leaves it; the public half is printed."""
    passphrase = None if no_passphrase else new_passphrase(desk, file)
    made = create_key_file(file, KeyPurpose.OVERSEER, passphrase=passphrase, randomness=desk.surroundings.randomness)
    if desk.printer.is_json:
        desk.printer.value({"key_id": made.key_id, "public_key": made.public_key.hex()})
        return
    desk.printer.pairs([("key", made.key_id), ("public key", made.public_key.hex())])


@verb(app, "register")
def register(
    desk: Desk,
    authority: Named,
    *,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What it is called.")],
    kind: Annotated[Ground, typer.Option(help="It licenses the export, or authorises the use in its own country.")],
    jurisdiction: Annotated[str, typer.Option(metavar="CC", help="Two letters of ISO 3166-1.")],
    public_key: Annotated[str, typer.Option(metavar="HEX", help="As `authority key` printed it.")],
) -> None:
    """Let an authority narrow rights, or give it another key. Needs a second person.

    Have its key id told by another road than the key came.
    """
    try:
        raw = bytes.fromhex(public_key)
    except ValueError as error:
        raise Stopped(Exit.USAGE, "--public-key: must be hex") from error
    request = pb.RegisterAuthorityRequest(
        request_id=desk.request_id(),
        authority=authority,
        name=name,
        kind=_KINDS[kind],
        jurisdiction=jurisdiction,
        public_key=raw,
    )
    made = widen(desk, OverlayServiceStub(desk.channel).RegisterAuthority, request).authority
    desk.printer.record(made, authority_pairs(made, desk.now))


@verb(app, "withdraw")
def withdraw(desk: Desk, authority: Named, detail: Detail) -> None:
    """Take an authority's say back, and all that it permitted, at once. Needs a second person.

    A single overlay is withdrawn by one: `overlay withdraw`.
    """
    request = pb.WithdrawAuthorityRequest(request_id=desk.request_id(), authority=authority, detail=detail)
    done = widen(desk, OverlayServiceStub(desk.channel).WithdrawAuthority, request).authority
    desk.printer.record(done, authority_pairs(done, desk.now))


@verb(app, "list")
def list_(desk: Desk, page_size: PageSize = 50, page_token: PageToken = "", every: All = False) -> None:
    """List authorities."""
    method, page = OverlayServiceStub(desk.channel).ListAuthorities, Page(page_size, page_token, every)
    show_pages(desk, method, pb.ListAuthoritiesRequest(), page, name="authorities", columns=AUTHORITIES)
