"""ConditionService, the contacts: register, withdraw, list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from licd.core.errors import AlreadyExists, NotFound
from licd.core.time import Instant
from licd.keys.identity import ContactIdentity, path_of
from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import parse_public_key
from licd.keys.verification_key import key_id_of
from licd.ledger import tables
from licd.ledger.queries import Page, listed
from licd.ledger.records import Contact
from licd.ledger.rows import CONTACTS, CUSTOMERS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.contacts import RegisterContact, WithdrawContact
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.names import checked_name
from licd.server.reader import Reader
from licd.server.trust import Trust
from licd.v1 import condition_pb2, operator_pb2
from licd.v1 import condition_service_pb2 as pb

REGISTER: Final = "ConditionService.RegisterContact"
NAME_LIMIT: Final = 200


class Contacts:
    """Persons of customers, each with a key of his own."""

    def __init__(self, reader: Reader, changes: Changes, trust: Trust, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._trust: Final = trust
        self._wall: Final = wall
        changes.plan_with(REGISTER, self._plan_register)

    async def list_contacts(self, request: pb.ListContactsRequest, caller: Caller) -> pb.ListContactsResponse:
        """In the order of their names."""
        page = Page.of(request.page.page_size, request.page.page_token)
        wanted = [tables.contact.c.customer == request.customer] if request.customer else []
        found, token = await self._reader.run(lambda connection: listed(connection, CONTACTS, page, wanted))
        return pb.ListContactsResponse(
            contacts=[contact_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def register_contact(self, request: pb.RegisterContactRequest, caller: Caller) -> pb.RegisterContactResponse:
        """Needs a second person."""
        response: pb.RegisterContactResponse = await self._changes.widen(REGISTER, request, caller)
        return response

    async def _plan_register(self, request: pb.RegisterContactRequest, actor: str) -> Plan:
        name = path_of(ContactIdentity(request.customer, checked_name(request.contact, "contact")))
        customer, found = await self._reader.run(
            lambda connection: (CUSTOMERS.get(connection, request.customer), CONTACTS.get(connection, name))
        )
        if customer is None:
            raise NotFound(f"there is no customer {request.customer[:60]}", field="customer")
        parse_public_key(request.public_key)
        for own in (*self._trust.bundle.keyring, *self._trust.bundle.roots()):
            if own.public_key == request.public_key:
                raise AlreadyExists(f"that is licd's own key {own.key_id} ({own.purpose.word})", field="public_key")
        command = RegisterContact(
            contact=name,
            customer=request.customer,
            name=checked_text(request.name, "name", limit=NAME_LIMIT),
            office=checked_text(request.office, "office", limit=NAME_LIMIT),
            public_key=request.public_key,
            key_id=key_id_of(KeyPurpose.CONTACT, request.public_key),
            actor=actor,
        )
        what = "give contact" if found else "register contact"
        return Plan(
            command=command,
            respond=lambda made: pb.RegisterContactResponse(contact=contact_message(made)),
            subject=f"contact/{name}",
            version=_version_of(name),
            seen_version=found.version if found else 0,
            summary=f"{what} {name} ({command.name}, {command.office}) the key {command.key_id}",
        )

    async def withdraw_contact(self, request: pb.WithdrawContactRequest, caller: Caller) -> pb.WithdrawContactResponse:
        """One person, at once."""
        detail = checked_text(request.detail, "detail")
        command = WithdrawContact(request.contact, detail, caller.operator().operator)
        return await self._changes.once(
            request, caller, command, lambda done: pb.WithdrawContactResponse(contact=contact_message(done))
        )


def _version_of(name: str) -> Callable[[Transaction], int]:
    def version(tx: Transaction) -> int:
        found = tx.get(CONTACTS, name)
        return found.version if found else 0

    return version


def contact_message(contact: Contact) -> condition_pb2.Contact:
    """A contact as operators read him."""
    return condition_pb2.Contact(
        contact=contact.id,
        customer=contact.customer,
        name=contact.name,
        office=contact.office,
        public_key=contact.public_key,
        key_id=contact.key_id,
        registered_at_ms=contact.registered_at,
        registered_by=contact.registered_by,
        withdrawn_at_ms=contact.withdrawn_at,
        version=contact.version,
    )
