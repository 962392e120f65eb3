"""policies/casework.toml: how suspicion is looked into, by how many persons it is determined, what may follow.

Rules
- A determination takes two persons at least.
- A remedy is for findings of misuse, or of nothing conclusive; never for no misuse. What ends a licence is for misuse
  alone.
- A remedy that tightens names a category in which something may be licensed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from licd.core.case import Determination
from licd.core.time import HOUR, Millis
from licd.policy.categories import Category
from licd.policy.problems import unknown
from licd.policy.reader import Reader


class Action(StrEnum):
    """What a remedy does to a licence."""

    TERMINATE = "terminate"
    TIGHTEN = "tighten"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that must or may be done before a determination."""

    description: str
    mandatory: bool


@dataclass(frozen=True, slots=True)
class RemedyPolicy:
    """What may follow from which findings. code ends a licence, category is whose ceiling it comes below."""

    description: str
    after: frozenset[Determination]
    action: Action
    code: str
    category: str


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


def read_casework(reader: Reader, categories: Mapping[str, Category], terminate: Mapping[str, str]) -> Casework:
    """Reads the file. terminate: the reasons for which policy ends a licence."""
    deadline, determination = reader.table_at("deadline"), reader.table_at("determination")
    policy = Casework(
        acknowledge=deadline.span("acknowledge_hours", HOUR, most=31 * 24),
        persons=determination.whole("persons", least=2, most=10),
        steps=MappingProxyType({table.name(name): _read_step(table) for name, table in reader.named("step")}),
        remedies=MappingProxyType(
            {
                table.name(name): _read_remedy(table, categories, terminate)
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


def _read_remedy(reader: Reader, categories: Mapping[str, Category], terminate: Mapping[str, str]) -> RemedyPolicy:
    word = reader.text("action", choices=[each.value for each in Action])
    action = next((each for each in Action if each.value == word), Action.TIGHTEN)
    findings = [Determination.MISUSE.value, Determination.INCONCLUSIVE.value]
    after = frozenset(Determination(each) for each in reader.texts("after", choices=findings) if each in findings)
    if action is Action.TERMINATE and after - {Determination.MISUSE}:
        reader.note("after", "a licence is ended after misuse, and after nothing else")
    code = category = ""
    if action is Action.TERMINATE:
        code = reader.text("code")
        if code and code not in terminate:
            reader.note("code", unknown("reason to terminate", code, terminate), refers=True)
    else:
        category = reader.text("category")
        if category and (category not in categories or categories[category].ceiling is None):
            known = [name for name, each in categories.items() if each.ceiling is not None]
            reader.note("category", unknown("category in which something is licensed", category, known), refers=True)
    remedy = RemedyPolicy(reader.text("description"), after, action, code, category)
    reader.done()
    return remedy
