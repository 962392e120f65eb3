"""Who may operate licd: add (or change) and disable operators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.errors import Conflict, IllegalTransition, NotFound
from licd.ledger.records import Operator
from licd.ledger.rows import OPERATORS
from licd.ledger.transaction import Transaction


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

    def run(self, tx: Transaction) -> Operator:
        found = tx.get(OPERATORS, self.operator)
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
    """Takes every right of an operator away. The last one who is enabled cannot be disabled."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    operator: str
    actor: str
    detail: str

    def run(self, tx: Transaction) -> Operator:
        found = tx.get(OPERATORS, self.operator)
        if found is None:
            raise NotFound(f"there is no operator {self.operator}", field="operator")
        if not found.enabled:
            raise IllegalTransition(f"operator {self.operator} is disabled already", field="operator")
        tx.flush()
        enabled = [each for each in OPERATORS.find(tx.connection, "all", OPERATORS.select) if each.enabled]
        if len(enabled) == 1:
            raise Conflict("the last operator cannot be disabled", field="operator")
        disabled = replace(found, enabled=False, version=found.version + 1)
        tx.put(disabled)
        tx.log("operator.disabled", ("operator", found.id), ("actor", self.actor), ("detail", self.detail))
        return disabled
