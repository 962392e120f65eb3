"""Licences whose seal nobody believes any more are sealed anew."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from licd.core.model import Licence, LicenceStatus
from licd.core.rights import amend_licence
from licd.keys.envelope import parse_envelope
from licd.ledger.database import Connection
from licd.ledger.rows import LICENCES
from licd.ledger.tables import licence as licence_table
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import sealed_terms

CODE: Final = "key-withdrawn"


@dataclass(frozen=True, slots=True)
class SealAnew:
    """The same terms under the key that signs now, as a revision of their own. Gives no right that was not there.

    A new issue time, because a key speaks for no time before its own.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    licence: str
    withdrawn: frozenset[str]
    actor: str

    def run(self, tx: Transaction) -> Licence:
        tx.refuse_behind()
        state = tx.state(self.licence)
        licence = state.licence
        if licence.status is LicenceStatus.TERMINATED or not sealed_by(licence, self.withdrawn):
            return licence
        terms = replace(licence.terms, revision=licence.terms.revision + 1, issued_at=tx.now)
        token = sealed_terms(tx, terms)
        amend_licence(
            state,
            tx.now,
            terms=terms,
            token=token,
            code=CODE,
            detail="the key that had signed it was withdrawn",
            actor=self.actor,
            verb="resealed",
        )
        return state.licence


def sealed_by(licence: Licence, keys: Container[str]) -> bool:
    """Whether one of these keys signed the licence."""
    return any(each.keyid in keys for each in parse_envelope(licence.token).signatures)


def licences_sealed_by(connection: Connection, keys: frozenset[str]) -> list[str]:
    """The licences that one of these keys signed and that have not ended for good."""
    found = LICENCES.where(connection, licence_table.c.status != LicenceStatus.TERMINATED.value)
    return [each.id for each in found if sealed_by(each, keys)]
