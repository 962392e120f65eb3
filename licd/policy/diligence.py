"""policies/diligence.toml: how an opportunity is assessed, what must be done before a licence, and where the gate is.

Rules
- Every indicator has a floor for every category but the last, and none rises with the risk.
- What a category must have on its checklist, the next one must have as well; the gate's clauses stand on every list.
- A factor has at least two answers. The product's class and the term are answered by the tables, not by a person.
- An override may go down by so many steps, and never out of a category in which nothing is licensed.
- assess = false stands alone: nobody is assessed, and nothing asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

from licd.core.diligence import Factor, Option, Rules, Thousandths
from licd.core.gate import OPEN, Gate
from licd.core.regions import is_known
from licd.core.time import DAY, Millis
from licd.policy.categories import Category
from licd.policy.indicators.economy_table import ALPHA_2
from licd.policy.indicators.sources import SOURCES
from licd.policy.problems import unknown
from licd.policy.reader import Reader

PRODUCT: str = "product-class"
DURATION: str = "duration"
LONGEST_DAYS = 3_660
_SHA256 = re.compile(r"[0-9a-f]{64}")
# ISO 3166-1 leaves these to users: exercises and fictional economies have codes here that no country will ever get.
_USER_ASSIGNED = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ")


class OnWorse(StrEnum):
    """What follows by itself when an assessed category has become worse: a review, or a review and narrower terms."""

    REVIEW = "review"
    TIGHTEN = "tighten"


@dataclass(frozen=True, slots=True)
class Item:
    """Something a checklist can ask for. accepts: the only files (SHA-256, hex) that count; empty: any."""

    name: str
    description: str
    accepts: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """time is what a review may take; suspend_code is for a country where nothing may be licensed any more."""

    time: Millis
    on_worse: OnWorse
    suspend_code: str


@dataclass(frozen=True, slots=True)
class DiligencePolicy:
    """The whole file. aliases: publishers' codes → countries. longest_age: source → years an indicator may be old.

    products: product → answer for its class. durations: longest term → answer, by rising term. assesses: False where
    the file says assess = false, and nothing else: then nobody is assessed, and there is no gate.
    """

    assesses: bool
    rules: Rules
    aliases: Mapping[str, str]
    longest_age: Mapping[str, int]
    products: Mapping[str, str]
    durations: tuple[tuple[Millis, str], ...]
    items: Mapping[str, Item]
    checklists: Mapping[str, tuple[str, ...]]
    gate: Gate
    review: ReviewPolicy
    override_steps: int

    def answered(self, answers: Mapping[str, str], product: str, term: Millis) -> dict[str, str]:
        """The answers with those that the tables give; a product that no table names has no answer."""
        derived = {PRODUCT: self.products.get(product, "")}
        derived[DURATION] = next((name for longest, name in self.durations if term <= longest), "")
        return {**answers, **derived}

    def may_override(self, judged: str, wanted: str) -> bool:
        """Whether two persons may put wanted in the place of what was judged."""
        ladder = self.rules.ladder
        if wanted not in ladder or judged not in ladder or judged == ladder[-1]:
            return False
        return ladder.index(judged) - ladder.index(wanted) <= self.override_steps


def is_country(code: str) -> bool:
    """Whether an assessment may be about it: a country, or a code that ISO 3166-1 leaves to users, for exercises."""
    return (is_known(code) and "-" not in code) or _USER_ASSIGNED.fullmatch(code) is not None


def read_diligence(reader: Reader, categories: Mapping[str, Category], codes: Mapping[str, object]) -> DiligencePolicy:
    """Reads the file. codes: the reasons for which policy knows a suspension."""
    ladder = tuple(sorted(categories, key=lambda name: categories[name].rank))
    if not reader.flag("assess", default=True):
        return _assessing_nobody(ladder)
    ages, floors = _read_sources(reader, ladder)
    judging = reader.table_at("judging")
    factors, durations = _read_factors(reader, ladder)
    policy = DiligencePolicy(
        assesses=True,
        rules=Rules(
            ladder=ladder,
            floors=MappingProxyType(floors),
            factors=tuple(factors.values()),
            most_improvement=judging.whole("most_improvement_steps", most=10),
            missing_at_least=_category(judging, "missing_at_least", ladder),
        ),
        aliases=MappingProxyType(_read_aliases(reader)),
        longest_age=MappingProxyType(ages),
        products=MappingProxyType(_read_products(reader, factors)),
        durations=durations,
        items=MappingProxyType(items := _read_items(reader)),
        checklists=MappingProxyType(_read_checklists(reader, categories, ladder, items)),
        gate=_read_gate(reader, ladder),
        review=_read_review(reader.table_at("review"), codes),
        override_steps=judging.whole("override_steps", most=10),
    )
    judging.done()
    if ladder and categories[ladder[-1]].ceiling is not None:
        reader.note(None, f"category {ladder[-1]} is of the highest risk and is licensed: one must not be", refers=True)
    return policy


def _assessing_nobody(ladder: tuple[str, ...]) -> DiligencePolicy:
    return DiligencePolicy(
        assesses=False,
        rules=Rules(ladder, MappingProxyType({}), (), 0, ""),
        aliases=MappingProxyType({}),
        longest_age=MappingProxyType({}),
        products=MappingProxyType({}),
        durations=(),
        items=MappingProxyType({}),
        checklists=MappingProxyType({}),
        gate=OPEN,
        review=ReviewPolicy(0, OnWorse.REVIEW, ""),
        override_steps=0,
    )


def _read_sources(reader: Reader, ladder: tuple[str, ...]) -> tuple[dict[str, int], dict[str, tuple[Thousandths, ...]]]:
    ages: dict[str, int] = {}
    floors: dict[str, tuple[Thousandths, ...]] = {}
    for name, table in reader.named("source"):
        if name not in SOURCES:
            table.note(None, unknown("source", name, SOURCES))
            table.table_at("floors")
            continue
        ages[name] = table.whole("longest_age_years", most=50)
        by_dimension = table.table_at("floors")
        for dimension in SOURCES[name].dimensions:
            floors[dimension] = _read_floors(by_dimension.table_at(dimension), name, ladder)
        by_dimension.done()
        table.done()
    return ages, floors


def _read_floors(reader: Reader, source: str, ladder: tuple[str, ...]) -> tuple[Thousandths, ...]:
    scale = SOURCES[source]
    found = tuple(reader.thousandths(name, least=scale.least, most=scale.most) for name in ladder[:-1])
    reader.done()
    for (better, first), (worse, second) in pairwise(zip(ladder, found, strict=False)):
        if first < second and reader.sound():
            reader.note(worse, f"the floor of {worse} is above that of {better}, which is of lower risk")
    return found


def _category(reader: Reader, key: str, ladder: tuple[str, ...]) -> str:
    name = reader.text(key)
    if name and name not in ladder:
        reader.note(key, unknown("category", name, ladder), refers=True)
    return name


def _read_factors(reader: Reader, ladder: tuple[str, ...]) -> tuple[dict[str, Factor], tuple[tuple[Millis, str], ...]]:
    factors: dict[str, Factor] = {}
    durations: list[tuple[Millis, str]] = []
    for name, table in reader.named("factor"):
        options = {}
        for answer, option in table.named("option"):
            options[option.name(answer)] = _read_option(answer, option, ladder)
            if name == DURATION:
                durations.append((option.span("up_to_days", DAY, most=LONGEST_DAYS), answer))
            option.done()
        if len(options) < 2:
            table.note(None, f"{name} must have at least two answers: one that says nothing decides nothing")
        factors[table.name(name)] = Factor(
            name, table.text("question"), table.flag("human_rights", default=False), MappingProxyType(options)
        )
        table.done()
    for name in (PRODUCT, DURATION):
        if name not in factors:
            reader.note(None, f"[factor.{name}] is missing")
    return factors, tuple(sorted(durations))


def _read_option(name: str, reader: Reader, ladder: tuple[str, ...]) -> Option:
    steps = reader.raw("steps") if reader.has("steps") else 0
    if type(steps) is not int or not -10 <= steps <= 10:
        reader.note("steps", f"steps must be a whole number from -10 (better) to 10 (worse), got {steps!r}")
        steps = 0
    at_least = _category(reader, "at_least", ladder) if reader.has("at_least") else ""
    return Option(name, reader.text("description"), steps, at_least)


def _read_aliases(reader: Reader) -> dict[str, str]:
    table = reader.table_at("economy")
    aliases = {}
    for code in table.table:
        country = table.text(code)
        if code in ALPHA_2:
            table.note(code, f"{code} is ISO 3166-1's own code of {ALPHA_2[code]}, and stands for nothing else")
        elif country and not is_country(country):
            table.note(code, f'"{country}" is no country: want two letters of ISO 3166-1, or one left to users')
        aliases[code] = country
    return aliases


def _read_products(reader: Reader, factors: Mapping[str, Factor]) -> dict[str, str]:
    table = reader.table_at("product")
    known = factors[PRODUCT].options if PRODUCT in factors else {}
    return {name: table.text(name, choices=known) for name in table.table}


def _read_items(reader: Reader) -> dict[str, Item]:
    items = {}
    for name, table in reader.named("item"):
        accepts = table.texts("accepts") if table.has("accepts") else ()
        for index, each in enumerate(accepts):
            if not _SHA256.fullmatch(each):
                table.note("accepts", f'"{each}" is no SHA-256 in hex', element=index)
        items[table.name(name)] = Item(name, table.text("description"), frozenset(accepts))
        table.done()
    return items


def _read_checklists(
    reader: Reader, categories: Mapping[str, Category], ladder: tuple[str, ...], items: Mapping[str, Item]
) -> dict[str, tuple[str, ...]]:
    table = reader.table_at("checklist")
    always = table.texts("always", choices=items)
    lists: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = always
    for name in ladder:
        if categories[name].ceiling is None:
            lists[name] = before
            continue
        own = (*always, *table.texts(name, choices=items, least=0))
        for missing in [item for item in before if item not in own]:
            table.note(name, f"{missing} is asked for in a category of lower risk, and not in {name}")
        lists[name] = before = own
    table.done()
    return lists


def _read_gate(reader: Reader, ladder: tuple[str, ...]) -> Gate:
    table = reader.table_at("gate")
    gate = Gate(
        on_issue=table.flag("issue"),
        on_renewal=table.flag("renewal"),
        on_widening=table.flag("widening"),
        assessment_age=table.span("assessment_days", DAY, most=366),
        channel_age=table.span("channel_days", DAY, most=366),
        ladder=ladder,
    )
    table.done()
    return gate


def _read_review(reader: Reader, codes: Mapping[str, object]) -> ReviewPolicy:
    words = [each.value for each in OnWorse]
    on_worse = reader.text("on_worse", choices=words)
    policy = ReviewPolicy(
        time=reader.span("time_days", DAY, most=366),
        on_worse=OnWorse(on_worse) if on_worse in words else OnWorse.REVIEW,
        suspend_code=reader.text("suspend_code"),
    )
    if policy.suspend_code and policy.suspend_code not in codes:
        reader.note("suspend_code", unknown("reason", policy.suspend_code, codes), refers=True)
    reader.done()
    return policy
