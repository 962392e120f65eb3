"""licctl customer."""

from typing import Annotated

import typer

from licd.cli.consent import widen
from licd.cli.desk import Desk
from licd.cli.json_form import as_json, enum_word
from licd.cli.options import All, Detail, PageSize, PageToken, Reason, Yes
from licd.cli.paging import Page, show_pages
from licd.cli.printing import Columns, Pairs
from licd.cli.states import CustomerState, number_of
from licd.cli.suspension import preview, show_preview
from licd.cli.times import iso, when
from licd.cli.verb import verb
from licd.core.time import Instant
from licd.v1 import customer_service_pb2 as pb
from licd.v1.customer_service_pb2_grpc import CustomerServiceStub
from licd.v1.licence_service_pb2 import SuspensionScope
from licd.v1.operator_pb2 import Customer, CustomerStatus

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Customers: create, look up, ban and unban.")

Named = Annotated[str, typer.Argument(metavar="CUSTOMER", help="3 to 40 lower-case letters, digits and hyphens.")]
"""The customer a command is about."""


def status_of(customer: Customer) -> str:
    """`active` or `banned`."""
    return enum_word(Customer.DESCRIPTOR.fields_by_name["status"], customer.status).lower()


COLUMNS: Columns = (
    ("CUSTOMER", lambda one: one.customer),
    ("NAME", lambda one: one.name),
    ("STATUS", status_of),
    ("CREATED", lambda one: iso(one.created_at_ms)),
)


def _pairs(customer: Customer, now: Instant) -> Pairs:
    pairs = [
        ("customer", customer.customer),
        ("name", customer.name),
        ("status", status_of(customer)),
        ("created", when(customer.created_at_ms, now)),
        ("version", str(customer.version)),
    ]
    return [*pairs, ("ban reason", customer.ban_reason)] if customer.ban_reason else pairs


@verb(app, "create")
def create(desk: Desk, customer: Named, name: Annotated[str, typer.Option(metavar="TEXT", help="Full name.")]) -> None:
    """Enter a customer. This gives no right yet."""
    request = pb.CreateCustomerRequest(request_id=desk.request_id(), customer=customer, name=name)
    made = desk.ask(CustomerServiceStub(desk.channel).CreateCustomer, request).customer
    desk.printer.record(made, _pairs(made, desk.now))


@verb(app, "get")
def get(desk: Desk, customer: Named) -> None:
    """Show one customer."""
    request = pb.GetCustomerRequest(customer=customer)
    found = desk.ask(CustomerServiceStub(desk.channel).GetCustomer, request).customer
    desk.printer.record(found, _pairs(found, desk.now))


@verb(app, "list")
def list_(
    desk: Desk,
    *,
    status: Annotated[CustomerState | None, typer.Option(help="Only these.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    every: All = False,
) -> None:
    """List customers."""
    request = pb.ListCustomersRequest(status=number_of(CustomerStatus, status))
    method = CustomerServiceStub(desk.channel).ListCustomers
    show_pages(desk, method, request, Page(page_size, page_token, every), name="customers", columns=COLUMNS)


@verb(app, "ban")
def ban(desk: Desk, customer: Named, reason: Reason, detail: Detail, yes: Yes = False) -> None:
    """Ban a customer: every licence of it is suspended, at once, by one person. Shows what it hits; --yes does it."""
    scope = SuspensionScope(customer=customer)
    if not yes:
        show_preview(desk, scope, preview(desk, scope, reason))
        return
    request = pb.BanCustomerRequest(request_id=desk.request_id(), customer=customer, reason_code=reason, detail=detail)
    response = desk.ask(CustomerServiceStub(desk.channel).BanCustomer, request)
    if desk.printer.is_json:
        desk.printer.value(as_json(response))
        return
    desk.printer.pairs(_pairs(response.customer, desk.now))
    desk.printer.pairs([("suspended" if at == 0 else "", name) for at, name in enumerate(response.licences)])


@verb(app, "unban")
def unban(desk: Desk, customer: Named, reason: Reason, detail: Detail) -> None:
    """Lift a ban. Needs a second person; its licences stay suspended until each is reinstated."""
    request = pb.UnbanCustomerRequest(
        request_id=desk.request_id(), customer=customer, reason_code=reason, detail=detail
    )
    found = widen(desk, CustomerServiceStub(desk.channel).UnbanCustomer, request).customer
    desk.printer.record(found, _pairs(found, desk.now))
