"""licctl contact: the named persons of customers who sign certifications."""

from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.failure import Exit, Stopped
from licd.cli.options import All, Detail, PageSize, PageToken
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.v1 import condition_service_pb2 as pb
from licd.v1.condition_pb2 import Contact
from licd.v1.condition_service_pb2_grpc import ConditionServiceStub

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Contacts: persons of a customer who sign, each with his own key."
)

COLUMNS: Columns = (
    ("CONTACT", lambda one: one.contact),
    ("NAME", lambda one: one.name),
    ("OFFICE", lambda one: one.office),
    ("KEY", lambda one: one.key_id),
    ("WITHDRAWN", lambda one: iso(one.withdrawn_at_ms) if one.withdrawn_at_ms else "-"),
)


def _pairs(contact: Contact, now: Instant) -> Pairs:
    pairs = [
        ("contact", contact.contact),
        ("name", f"{contact.name}, {contact.office}"),
        ("key", f"{contact.key_id}, {contact.public_key.hex()}"),
        ("registered", f"{when(contact.registered_at_ms, now)}, by {contact.registered_by}"),
    ]
    return [*pairs, ("withdrawn", when(contact.withdrawn_at_ms, now))] if contact.withdrawn_at_ms else pairs


@verb(app, "register")
def register(
    desk: Desk,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Whose person it is.")],
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="3 to 40 lower-case letters, digits, hyphens.")],
    *,
    name: Annotated[str, typer.Option(metavar="TEXT", help="Full name.")],
    office: Annotated[str, typer.Option(metavar="TEXT", help="What he is there.")],
    public_key: Annotated[str, typer.Option(metavar="HEX", help="As `licd-contact key` printed it.")],
) -> None:
    """Enter a person who signs for a customer, or give him another key. Needs a second person."""
    try:
        raw = bytes.fromhex(public_key)
    except ValueError as error:
        raise Stopped(Exit.USAGE, "--public-key: must be hex") from error
    request = pb.RegisterContactRequest(
        request_id=desk.request_id(), customer=customer, contact=contact, name=name, office=office, public_key=raw
    )
    made = widen(desk, ConditionServiceStub(desk.channel).RegisterContact, request).contact
    desk.printer.record(made, _pairs(made, desk.now))


@verb(app, "withdraw")
def withdraw(
    desk: Desk,
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="customer/C/contact/P.")],
    detail: Detail,
) -> None:
    """Let a person sign nothing more, at once. What he signed stays."""
    request = pb.WithdrawContactRequest(request_id=desk.request_id(), contact=contact, detail=detail)
    done = desk.ask(ConditionServiceStub(desk.channel).WithdrawContact, request).contact
    desk.printer.record(done, _pairs(done, desk.now))


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    customer: Annotated[str, typer.Option(metavar="CUSTOMER", help="Only of this one.")] = "",
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List contacts."""
    method, page = ConditionServiceStub(desk.channel).ListContacts, Page(page_size, page_token, every)
    show_pages(desk, method, pb.ListContactsRequest(customer=customer), page, name="contacts", columns=COLUMNS)
