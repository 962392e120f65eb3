"""What a customer owes for a licence: when it is due, and what follows from its being late, step by step.

Rules
- Reminded before it is due; then tightened in steps spread over the tolerance; then suspended. Each is carried out once
  a period, whenever licd comes to it: the worst that is due goes before the milder ones.
- Met, it is due again by its own calendar, not by when it was met: who is late gains nothing.
- A period can be met from its window on, not years ahead; what is certified is newer than what was before.
- What follows is reversible by meeting it; a suspension by the ordinary reinstatement, once it is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from licd.core.time import Instant, Millis


class Consequence(StrEnum):
    """What licd carries out by itself."""

    REMIND = "remind"
    TIGHTEN = "tighten"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True)
class Condition:
    """One obligation of one licence. due_at is 0 where nothing is due; period counts up each time it is met.

    contact names who must sign for it (customer/C/contact/P). evidence is a SHA-256 in hex, certification the token
    that met it last. reminded_at, steps and suspended_at say what was carried out in this period.
    """

    id: str
    licence: str
    customer: str
    name: str
    contact: str
    period: int
    due_at: Instant
    opened_at: Instant
    met_at: Instant
    met_by: str
    evidence: str
    certification: bytes
    reminded_at: Instant
    steps: int
    suspended_at: Instant
    version: int

    def is_overdue(self, now: Instant) -> bool:
        """Whether it should have been met by now."""
        return 0 < self.due_at <= now


@dataclass(frozen=True, slots=True)
class Schedule:
    """Figures of policy. every 0: no calendar. remind: how long before it is due. steps: of tightening."""

    every: Millis
    tolerance: Millis
    remind: Millis
    steps: int


@dataclass(frozen=True, slots=True)
class Due:
    """A consequence, when it comes, and which step of tightening it is."""

    consequence: Consequence
    at: Instant
    step: int = 0


def consequences(condition: Condition, schedule: Schedule) -> tuple[Due, ...]:
    """What is still to be carried out in this period, in the order in which it comes."""
    due = condition.due_at
    if not due:
        return ()
    found: list[Due] = []
    if not (condition.reminded_at or condition.steps):
        found.append(Due(Consequence.REMIND, due - schedule.remind))
    found += [
        Due(Consequence.TIGHTEN, due + schedule.tolerance * step // (schedule.steps + 1), step)
        for step in range(condition.steps + 1, schedule.steps + 1)
    ]
    if not condition.suspended_at:
        found.append(Due(Consequence.SUSPEND, due + schedule.tolerance))
    return tuple(found)


def due_now(condition: Condition, schedule: Schedule, now: Instant) -> Due | None:
    """The worst consequence whose time has come; None when none has, or a worse one was carried out already."""
    if condition.suspended_at:
        return None
    found = [each for each in consequences(condition, schedule) if each.at <= now]
    return found[-1] if found else None


def opens_at(condition: Condition, schedule: Schedule) -> Instant:
    """From here on the period can be met; 0 for what is not owed by a calendar.

    From the reminder on, or for the last half of the period where that is longer: nobody meets today what is owed for
    next year.
    """
    if not (condition.due_at and schedule.every):
        return 0
    return condition.due_at - min(schedule.every, max(schedule.remind, schedule.every // 2))


def next_due(condition: Condition, every: Millis, now: Instant) -> Instant:
    """When a condition that is met now is due again; 0: not by the calendar."""
    if not every:
        return 0
    base = condition.due_at or now
    periods = max(1, (now - base) // every + 1)
    return base + periods * every
