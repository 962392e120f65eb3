"""How many targets could be worked on at one time: a sweep over every permit that licd has signed.

A target counts from the instant its permit was decided to the permit's hard end, whoever holds it and whatever was
released meanwhile: a permit cannot be called back. So seats that licd frees too early show up here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from simulator.oracle.facts import Figures, Permit, Rule, Violation
from simulator.oracle.rules import Rights
from simulator.oracle.terms import Terms, Volume

MILLION = 1_000_000

K = TypeVar("K")


@dataclass(frozen=True, slots=True, order=True)
class _Edge:
    """A permit begins (+1) or ceases (−1, first) to cover a target."""

    at: int
    step: int
    target: bytes
    permit: bytes
    lease: int


def judge_seats(rights: Rights, figures: Figures) -> Iterator[Violation]:
    """Caps, distinct targets and churn of every licence."""
    by_licence: dict[str, list[Permit]] = defaultdict(list)
    for permit in rights.record.permits.values():
        by_licence[permit.licence].append(permit)
    for permits in by_licence.values():
        permits.sort(key=lambda permit: permit.decided)
        # From each revision on: after a narrowing, what was decided before it runs out, and what comes after must fit.
        for revision in sorted({permit.revision for permit in permits}):
            yield from _over_cap(rights, [permit for permit in permits if permit.revision >= revision])
        yield from _shared(permits)
        yield from _over_volume(rights, permits, figures)


def _shared(permits: list[Permit]) -> Iterator[Violation]:
    """Targets that two systems could work on at one time."""
    found = {permit.digest: permit for permit in permits}
    running: dict[bytes, Counter[str]] = defaultdict(Counter)
    for edge in sorted(_edges(permits)):
        permit = found[edge.permit]
        systems = running[edge.target]
        _count(systems, permit.system, edge.step)
        if edge.step > 0 and len(systems) > 1:
            detail = f"{' and '.join(sorted(systems))} at {edge.at}"
            yield Violation(Rule.SHARED, permit.licence, permit.system, detail, permit.digest, edge.lease)


def _over_cap(rights: Rights, permits: list[Permit]) -> Iterator[Violation]:
    found = {permit.digest: permit for permit in permits}
    targets: Counter[bytes] = Counter()
    caps: Counter[int] = Counter()
    for edge in sorted(_edges(permits)):
        permit = found[edge.permit]
        terms = rights.terms(permit)
        cap = terms.cap if terms else 0
        _count(targets, edge.target, edge.step)
        _count(caps, cap, edge.step)
        if edge.step > 0 and len(targets) > max(caps):
            detail = f"{len(targets)} targets at {edge.at}, the cap is {max(caps)}"
            yield Violation(Rule.CAP, permit.licence, permit.system, detail, permit.digest, edge.lease)


def _edges(permits: list[Permit]) -> Iterator[_Edge]:
    for permit in permits:
        for lease, listed in permit.leases.items():
            if listed.hard_end > permit.decided:
                yield _Edge(permit.decided, 1, listed.target, permit.digest, lease)
                yield _Edge(listed.hard_end, -1, listed.target, permit.digest, lease)


def _count(counter: Counter[K], key: K, step: int) -> None:
    counter[key] += step
    if not counter[key]:
        del counter[key]


# ------------------------------------------------------------------------------------------------ volume
@dataclass(frozen=True, slots=True)
class _Taken:
    """A grant, and whether its seat was surely a new one."""

    at: int
    target: bytes
    permit: Permit
    lease: int
    new_seat: bool


def _over_volume(rights: Rights, permits: list[Permit], figures: Figures) -> Iterator[Violation]:
    taken = list(_taken(rights, permits, figures))
    for index, each in enumerate(taken):
        terms = rights.terms(each.permit)
        if terms is None:
            continue
        for limit in terms.distinct:
            count = len({one.target for one in _window(taken, index, limit)})
            if count > limit.limit:
                yield _beyond(Rule.DISTINCT, each, count, limit)
        for limit in terms.churn:
            count = sum(one.new_seat for one in _window(taken, index, limit))
            if count > limit.limit and each.new_seat:
                yield _beyond(Rule.CHURN, each, count, limit)


def _taken(rights: Rights, permits: list[Permit], figures: Figures) -> Iterator[_Taken]:
    """A target that comes back soon may have regained its cooling seat, so it counts as new only when it surely is."""
    free_at: dict[bytes, int] = {}
    for permit in permits:
        terms = rights.terms(permit)
        for grant in permit.grants:
            new = not grant.existing and permit.decided >= free_at.get(grant.target, 0)
            if not grant.existing:
                yield _Taken(permit.decided, grant.target, permit, grant.lease, new)
        for listed in permit.leases.values():
            rest = (terms.length + terms.grace + epsilon(terms, figures)) if terms else 0
            free_at[listed.target] = max(free_at.get(listed.target, 0), listed.hard_end + rest)


def _window(taken: list[_Taken], index: int, limit: Volume) -> list[_Taken]:
    since = taken[index].at - limit.period
    return [one for one in taken[: index + 1] if one.at > since]


def _beyond(rule: Rule, taken: _Taken, count: int, limit: Volume) -> Violation:
    detail = f"{count} in {limit.period} ms, the licence permits {limit.limit}"
    return Violation(rule, taken.permit.licence, taken.permit.system, detail, taken.permit.digest, taken.lease)


# ------------------------------------------------------------------------------------------------ formulas
def epsilon(terms: Terms, figures: Figures) -> int:
    """What a seat rests beyond its hard end: (L+G)ρ/(1−ρ) + act + skew, rounded up."""
    drift = -(-(terms.length + terms.grace) * figures.rate_error // (MILLION - figures.rate_error))
    return drift + figures.act + figures.skew


def longest_use(terms: Terms, figures: Figures) -> int:
    """W of a system that cannot be reached: (L + G)/(1−ρ) + act, rounded up."""
    stretched = -(-(terms.length + terms.grace) * MILLION // (MILLION - figures.rate_error))
    return stretched + figures.act


def judge_bounds(rights: Rights, figures: Figures) -> Iterator[Violation]:
    """Whether what the operator was told of W is what the formula says."""
    for suspension in rights.record.suspensions:
        terms = rights.terms_at(suspension.licence, suspension.decided)
        bound = longest_use(terms, figures) if terms else 0
        if suspension.unreachable < bound:
            detail = f"the operator was told {suspension.unreachable} ms, the formula says {bound}"
            yield Violation(Rule.BOUND, suspension.licence, "", detail)
