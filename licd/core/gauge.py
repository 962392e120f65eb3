"""Counts within a sliding window: what enters with each step is added, what leaves is taken off again."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from licd.core.misuse import EVIDENCE, MOST
from licd.core.time import Instant, Millis

MARKS: Final = 8
"""So many entries of each name are remembered for each step, the newest."""


@dataclass(slots=True)
class Tally:
    """What was counted about one subject in one step. marks: indexes of entries by name."""

    counts: Counter[str] = field(default_factory=Counter)
    marks: dict[str, deque[int]] = field(default_factory=dict)
    targets: set[bytes] = field(default_factory=set)


class Gauge:
    """One window's length over all subjects of a kind. Only steps that are over count.

    At a tick T it holds what happened from T - window on and before T.
    """

    __slots__ = ("_closed", "_open", "_targets", "names", "step", "totals", "window")

    def __init__(self, window: Millis, step: Millis) -> None:
        self.window: Final = window
        self.step: Final = step
        self.names: set[str] = set()
        self.totals: dict[str, Counter[str]] = {}
        self._open: dict[str, Tally] = {}
        self._closed: deque[tuple[int, dict[str, Tally]]] = deque()
        self._targets: dict[str, Counter[bytes]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing counts, and nothing will when the step is over."""
        return not self._open and not self._closed

    def count(self, subject: str, name: str, times: int, index: int) -> None:
        """Something happened in the open step."""
        tally = self._tally(subject)
        tally.counts[name] += times
        tally.marks.setdefault(name, deque(maxlen=MARKS)).append(index)

    def see(self, subject: str, target: bytes) -> None:
        """A target was seen in the open step."""
        self._tally(subject).targets.add(target)

    def _tally(self, subject: str) -> Tally:
        found = self._open.get(subject)
        if found is None:
            found = self._open[subject] = Tally()
        return found

    def advance(self, tick: Instant) -> None:
        """The open step ends at this tick, a multiple of step."""
        if self._open:
            for subject, tally in self._open.items():
                self.totals.setdefault(subject, Counter()).update(tally.counts)
                if tally.targets:
                    self._targets.setdefault(subject, Counter()).update(tally.targets)
            self._closed.append((tick // self.step - 1, self._open))
            self._open = {}
        first = (tick - self.window) // self.step
        while self._closed and self._closed[0][0] < first:
            for subject, tally in self._closed.popleft()[1].items():
                self._take_off(subject, tally)

    def _take_off(self, subject: str, tally: Tally) -> None:
        left = self.totals[subject]
        left.subtract(tally.counts)
        if not any(left.values()):
            del self.totals[subject]
        if tally.targets:
            targets = self._targets[subject]
            targets.subtract(tally.targets)
            for gone in [target for target in tally.targets if not targets[target]]:
                del targets[gone]
            if not targets:
                del self._targets[subject]

    def forget(self, subject: str) -> None:
        """Nothing that was counted about this subject counts any more."""
        for tallies in (self._open, *(tallies for _, tallies in self._closed)):
            tallies.pop(subject, None)
        self.totals.pop(subject, None)
        self._targets.pop(subject, None)

    def total(self, subject: str, name: str) -> int:
        """How much counts now, MOST at most."""
        found = self.totals.get(subject)
        return min(found[name], MOST) if found is not None else 0

    def distinct(self, subject: str) -> int:
        """How many different targets count now, MOST at most."""
        return min(len(self._targets.get(subject, ())), MOST)

    def marks(self, subject: str, names: frozenset[str]) -> list[int]:
        """The indexes of the newest entries that count now under one of the names, the newest first."""
        found: set[int] = set()
        for _, tallies in reversed(self._closed):
            tally = tallies.get(subject)
            if tally is not None:
                found.update(index for name in names for index in tally.marks.get(name, ()))
            if len(found) >= EVIDENCE:
                break
        return sorted(found, reverse=True)[:EVIDENCE]
