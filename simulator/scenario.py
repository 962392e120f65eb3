"""A scenario: who is there, under which licences, and what happens when. One TOML file, read strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from simulator.clock import SECOND, Millis
from simulator.happenings import AddReplica, Happening, Restart, Upgrade, read_happening
from simulator.table import Table, unknown
from simulator.wanted_terms import WantedTerms, read_wanted_terms

KINDS: Final[Mapping[str, bool]] = {
    "diligent": True,
    "offline": True,
    "slow": True,
    "crashing": True,
    "greedy": False,
    "rotating": False,
    "roaming": False,
    "straying": False,
    "off-purpose": False,
    "misplaced": False,
    "silent": False,
    "expired": False,
    "ignoring": False,
    "forger": False,
    "sharer": False,
    "copied": False,
}
"""Every kind of system, and whether it is honest: built on the SDK alone."""

SCENARIOS: Final = Path(__file__).parent / "scenarios"
LONGEST: Final[Millis] = 3_600 * SECOND
MOST_SYSTEMS: Final = 2_000
MOST_REPLICAS: Final = 9


class ScenarioInvalid(ValueError):
    """A scenario that cannot be run; `problems` holds everything that was found wrong with it."""

    def __init__(self, file: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer to create."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class WantedLicence:
    """A licence to issue: from a template of the policy, or with terms of its own.

    ends_after (0: not changed) lets the term end so long after the start of the run; starts_after lets it begin then.
    """

    name: str
    customer: str
    template: str
    terms: WantedTerms | None
    starts_after: Millis
    ends_after: Millis


@dataclass(frozen=True, slots=True)
class Group:
    """Systems of one kind under one licence. What a figure means to a kind is told by the kind.

    seats: targets at one time; pause: between two steps; steps: how many of them, 0 = until the end; hold: how long an
    honest system keeps a target, 0 = from 4 to 12 pauses; brazen: how often a cheat that is refused works on the target
    all the same; loss: the share of what it sends, and of what is sent to it, that is lost.
    """

    name: str
    licence: str
    kind: str
    number: int
    seats: int
    pause: Millis
    steps: int
    hold: Millis
    brazen: float
    loss: float
    region: str
    starts_after: Millis

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of its systems."""
        return tuple(f"{self.name}-{number}" for number in range(1, self.number + 1))


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a run for it to have shown anything: an oracle that saw nothing has nothing to say."""

    grants: int
    denials: tuple[str, ...]
    stoppings: int
    failed_calls: int | None
    """How many calls of honest systems may fail for good; None where nobody counts."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that is decided before a run. Equal scenarios and seeds make equal choices."""

    title: str
    seed: int
    duration: Millis
    policies: Path | None
    replicas: int
    """Daemons on one database server at the start; 0: one, on a file of its own."""
    customers: tuple[Customer, ...]
    licences: tuple[WantedLicence, ...]
    groups: tuple[Group, ...]
    happenings: tuple[Happening, ...]
    expected: Expected

    def with_seed(self, seed: int) -> Scenario:
        """The same with another seed."""
        return replace(self, seed=seed)

    @property
    def replicas_to_come(self) -> int:
        """How many are added on the way."""
        return sum(isinstance(each.deed, AddReplica) for each in self.happenings)

    def named(self, name: str) -> tuple[str, ...]:
        """The systems that a name stands for: a group's, or one."""
        for group in self.groups:
            if group.name == name:
                return group.systems
        return (name,)


def scenario_file(name: str) -> Path:
    """The file of a scenario: a path, or one that comes along, by its name or by its place beside this module."""
    if Path(name).is_file():
        return Path(name)
    ours = (SCENARIOS / f"{name}.toml", SCENARIOS.parent / name)
    return next((each for each in ours if each.is_file()), Path(name))


def load_scenario(path: Path) -> Scenario:
    """Read a scenario. Raises ScenarioInvalid with everything that is wrong with it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        ours = ", ".join(sorted(each.stem for each in SCENARIOS.glob("*.toml")))
        raise ScenarioInvalid(str(path), [f"there is no such file; scenarios that come along: {ours}"]) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioInvalid(str(path), [f"not a TOML file: {error}"]) from error
    problems: list[str] = []
    scenario = _read(Table("scenario", data, problems), path.parent)
    problems += _loose_ends(scenario) if not problems else []
    if problems:
        raise ScenarioInvalid(str(path), problems)
    return scenario


def _read(table: Table, folder: Path) -> Scenario:
    overlay = table.text("policies", default="")
    scenario = Scenario(
        title=table.text("title"),
        seed=table.whole("seed"),
        duration=table.span("duration_seconds", least=SECOND, most=LONGEST),
        policies=folder / overlay if overlay else None,
        replicas=table.whole("replicas", default=0, most=MOST_REPLICAS),
        customers=tuple(_read_customer(each) for each in table.tables("customer")),
        licences=tuple(_read_licence(each) for each in table.tables("licence")),
        groups=tuple(_read_group(each) for each in table.tables("systems")),
        happenings=tuple(read_happening(each) for each in table.tables("event")),
        expected=_read_expected(table.table("expect")),
    )
    table.done()
    return scenario


def _read_customer(table: Table) -> Customer:
    name = table.name("name")
    customer = Customer(name, table.text("title", default=f"{name} (fictional)"))
    table.done()
    return customer


def _read_licence(table: Table) -> WantedLicence:
    licence = WantedLicence(
        name=table.name("name"),
        customer=table.name("customer"),
        template=table.text("template", default=""),
        terms=read_wanted_terms(table.table("terms")) if table.has("terms") else None,
        starts_after=table.span("starts_after_seconds", default=0),
        ends_after=table.span("ends_after_seconds", default=0),
    )
    if bool(licence.template) == (licence.terms is not None):
        table.note("template", "or [licence.terms]: exactly one of the two")
    table.done()
    return licence


def _read_group(table: Table) -> Group:
    licence, kind = table.name("licence"), table.text("kind", choices=KINDS)
    group = Group(
        name=table.name("name", default=f"{licence}-{kind}"),
        licence=licence,
        kind=kind,
        number=table.whole("number", default=1, least=1, most=MOST_SYSTEMS),
        seats=table.whole("seats", default=1, least=1, most=1_000),
        pause=table.span("pause_seconds", default=SECOND, least=10),
        steps=table.whole("steps", default=0),
        hold=table.span("hold_seconds", default=0),
        brazen=table.share("brazen", default=0.0),
        loss=table.share("loss", default=0.0),
        region=table.text("region", default=""),
        starts_after=table.span("starts_after_seconds", default=0),
    )
    table.done()
    return group


def _read_expected(table: Table) -> Expected:
    expected = Expected(
        grants=table.whole("grants_at_least", default=0),
        denials=table.texts("denials", default=[]),
        stoppings=table.whole("stoppings_at_least", default=0),
        failed_calls=table.whole("failed_calls_at_most") if table.has("failed_calls_at_most") else None,
    )
    table.done()
    return expected


def _loose_ends(scenario: Scenario) -> list[str]:
    """What each part is by itself sound, and together is not."""
    customers = [each.name for each in scenario.customers]
    licences = [each.name for each in scenario.licences]
    systems = [name for group in scenario.groups for name in group.systems]
    groups = [group.name for group in scenario.groups]
    found = [
        f"[[{what}]]: {name} is there twice"
        for what, names in (("customer", customers), ("licence", licences), ("systems", groups), ("systems", systems))
        for name in sorted({each for each in names if names.count(each) > 1})
    ]
    found += [f"[[systems]]: {name} is longer than 40 characters" for name in systems if len(name) > 40]
    wanted = [("[[licence]]", each.customer, customers) for each in scenario.licences]
    wanted += [("[[systems]]", each.licence, licences) for each in scenario.groups]
    for happening in scenario.happenings:
        wanted += [("[[event]]", name, licences) for name in happening.licences]
        wanted += [("[[event]]", name, customers) for name in happening.customers]
        wanted += [("[[event]]", name, [*groups, *systems]) for name in happening.systems]
        if happening.at > scenario.duration:
            found.append(f"[[event]]: {happening.at / SECOND:g} s is after the end of the run")
    found += _replicas_that_are_not_there(scenario)
    found += [f"{where}: {unknown(name, known, what='name')}" for where, name, known in wanted if name not in known]
    return found


def _replicas_that_are_not_there(scenario: Scenario) -> list[str]:
    there = scenario.replicas + scenario.replicas_to_come
    found = []
    for happening in scenario.happenings:
        match happening.deed:
            case Restart(replica=number) if number > max(1, there):
                found.append(f"[[event]]: there is no replica {number}")
            case AddReplica() | Upgrade() if not scenario.replicas:
                found.append("[[event]]: a daemon on a file is alone; replicas = N is needed")
    return found
