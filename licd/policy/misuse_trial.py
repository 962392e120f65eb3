"""What a case of misuse.test.toml makes up: a log of its own, told in minutes, over which the rules are rehearsed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from licd.core.happenings import COUNTED_KINDS, STANDING_KINDS, Happening
from licd.core.misuse import Brake, Rule
from licd.core.reasons import Reason
from licd.core.rehearsal import Rehearsal
from licd.core.terms import ConcurrentTargets, Constraint, DistinctTargets, TargetChurn, Terms
from licd.core.time import DAY, HOUR, MINUTE, Instant
from licd.policy.reader import Reader

START: Final[Instant] = 19_000 * DAY
AGE: Final = 90 * DAY
MOST_TIMES: Final = 100_000
KINDS: Final = frozenset(STANDING_KINDS | COUNTED_KINDS) - {"licence.issued", "deployment.enrolled"}


@dataclass(frozen=True, slots=True)
class _Event:
    """One line of a case."""

    minute: int
    times: int
    every: int
    customer: str
    made: Happening
    fresh: bool

    def happenings(self) -> Iterator[Happening]:
        for number in range(self.times):
            at = START + (self.minute + number * self.every) * MINUTE
            found = replace(self.made, at=at)
            if self.made.kind == "lease.granted":
                word = f"{self.minute} {number if self.fresh else 0}"
                found = replace(found, target=sha256(word.encode()).digest())
            yield found


def signals_of(rules: Iterable[Rule], brake: Brake, given: Reader) -> list[str]:
    """The signals that the rules raise, "rule subject what-came-of-it"."""
    hours = given.whole("hours", least=1, most=366 * 24)
    constraints = tuple(_constraints(given.table_at("terms"))) if given.has("terms") else ()
    events = [_event(table) for table in given.tables("events")]
    log = _numbered([*_issued(events, constraints), *_in_order(events)])
    asked = _asked(tuple(rules), given)
    rehearsal = Rehearsal(asked, brake, START, START + hours * HOUR)
    return [f"{each.finding.rule.name} {each.finding.subject} {each.done}" for each in rehearsal.over(log)]


def _asked(rules: tuple[Rule, ...], given: Reader) -> tuple[Rule, ...]:
    """The rules that the case names; all where it names none."""
    if not given.has("rules"):
        return rules
    names = given.texts("rules", choices=[rule.name for rule in rules])
    return tuple(rule for rule in rules if rule.name in names)


def _event(table: Reader) -> _Event:
    licence = table.text("licence", default="licence-1")
    system = table.text("system", default=f"{licence}/system-1")
    kind, reason = "lease.granted", ""
    fresh, count = False, 1
    if table.has("denied"):
        reason = table.text("denied", choices=Reason.__members__)
        kind = "denied.counted" if table.has("counted") else "denied"
        count = table.whole("counted", least=1, default=1)
    elif table.has("granted"):
        fresh = table.text("granted", choices=("new", "same")) == "new"
    else:
        kind = table.text("kind", choices=KINDS)
    event = _Event(
        minute=table.whole("minute"),
        times=table.whole("times", least=1, most=MOST_TIMES, default=1),
        every=table.whole("every", default=0),
        customer=table.text("customer", default="customer-1"),
        made=Happening(0, 0, kind, licence=licence, system=system, reason=reason, times=count, epoch=2),
        fresh=fresh,
    )
    table.done()
    return event


def _constraints(table: Reader) -> Iterator[Constraint]:
    if table.has("cap"):
        yield ConcurrentTargets(table.whole("cap", least=1))
    for key, kind in (("distinct", DistinctTargets), ("churn", TargetChurn)):
        if table.has(key):
            limit = table.table_at(key)
            yield kind(limit.whole("limit", least=1), limit.span("period_days", DAY))
            limit.done()
    table.done()


def _issued(events: Iterable[_Event], constraints: tuple[Constraint, ...]) -> Iterator[Happening]:
    """Every licence of the case with its systems, 90 days before it begins."""
    at = START - AGE
    licences = {each.made.licence: each.customer for each in events}
    for name, customer in licences.items():
        yield Happening(0, at, "licence.issued", licence=name, terms=_terms(name, customer, constraints))
    for system, licence in {each.made.system: each.made.licence for each in events}.items():
        yield Happening(0, at, "deployment.enrolled", licence=licence, system=system)


def _terms(licence: str, customer: str, constraints: tuple[Constraint, ...]) -> Terms:
    return Terms(
        licence=licence,
        customer=customer,
        issuer="trial",
        revision=1,
        issued_at=START - AGE,
        not_before=START - AGE,
        not_after=START + 10 * AGE,
        product="trial",
        category="trial",
        policy_version="trial",
        lineage=licence,
        constraints=constraints,
    )


def _in_order(events: Iterable[_Event]) -> list[Happening]:
    return sorted((one for each in events for one in each.happenings()), key=lambda one: one.at)


def _numbered(log: Iterable[Happening]) -> list[Happening]:
    return [replace(each, index=index) for index, each in enumerate(log)]
