"""What one system asked for, in order, and what became of it; without times, so that two runs can be compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MOST_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """One step. outcome is GRANTED, RELEASED, a reason of licd's, or what broke."""

    verb: str
    what: str
    outcome: str


@dataclass(slots=True)
class Journal:
    """The steps of one system. Holds no time, so that two runs can be compared."""

    lines: list[Line] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    """Steps that were neither done nor refused: nobody answered."""

    def note(self, verb: str, what: object, outcome: str) -> None:
        """Write a step down."""
        self.outcomes[outcome] += 1
        if len(self.lines) < MOST_LINES:
            self.lines.append(Line(verb, str(what), outcome))

    def fail(self, verb: str, what: object, error: Exception) -> None:
        """Write down a step that nobody answered."""
        self.failures += 1
        self.note(verb, what, type(error).__name__)
