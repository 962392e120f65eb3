"""The oracle: one verdict over everything that was recorded.

It sees every act with the signed permit that the act relies on, every reply, directive and licence as licd signed it,
and what the operator was told; and works out by the formulas of the protocol what licd may have permitted. What it
cannot see: a permit that never reached anybody, and what a system does that nobody reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.oracle.acts import Bypass, Judged, judge_acts, judge_honesty
from simulator.oracle.attempts import Beyond, Tried, count_attempts, count_denials
from simulator.oracle.facts import Figures, Violation
from simulator.oracle.latency import Latencies, Reach, Stopping, measure, summed
from simulator.oracle.record import Record
from simulator.oracle.rules import Rights, judge_permits
from simulator.oracle.seats import judge_bounds, judge_seats


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the oracle found. sound: there is no violation, and no act under a permit that was wrongly valid."""

    violations: tuple[Violation, ...]
    permits: int
    grants: int
    denials: Mapping[str, int]
    attempts: Mapping[Beyond, Tried]
    covered_acts: int
    wrong_acts: int
    bypass_acts: Mapping[str, Mapping[Bypass, int]]
    """Acts past the permit, by kind of system."""
    latencies: Mapping[Reach, Latencies]
    stoppings: tuple[Stopping, ...]

    @property
    def sound(self) -> bool:
        """Whether licd, and the SDK, kept every promise."""
        return not self.violations and not self.wrong_acts


def judge(record: Record, figures: Figures) -> Verdict:
    """Judge a whole run."""
    rights = Rights(record)
    violations = [
        *record.faults,
        *judge_permits(rights, figures),
        *judge_seats(rights, figures),
        *judge_bounds(rights, figures),
    ]
    judged = judge_acts(rights, figures)
    stoppings = measure(rights, judged, figures)
    attempts = count_attempts(rights, violations)
    violations += judge_honesty(rights, judged, figures)
    grants = sum(not grant.existing for permit in record.permits.values() for grant in permit.grants)
    return Verdict(
        violations=tuple(violations),
        permits=len(record.permits),
        grants=grants,
        denials=count_denials(rights),
        attempts=attempts,
        covered_acts=sum(each.bypass is None for each in judged),
        wrong_acts=_count_wrong(judged, violations),
        bypass_acts=_count_bypass(record, judged),
        latencies=summed(stoppings),
        stoppings=tuple(stoppings),
    )


def _count_wrong(judged: list[Judged], violations: list[Violation]) -> int:
    """Acts that were covered, by a permit that was wrongly valid: for their lease, or altogether."""
    wrong = {(each.permit, each.lease) for each in violations if each.permit is not None}
    covered = [(each.permit.digest, each.lease) for each in judged if each.permit is not None]
    return sum((digest, lease) in wrong or (digest, None) in wrong for digest, lease in covered)


def _count_bypass(record: Record, judged: list[Judged]) -> dict[str, Mapping[Bypass, int]]:
    found: dict[str, Counter[Bypass]] = {}
    for each in judged:
        if each.bypass is not None:
            member = record.members.get(each.act.system)
            found.setdefault(member.kind if member else "unknown", Counter())[each.bypass] += 1
    return {kind: dict(found[kind]) for kind in sorted(found)}
