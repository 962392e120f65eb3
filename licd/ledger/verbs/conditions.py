"""Open, set, meet, certify and waive conditions, and carry out what follows from their being late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from licd.core.condition import Condition, Consequence, Due, Schedule, due_now, next_due, opens_at
from licd.core.errors import Conflict, Forbidden, IllegalTransition, NotFound
from licd.core.model import LicenceStatus
from licd.core.overlay import OverlayEffect, OverlayStatus, OverlayTerms
from licd.core.terms import Constraint
from licd.core.time import SECOND, Instant, Millis
from licd.ledger.records import Contact
from licd.ledger.rows import CONDITIONS, CONTACTS, OVERLAYS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope
from licd.ledger.verbs.overlays import OWN, put_own_overlay

LICD = "licd"


def condition_of(tx: Transaction, identifier: str) -> Condition:
    """Raises NotFound."""
    found = tx.get(CONDITIONS, identifier)
    if found is None:
        raise NotFound(f"there is no condition {identifier}", field="condition")
    return found


def _open_one(tx: Transaction, licence: str, name: str, due_at: Instant) -> Condition:
    made = Condition(
        id=f"{licence}/{name}",
        licence=licence,
        customer=tx.state(licence).licence.customer,
        name=name,
        contact="",
        period=1,
        due_at=due_at,
        opened_at=tx.now,
        met_at=0,
        met_by="",
        evidence="",
        certification=b"",
        reminded_at=0,
        steps=0,
        suspended_at=0,
        version=1,
    )
    tx.put(made)
    tx.log("condition.opened", ("condition", made.id), ("customer", made.customer), ("due_at", due_at))
    return made


@dataclass(frozen=True, slots=True)
class OpenConditions:
    """Begins to count what a licence's terms oblige its customer to: each by its own calendar, from now."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    licence: str
    obligations: Sequence[tuple[str, Millis]]

    def run(self, tx: Transaction) -> list[Condition]:
        tx.refuse_behind()
        tx.refuse_full()
        missing = [each for each in self.obligations if tx.get(CONDITIONS, f"{self.licence}/{each[0]}") is None]
        return [_open_one(tx, self.licence, name, tx.now + every if every else 0) for name, every in missing]


@dataclass(frozen=True, slots=True)
class AddCondition:
    """Obliges to one thing more, has one due sooner, or names who must sign for it. Never later: that is a waiver.

    may_replace: two persons agree that somebody else signs than the one who is named.
    """

    urgent: ClassVar[bool] = False

    licence: str
    name: str
    due_at: Instant
    contact: str
    every: Millis
    may_replace: bool
    actor: str

    @property
    def grants(self) -> bool:
        return self.may_replace

    def run(self, tx: Transaction) -> Condition:
        tx.refuse_behind()
        tx.refuse_full()
        licence = tx.state(self.licence).licence
        if licence.status is LicenceStatus.TERMINATED:
            raise IllegalTransition(f"licence {licence.id} was terminated", field="licence")
        found = tx.get(CONDITIONS, f"{self.licence}/{self.name}")
        first_due = self.due_at or (tx.now + self.every if self.every else 0)
        row = found or _open_one(tx, self.licence, self.name, first_due)
        if self.due_at and row.due_at and self.due_at > row.due_at:
            raise Conflict(
                f"condition {row.id} is due before that already; waive it for another date", field="due_at_ms"
            )
        if self.contact:
            self._refuse_contact(tx, row)
        changed = replace(
            row, due_at=self.due_at or row.due_at, contact=self.contact or row.contact, version=row.version + 1
        )
        tx.put(changed)
        tx.log(
            "condition.set",
            ("condition", row.id),
            ("actor", self.actor),
            ("due_at", changed.due_at),
            ("contact", changed.contact),
        )
        return changed

    def _refuse_contact(self, tx: Transaction, row: Condition) -> None:
        refuse_stranger(tx.get(CONTACTS, self.contact), row.customer, self.contact)
        if row.contact not in ("", self.contact) and not self.may_replace:
            raise Conflict(f"{row.contact} must sign for {row.id} by now; ask again", field="contact")


def refuse_stranger(known: Contact | None, customer: str, contact: str) -> None:
    """Raises NotFound, IllegalTransition for who does not sign for this customer, or no longer."""
    if known is None or known.customer != customer:
        raise NotFound(f"{customer} has no contact {contact}", field="contact")
    if known.withdrawn_at:
        raise IllegalTransition(f"contact {known.id} was withdrawn", field="contact")


def _current(tx: Transaction, identifier: str, period: int) -> Condition:
    """The condition, if it is still in that period. Raises NotFound, Conflict."""
    found = condition_of(tx, identifier)
    if found.period != period:
        raise Conflict(f"condition {identifier} is in period {found.period}, not {period}", field="period")
    return found


@dataclass(frozen=True, slots=True)
class MeetCondition:
    """Met, by the hash of what shows it. may_widen: two persons agree that what was tightened comes back."""

    urgent: ClassVar[bool] = False

    condition: str
    period: int
    evidence: str
    note: str
    schedule: Schedule
    may_widen: bool
    actor: str

    @property
    def grants(self) -> bool:
        return self.may_widen

    def run(self, tx: Transaction) -> Condition:
        tx.refuse_behind()
        tx.refuse_full()
        found = _current(tx, self.condition, self.period)
        if found.steps and not self.may_widen:
            raise Conflict(f"condition {found.id} has tightened its licence by now; ask again", field="condition")
        refuse_early(found, self.schedule, tx.now)
        fields = (("evidence", bytes.fromhex(self.evidence)), ("note", self.note))
        met = replace(found, met_by=f"operator/{self.actor}", evidence=self.evidence, certification=b"")
        tx.log("condition.met", ("condition", found.id), ("period", found.period), ("actor", self.actor), *fields)
        return _close(tx, met, self.schedule.every, self.actor)


@dataclass(frozen=True, slots=True)
class LodgeCertification:
    """Met, by what its contact has signed; the signature was verified by the key of this id."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    condition: str
    period: int
    contact: str
    key_id: str
    token: bytes
    evidence: str
    certified_at: Instant
    schedule: Schedule
    actor: str

    def run(self, tx: Transaction) -> Condition:
        found = condition_of(tx, self.condition)
        refuse_unfit(found, self.contact, self.period, self.certified_at)
        refuse_early(found, self.schedule, min(tx.now, self.certified_at))
        known = tx.get(CONTACTS, self.contact)
        if known is None or known.withdrawn_at or known.key_id != self.key_id:
            raise Forbidden(f"contact {self.contact} has no such key any more", field="certification")
        tx.log(
            "condition.met",
            ("condition", found.id),
            ("period", found.period),
            ("actor", self.actor),
            ("contact", self.contact),
            ("certification", self.token),
        )
        met = replace(found, met_by=self.contact, evidence=self.evidence, certification=self.token)
        return _close(tx, met, self.schedule.every, self.actor)


def refuse_unfit(found: Condition, contact: str, period: int, certified_at: Instant) -> None:
    """Raises what is wrong with a certification for a condition: another's, another period's, from before it began."""
    if not found.contact:
        raise IllegalTransition(f"nobody is named to sign for {found.id}", field="certification.contact")
    if contact != found.contact:
        raise Forbidden(
            f"{found.contact} must sign for {found.id}, and nobody in his place; this is {contact}'s signature",
            field="certification.contact",
        )
    if period != found.period:
        raise Conflict(
            f"condition {found.id} is in period {found.period}; what was certified for {period} counts for no other",
            field="certification.period",
        )
    if certified_at < found.opened_at or certified_at <= found.met_at:
        raise Conflict(f"it was certified before period {period} began", field="certification.certified_at_ms")


def refuse_early(found: Condition, schedule: Schedule, at: Instant) -> None:
    """Raises IllegalTransition for what was done before the period can be met."""
    opens = opens_at(found, schedule)
    if at < opens:
        shown = datetime.fromtimestamp(opens / SECOND, UTC).isoformat(timespec="seconds")
        raise IllegalTransition(
            f"period {found.period} of condition {found.id} is met by what is done from {shown} on", field="condition"
        )


@dataclass(frozen=True, slots=True)
class WaiveCondition:
    """Not owed this time, for a reason: two persons."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    condition: str
    period: int
    detail: str
    every: Millis
    actor: str

    def run(self, tx: Transaction) -> Condition:
        found = _current(tx, self.condition, self.period)
        tx.log(
            "condition.waived",
            ("condition", found.id),
            ("period", found.period),
            ("actor", self.actor),
            ("detail", self.detail),
        )
        waived = replace(found, met_by=f"waived by operator/{self.actor}", evidence="", certification=b"")
        return _close(tx, waived, self.every, self.actor)


def _close(tx: Transaction, condition: Condition, every: Millis, actor: str) -> Condition:
    """The next period begins, and what was tightened for this one comes back. A suspension is lifted by persons."""
    after = replace(
        condition,
        period=condition.period + 1,
        due_at=next_due(condition, every, tx.now),
        met_at=tx.now,
        reminded_at=0,
        steps=0,
        suspended_at=0,
        version=condition.version + 1,
    )
    tx.put(after)
    in_force = tx.get(OVERLAYS, _overlay_id(condition))
    if in_force is not None and in_force.status is not OverlayStatus.LIFTED:
        lifted = replace(in_force.terms, effect=OverlayEffect.LIFT, constraints=(), issued_at=tx.now)
        put_own_overlay(tx, lifted, LICD, f"condition {condition.id} was met", actor)
    return after


def _overlay_id(condition: Condition) -> str:
    return f"{OWN}/{_reference(condition)}"


def _reference(condition: Condition) -> str:
    return f"{condition.licence}.{condition.name}"


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Does what follows now, if it still does: reminds, tightens by a step, or suspends. None when it does not."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    condition: str
    period: int
    schedule: Schedule
    due: Due
    limits: tuple[Constraint, ...]
    until: Instant
    code: str

    def run(self, tx: Transaction) -> Condition | None:
        tx.refuse_behind()
        tx.refuse_full()
        found = condition_of(tx, self.condition)
        if found.period != self.period or due_now(found, self.schedule, tx.now) != self.due:
            return None
        match self.due.consequence:
            case Consequence.REMIND:
                changed = replace(found, reminded_at=tx.now)
                tx.log("condition.reminded", ("condition", found.id), ("due_at", found.due_at))
            case Consequence.TIGHTEN:
                changed = replace(found, steps=self.due.step)
                self._tighten(tx, found)
            case Consequence.SUSPEND:
                changed = replace(found, suspended_at=tx.now)
                self._suspend(tx, found)
        changed = replace(changed, version=found.version + 1)
        tx.put(changed)
        return changed

    def _tighten(self, tx: Transaction, found: Condition) -> None:
        """Each step beside the ones before: none gives back what an earlier one has taken."""
        detail = f"condition {found.id} is overdue: step {self.due.step}"
        before = tx.get(OVERLAYS, _overlay_id(found))
        kept = before.terms if before is not None and before.status is not OverlayStatus.LIFTED else None
        limits = kept.constraints if kept else ()
        said = OverlayTerms(
            authority=OWN,
            reference=_reference(found),
            audience=tx.installation.trust_domain,
            revision=0,
            issued_at=tx.now,
            not_before=0,
            not_after=min(self.until, kept.not_after) if kept else self.until,
            effect=OverlayEffect.PERMIT,
            customer=found.customer,
            product="",
            licence=found.licence,
            constraints=(*limits, *(each for each in self.limits if each not in limits)),
            statement=detail,
        )
        put_own_overlay(tx, said, self.code, detail, LICD)
        tx.log("condition.tightened", ("condition", found.id), ("step", self.due.step), ("due_at", found.due_at))

    def _suspend(self, tx: Transaction, found: Condition) -> None:
        """One that is suspended already stays so for its own cause, which may be the graver to lift; both must go."""
        licence = tx.state(found.licence).licence
        suspension = licence.suspension
        if licence.status is not LicenceStatus.SUSPENDED:
            detail = f"condition {found.id} is overdue"
            scope = SuspensionScope(licence=found.licence)
            suspension = SuspendLicence(scope, self.code, detail, LICD).run(tx).suspension
        tx.log("condition.suspended", ("condition", found.id), ("suspension", suspension), ("code", self.code))
