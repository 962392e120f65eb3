"""policies/casework.toml: how suspicion is looked into, by how many persons it is determined, what may follow.

Rules
- A determination takes two persons at least.
- A remedy is for findings of misuse, or of nothing conclusive; never for no misuse. What ends a licence is for misuse
  alone.
- A remedy that tightens names a category in which something may be licensed; one that obliges, an obligation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from licd.core.case import Determination
from licd.core.time import DAY, HOUR, Millis
from licd.policy.categories import Category
from licd.policy.problems import unknown
from licd.policy.reader import Reader
from licd.policy.suspension import SuspensionPolicy


class Action(StrEnum):
    """What a remedy does to a licence."""

    TERMINATE = "terminate"
    TIGHTEN = "tighten"
    OBLIGE = "oblige"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that must or may be done before a determination."""

    description: str
    mandatory: bool


@dataclass(frozen=True, slots=True)
class RemedyPolicy:
    """What may follow from which findings.

    code ends a licence, category is whose ceiling it comes below, obligation is what its customer owes then, due
    for the first time after so long.
    """

    description: str
    after: frozenset[Determination]
    action: Action
    code: str
    category: str
    obligation: str
    due: Millis


@dataclass(frozen=True, slots=True)
class Casework:
    """The whole file. persons determine a case, the one who asks included."""

    acknowledge: Millis
    persons: int
    steps: Mapping[str, Step]
    remedies: Mapping[str, RemedyPolicy]

    @property
    def asked(self) -> tuple[tuple[str, bool], ...]:
        """The steps of a round: names, and whether each is mandatory."""
        return tuple((name, step.mandatory) for name, step in self.steps.items())


def read_casework(reader: Reader, categories: Mapping[str, Category], suspension: SuspensionPolicy) -> Casework:
    """Reads the file; of suspension the reasons to end a licence, and what customers can be obliged to."""
    deadline, determination = reader.table_at("deadline"), reader.table_at("determination")
    policy = Casework(
        acknowledge=deadline.span("acknowledge_hours", HOUR, most=31 * 24),
        persons=determination.whole("persons", least=2, most=10),
        steps=MappingProxyType({table.name(name): _read_step(table) for name, table in reader.named("step")}),
        remedies=MappingProxyType(
            {
                table.name(name): _read_remedy(table, categories, suspension)
                for name, table in reader.named("remedy", default={})
            }
        ),
    )
    deadline.done()
    determination.done()
    if not any(step.mandatory for step in policy.steps.values()):
        reader.note("step", "no step is mandatory: a case would be determined without anybody having looked")
    return policy


def _read_step(reader: Reader) -> Step:
    step = Step(reader.text("description"), reader.flag("mandatory"))
    reader.done()
    return step


def _read_remedy(reader: Reader, categories: Mapping[str, Category], suspension: SuspensionPolicy) -> RemedyPolicy:
    word = reader.text("action", choices=[each.value for each in Action])
    action = next((each for each in Action if each.value == word), Action.TIGHTEN)
    findings = [Determination.MISUSE.value, Determination.INCONCLUSIVE.value]
    after = frozenset(Determination(each) for each in reader.texts("after", choices=findings) if each in findings)
    code = category = obligation = ""
    due = 0
    match action:
        case Action.TERMINATE:
            if after - {Determination.MISUSE}:
                reader.note("after", "a licence is ended after misuse, and after nothing else")
            code = _known(reader, "code", "reason to terminate", suspension.terminate)
        case Action.TIGHTEN:
            licensed = [name for name, each in categories.items() if each.ceiling is not None]
            category = _known(reader, "category", "category in which something is licensed", licensed)
        case Action.OBLIGE:
            obligation = _known(reader, "obligation", "obligation", suspension.obligations)
            due = reader.span("due_days", DAY, most=366)
        case _:
            assert_never(action)
    remedy = RemedyPolicy(reader.text("description"), after, action, code, category, obligation, due)
    reader.done()
    return remedy


def _known(reader: Reader, key: str, what: str, known: Collection[str]) -> str:
    named = reader.text(key)
    if named and named not in known:
        reader.note(key, unknown(what, named, known), refers=True)
    return named
