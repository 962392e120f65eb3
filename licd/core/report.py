"""The transparency report: figures that are counted from the log and from nothing else. Pure.

A total is over all customers. Small cells of a breakdown lose their names, with a reason. No figure names a customer, a
licence, a case or an allegation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from licd.core.time import DAY, Instant, Millis


@dataclass(frozen=True, slots=True)
class Told:
    """One entry, as the report hears it.

    subject is what it is about (a licence, case or allegation), word what it says (a reason, a state, a determination),
    times how many it stands for. due: until when an allegation is acknowledged and answered; 0 elsewhere.
    """

    at: Instant
    kind: str
    subject: str = ""
    word: str = ""
    times: int = 1
    due: tuple[Instant, Instant] = (0, 0)


TOTALS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "licences_issued": ("licence.issued", ""),
        "licences_renewed": ("licence.renewed", ""),
        "licences_amended": ("licence.amended", ""),
        "licences_suspended": ("licence.suspended", ""),
        "licences_reinstated": ("licence.reinstated", ""),
        "licences_terminated": ("licence.terminated", ""),
        "customers_banned": ("customer.banned", ""),
        "approvals_rejected": ("approval.rejected", ""),
        "leases_granted": ("lease.granted", ""),
        "signals_raised": ("signal.raised", ""),
        "cases_opened": ("case.opened", ""),
        "cases_reopened": ("case.reopened", ""),
        "cases_stopped": ("case.moved", "stopped"),
        "cases_determined": ("case.determined", ""),
        "allegations_filed": ("allegation.filed", ""),
        "allegations_acknowledged": ("allegation.acknowledged", ""),
        "allegations_answered": ("allegation.answered", ""),
        "identities_disclosed": ("identity.disclosed", ""),
    }
)
"""Figure → the kind of entry that counts for it, and the word it must say; empty: any."""
BREAKDOWNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "denials_by_reason": ("denied", "denied.counted"),
        "suspensions_by_reason": ("licence.suspended",),
        "terminations_by_reason": ("licence.terminated",),
        "determinations": ("case.determined",),
        "signals_by_outcome": ("signal.raised",),
    }
)
AGES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "allegation_to_acknowledgement": ("allegation.filed", "allegation.acknowledged"),
        "allegation_to_answer": ("allegation.filed", "allegation.answered"),
        "case_to_determination": ("case.opened", "case.determined"),
        "suspension_to_reinstatement": ("licence.suspended", "licence.reinstated"),
    }
)
"""Figure → what it begins and ends with; it is counted when it ends."""
HEARD: Final = frozenset(
    {
        *(kind for kind, _ in TOTALS.values()),
        *(kind for kinds in BREAKDOWNS.values() for kind in kinds),
        *(kind for kinds in AGES.values() for kind in kinds),
    }
)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A total by words. others are of words that are not named because they are too few; the sum is the total."""

    cells: Mapping[str, int]
    others: int


@dataclass(frozen=True, slots=True)
class Age:
    """How many ended within the period, and after how many days: the middle one and the longest; None: too few."""

    ended: int
    median_days: int | None
    longest_days: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What is published."""

    totals: Mapping[str, int]
    standing: Mapping[str, int]
    breakdowns: Mapping[str, Breakdown]
    ages: Mapping[str, Age]


@dataclass(slots=True)
class Reckoning:
    """Counts entries in the order of the log. What is before the period says how things stand when it begins."""

    since: Instant
    until: Instant
    least: int
    _totals: Counter[str] = field(default_factory=Counter)
    _cells: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in BREAKDOWNS})
    _begun: dict[tuple[str, str], Instant] = field(default_factory=dict)
    _spans: dict[str, list[Millis]] = field(default_factory=lambda: {name: [] for name in AGES})
    _licences: dict[str, str] = field(default_factory=dict)
    _unanswered: dict[str, tuple[Instant, Instant]] = field(default_factory=dict)
    _late: Counter[str] = field(default_factory=Counter)

    def hear(self, told: Iterable[Told]) -> None:
        """Takes entries; what is at or after the period's end is passed over."""
        for each in told:
            if each.at < self.until:
                self._hear(each)

    def _hear(self, told: Told) -> None:
        within = told.at >= self.since
        for name, kinds in BREAKDOWNS.items():
            if told.kind in kinds:
                self._cells[name][told.word] += told.times if within else 0
        for name, (kind, word) in TOTALS.items():
            if within and told.kind == kind and word in {"", told.word}:
                self._totals[name] += told.times
        for name, (begin, end) in AGES.items():
            if told.kind == begin:
                self._begun.setdefault((name, told.subject), told.at)
            elif told.kind == end and (begun := self._begun.pop((name, told.subject), None)) is not None and within:
                self._spans[name].append(told.at - begun)
        self._stand(told, within=within)

    def _stand(self, told: Told, *, within: bool) -> None:
        match told.kind:
            case "licence.issued" | "licence.reinstated":
                self._licences[told.subject] = "in_force"
            case "licence.suspended":
                self._licences[told.subject] = "suspended"
            case "licence.terminated":
                self._licences.pop(told.subject, None)
            case "allegation.filed":
                self._unanswered[told.subject] = told.due
            case "allegation.acknowledged":
                due = self._unanswered.get(told.subject, (0, 0))[0]
                self._late["allegations_acknowledged_late"] += int(within and told.at > due)
            case "allegation.answered":
                due = self._unanswered.pop(told.subject, (0, 0))[1]
                self._late["allegations_answered_late"] += int(within and told.at > due)
            case _:
                pass

    def figures(self) -> Figures:
        """All of them, those that are 0 as well: one that is missing is a fault of the report."""
        states = Counter(self._licences.values())
        return Figures(
            totals={
                **{name: self._totals[name] for name in TOTALS},
                **{name: self._late[name] for name in ("allegations_acknowledged_late", "allegations_answered_late")},
            },
            standing={
                "licences_not_ended": states.total(),
                "licences_suspended": states["suspended"],
                "allegations_unanswered": len(self._unanswered),
                "allegations_overdue": sum(due[1] <= self.until for due in self._unanswered.values()),
            },
            breakdowns={name: broken_down(cells, self.least) for name, cells in self._cells.items()},
            ages={name: _age(spans, self.least) for name, spans in self._spans.items()},
        )


def broken_down(cells: Mapping[str, int], least: int) -> Breakdown:
    """Cells below least lose their names and come together; where that is still too few, the next smallest with them.

    Two small cells that kept their names would each be told by the total. A word that is not there counts nothing, or
    is among the others.
    """
    ordered = sorted((number, word) for word, number in cells.items() if number)
    others = 0
    while ordered and (ordered[0][0] < least or 0 < others < least):
        others += ordered.pop(0)[0]
    return Breakdown({word: number for number, word in sorted(ordered, key=lambda each: each[1])}, others)


def _age(spans: list[Millis], least: int) -> Age:
    if len(spans) < least:
        return Age(len(spans), None, None)
    ordered = sorted(spans)
    return Age(len(ordered), ordered[(len(ordered) - 1) // 2] // DAY, ordered[-1] // DAY)
