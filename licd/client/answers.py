"""What came of asking, as values: grants, denials, and why a lease may not be acted on any more."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from licd.core.reasons import Denied, Reason, SeatHeld
from licd.core.terms import Basis
from licd.core.time import Instant, Millis
from licd.v1 import denial_pb2, session_pb2

__all__ = [
    "Authorisation",
    "Basis",
    "Denied",
    "Failed",
    "Granted",
    "Outcome",
    "Reason",
    "Released",
    "SeatHeld",
    "StopCause",
    "Stopped",
    "denied_from_message",
]


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A legal authorisation, by reference; a lease ends with it at the latest."""

    reference: str
    ends_at: Instant


class StopCause(StrEnum):
    """Why a lease may not be acted on."""

    WAITING = "WAITING"
    """It is not granted yet."""
    REFUSED = "REFUSED"
    """licd said no to the system as a whole: suspended, terminated, expired, session superseded, ..."""
    ENDED = "ENDED"
    """licd did not renew it: it is named as ended, or missing from the newest permit."""
    FORCE_RELEASED = "FORCE_RELEASED"
    """An operator took it back."""
    LAPSED = "LAPSED"
    """Its time ran out before licd was heard again."""
    RELEASED = "RELEASED"
    """The program gave it back."""
    CLOSED = "CLOSED"
    """The system was closed, or its background work failed."""
    FORKED = "FORKED"
    """This process is a child of the one that holds the lease, and hears nothing of licd."""
    REBOOTED = "REBOOTED"
    """The machine was started anew: the clock that it was counted on is gone."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why, since when (boot clock), and licd's words where there are any."""

    cause: StopCause
    at: Millis
    denied: Denied | None = None

    def __str__(self) -> str:
        if self.denied is None:
            return str(self.cause)
        return f"{self.cause}: {self.denied.reason.name}, {self.denied.detail}"


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease was granted, or stands already (`existing`)."""

    lease: int
    granted_at: Instant
    region: str
    purpose: str
    existing: bool


@dataclass(frozen=True, slots=True)
class Released:
    """A lease was given back. Its seat is free at `free_at`; 0 when licd did not say."""

    free_at: Instant


@dataclass(frozen=True, slots=True)
class Failed:
    """Nobody decided; `detail` says what happened instead."""

    detail: str


Outcome = Granted | Denied | Released | Failed

_KNOWN: Final = frozenset(int(reason) for reason in Reason)


def denied_from_message(message: denial_pb2.Denial) -> Denied:
    """Read a denial. A reason that this reader does not know is still a no."""
    number = int(message.reason)
    known = number in _KNOWN
    return Denied(
        reason=Reason(number) if known else Reason.CONSTRAINT_NOT_UNDERSTOOD,
        detail=message.detail if known else f"denied for reason {number}, newer than this reader: {message.detail}",
        retry_at=message.retry_at_ms,
        seats=tuple(SeatHeld(s.lease, s.granted_at_ms, s.free_at_ms, s.cooling) for s in message.seats_held),
        live=message.live,
        cooling=message.cooling,
        limit=message.limit,
        suspension_code=message.suspension_reason,
        overlays=tuple(message.overlays),
    )


def granted_from_message(message: session_pb2.Grant) -> Granted:
    """Read a grant."""
    return Granted(message.lease, message.granted_at_ms, message.region, message.purpose, message.existing)
