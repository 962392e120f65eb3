"""Was an act covered by a permit that licd signed for this system, this target and this use, until when it says?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulator.oracle.facts import Act, Figures, Listed, Permit, Rule, Stop, Violation
from simulator.oracle.rules import Rights


class Bypass(StrEnum):
    """How an act went past the permit. No licence server can stop any of these; only cheats do it."""

    NO_PERMIT = "without any permit"
    FOREIGN = "under a permit that licd did not sign, or signed for another system"
    OTHER_TARGET = "on a target that the permit does not list"
    OTHER_USE = "for another region or purpose than was granted"
    OVERRUN = "after the permit had run out"


@dataclass(frozen=True, slots=True)
class Judged:
    """An act, and what came of looking at it: how it bypassed the permit, or the permit and lease that cover it."""

    act: Act
    bypass: Bypass | None
    permit: Permit | None = None
    lease: int | None = None


def judge_acts(rights: Rights, figures: Figures) -> list[Judged]:
    """Every act, one by one."""
    return [_judge(rights, act, figures) for act in rights.record.acts]


def _judge(rights: Rights, act: Act, figures: Figures) -> Judged:
    if act.permit is None:
        return Judged(act, Bypass.NO_PERMIT)
    permit = rights.record.permits.get(act.permit)
    if permit is None or permit.system != act.system:
        return Judged(act, Bypass.FOREIGN)
    found = _listed(permit, act.target)
    if found is None:
        return Judged(act, Bypass.OTHER_TARGET)
    lease, listed = found
    grant = rights.grants.get(lease)
    if grant is not None and (act.region, act.purpose) != (grant.region, grant.purpose):
        return Judged(act, Bypass.OTHER_USE)
    end = permit.local_end(listed)
    if act.start >= end or act.end > end + figures.act:
        return Judged(act, Bypass.OVERRUN)
    return Judged(act, None, permit, lease)


def _listed(permit: Permit, target: bytes) -> tuple[int, Listed] | None:
    return next((pair for pair in permit.leases.items() if pair[1].target == target), None)


def judge_honesty(rights: Rights, judged: Sequence[Judged], figures: Figures) -> Iterator[Violation]:
    """Honest systems never act without cover, nor on after they heard that they must stop."""
    heard: dict[str, list[Stop]] = defaultdict(list)
    for stop in rights.record.stops:
        heard[stop.system].append(stop)
    for each in judged:
        act = each.act
        member = rights.record.members.get(act.system)
        if member is None or not member.honest:
            continue
        if each.bypass is not None:
            detail = f"{each.bypass}, from {act.start} to {act.end}"
            yield Violation(Rule.HONEST_UNCOVERED, member.licence, act.system, detail)
            continue
        for stop in heard[act.system]:
            if _deaf(each, stop, figures):
                detail = f"heard at {stop.heard} of epoch {stop.epoch}, acted until {act.end}"
                yield Violation(Rule.HONEST_DEAF, member.licence, act.system, detail)


def _deaf(judged: Judged, stop: Stop, figures: Figures) -> bool:
    """Whether an act went on after this stop was heard. A permit of the stop's epoch or a newer one lifts it."""
    if judged.permit is None or judged.permit.epoch >= stop.epoch:
        return False
    concerned = not stop.leases or judged.lease in stop.leases
    return concerned and judged.act.end > stop.heard + figures.act
