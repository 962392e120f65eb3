"""Reading allegations: by tracking code, their messages and cases, and how many wait for how long. Nothing decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from licd.core.allegation import (
    Allegation,
    AllegationCase,
    AllegationMessage,
    AllegationState,
    Disclosure,
)
from licd.core.time import Instant, Millis
from licd.ledger.allegation_tables import allegation, allegation_case, allegation_message, disclosure
from licd.ledger.database import Connection, Prepared
from licd.ledger.rows import ALLEGATION_CASES, ALLEGATION_MESSAGES, ALLEGATIONS, DISCLOSURES


@dataclass(frozen=True, slots=True)
class AllegationsNow:
    """How many wait, how many of them are past their time, and the age of the oldest (0: there is none)."""

    unacknowledged: int = 0
    acknowledgement_overdue: int = 0
    unanswered: int = 0
    answer_overdue: int = 0
    oldest_unacknowledged: Millis = 0
    oldest_unanswered: Millis = 0


def by_tracking(connection: Connection, tracking: bytes) -> Allegation | None:
    """The allegation with this hash of a tracking code."""
    found = ALLEGATIONS.find(connection, "by_tracking", _by_tracking, tracking=tracking)
    return found[0] if found else None


def _by_tracking() -> Select[Any]:
    return ALLEGATIONS.select(allegation.c.tracking == bindparam("tracking"))


def messages_of(connection: Connection, identifier: str) -> list[AllegationMessage]:
    """In the order in which they were written."""
    return ALLEGATION_MESSAGES.where(connection, allegation_message.c.allegation == identifier)


def cases_of(connection: Connection, identifier: str) -> list[AllegationCase]:
    """The cases it belongs to."""
    return ALLEGATION_CASES.where(connection, allegation_case.c.allegation == identifier)


def disclosures_of(connection: Connection, identifier: str) -> list[Disclosure]:
    """Who was let to look at who reported it."""
    return DISCLOSURES.where(connection, disclosure.c.allegation == identifier)


def same_number(connection: Connection, found: Allegation) -> list[str]:
    """Other allegations about the same number."""
    if not found.number:
        return []
    others = ALLEGATIONS.where(connection, allegation.c.number == found.number, allegation.c.id != found.id)
    return [each.id for each in others]


_RECEIVED = allegation.c.state == AllegationState.RECEIVED.value
_OPEN = allegation.c.state != AllegationState.ANSWERED.value


@Prepared
def _unacknowledged() -> Select[Any]:
    return select(func.count()).where(_RECEIVED)


@Prepared
def _acknowledgement_overdue() -> Select[Any]:
    return select(func.count()).where(_RECEIVED, allegation.c.acknowledge_by <= bindparam("now"))


@Prepared
def _unanswered() -> Select[Any]:
    return select(func.count()).where(_OPEN)


@Prepared
def _answer_overdue() -> Select[Any]:
    return select(func.count()).where(_OPEN, allegation.c.answer_by <= bindparam("now"))


@Prepared
def _oldest_unacknowledged() -> Select[Any]:
    return select(func.min(allegation.c.filed_at)).where(_RECEIVED)


@Prepared
def _oldest_unanswered() -> Select[Any]:
    return select(func.min(allegation.c.filed_at)).where(_OPEN)


def allegations_now(connection: Connection, now: Instant) -> AllegationsNow:
    """As they are now."""
    unacknowledged, unanswered = _oldest_unacknowledged.number(connection), _oldest_unanswered.number(connection)
    return AllegationsNow(
        unacknowledged=_unacknowledged.number(connection),
        acknowledgement_overdue=_acknowledgement_overdue.number(connection, now=now),
        unanswered=_unanswered.number(connection),
        answer_overdue=_answer_overdue.number(connection, now=now),
        oldest_unacknowledged=max(0, now - unacknowledged) if unacknowledged else 0,
        oldest_unanswered=max(0, now - unanswered) if unanswered else 0,
    )
