"""licctl operator."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.operator_request import make_request_files, read_request
from licd.cli.options import All, Detail, PageSize, PageToken, Save
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.result_words import result_pairs
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.cli.yields import hand_out
from licd.core.time import Instant
from licd.v1 import key_service_pb2 as pb
from licd.v1.key_service_pb2_grpc import KeyServiceStub
from licd.v1.operator_pb2 import Operator

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Operators: persons of the vendor, each with a key.")

COLUMNS: Columns = (
    ("OPERATOR", lambda one: one.operator),
    ("ROLES", lambda one: ", ".join(one.roles)),
    ("ENABLED", lambda one: "yes" if one.enabled else "no"),
    ("KEY", lambda one: one.key_id),
    ("SINCE", lambda one: iso(one.created_at_ms)),
)


def _pairs(operator: Operator, now: Instant) -> Pairs:
    return [
        ("operator", operator.operator),
        ("roles", ", ".join(operator.roles) or "none"),
        ("enabled", "yes" if operator.enabled else "no"),
        ("key", operator.key_id),
        ("since", when(operator.created_at_ms, now)),
    ]


@verb(app, "list")
def list_(desk: Desk, page_size: PageSize = 50, page_token: PageToken = "", every: All = False) -> None:
    """List operators."""
    method = KeyServiceStub(desk.channel).ListOperators
    show_pages(
        desk, method, pb.ListOperatorsRequest(), Page(page_size, page_token, every), name="operators", columns=COLUMNS
    )


@verb(app, "request")
def request_(
    desk: Desk,
    operator: Annotated[str, typer.Argument(metavar="OPERATOR", help="Your name as an operator.")],
    *,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where your keys shall live.")],
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT,...", help="Where licd's operators' listener is, at each replica.")
    ] = "",
    authority: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="Its authority's certificate, PEM.")
    ] = None,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave the signing key unprotected: for development.")
    ] = False,
) -> None:
    """Make your keys on your own machine, and a request that an operator hands to `operator add`.

    The keys never leave this machine. Tell the one who adds you the key id by another road than the file goes.
    """
    made = make_request_files(desk, operator, folder, address, authority, protected=not no_passphrase)
    if desk.printer.is_json:
        desk.printer.value({"request": str(made.path), "key_id": made.key_id, "settings": made.has_settings})
        return
    desk.printer.pairs([("operator", operator), ("key", made.key_id), ("request", str(made.path))])
    desk.printer.line(f"next: licctl operator add {made.path.name} --role ROLE, by an operator who may")
    desk.printer.line(f"then: put the certificate that comes back into {folder / 'certificate.pem'}")


@verb(app, "add")
def add(
    desk: Desk,
    request: Annotated[Path, typer.Argument(metavar="FILE", help="As `operator request` wrote it.")],
    role: Annotated[list[str], typer.Option("--role", metavar="ROLE", help="A role of the policy; may come again.")],
    save: Save = None,
) -> None:
    """Let a person in, or change an operator's roles. Needs a second person. Yields the person's certificate."""
    asked = read_request(request)
    if not desk.printer.is_json:
        desk.printer.line(f"{asked.operator} with key {asked.key_id}: is that the id you were told?")
    message = pb.AddOperatorRequest(
        request_id=desk.request_id(),
        operator=asked.operator,
        roles=role,
        public_key=asked.public_key,
        csr=asked.csr,
    )
    made = widen(desk, KeyServiceStub(desk.channel).AddOperator, message).admission
    desk.printer.record(made, _pairs(made.operator, desk.now) if save else result_pairs(made, desk.now))
    hand_out(desk, made, save)


@verb(app, "disable")
def disable(
    desk: Desk, operator: Annotated[str, typer.Argument(metavar="OPERATOR", help="Who.")], detail: Detail
) -> None:
    """Let a person do nothing more, at once, by one person."""
    request = pb.DisableOperatorRequest(request_id=desk.request_id(), operator=operator, detail=detail)
    found = desk.ask(KeyServiceStub(desk.channel).DisableOperator, request).operator
    desk.printer.record(found, _pairs(found, desk.now))
