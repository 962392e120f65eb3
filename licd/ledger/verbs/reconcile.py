"""Reconcile rows that are older than what licd has answered: nothing that was answered may be answered otherwise.

What is lost stays lost. So every licence of which it is known that something is lost goes beyond its last epoch and is
suspended; two persons must look before it works again. A licence of which nothing is known to be lost, but under which
leases may have been granted that these rows do not hold, is suspended too while such a lease may still be acted on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from sqlalchemy import Select, desc

from licd.core.model import LicenceStatus
from licd.core.reconcile_licence import reconcile_licence
from licd.core.rights import IN_FORCE, suspend_licence
from licd.core.state import GAP, LicenceState
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Connection, Prepared
from licd.ledger.records import LoggedEntry, Suspension
from licd.ledger.rows import LICENCES, LOG_ENTRIES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import hit_systems, longest_use

CODE: Final = "log_gap"
SCOPE: Final = "reconciled"
KIND: Final = "ledger.reconciled"
TEXT_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A licence whose rows are older than what was answered."""

    licence: str
    had: int
    answered: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation does, or has done.

    doubted are in step, and may have lost leases that can be acted on until quiet_at. lost are licences without rows.
    suspension is empty when nothing was suspended.
    """

    gaps: tuple[Gap, ...]
    doubted: tuple[str, ...]
    lost: Mapping[str, int]
    quiet_at: Instant
    suspension: str = ""


@dataclass(frozen=True, slots=True)
class Reconcile:
    """answered: the highest epoch ever answered, by licence, and answered_size the log that went with it.

    mourned are licences that an earlier reconciliation found lost already. Nothing was granted since silent_since that
    these rows do not hold. Done twice, it finds less to do.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    answered: Mapping[str, int]
    answered_size: int
    mourned: frozenset[str]
    rows_size: int
    silent_since: Instant
    why: str
    actor: str

    def run(self, tx: Transaction) -> Reconciled:
        """Suspends what must be, and logs in one entry what was answered and is lost."""
        found = self.look(tx)
        suspension = f"S-{tx.random(8).hex()}" if found.gaps or found.doubted else ""
        if suspension:
            tx.put(Suspension(suspension, tx.now, self.actor, CODE, self._detail(), SCOPE))
        for gap in found.gaps:
            self._close(tx, gap, suspension)
        for licence in found.doubted:
            self._stop(tx, licence, suspension)
        for licence, epoch in sorted(found.lost.items()):
            tx.log("licence.lost", ("licence", licence), ("epoch", epoch), ("actor", self.actor))
        self._log(tx, found)
        return replace(found, suspension=suspension)

    def look(self, tx: Transaction) -> Reconciled:
        """What run() would do; changes nothing."""
        tx.flush()
        overtaken = gaps_since_reconciled(tx.connection)
        licences = {each.id: each for each in LICENCES.where(tx.connection, tables.licence.c.id != "")}
        gaps = tuple(
            Gap(each.id, each.epoch, self.answered[each.id])
            for each in licences.values()
            if each.epoch < self.answered.get(each.id, 0) or each.id in overtaken
        )
        behind = {gap.licence for gap in gaps}
        in_step = [tx.state(each) for each in licences if each not in behind and licences[each].status in IN_FORCE]
        doubted = [state for state in in_step if self._quiet_at(state) > tx.now]
        return Reconciled(
            gaps=gaps,
            doubted=tuple(state.licence.id for state in doubted),
            lost={name: epoch for name, epoch in self.answered.items() if name not in licences.keys() | self.mourned},
            quiet_at=max((self._quiet_at(state) for state in doubted), default=0),
        )

    def _quiet_at(self, state: LicenceState) -> Instant:
        """From here on nobody acts on a permit of this licence that these rows do not know."""
        longest = self.silent_since + state.rights.length + state.rights.grace
        return min(longest, state.rights.not_after) + state.epsilon

    def _close(self, tx: Transaction, gap: Gap, suspension: str) -> None:
        state = tx.state(gap.licence)
        reconcile_licence(
            state,
            tx.now,
            answered=gap.answered,
            suspension=suspension,
            code=CODE,
            detail=self._detail(),
            actor=self.actor,
        )
        if state.licence.status is LicenceStatus.SUSPENDED:
            self._bound(tx, state, longest_use(self.silent_since, state))

    def _stop(self, tx: Transaction, licence: str, suspension: str) -> None:
        state = tx.state(licence)
        suspend_licence(state, tx.now, suspension=suspension, code=CODE, detail=self._detail(), actor=self.actor)
        self._bound(tx, state, self._quiet_at(state))

    def _bound(self, tx: Transaction, state: LicenceState, until: Instant) -> None:
        for system in hit_systems(state, state.licence.suspension, until):
            tx.put(system)

    def _detail(self) -> str:
        return f"licd's own records have a gap: {self.why}"

    def _log(self, tx: Transaction, found: Reconciled) -> None:
        tx.log(
            KIND,
            ("actor", self.actor),
            ("why", self.why),
            ("answered_size", self.answered_size),
            ("rows_size", self.rows_size),
            ("silent_since", self.silent_since),
            ("behind", _listed(f"{gap.licence} {gap.had} {gap.answered}" for gap in found.gaps)),
            ("suspended_in_doubt", _listed(found.doubted)),
            ("lost", _listed(f"{name} {epoch}" for name, epoch in sorted(found.lost.items()))),
        )


def reconciled_at(connection: Connection) -> Instant:
    """When these rows were last reconciled; 0 for never. Of what was answered before, something may be lost."""
    found = _last_reconciled(connection)
    return found.at if found else 0


@Prepared
def _newest() -> Select[Any]:
    column = tables.log_entry.c
    return LOG_ENTRIES.select(column.kind == KIND).order_by(desc(column.index)).limit(1)


def _last_reconciled(connection: Connection) -> LoggedEntry | None:
    found = _newest.rows(connection)
    return LOG_ENTRIES.from_row(found[0]) if found else None


def gaps_since_reconciled(connection: Connection) -> set[str]:
    """Licences that were stopped while licd was behind: their epochs have overtaken what was answered and is lost."""
    column = tables.log_entry.c
    last = _last_reconciled(connection)
    found = LOG_ENTRIES.where(connection, column.kind == GAP, column.index > (last.index if last else -1))
    return {each.licence for each in found}


def _listed(words: Iterable[str]) -> str:
    """A list that fits into an entry; each licence has an entry of its own besides."""
    text = ", ".join(words)
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"
