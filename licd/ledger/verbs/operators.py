"""Who may operate licd: add (or change) and disable operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.errors import AlreadyExists, Conflict, IllegalTransition, NotFound
from licd.ledger import tables
from licd.ledger.records import Operator
from licd.ledger.rows import AUTHORITIES, CONTACTS, OPERATORS
from licd.ledger.transaction import Transaction

CanAdmit = Callable[[Mapping[str, frozenset[str]]], bool]
"""Whether these persons, by their roles, could admit another one: one asks, another one approves."""


def all_operators(tx: Transaction) -> list[Operator]:
    """Every operator, as earlier commands have left them."""
    tx.flush()
    return OPERATORS.find(tx.connection, "all", OPERATORS.select)


def _refuse_anothers_keys(others: Iterable[Operator], public_key: bytes, channel_key_hash: bytes) -> None:
    """One person under two names could agree with himself."""
    for other in others:
        if public_key == other.public_key:
            raise AlreadyExists(f"that is the signing key of operator {other.id}", field="public_key")
        if channel_key_hash == other.channel_key_hash:
            raise AlreadyExists(f"that is the certificate's key of operator {other.id}", field="csr")


def _refuse_deadlock(before: Iterable[Operator], after: Iterable[Operator], can_admit: CanAdmit, what: str) -> None:
    left = {each.id: each.role_set for each in after if each.enabled}
    if can_admit(left) or not can_admit({each.id: each.role_set for each in before if each.enabled}):
        return
    persons = "; ".join(f"{name} ({', '.join(sorted(roles)) or 'no role'})" for name, roles in sorted(left.items()))
    raise Conflict(
        f"{what} would leave {persons}: no two of whom could admit an operator, or agree on anything, ever again; "
        "admit another one first, and if a key was stolen, hold signing meanwhile",
        field="operator",
    )


@dataclass(frozen=True, slots=True)
class AddOperator:
    """Admits an operator with his keys and roles, or changes the roles and keys of one who is there."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    operator: str
    roles: tuple[str, ...]
    public_key: bytes
    key_id: str
    channel_key_hash: bytes
    actor: str
    can_admit: CanAdmit = lambda _: True

    def run(self, tx: Transaction) -> Operator:
        found = tx.get(OPERATORS, self.operator)
        others = [each for each in all_operators(tx) if each.id != self.operator]
        _refuse_anothers_keys(others, self.public_key, self.channel_key_hash)
        for authority in AUTHORITIES.where(tx.connection, tables.authority.c.public_key == self.public_key):
            raise AlreadyExists(f"that is the key of authority {authority.id}", field="public_key")
        for contact in CONTACTS.where(tx.connection, tables.contact.c.public_key == self.public_key):
            raise AlreadyExists(f"that is the key of contact {contact.id}", field="public_key")
        operator = Operator(
            id=self.operator,
            roles=",".join(self.roles),
            public_key=self.public_key,
            key_id=self.key_id,
            channel_key_hash=self.channel_key_hash,
            enabled=True,
            created_at=found.created_at if found else tx.now,
            version=found.version + 1 if found else 1,
        )
        if found is not None and found.enabled:
            _refuse_deadlock([*others, found], [*others, operator], self.can_admit, f"so changing {operator.id}")
        tx.put(operator)
        tx.log(
            "operator.added",
            ("operator", operator.id),
            ("actor", self.actor),
            ("roles", operator.roles),
            ("key", operator.public_key),
            ("channel_key", operator.channel_key_hash),
        )
        return operator


@dataclass(frozen=True, slots=True)
class DisableOperator:
    """Takes every right of an operator away.

    Those who are left must be able to admit somebody by two persons, if they could before: there is no other way back.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    operator: str
    actor: str
    detail: str
    can_admit: CanAdmit = lambda _: True

    def run(self, tx: Transaction) -> Operator:
        found = tx.get(OPERATORS, self.operator)
        if found is None:
            raise NotFound(f"there is no operator {self.operator}", field="operator")
        if not found.enabled:
            raise IllegalTransition(f"operator {self.operator} is disabled already", field="operator")
        everybody = all_operators(tx)
        others = [each for each in everybody if each.id != self.operator]
        if not any(each.enabled for each in others):
            raise Conflict("the last operator cannot be disabled", field="operator")
        _refuse_deadlock(everybody, others, self.can_admit, f"disabling {self.operator}")
        disabled = replace(found, enabled=False, version=found.version + 1)
        tx.put(disabled)
        tx.log("operator.disabled", ("operator", found.id), ("actor", self.actor), ("detail", self.detail))
        return disabled
