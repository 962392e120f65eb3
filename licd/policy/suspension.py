"""policies/suspension.toml: why a licence is suspended, lifted or terminated, and what lifting takes.

What it takes to come back is known from the first day: a suspension tells its customer the review date, the
conditions, the time to wait and whose approval is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from licd.core.condition import Schedule
from licd.core.reinstatement import APPROVALS, OVERSEER, Demands, missing
from licd.core.time import DAY, HOUR, Millis
from licd.policy.problems import unknown
from licd.policy.reader import Reader

ORIGINS = ("report", "rule", "condition", "outside", "person")


@dataclass(frozen=True, slots=True)
class SuspendCode:
    """A reason to suspend. cooling_off is the least time until a reinstatement, review when it must be looked at.

    approvals counts the persons a reinstatement needs, the one who asks for it included; overseer: an overseer has to
    agree as well, which is an item of the checklist.
    """

    code: str
    description: str
    origin: str
    review: Millis
    cooling_off: Millis
    conditions: tuple[str, ...]
    approvals: int
    overseer: bool

    @property
    def demands(self) -> Demands:
        """What reinstating takes."""
        items = (*self.conditions, OVERSEER) if self.overseer else self.conditions
        return Demands(items, self.cooling_off, self.approvals)


@dataclass(frozen=True, slots=True)
class LiftCode:
    """A reason to reinstate. restricted: the licence comes back narrower than it was.

    checklist: what the suspension's reason demands must be done; not where the suspicion is found to be a mistake.
    """

    code: str
    description: str
    restricted: bool
    checklist: bool


@dataclass(frozen=True, slots=True)
class Obligation:
    """What a licence can oblige its customer to. every is 0 for what has no calendar: it is due when somebody says so.

    tolerance is the time between the due date and the suspension for the reason that consequence names, in which the
    licence is tightened in so many steps, each to the ceiling of the next worse category. remind: how long before the
    due date. certified: a named contact of the customer must sign for it.
    """

    name: str
    description: str
    every: Millis
    tolerance: Millis
    consequence: str
    remind: Millis
    steps: int
    certified: bool

    @property
    def schedule(self) -> Schedule:
        """Its figures."""
        return Schedule(self.every, self.tolerance, self.remind, self.steps)


@dataclass(frozen=True, slots=True)
class SuspensionPolicy:
    """The whole file; conditions (to lift a suspension) and terminate map codes to words."""

    conditions: Mapping[str, str]
    obligations: Mapping[str, Obligation]
    suspend: Mapping[str, SuspendCode]
    lift: Mapping[str, LiftCode]
    terminate: Mapping[str, str]

    def demands(self, code: str, lift: str) -> Demands:
        """What it takes to lift a suspension for this reason with that one.

        A reason that the policy in force does not know any more demands two persons, and so does a mistake.
        """
        reason = self.suspend.get(code)
        if reason is None:
            return Demands()
        return reason.demands if self.lift[lift].checklist else Demands(persons=reason.approvals, mistake=True)

    def missing_to_lift(self, code: str, *, met: frozenset[str], elapsed: Millis, persons: int) -> tuple[str, ...]:
        """What still stands in the way of reinstating, in words of the policy; empty when nothing does.

        Raises KeyError for a code that is not in suspend.
        """
        demands = self.suspend[code].demands
        short = (APPROVALS,) if persons < demands.persons else ()
        return (*missing(demands, met, elapsed), *short)

    def described(self, item: str) -> str:
        """An item of the checklist in words."""
        return "An overseer from outside has agreed" if item == OVERSEER else self.conditions.get(item, item)


def read_suspension(reader: Reader) -> SuspensionPolicy:
    """Reads the file."""
    conditions = _read_descriptions(reader, "condition")
    suspend = {name: _read_suspend(name, table, conditions) for name, table in reader.named("suspend")}
    obligations = {name: _read_obligation(name, table, suspend) for name, table in reader.named("obligation")}
    lift = {name: _read_lift(name, table) for name, table in reader.named("lift")}
    return SuspensionPolicy(
        conditions=MappingProxyType(conditions),
        obligations=MappingProxyType(obligations),
        suspend=MappingProxyType(suspend),
        lift=MappingProxyType(lift),
        terminate=MappingProxyType(_read_descriptions(reader, "terminate")),
    )


def _read_suspend(name: str, reader: Reader, conditions: Mapping[str, str]) -> SuspendCode:
    required = reader.texts("conditions")
    for index, condition in enumerate(required):
        if condition not in conditions:
            reader.note("conditions", unknown("condition", condition, conditions), element=index)
    reason = SuspendCode(
        code=reader.name(name),
        description=reader.text("description"),
        origin=reader.text("origin", choices=ORIGINS),
        review=reader.span("review_days", DAY, most=366),
        cooling_off=reader.span("cooling_off_hours", HOUR, least=0, most=366 * 24),
        conditions=required,
        approvals=reader.whole("approvals", least=2, most=10),
        overseer=reader.flag("overseer", default=False),
    )
    reader.done()
    return reason


def _read_obligation(name: str, reader: Reader, suspend: Mapping[str, SuspendCode]) -> Obligation:
    obligation = Obligation(
        name=reader.name(name),
        description=reader.text("description"),
        every=reader.span("every_days", DAY, least=0, most=366),
        tolerance=reader.span("tolerance_days", DAY, least=0, most=90),
        consequence=reader.text("consequence", choices=suspend),
        remind=reader.span("remind_days", DAY, least=0, most=90, default=0),
        steps=reader.whole("tighten_steps", most=5, default=0),
        certified=reader.flag("certified", default=False),
    )
    reader.done()
    return obligation


def _read_lift(name: str, reader: Reader) -> LiftCode:
    code = LiftCode(
        reader.name(name),
        reader.text("description"),
        reader.flag("restricted"),
        reader.flag("checklist", default=True),
    )
    reader.done()
    return code


def _read_descriptions(reader: Reader, key: str) -> dict[str, str]:
    found = {}
    for name, table in reader.named(key):
        found[table.name(name)] = table.text("description")
        table.done()
    return found
