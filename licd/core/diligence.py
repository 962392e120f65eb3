"""What a country's indicators and the answers about an opportunity come to: a risk category, and how it was reached.

Rules
- Each indicator has a floor for each category. The worst indicator decides, never a mean: strong courts do not make up
  for a silenced press.
- What is missing takes the worse category: an indicator nobody has, or has of late, makes it one worse than the worst
  that is known; an answer nobody gave counts as the worst of its kind.
- Answers move the category by steps. Those that make it better are bounded together, and none leads out of the last
  category, in which nothing is licensed.
- An answer can also set the least category there is, whatever the rest says.
- The result is a proposal of terms at most: nothing is approved by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

Thousandths = int
"""An indicator's value × 1000, rounded down: compared with floors of three decimals no rounding can lift it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One indicator of one country. why says, in words, what keeps it from being used: then it counts as missing.

    A value that is there and may not be used (it is too old) still speaks against, never for. source names the import
    it comes from, year the year it describes.
    """

    dimension: str
    value: Thousandths | None
    year: int = 0
    source: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to a factor's question. steps > 0 is worse; at_least is a category, empty where it sets none."""

    name: str
    description: str
    steps: int = 0
    at_least: str = ""


@dataclass(frozen=True, slots=True)
class Factor:
    """A question about the opportunity with its answers, and whether it is one of human rights."""

    name: str
    question: str
    human_rights: bool
    options: Mapping[str, Option]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the policy says about assessing. ladder: the categories by rising risk; in the last nothing is licensed.

    floors: for each indicator the least value of each category but the last, in the ladder's order.
    """

    ladder: tuple[str, ...]
    floors: Mapping[str, tuple[Thousandths, ...]]
    factors: tuple[Factor, ...]
    most_improvement: int
    missing_at_least: str


class LineKind(StrEnum):
    """What a line of a judgement speaks of."""

    INDICATOR = "indicator"
    MISSING = "missing"
    FACTOR = "factor"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Line:
    """One step of a judgement: what it looked at, what it found there, and what that did. category: after it."""

    kind: LineKind
    subject: str
    found: str
    effect: str
    category: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The category, and every step to it in order."""

    category: str
    lines: tuple[Line, ...]


def judge(rules: Rules, readings: Sequence[Reading], answers: Mapping[str, str]) -> Judgement:
    """Judges an opportunity. answers: factor → option; one that is not there, or unknown, counts as the worst."""
    steps = _Steps(rules)
    steps.weigh_indicators({reading.dimension: reading for reading in readings})
    steps.weigh_answers(answers)
    return Judgement(steps.category, tuple(steps.lines))


def worst_option(factor: Factor, ladder: Sequence[str]) -> Option:
    """What counts where nobody has answered."""

    def badness(option: Option) -> tuple[int, int]:
        return (ladder.index(option.at_least) if option.at_least else -1, option.steps)

    return max(factor.options.values(), key=badness)


def category_of(value: Thousandths, floors: Sequence[Thousandths]) -> int:
    """The place on the ladder that a value reaches: the first whose floor it is not below."""
    return next((place for place, floor in enumerate(floors) if value >= floor), len(floors))


def shown(value: Thousandths) -> str:
    """A value as its publisher writes it: 0.75, -1.292, 43."""
    return f"{value / 1000:.3f}".rstrip("0").rstrip(".")


class _Steps:
    """A judgement under way. level is a place on the ladder."""

    def __init__(self, rules: Rules) -> None:
        self.lines: list[Line] = []
        self._rules = rules
        self._last = len(rules.ladder) - 1
        self._level = 0

    @property
    def category(self) -> str:
        """The category so far."""
        return self._rules.ladder[self._level]

    def weigh_indicators(self, readings: Mapping[str, Reading]) -> None:
        """The worst known one; one worse where any is missing; and never better than what was known of old."""
        missing: list[Reading] = []
        worst_of_old = 0
        for dimension, floors in self._rules.floors.items():
            reading = readings.get(dimension) or Reading(dimension, None, why="no import has it")
            place = 0 if reading.value is None else category_of(reading.value, floors)
            if reading.value is None or reading.why:
                missing.append(reading)
                worst_of_old = max(worst_of_old, place)
            else:
                self._level = max(self._level, place)
                found = f"{shown(reading.value)} ({reading.year})"
                self._note(LineKind.INDICATOR, dimension, found, self._floor_words(place, floors))
        if not missing:
            return
        known = len(missing) < len(self._rules.floors)
        least = self._place(self._rules.missing_at_least)
        self._level = min(self._last, max(self._level + 1, least, worst_of_old)) if known else self._last
        for reading in missing:
            self._note(LineKind.MISSING, reading.dimension, _gap_words(reading), "the next worse category")

    def weigh_answers(self, answers: Mapping[str, str]) -> None:
        """Steps first, then the bounds that single answers set."""
        taken = [(factor, *self._answer(factor, answers)) for factor in self._rules.factors]
        before, worse, better = self._level, 0, 0
        for factor, option, found in taken:
            worse, better = worse + max(option.steps, 0), better + max(-option.steps, 0)
            self._level = self._after(before, worse, better)
            self._note(LineKind.FACTOR, factor.name, found, _step_words(option.steps))
        if better > self._rules.most_improvement:
            most = self._rules.most_improvement
            self._note(LineKind.BOUND, "improvement", f"{better} steps better", f"at most {most} of them count")
        if better and before == self._last:
            self._note(LineKind.BOUND, "improvement", f"{self.category} by its indicators", "no answer leads out of it")
        for factor, option, found in taken:
            if option.at_least and self._place(option.at_least) > self._level:
                self._level = self._place(option.at_least)
                self._note(LineKind.BOUND, factor.name, found, f"at least {option.at_least}")

    def _after(self, before: int, worse: int, better: int) -> int:
        if before == self._last:
            return self._last
        return max(0, min(self._last, before + worse - min(better, self._rules.most_improvement)))

    def _answer(self, factor: Factor, answers: Mapping[str, str]) -> tuple[Option, str]:
        option = factor.options.get(answers.get(factor.name, ""))
        if option is not None:
            return option, f"{option.name}: {option.description}" if option.description else option.name
        worst = worst_option(factor, self._rules.ladder)
        return worst, f"not answered: counts as {worst.name}"

    def _floor_words(self, place: int, floors: Sequence[Thousandths]) -> str:
        if place < len(floors):
            return f"reaches the floor of {self._rules.ladder[place]}, {shown(floors[place])}"
        return f"below every floor, the last is {shown(floors[-1])}"

    def _place(self, category: str) -> int:
        return self._rules.ladder.index(category)

    def _note(self, kind: LineKind, subject: str, found: str, effect: str) -> None:
        self.lines.append(Line(kind, subject, found, effect, self.category))


def _gap_words(reading: Reading) -> str:
    return reading.why if reading.value is None else f"{shown(reading.value)}: {reading.why}"


def _step_words(steps: int) -> str:
    if not steps:
        return "no step"
    return f"{abs(steps)} step{'s' if abs(steps) > 1 else ''} {'worse' if steps > 0 else 'better'}"
