"""Allegations: what anybody may report, until when it is acknowledged and answered, and who looked at who reported it.

received → acknowledged → answered, and messages both ways meanwhile. What licd holds of a reporter's words is sealed:
no decision depends on them, and none depends on whether somebody who is named in them is a customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from licd.core.errors import Conflict, IllegalTransition
from licd.core.time import Instant, Millis

MESSAGES_MOST: Final = 100
"""How many messages one allegation holds each way: nobody fills the disk by a tracking code."""


class AllegationState(StrEnum):
    """Where an allegation stands."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    ANSWERED = "answered"


class Side(StrEnum):
    """Who wrote a message."""

    REPORTER = "reporter"
    OFFICE = "office"


@dataclass(frozen=True, slots=True)
class Allegation:
    """What somebody has reported.

    tracking is the SHA-256 of the tracking code, reporter_key what messages to him are sealed to, office_key what his
    are sealed to. number is the keyed pseudonym of the number that it is about, or empty. body is sealed; identified
    says whether there is a row of ReporterIdentity. acknowledged_at and answered_at are 0 till then.
    """

    id: str
    tracking: bytes
    reporter_key: bytes
    office_key: bytes
    number: bytes
    body: bytes
    identified: bool
    state: AllegationState
    filed_at: Instant
    acknowledge_by: Instant
    answer_by: Instant
    acknowledged_at: Instant
    acknowledged_by: str
    answered_at: Instant
    answered_by: str
    answer: str
    visible_at: Instant
    messages: int


@dataclass(frozen=True, slots=True)
class ReporterIdentity:
    """Who reported, sealed to the head of compliance; a table of its own, which no case and no list reads."""

    allegation: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class AllegationMessage:
    """One message: sealed once for either side. number counts from 1."""

    allegation: str
    number: int
    side: Side
    for_office: bytes
    for_reporter: bytes
    written_at: Instant
    actor: str


@dataclass(frozen=True, slots=True)
class AllegationCase:
    """An allegation belongs to a case."""

    allegation: str
    case: str
    linked_at: Instant
    actor: str


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Leave to look at who reported, for one purpose, for one person, for a time. looks counts what was made of it."""

    id: str
    allegation: str
    purpose: str
    detail: str
    actor: str
    permitted_at: Instant
    expires_at: Instant
    looks: int


@dataclass(frozen=True, slots=True)
class NumberKey:
    """Which key numbers are blinded with: its commitment. There is one row, 1."""

    id: int
    commitment: bytes
    committed_at: Instant


@dataclass(frozen=True, slots=True)
class Deadlines:
    """From filing: until when it is acknowledged and answered, and before when no answer is shown.

    The last is the same for all: from when an answer shows nobody can tell how much there was to look into.
    """

    acknowledge: Millis
    answer: Millis
    show_after: Millis


def refuse_acknowledged(found: Allegation) -> None:
    """Raises Conflict: it is acknowledged once."""
    if found.state is not AllegationState.RECEIVED:
        raise Conflict(f"{found.id} was acknowledged by {found.acknowledged_by}", field="allegation")


def refuse_answer(found: Allegation) -> None:
    """An answer is given once, and after the acknowledgement. Raises IllegalTransition, Conflict."""
    if found.state is AllegationState.RECEIVED:
        raise IllegalTransition(f"{found.id} is not acknowledged yet", field="allegation")
    if found.state is AllegationState.ANSWERED:
        raise Conflict(f"{found.id} was answered by {found.answered_by}", field="allegation")


def visible_answer(found: Allegation, now: Instant) -> str:
    """The code of the answer as the reporter sees it; empty until the time at which answers show."""
    return found.answer if found.answer and now >= found.visible_at else ""
