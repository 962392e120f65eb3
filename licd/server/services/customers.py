"""CustomerService."""

from __future__ import annotations

from typing import Final

from licd.core.errors import NotFound
from licd.core.model import Customer
from licd.ledger import tables
from licd.ledger.queries import Page, listed
from licd.ledger.rows import CUSTOMERS
from licd.ledger.verbs.customers import BanCustomer, Banned, CreateCustomer, UnbanCustomer
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.names import checked_name
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import customer_service_pb2 as pb
from licd.v1 import operator_pb2
from licd.wire.resources import customer_message

UNBAN: Final = "CustomerService.UnbanCustomer"


class CustomerService:
    """Who may hold licences."""

    def __init__(self, reader: Reader, changes: Changes, codes: ReasonCodes) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        changes.plan_with(UNBAN, self._plan_unban)

    async def create_customer(self, request: pb.CreateCustomerRequest, caller: Caller) -> pb.CreateCustomerResponse:
        """Gives no right by itself."""
        command = CreateCustomer(
            checked_name(request.customer, "customer"),
            checked_text(request.name, "name", limit=200),
            caller.operator().operator,
        )
        return await self._changes.once(request, caller, command, _created)

    async def get_customer(self, request: pb.GetCustomerRequest, caller: Caller) -> pb.GetCustomerResponse:
        """Raises NotFound."""
        return pb.GetCustomerResponse(customer=customer_message(await self._found(request.customer)))

    async def _found(self, identifier: str) -> Customer:
        found = await self._reader.run(lambda connection: CUSTOMERS.get(connection, identifier))
        if found is None:
            raise NotFound(f"there is no customer {identifier}", field="customer")
        return found

    async def list_customers(self, request: pb.ListCustomersRequest, caller: Caller) -> pb.ListCustomersResponse:
        """In the order of their identifiers."""
        page = Page.of(request.page.page_size, request.page.page_token)
        wanted = []
        if request.status:
            wanted.append(tables.customer.c.banned == int(request.status == operator_pb2.CUSTOMER_STATUS_BANNED))
        found, token = await self._reader.run(lambda connection: listed(connection, CUSTOMERS, page, wanted))
        return pb.ListCustomersResponse(
            customers=[customer_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def ban_customer(self, request: pb.BanCustomerRequest, caller: Caller) -> pb.BanCustomerResponse:
        """Suspends every licence of the customer, at once."""
        command = BanCustomer(
            request.customer,
            self._codes.suspend(request.reason_code),
            checked_text(request.detail, "detail"),
            caller.operator().operator,
        )
        return await self._changes.once(request, caller, command, _banned)

    async def unban_customer(self, request: pb.UnbanCustomerRequest, caller: Caller) -> pb.UnbanCustomerResponse:
        """Needs a second person; licences stay suspended until each is reinstated."""
        response: pb.UnbanCustomerResponse = await self._changes.widen(UNBAN, request, caller)
        return response

    async def _plan_unban(self, request: pb.UnbanCustomerRequest, actor: str) -> Plan:
        found = await self._found(request.customer)
        code = self._codes.lift(request.reason_code)
        command = UnbanCustomer(found.id, code, checked_text(request.detail, "detail"), actor)
        return Plan(
            command=command,
            respond=_unbanned,
            subject=f"customer/{found.id}",
            version=lambda tx: tx.customer(found.id).version,
            seen_version=found.version,
            summary=f"lift the ban on customer {found.id} ({code}): {request.detail}",
        )


def _created(customer: Customer) -> pb.CreateCustomerResponse:
    return pb.CreateCustomerResponse(customer=customer_message(customer))


def _banned(banned: Banned) -> pb.BanCustomerResponse:
    return pb.BanCustomerResponse(customer=customer_message(banned.customer), licences=banned.licences)


def _unbanned(customer: Customer) -> pb.UnbanCustomerResponse:
    return pb.UnbanCustomerResponse(customer=customer_message(customer))
