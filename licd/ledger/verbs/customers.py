"""Create, ban, unban a customer. A ban cascades to every licence; an unban gives none of them back by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.errors import AlreadyExists, IllegalTransition
from licd.core.model import Customer
from licd.ledger.rows import CUSTOMERS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope, licences_of, scoped_licences


@dataclass(frozen=True, slots=True)
class CreateCustomer:
    """Makes a customer known; gives no right by itself."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    customer: str
    name: str
    actor: str

    def run(self, tx: Transaction) -> Customer:
        tx.refuse_behind()
        tx.refuse_full()
        if tx.get(CUSTOMERS, self.customer) is not None:
            raise AlreadyExists(f"there is a customer {self.customer} already", field="customer")
        customer = Customer(self.customer, self.name, banned=False, ban_reason="", created_at=tx.now, version=1)
        tx.put(customer)
        tx.log("customer.created", ("customer", customer.id), ("actor", self.actor))
        return customer


@dataclass(frozen=True, slots=True)
class Banned:
    """The customer, and the licences that were suspended with him."""

    customer: Customer
    licences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BanCustomer:
    """Bans the customer and suspends every licence of his that is in force."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    customer: str
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Banned:
        found = tx.customer(self.customer)
        if found.banned:
            raise IllegalTransition(f"customer {found.id} is banned already", field="customer")
        banned = replace(found, banned=True, ban_reason=self.detail or self.code, version=found.version + 1)
        tx.put(banned)
        tx.log(
            "customer.banned",
            ("customer", found.id),
            ("actor", self.actor),
            ("code", self.code),
            ("detail", self.detail),
        )
        scope = SuspensionScope(customer=self.customer)
        licences = scoped_licences(tx, scope)
        if licences:
            SuspendLicence(scope, self.code, self.detail, self.actor).run(tx)
        _set_banned(tx, found.id, banned=True)
        return Banned(tx.customer(found.id), tuple(licences))


@dataclass(frozen=True, slots=True)
class UnbanCustomer:
    """Lifts a ban; licences stay suspended until each is reinstated."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    customer: str
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Customer:
        found = tx.customer(self.customer)
        if not found.banned:
            raise IllegalTransition(f"customer {found.id} is not banned", field="customer")
        unbanned = replace(found, banned=False, ban_reason="", version=found.version + 1)
        tx.put(unbanned)
        tx.log(
            "customer.unbanned",
            ("customer", found.id),
            ("actor", self.actor),
            ("code", self.code),
            ("detail", self.detail),
        )
        _set_banned(tx, found.id, banned=False)
        return unbanned


def _set_banned(tx: Transaction, customer: str, *, banned: bool) -> None:
    """In the working copy of every licence, tombstones included, as it would be read from the rows."""
    for licence in licences_of(tx, customer):
        tx.state(licence.id).banned = banned
