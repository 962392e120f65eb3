"""The log as misuse rules see it: windows that slide over it, and how things stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from licd.core.gauge import Gauge
from licd.core.happenings import SIGNS_OF_LIFE, STANDING_KINDS, Happening
from licd.core.misuse import (
    COUNTED,
    LIMITS,
    MOST,
    STANDING,
    TARGETS,
    USUAL,
    USUAL_WINDOWS,
    Finding,
    Rule,
    Subject,
    ticks,
)
from licd.core.terms import ConcurrentTargets, DistinctTargets, TargetChurn, Terms
from licd.core.time import DAY, MINUTE, Instant, Millis

LONGEST_SILENCE: Final[Millis] = 30 * DAY
"""Silence is told as no longer than this: who begins to listen today need not know of more."""

GRANTED: Final = "granted"
LICENCE_ITSELF: Final = "licd"


@dataclass(slots=True)
class _Licence:
    terms: Terms | None = None
    terms_index: int = 0
    issued_at: Instant = 0
    in_force: bool = True
    lifted_at: Instant = 0
    ended: bool = False
    code: str = ""


@dataclass(slots=True)
class _System:
    licence: str
    enrolled_at: Instant = 0
    gone: bool = False
    heard_at: Instant = 0
    heard_index: int = 0
    stopped_at: Instant = 0
    stopped_index: int = 0
    stopped_epoch: int = 0


@dataclass(frozen=True, slots=True)
class _Asking:
    """A rule with what it takes to ask it. before: the gauge of the window and those that say what is usual."""

    rule: Rule
    step: Millis
    within: Gauge
    before: Gauge
    names: tuple[str, ...]
    is_standing: bool


class History:
    """Takes happenings in the order of the log and ticks in between; tells what rules find at a tick."""

    def __init__(self, rules: Sequence[Rule], asked_after: Instant = 0) -> None:
        """asked_after: rules are not asked at this tick and before; what happened is counted all the same."""
        self._asked_after: Final = asked_after
        self._gauges: Final[dict[tuple[Subject, Millis, Millis], Gauge]] = {}
        self._licences: Final[dict[str, _Licence]] = {}
        self._systems: Final[dict[str, _System]] = {}
        self._of_licence: Final[dict[str, set[str]]] = {}
        self._first_of: Final[dict[str, Instant]] = {}
        self.size = 0
        self.at: Instant = 0
        self.judged: Instant = 0
        self._rules: Final = tuple(self._prepared(rule) for rule in rules)

        self._stride: Final = min([each.step for each in self._rules], default=DAY)

    @property
    def lookback(self) -> Millis:
        """How far back happenings can matter that do not say how things stand since."""
        return max([LONGEST_SILENCE, *(window + step for _, window, step in self._gauges)])

    def _prepared(self, rule: Rule) -> _Asking:
        within = self._gauge(rule, 1)
        before = self._gauge(rule, 1 + USUAL_WINDOWS) if rule.names & USUAL.keys() else within
        within.names.update(rule.names & {*COUNTED, TARGETS})
        if before is not within:
            within.names.add(GRANTED)
            before.names.add(GRANTED)
        return _Asking(rule, rule.step, within, before, tuple(sorted(rule.names)), bool(rule.names & STANDING.keys()))

    def _gauge(self, rule: Rule, windows: int) -> Gauge:
        key = (rule.subject, windows * rule.window, rule.step)
        if key not in self._gauges:
            self._gauges[key] = Gauge(windows * rule.window, rule.step)
        return self._gauges[key]

    # taking

    def follow(self, happenings: Iterable[Happening]) -> Iterator[Finding]:
        """Takes what happened, and tells what rules find at every tick that it shows to be over."""
        for happening in happenings:
            yield from self.reach(max(happening.at, self.at))
            self.take(happening)

    def reach(self, until: Instant) -> Iterator[Finding]:
        """Time goes on so far without anything that happens: what rules find at the ticks up to it.

        The first that is heard of time only sets it: before it nothing is known to have been.
        """
        if not self.judged:
            self.judged = until
            return
        if until > self.judged and all(gauge.is_empty for gauge in self._gauges.values()):
            self.judged = max(self.judged, min(until, self._asked_after))
        for tick in ticks(self.judged, until, self._stride):
            self.judged = tick
            yield from self._judge(tick)
        self.judged = max(self.judged, until)

    def take(self, happening: Happening) -> None:
        """The next entry of the log. One whose clock says less than one before counts as that one's time."""
        self.at = max(self.at, happening.at)
        self.size = happening.index + 1
        self._stand(happening)
        names = happening.counters()
        for (kind, _, _), gauge in self._gauges.items():
            wanted = [name for name in names if name in gauge.names]
            seen = happening.target and TARGETS in gauge.names
            subject = self._subject(kind, happening) if wanted or seen else ""
            if not subject:
                continue
            for name in wanted:
                gauge.count(subject, name, happening.times, happening.index)
            if seen and happening.kind == "lease.granted":
                gauge.see(subject, happening.target)
                gauge.count(subject, TARGETS, 1, happening.index)

    def _subject(self, kind: Subject, happening: Happening) -> str:
        match kind:
            case Subject.SYSTEM:
                return happening.system
            case Subject.LICENCE:
                return happening.licence
            case Subject.CUSTOMER:
                return self._customer(happening.licence)
            case Subject.INSTALLATION:
                return LICENCE_ITSELF

    def _customer(self, licence: str) -> str:
        found = self._licences.get(licence)
        return found.terms.customer if found is not None and found.terms is not None else ""

    def _stand(self, happening: Happening) -> None:
        if happening.system and happening.kind in SIGNS_OF_LIFE:
            system = self._system(happening)
            system.heard_at, system.heard_index = self.at, happening.index
        if happening.kind not in STANDING_KINDS:
            return
        if happening.kind.startswith("licence."):
            self._stand_licence(happening)
        elif happening.kind != "session.opened":
            self._stand_system(happening)

    def _stand_licence(self, happening: Happening) -> None:
        licence = self._licences.setdefault(happening.licence, _Licence())
        if happening.terms is not None:
            licence.terms, licence.terms_index = happening.terms, happening.index
        match happening.kind:
            case "licence.issued":
                licence.issued_at = self.at
                self._first_of.setdefault(self._customer(happening.licence), self.at)
            case "licence.suspended" | "licence.terminated":
                licence.in_force, licence.code = False, happening.code
                licence.ended = happening.kind == "licence.terminated"
                for name in self._of_licence.get(happening.licence, ()):
                    self._stop(self._systems[name], happening)
            case "licence.reinstated":
                licence.in_force, licence.code, licence.lifted_at = True, "", self.at
                self._forget(happening.licence)
            case _:
                pass

    def _forget(self, licence: str) -> None:
        """Whoever reinstated it has judged what was before: only what comes after counts against it."""
        systems = self._of_licence.get(licence, set())
        for name in systems:
            self._systems[name].stopped_at = 0
        for (kind, _, _), gauge in self._gauges.items():
            if kind in (Subject.LICENCE, Subject.SYSTEM):
                for subject in (licence, *systems):
                    gauge.forget(subject)

    def _stop(self, system: _System, happening: Happening) -> None:
        """One more stop does not make the silence about the first any shorter."""
        if system.gone:
            return
        if not system.stopped_at:
            system.stopped_at, system.stopped_index = self.at, happening.index
        system.stopped_epoch = happening.epoch

    def _stand_system(self, happening: Happening) -> None:
        system = self._system(happening)
        match happening.kind:
            case "deployment.enrolled":
                self._systems[happening.system] = _System(happening.licence, enrolled_at=self.at)
            case "directive.acknowledged":
                if happening.epoch >= system.stopped_epoch:
                    system.stopped_at = 0
            case _:
                system.gone, system.stopped_at = True, 0

    def _system(self, happening: Happening) -> _System:
        found = self._systems.get(happening.system)
        if found is None:
            found = self._systems[happening.system] = _System(happening.licence)
            self._of_licence.setdefault(happening.licence, set()).add(happening.system)
        return found

    def hit_by(self, finding: Finding) -> list[str]:
        """The licences that a suspension for this finding would stop; not those that it has nothing to say to."""
        code = finding.rule.code
        if finding.rule.subject is Subject.CUSTOMER:
            names = sorted(name for name in self._licences if self._customer(name) == finding.subject)
        else:
            names = [finding.licence]
        found = [(name, self._licences[name]) for name in names if name in self._licences]
        return [name for name, licence in found if not licence.ended and (licence.in_force or licence.code != code)]

    # judging

    def _judge(self, tick: Instant) -> Iterator[Finding]:
        for gauge in self._gauges.values():
            if tick % gauge.step == 0:
                gauge.advance(tick)
        for asking in self._rules if tick > self._asked_after else ():
            if tick % asking.step == 0:
                for subject in self._asked(asking):
                    facts = {name: self._fact(asking, subject, tick, name) for name in asking.names}
                    if asking.rule.holds(facts):
                        yield self._finding(asking, subject, tick, facts)

    def _asked(self, asking: _Asking) -> list[str]:
        """The subjects of which something counts; of a rule about how things stand, all."""
        if not asking.is_standing:
            return sorted(asking.within.totals)
        return sorted(self._systems if asking.rule.subject is Subject.SYSTEM else self._licences)

    def _fact(self, asking: _Asking, subject: str, tick: Instant, name: str) -> int:
        rule = asking.rule
        if name in COUNTED:
            return asking.within.total(subject, name)
        if name == TARGETS:
            return asking.within.distinct(subject)
        if name in LIMITS:
            return self._limit(name, self._licence_of(rule, subject), rule.window)
        if name in USUAL:
            return self._usual(name, asking, subject, tick)
        systems = self._systems_of(rule, subject)
        spans = [self._silent(each, tick) if name == "silent_minutes" else _open_for(each, tick) for each in systems]
        return min(max(spans, default=0), LONGEST_SILENCE) // MINUTE

    def _licence_of(self, rule: Rule, subject: str) -> str:
        match rule.subject:
            case Subject.SYSTEM:
                found = self._systems.get(subject)
                return found.licence if found is not None else ""
            case Subject.LICENCE:
                return subject
            case Subject.CUSTOMER | Subject.INSTALLATION:
                return ""

    def _systems_of(self, rule: Rule, subject: str) -> list[_System]:
        names = [subject] if rule.subject is Subject.SYSTEM else sorted(self._of_licence.get(subject, ()))
        return [self._systems[name] for name in names]

    def _limit(self, name: str, licence: str, window: Millis) -> int:
        found = self._licences.get(licence)
        if found is None or found.terms is None:
            return MOST
        have = found.terms.constraints
        if name == "cap":
            limits = [each.limit for each in have if isinstance(each, ConcurrentTargets)]
        else:
            kind = DistinctTargets if name == "distinct_limit" else TargetChurn
            limits = [each.limit for each in have if isinstance(each, kind) and each.period >= window]
        return min([*limits, MOST])

    def _usual(self, name: str, asking: _Asking, subject: str, tick: Instant) -> int:
        age = tick - self._began(asking.rule, subject)
        known = min(USUAL_WINDOWS, max(0, age // asking.rule.window - 1))
        if name == "usual_known":
            return known
        counts = [gauge.totals.get(subject, Counter())[GRANTED] for gauge in (asking.before, asking.within)]
        return min(-(-(counts[0] - counts[1]) // max(known, 1)), MOST)

    def _began(self, rule: Rule, subject: str) -> Instant:
        match rule.subject:
            case Subject.SYSTEM:
                return self._systems[subject].enrolled_at
            case Subject.LICENCE:
                return self._licences[subject].issued_at if subject in self._licences else 0
            case Subject.CUSTOMER:
                return self._first_of.get(subject, 0)
            case Subject.INSTALLATION:
                return 0

    def _silent(self, system: _System, tick: Instant) -> Millis:
        licence = self._licences.get(system.licence)
        if licence is None or licence.terms is None or system.gone or not system.heard_at:
            return 0
        working = licence.in_force and licence.terms.not_before <= tick < licence.terms.not_after
        return tick - system.heard_at if working else 0

    def _finding(self, asking: _Asking, subject: str, tick: Instant, facts: Mapping[str, int]) -> Finding:
        rule = asking.rule
        licence = self._licence_of(rule, subject)
        counted = asking.within.marks(subject, rule.names)
        evidence = {*counted, *self._standing_evidence(rule, subject)}
        if rule.names & LIMITS.keys() and licence in self._licences:
            evidence.add(self._licences[licence].terms_index)
        told = tuple(sorted(facts.items()))
        lifted_at = self._licences[licence].lifted_at if licence in self._licences else 0
        return Finding(rule, subject, licence, tick, told, tuple(sorted(evidence)), self.size, lifted_at)

    def _standing_evidence(self, rule: Rule, subject: str) -> Iterator[int]:
        if not rule.names & STANDING.keys():
            return
        for system in self._systems_of(rule, subject):
            if "silent_minutes" in rule.names and system.heard_at:
                yield system.heard_index
            if "unacknowledged_minutes" in rule.names and system.stopped_at:
                yield system.stopped_index


def _open_for(system: _System, tick: Instant) -> Millis:
    return tick - system.stopped_at if system.stopped_at else 0
