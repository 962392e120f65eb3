"""Misuse rules: which facts they may speak of, what they come to, and when one that holds is told of.

A rule is asked at fixed instants (ticks), about what the log says of the window before. Whether it holds follows from
the log alone; whether that is news follows from the signals before, which are in the log as well. So the same log and
the same rules give the same signals, on every replica, after every crash, and in a rehearsal years later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from licd.core.reasons import Reason
from licd.core.time import DAY, HOUR, MINUTE, Instant, Millis

TICK: Final[Millis] = 5 * MINUTE
"""How often rules are asked, at most."""

MOST: Final = 1_000_000
"""No fact is told as more than this: whatever a condition computes of facts and its own numbers fits 64 bits."""

USUAL_WINDOWS: Final = 4
"""So many windows before the present one say what is usual."""

EVIDENCE: Final = 32
"""So many log entries are named with a signal, the newest that count."""


class Subject(StrEnum):
    """Whom a rule is about. installation: licd itself."""

    SYSTEM = "system"
    LICENCE = "licence"
    CUSTOMER = "customer"
    INSTALLATION = "installation"


class Outcome(StrEnum):
    """What a rule asks for: somebody to look, a case, a suspension at once."""

    ALERT = "alert"
    CASE = "case"
    SUSPEND = "suspend"


class Done(StrEnum):
    """What came of it.

    braked: rules had suspended as many licences as policy lets them, and a person has to decide. stands: what would be
    suspended is suspended for this reason already, or has ended; a case that would be opened is open.
    """

    ALERTED = "alerted"
    CASE_OPENED = "case-opened"
    SUSPENDED = "suspended"
    BRAKED = "braked"
    STANDS = "stands"


COUNTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "granted": "leases granted",
        "denied": "requests denied, whatever the reason",
        **{f"denied_{each.name.lower()}": f"requests denied as {each.name}" for each in Reason},
        "sessions": "sessions opened",
        "forks": "times that two copies of one system were seen",
        "fences": "systems fenced for it",
        "suspensions": "suspensions, by whomever",
        "clock_accepted": "times that operators accepted licd's clock after a doubt",
        "clock_restarts": "starts after a time that no clock but the wall clock tells of",
    }
)
"""What is counted within the window."""

TARGETS: Final = "distinct_targets"
LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cap": "the licence's concurrent cap",
        "distinct_limit": "its smallest limit of different targets for a period not shorter than the window",
        "churn_limit": "its smallest limit of new targets for a period not shorter than the window",
    }
)
"""What the licence says; a limit that it does not have is told as MOST."""

USUAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "usual_granted": f"leases granted in a window, the mean of the {USUAL_WINDOWS} before, rounded up",
        "usual_known": f"how many whole windows of the {USUAL_WINDOWS} before there have been",
    }
)
STANDING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "silent_minutes": "since the log last heard of a system that was connected before and may work",
        "unacknowledged_minutes": "since a stop that the system has not acknowledged; 0: none is open",
    }
)
"""What time alone makes true: a rule that uses one is asked about everybody, whether something was counted or not."""

FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {**COUNTED, TARGETS: "different targets among the leases granted", **LIMITS, **USUAL, **STANDING}
)

_OF_LICENCES: Final = frozenset({*LIMITS, *STANDING})


def unfit(name: str, subject: Subject) -> bool:
    """Whether a fact says nothing about such a subject."""
    if subject is Subject.INSTALLATION:
        return name not in COUNTED
    return subject is Subject.CUSTOMER and name in _OF_LICENCES


def step_of(window: Millis) -> Millis:
    """How often a rule with this window is asked: a long one not as often, or its counts would fill the memory."""
    if window <= DAY:
        return TICK
    return HOUR if window <= 14 * DAY else DAY


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. names: the facts its condition speaks of. quiet: the least time between two signals about a subject.

    code is the reason of the suspension it asks for; empty for other outcomes. when is the condition's text, holds the
    same as a function of the facts.
    """

    name: str
    description: str
    subject: Subject
    window: Millis
    quiet: Millis
    outcome: Outcome
    code: str
    when: str
    names: frozenset[str]
    holds: Callable[[Mapping[str, int]], bool]

    @property
    def step(self) -> Millis:
        """How often it is asked."""
        return step_of(self.window)


@dataclass(frozen=True, slots=True)
class Brake:
    """Within any period rules suspend at most so many licences by themselves."""

    most: int
    period: Millis


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule holds about a subject at a tick. licence is the one it is about; empty for a customer, or for licd.

    facts are those of the condition, by name; evidence the indexes of the entries that count, ascending; size is the
    number of entries that the log had when the tick was over: the same ones are counted by whoever asks again.
    lifted_at is when the licence was last reinstated, 0: never.
    """

    rule: Rule
    subject: str
    licence: str
    tick: Instant
    facts: tuple[tuple[str, int], ...]
    evidence: tuple[int, ...]
    size: int
    lifted_at: Instant

    def words(self) -> str:
        """The facts, with the window and the condition."""
        told = ", ".join(f"{name} = {value}" for name, value in self.facts)
        return f"{told} within {_span(self.rule.window)}; the rule says: {' '.join(self.rule.when.split())}"


def is_news(finding: Finding, last: Instant) -> bool:
    """Whether it is told. last is the tick of the last signal of the same rule about the same subject, 0: none.

    After a reinstatement it is: nothing counts that was before.
    """
    return not last or finding.tick - last >= finding.rule.quiet or last <= finding.lifted_at


def is_braked(brake: Brake, before: int, more: int) -> bool:
    """Whether rules have to leave it to a person: before licences were suspended by them within the period."""
    return before + more > brake.most


def ticks(after: Instant, until: Instant, step: Millis = TICK) -> Iterable[Instant]:
    """Every tick later than after, up to and with until; those alone at which a rule of this step is asked."""
    return range((after // step + 1) * step, until + 1, step)


def _span(length: Millis) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h")):
        if length % unit == 0:
            return f"{length // unit} {name}"
    return f"{length // MINUTE} min"
