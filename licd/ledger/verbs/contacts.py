"""Register and withdraw a customer's contacts: who signs certifications, each by a key of his own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.errors import AlreadyExists, IllegalTransition, NotFound
from licd.ledger import tables
from licd.ledger.records import Contact
from licd.ledger.rows import AUTHORITIES, CONTACTS, DEPLOYMENTS, OPERATORS
from licd.ledger.transaction import Transaction


@dataclass(frozen=True, slots=True)
class RegisterContact:
    """A named person, and his key; a new key for one who is there. One key is one person's."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    contact: str
    customer: str
    name: str
    office: str
    public_key: bytes
    key_id: str
    actor: str

    def run(self, tx: Transaction) -> Contact:
        tx.customer(self.customer)
        self._refuse_anothers_key(tx)
        found = tx.get(CONTACTS, self.contact)
        made = Contact(
            id=self.contact,
            customer=self.customer,
            name=self.name,
            office=self.office,
            public_key=self.public_key,
            key_id=self.key_id,
            registered_at=tx.now,
            registered_by=self.actor,
            withdrawn_at=0,
            withdrawn_why="",
            version=found.version + 1 if found else 1,
        )
        tx.put(made)
        tx.log(
            "contact.registered",
            ("contact", made.id),
            ("customer", made.customer),
            ("actor", self.actor),
            ("name", made.name),
            ("office", made.office),
            ("key", made.public_key),
        )
        return made

    def _refuse_anothers_key(self, tx: Transaction) -> None:
        tx.flush()
        key = self.public_key
        for other in CONTACTS.where(tx.connection, tables.contact.c.public_key == key):
            if other.id != self.contact:
                raise AlreadyExists(f"that is the key of contact {other.id}; no two sign with one", field="public_key")
        for operator in OPERATORS.where(tx.connection, tables.operator.c.public_key == key):
            raise AlreadyExists(f"that is the signing key of operator {operator.id}", field="public_key")
        for system in DEPLOYMENTS.where(tx.connection, tables.deployment.c.system_key == key):
            raise AlreadyExists(f"that is the key of system {system.id}", field="public_key")
        for authority in AUTHORITIES.where(tx.connection, tables.authority.c.public_key == key):
            raise AlreadyExists(f"that is the key of authority {authority.id}", field="public_key")


@dataclass(frozen=True, slots=True)
class WithdrawContact:
    """He signs nothing more; what he signed stays."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    contact: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Contact:
        tx.refuse_behind()
        tx.refuse_full()
        found = tx.get(CONTACTS, self.contact)
        if found is None:
            raise NotFound(f"there is no contact {self.contact}", field="contact")
        if found.withdrawn_at:
            raise IllegalTransition(f"contact {self.contact} was withdrawn already", field="contact")
        done = replace(found, withdrawn_at=tx.now, withdrawn_why=self.detail, version=found.version + 1)
        tx.put(done)
        tx.log(
            "contact.withdrawn",
            ("contact", found.id),
            ("customer", found.customer),
            ("actor", self.actor),
            ("detail", self.detail),
            ("withdrawn_at", tx.now),
        )
        return done
