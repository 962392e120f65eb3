"""Do the items of a reinstatement's checklist, and reinstate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from licd.core.case import Case
from licd.core.errors import Conflict, IllegalTransition
from licd.core.gate import Assessment
from licd.core.model import Licence, LicenceStatus
from licd.core.reinstatement import (
    DETERMINATION,
    FRESH_ASSESSMENT,
    Demands,
    ReinstatementItem,
    refuse_contradicted,
    refuse_missing,
    undetermined,
)
from licd.core.rights import reinstate_licence
from licd.ledger import signal_tables, tables
from licd.ledger.database import Connection
from licd.ledger.rows import ASSESSMENTS, CASES, REINSTATEMENT_ITEMS
from licd.ledger.standing import conditions_of
from licd.ledger.transaction import Transaction

NOTHING: Final = Demands()
"""Two persons, at once: for a suspicion that was a mistake."""


@dataclass(frozen=True, slots=True)
class MeetReinstatementItem:
    """Says, with the hash of what shows it, that an item is done for the suspension of this epoch.

    What licd knows by itself it looks up: a determination, a fresh assessment. Doing an item again replaces it.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    licence: str
    epoch: int
    item: str
    evidence: str
    note: str
    actor: str

    def run(self, tx: Transaction) -> ReinstatementItem:
        tx.refuse_behind()
        tx.refuse_full()
        licence = tx.state(self.licence).licence
        if licence.status is not LicenceStatus.SUSPENDED:
            raise IllegalTransition(f"licence {licence.id} is {licence.status}; nothing is to be done", field="licence")
        if licence.epoch != self.epoch:
            raise Conflict(f"the suspension in force is of epoch {licence.epoch}, not {self.epoch}", field="epoch")
        _refuse_untrue(tx, licence, self.item)
        made = ReinstatementItem(
            id=f"{self.licence}/{self.epoch}/{self.item}",
            licence=self.licence,
            epoch=self.epoch,
            item=self.item,
            evidence=self.evidence,
            note=self.note,
            actor=self.actor,
            met_at=tx.now,
        )
        tx.put(made)
        tx.log(
            "licence.item-met",
            ("licence", self.licence),
            ("epoch", self.epoch),
            ("item", self.item),
            ("actor", self.actor),
            ("evidence", bytes.fromhex(self.evidence)),
            ("note", self.note),
        )
        return made


@dataclass(frozen=True, slots=True)
class ReinstateLicence:
    """Lifts the suspension of the epoch named, where everything that its reason demands is done."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    licence: str
    epoch: int
    code: str
    detail: str
    actor: str
    demands: Demands = NOTHING

    def run(self, tx: Transaction) -> Licence:
        state = tx.state(self.licence)
        found = state.licence
        if state.banned:
            raise IllegalTransition(f"customer {found.customer} is banned", field="licence")
        if found.status is LicenceStatus.SUSPENDED and found.epoch == self.epoch:
            tx.flush()
            _refuse_owed(tx, self.licence)
            met = [each.item for each in items_met(tx.connection, self.licence, self.epoch)]
            refuse_missing(self.licence, self.demands, met, found.suspended_at, tx.now)
            for item in self.demands.items:
                _refuse_untrue(tx, found, item)
            if self.demands.mistake:
                refuse_contradicted(found.id, _cases_about(tx.connection, found), found.suspended_at)
        reinstate_licence(state, tx.now, epoch=self.epoch, code=self.code, detail=self.detail, actor=self.actor)
        return state.licence


def items_met(connection: Connection, licence: str, epoch: int) -> list[ReinstatementItem]:
    """What was done to lift the suspension of this epoch."""
    column = tables.reinstatement_item.c
    return REINSTATEMENT_ITEMS.where(connection, column.licence == licence, column.epoch == epoch)


def _refuse_owed(tx: Transaction, licence: str) -> None:
    """What licd has suspended a licence for must be met first: it would suspend it again."""
    owed = [each.id for each in conditions_of(tx.connection, licence) if each.suspended_at]
    if owed:
        raise IllegalTransition(f"condition {', '.join(owed)} is overdue; meet it first", field="licence")


def _refuse_untrue(tx: Transaction, licence: Licence, item: str) -> None:
    """Of some items licd knows itself whether they are so, also after somebody has said that they are."""
    tx.flush()
    judged = _JUDGED.get(item)
    problem = judged(tx.connection, licence) if judged else ""
    if problem:
        raise IllegalTransition(f"{item} of licence {licence.id}: {problem}", field="item")


def _cases_about(connection: Connection, licence: Licence) -> list[Case]:
    column = signal_tables.case_file.c
    of_customer: list[Case] = CASES.where(connection, column.customer == licence.customer)
    return [each for each in of_customer if each.licence in {"", licence.id}]


def _no_determination(connection: Connection, licence: Licence) -> str:
    return undetermined(_cases_about(connection, licence), licence.suspended_at)


def _no_assessment(connection: Connection, licence: Licence) -> str:
    column = tables.assessment.c
    found: list[Assessment] = ASSESSMENTS.where(
        connection, column.customer == licence.customer, column.product == licence.terms.product
    )
    fresh = any(each.assessed_at >= licence.suspended_at for each in found)
    return "" if fresh else "there is no assessment since the suspension"


_JUDGED: Final = MappingProxyType[str, Callable[[Connection, Licence], str]](
    {DETERMINATION: _no_determination, FRESH_ASSESSMENT: _no_assessment}
)
