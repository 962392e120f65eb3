"""What must be so before a licence is issued, renewed or widened, held in the deciding transaction.

Policy says where the gate stands. Each obstacle is told, in words that say what would remove it; one is enough to stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from licd.core.condition import Condition
from licd.core.errors import IllegalTransition
from licd.core.terms import Terms
from licd.core.time import DAY, Instant, Millis


class ItemState(StrEnum):
    """What has become of one thing on an assessment's checklist."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One thing that must be done before a licence, with the evidence that it was: a file's SHA-256, in hex.

    accepts lists the only hashes that count, separated by commas, where it asks for a certain text (a contract's
    clause); empty: any file is taken. A refused item has a reason in note, and still stands in the way.
    """

    assessment: str
    item: str
    accepts: str
    state: ItemState
    evidence: str
    note: str
    actor: str
    decided_at: Instant


@dataclass(frozen=True, slots=True)
class Assessment:
    """A due-diligence record. category is the one in force: judged, unless two persons have overridden it.

    term is the duration that was looked at. facts and judgement are messages of diligence.proto as they were stored;
    superseded_by names a later assessment of the same customer and product.
    """

    id: str
    customer: str
    product: str
    country: str
    category: str
    judged: str
    term: Millis
    policy_version: str
    assessed_at: Instant
    assessed_by: str
    review_due: Instant
    facts: bytes
    judgement: bytes
    overridden_by: str
    overridden_at: Instant
    override_reason: str
    superseded_by: str


@dataclass(frozen=True, slots=True)
class Channel:
    """The road by which a suspension reaches one enrolled system; proved_at: when it last acknowledged an order."""

    deployment: str
    licence: str
    proved_at: Instant


@dataclass(frozen=True, slots=True)
class Gate:
    """Where policy puts the gate, and what it asks there. ladder: the categories by rising risk."""

    on_issue: bool
    on_renewal: bool
    on_widening: bool
    assessment_age: Millis
    channel_age: Millis
    ladder: tuple[str, ...]

    def stands(self, verb: str) -> bool:
        """Whether it stands before issued, renewed or widened."""
        return {"issued": self.on_issue, "renewed": self.on_renewal, "widened": self.on_widening}[verb]


OPEN = Gate(on_issue=False, on_renewal=False, on_widening=False, assessment_age=0, channel_age=0, ladder=())
"""No gate anywhere."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known when somebody comes to the gate. overdue: in words, what should have been done by now."""

    assessment: Assessment | None
    items: Sequence[ChecklistItem]
    channels: Sequence[Channel]
    overdue: Sequence[str] = ()
    conditions: Sequence[Condition] = ()


def obstacles(gate: Gate, terms: Terms, standing: Standing, now: Instant) -> tuple[str, ...]:
    """What stands in the way of these terms; empty when nothing does."""
    found = standing.assessment
    if found is None:
        missing = f"there is no assessment of {terms.customer} for {terms.product}: licctl diligence assess"
        return (missing, *obstacles_of(gate, standing, now))
    return (*_beyond_assessment(gate, terms, found), *obstacles_of(gate, standing, now))


def obstacles_of(gate: Gate, standing: Standing, now: Instant) -> tuple[str, ...]:
    """Those that there are whatever the terms."""
    found = standing.assessment
    known = () if found is None else (*_stale(gate, found, now), *_unfinished(found, standing.items))
    return (*known, *_unproved(gate, standing.channels, now), *standing.overdue, *_owed(standing.conditions, now))


def refuse_obstacles(gate: Gate, terms: Terms, standing: Standing, now: Instant) -> None:
    """Raises IllegalTransition with every obstacle."""
    found = obstacles(gate, terms, standing, now)
    if found:
        raise IllegalTransition(f"the gate is closed: {'; '.join(found)}", field="diligence")


def _owed(conditions: Sequence[Condition], now: Instant) -> Iterable[str]:
    for condition in conditions:
        if condition.is_overdue(now):
            yield f"condition {condition.id} is overdue: licctl condition show {condition.id}"


def _beyond_assessment(gate: Gate, terms: Terms, found: Assessment) -> Iterable[str]:
    """A stricter category may always be taken; a licence is never longer than what was looked at."""
    if found.category not in gate.ladder:
        yield f"assessment {found.id} found {found.category}, which policy no longer knows; assess again"
    elif terms.category not in gate.ladder or gate.ladder.index(terms.category) < gate.ladder.index(found.category):
        yield f"assessment {found.id} found {found.category}, and the terms are of {terms.category}"
    if terms.not_after - terms.not_before > found.term:
        yield f"assessment {found.id} looked at {found.term / DAY:g} days, and the term is longer"


def _stale(gate: Gate, found: Assessment, now: Instant) -> Iterable[str]:
    if found.superseded_by:
        yield f"assessment {found.id} was superseded by {found.superseded_by}"
    if now - found.assessed_at > gate.assessment_age:
        yield f"assessment {found.id} is older than {gate.assessment_age / DAY:g} days; assess again"
    if now >= found.review_due:
        yield f"assessment {found.id} was due for review; assess again"


def _unfinished(found: Assessment, items: Sequence[ChecklistItem]) -> Iterable[str]:
    for item in items:
        if item.state is ItemState.REFUSED:
            yield f"{item.item} was refused ({item.note})"
        elif item.state is ItemState.PENDING:
            yield f"{item.item} is not done: licctl diligence complete {found.id} {item.item}"


def _unproved(gate: Gate, channels: Sequence[Channel], now: Instant) -> Iterable[str]:
    for channel in channels:
        if not channel.proved_at or now - channel.proved_at > gate.channel_age:
            days = gate.channel_age / DAY
            yield (
                f"{channel.deployment} has acknowledged no order within {days:g} days: "
                f"licctl licence drill {channel.licence}"
            )
