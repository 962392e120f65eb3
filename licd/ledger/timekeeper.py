"""The deciding clock of a single daemon: the process's clock, held to a persisted high-water mark.

Rules
- Below the mark minus tolerance licd decides nothing that grants.
- Wall and boot clock progress differing by more than 2 s: no grants, mark unmoved, until an operator accepts.
- A forward jump does not poison the mark: the mark moves only on undoubted time.
- Narrowing always works. While the wall clock is in doubt it is decided at the last instant that was not, moved on by
  the boot clock: what is decided at an instant far ahead would free seats that are still in use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

from licd.core.time import SECOND, Instant, Millis

TOLERANCE: Final[Millis] = 1 * SECOND
JUMP: Final[Millis] = 2 * SECOND


class Clock(Protocol):
    """Where time comes from. Both in milliseconds."""

    def wall(self) -> Instant:
        """Unix time."""
        ...

    def boot(self) -> Millis:
        """Time since the machine started, suspended time included (CLOCK_BOOTTIME)."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """The instant to decide at, and why nothing may be granted at it; empty when all is well."""

    now: Instant
    doubt: str


@dataclass(frozen=True, slots=True)
class Saved:
    """What a timekeeper knows: the mark, both clocks as they were last believed, and the jump that was seen since.

    known is the instant that stood for them.
    """

    mark: Instant
    wall: Instant
    boot: Millis
    known: Instant
    jumped: str


class Timekeeper:
    """Reads the clock once for each batch and keeps the mark. look() may be called from any thread, the rest not."""

    def __init__(self, clock: Clock, mark: Instant) -> None:
        self._clock: Final = clock
        wall = clock.wall()
        self._saved = Saved(mark, wall, clock.boot(), max(wall, mark), "")

    @property
    def mark(self) -> Instant:
        """The highest instant ever decided at while the clock was not in doubt."""
        return self._saved.mark

    def saved(self) -> Saved:
        """What it knows, to go back to when a batch fails."""
        return self._saved

    def restore(self, saved: Saved) -> None:
        """Goes back to what it knew."""
        self._saved = saved

    def look(self) -> Reading:
        """What read() would answer now; changes nothing."""
        return self._read()[0]

    def read(self) -> Reading:
        """The instant to decide at. Moves the mark when the clock is not in doubt."""
        reading, self._saved = self._read()
        return reading

    def _read(self) -> tuple[Reading, Saved]:
        saved, wall, boot = self._saved, self._clock.wall(), self._clock.boot()
        drift = (wall - saved.wall) - (boot - saved.boot)
        if abs(drift) > JUMP and not saved.jumped:
            saved = replace(saved, jumped=f"the wall clock jumped by {drift} ms against the boot clock")
        doubt = saved.jumped or _behind(wall, saved.mark)
        if doubt:
            return Reading(max(saved.mark, saved.known + boot - saved.boot), doubt), saved
        mark = max(saved.mark, wall)
        return Reading(mark, ""), Saved(mark, wall, boot, mark, "")

    def accept(self) -> Instant:
        """An operator says that the clock is right now; the mark follows it, also backwards. Returns the new mark."""
        wall = self._clock.wall()
        self._saved = Saved(wall, wall, self._clock.boot(), wall, "")
        return wall


def _behind(wall: Instant, mark: Instant) -> str:
    if wall < mark - TOLERANCE:
        return f"the wall clock is {mark - wall} ms behind the highest time ever decided at"
    return ""
