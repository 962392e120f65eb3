"""Cases: which way they go, what has to be done on it, and what a determination may be.

received → acknowledged → preliminary → {more-information ⇄ preliminary | stopped | investigation} → inquiries →
determination → remedies → closed. Into remedies leads a determination alone, by several persons. What was stopped or
closed is reopened into a new round of investigation, in which every step is to be done anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from licd.core.errors import IllegalTransition
from licd.core.time import Instant


class CaseState(StrEnum):
    """Where a case stands."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    PRELIMINARY = "preliminary"
    MORE_INFORMATION = "more-information"
    STOPPED = "stopped"
    INVESTIGATION = "investigation"
    INQUIRIES = "inquiries"
    DETERMINATION = "determination"
    REMEDIES = "remedies"
    CLOSED = "closed"


class Determination(StrEnum):
    """What was found. Inconclusive never counts as no misuse."""

    MISUSE = "misuse"
    NO_MISUSE = "no-misuse"
    INCONCLUSIVE = "inconclusive"


class StepState(StrEnum):
    """A refused step was not done, for a reason that is on record; it counts as decided."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"


NEXT: Final[Mapping[CaseState, frozenset[CaseState]]] = MappingProxyType(
    {
        CaseState.RECEIVED: frozenset({CaseState.ACKNOWLEDGED}),
        CaseState.ACKNOWLEDGED: frozenset({CaseState.PRELIMINARY}),
        CaseState.PRELIMINARY: frozenset({CaseState.MORE_INFORMATION, CaseState.STOPPED, CaseState.INVESTIGATION}),
        CaseState.MORE_INFORMATION: frozenset({CaseState.PRELIMINARY, CaseState.STOPPED}),
        CaseState.INVESTIGATION: frozenset({CaseState.INQUIRIES}),
        CaseState.INQUIRIES: frozenset({CaseState.DETERMINATION}),
        CaseState.DETERMINATION: frozenset(),
        CaseState.REMEDIES: frozenset({CaseState.CLOSED}),
        CaseState.STOPPED: frozenset(),
        CaseState.CLOSED: frozenset(),
    }
)
"""What a person moves a case to; determining and reopening are verbs of their own."""

ENDED: Final = frozenset({CaseState.STOPPED, CaseState.CLOSED})
WORKING: Final = frozenset({CaseState.PRELIMINARY, CaseState.INVESTIGATION, CaseState.INQUIRIES})
"""States in which steps are done."""


@dataclass(frozen=True, slots=True)
class Case:
    """One suspicion about one customer. round is 1, and one more each time it is reopened.

    licence: the one it is about; empty: all of the customer's. determination, reasons, remedies and determined_at are
    those of the last round that was determined; empty and 0 before. version counts every change.
    """

    id: str
    customer: str
    licence: str
    code: str
    summary: str
    signal: str
    state: CaseState
    state_since: Instant
    opened_at: Instant
    opened_by: str
    acknowledge_by: Instant
    round: int
    version: int
    determination: str
    reasons: str
    determined_at: Instant
    remedies: str


@dataclass(frozen=True, slots=True)
class CaseStep:
    """Something to be done in one round of a case. evidence is a SHA-256 in hex."""

    case: str
    round: int
    step: str
    mandatory: bool
    state: StepState
    evidence: str
    note: str
    actor: str
    decided_at: Instant


def refuse_move(case: Case, to: CaseState, steps: Iterable[CaseStep]) -> None:
    """Raises IllegalTransition where a person cannot move the case there."""
    if to not in NEXT[case.state]:
        ways = ", ".join(sorted(NEXT[case.state])) or _other_way(case.state)
        raise IllegalTransition(f"case {case.id} is in {case.state}; from there it goes to {ways}", field="state")
    if to is CaseState.DETERMINATION:
        refuse_undecided(case, steps)


def refuse_undecided(case: Case, steps: Iterable[CaseStep]) -> None:
    """Raises IllegalTransition with every mandatory step that nobody has done or refused."""
    open_ones = obstacles(steps)
    if open_ones:
        raise IllegalTransition(f"case {case.id}: {'; '.join(open_ones)}", field="state")


def obstacles(steps: Iterable[CaseStep]) -> list[str]:
    """What stands in the way of a determination, in words."""
    return [
        f"{each.step} is neither done nor refused"
        for each in steps
        if each.mandatory and each.state is StepState.PENDING
    ]


def _other_way(state: CaseState) -> str:
    return "remedies, by its determination" if state is CaseState.DETERMINATION else "a new round, when it is reopened"
