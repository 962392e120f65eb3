"""The way back from a suspension: what its reason demands before the licence is used again.

Known from the first day, and told to the customer with the suspension. Items are done for one suspension, by its epoch:
a licence that is suspended anew begins anew, for what was agreed about the first says nothing about the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from licd.core.case import Case, CaseState, Determination
from licd.core.errors import IllegalTransition
from licd.core.time import HOUR, Instant, Millis

DETERMINATION: Final = "determination"
FRESH_ASSESSMENT: Final = "fresh-assessment"
OVERSEER: Final = "overseer"
COOLING_OFF: Final = "cooling_off"
APPROVALS: Final = "approvals"
DECIDED: Final = frozenset({CaseState.STOPPED, CaseState.CLOSED, CaseState.REMEDIES})


@dataclass(frozen=True, slots=True)
class ReinstatementItem:
    """An item that somebody has done for the suspension of this epoch. evidence is a SHA-256 in hex."""

    id: str
    licence: str
    epoch: int
    item: str
    evidence: str
    note: str
    actor: str
    met_at: Instant


@dataclass(frozen=True, slots=True)
class Demands:
    """What a reinstatement takes: items to be done, the least time since the suspension, and how many persons.

    persons counts the one who asks. mistake: the suspicion is said to be one, so no case may say otherwise.
    """

    items: tuple[str, ...] = ()
    wait: Millis = 0
    persons: int = 2
    mistake: bool = False


def missing(demands: Demands, met: Iterable[str], elapsed: Millis) -> tuple[str, ...]:
    """What still stands in the way, persons apart: the items not done, then the time to wait."""
    done = frozenset(met)
    # elapsed is less than nothing where two persons have set the deciding clock back since
    waits = (COOLING_OFF,) if demands.wait and elapsed < demands.wait else ()
    return (*(item for item in demands.items if item not in done), *waits)


def refuse_missing(licence: str, demands: Demands, met: Iterable[str], suspended_at: Instant, now: Instant) -> None:
    """Raises IllegalTransition naming everything that is missing."""
    found = missing(demands, met, now - suspended_at)
    if not found:
        return
    items = [each for each in found if each != COOLING_OFF]
    hours = -(-(suspended_at + demands.wait - now) // HOUR)
    why = [f"not done: {', '.join(items)}"] if items else []
    why += [f"{hours} h of the time to wait are left"] if COOLING_OFF in found else []
    raise IllegalTransition(
        f"licence {licence} cannot be reinstated yet; {'; '.join(why)} (licctl licence checklist {licence})",
        field="licence",
    )


def refuse_contradicted(licence: str, cases: Iterable[Case], since: Instant) -> None:
    """Raises IllegalTransition where a case about a licence is open, or found misuse: no mistake is it then."""
    for case in cases:
        if case.state not in DECIDED and case.licence == licence:
            problem = f"case {case.id} about it is in {case.state}; stop it or determine it first"
            raise IllegalTransition(f"licence {licence} was suspended by mistake? {problem}", field="reason_code")
        if case.determined_at >= since and case.determination == Determination.MISUSE:
            raise IllegalTransition(f"case {case.id} found misuse; that was no mistake", field="reason_code")


def undetermined(cases: Iterable[Case], since: Instant) -> str:
    """Why these cases about a licence are no determination that lets it be used again; empty when they are one."""
    found = list(cases)
    for case in found:
        if case.state not in DECIDED:
            return f"case {case.id} is in {case.state}"
    since_then = [case for case in found if case.determined_at >= since]
    for case in since_then:
        if case.determination != Determination.NO_MISUSE:
            return f"case {case.id} found {case.determination}"
    return "" if since_then else "no case about it has been determined since"
