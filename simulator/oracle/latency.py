"""How long after a suspension was decided was still worked on a target, by those who were at work just then?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from licd.v1 import session_pb2
from simulator.oracle.acts import Judged
from simulator.oracle.facts import Act, Figures, Suspension
from simulator.oracle.rules import Rights


class Reach(StrEnum):
    """Who was to be stopped."""

    REACHABLE = "honest, reachable"
    UNREACHABLE = "honest, unreachable"
    DEFIANT = "cheating, within its permit"


@dataclass(frozen=True, slots=True)
class Stopping:
    """One system's last covered act after one suspension, in milliseconds from its decision, beside the bound."""

    licence: str
    system: str
    reach: Reach
    latency: int
    bound: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """All of one reach. bound is the longest bound among them."""

    systems: int
    median: int
    longest: int
    bound: int
    beyond: int
    """How many took longer than their own bound."""


def measure(rights: Rights, judged: Sequence[Judged], figures: Figures) -> list[Stopping]:
    """One figure for each suspension and system that was at work when it was decided."""
    acts: dict[str, list[Act]] = defaultdict(list)
    for each in judged:
        if each.bypass is None:
            acts[each.act.system].append(each.act)
    return [
        found for suspension in rights.record.suspensions for found in _stoppings(rights, suspension, acts, figures)
    ]


def _stoppings(
    rights: Rights, suspension: Suspension, acts: dict[str, list[Act]], figures: Figures
) -> Iterator[Stopping]:
    at = suspension.decided - figures.clock_offset
    lifted = _lifted(rights, suspension, figures)
    for system, own in acts.items():
        member = rights.record.members.get(system)
        if member is None or member.licence != suspension.licence:
            continue
        if not any(act.start <= at < act.end for act in own):
            continue
        last = max(act.end for act in own if act.start < lifted)
        reach = _reach(suspension, system, honest=member.honest)
        yield Stopping(suspension.licence, system, reach, last - at, _bound(suspension, reach))


def _lifted(rights: Rights, suspension: Suspension, figures: Figures) -> int:
    """The boot instant from which acts are no longer the suspension's."""
    orders = rights.orders(suspension.licence)
    later = [order for order in orders if order.epoch > suspension.epoch]
    again = [order.decided for order in later if order.kind == session_pb2.DIRECTIVE_KIND_REINSTATE]
    return min(again, default=1 << 62) - figures.clock_offset


def _reach(suspension: Suspension, system: str, *, honest: bool) -> Reach:
    if not honest:
        return Reach.DEFIANT
    return Reach.UNREACHABLE if system in suspension.cut else Reach.REACHABLE


def _bound(suspension: Suspension, reach: Reach) -> int:
    return max(suspension.push, suspension.pull) if reach is Reach.REACHABLE else suspension.unreachable


def summed(stoppings: Sequence[Stopping]) -> dict[Reach, Latencies]:
    """Figures by reach, where there are any."""
    found: dict[Reach, Latencies] = {}
    for reach in Reach:
        own = [each for each in stoppings if each.reach is reach]
        if own:
            figures = sorted(each.latency for each in own)
            found[reach] = Latencies(
                systems=len(own),
                median=round(median(figures)),
                longest=figures[-1],
                bound=max(each.bound for each in own),
                beyond=sum(each.latency > each.bound for each in own),
            )
    return found
