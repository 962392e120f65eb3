"""The deciding clock of a single daemon: the process's clock, held to a persisted high-water mark.

Rules
- Below the mark minus tolerance licd decides nothing that grants.
- Wall and boot clock progress differing by more than 2 s: no grants, mark unmoved, until an operator accepts.
- A forward jump does not poison the mark: the mark moves only on undoubted time.
- Narrowing always works: it is decided at the larger of clock and mark.
"""

from __future__ import annotations

from dataclasses import dataclass
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


class Timekeeper:
    """Reads the clock once for each batch and keeps the mark."""

    def __init__(self, clock: Clock, mark: Instant) -> None:
        self._clock: Final = clock
        self.mark = mark
        self._wall = clock.wall()
        self._boot = clock.boot()
        self._jumped = ""

    def read(self) -> Reading:
        """The instant to decide at. Moves the mark when the clock is not in doubt."""
        wall, boot = self._clock.wall(), self._clock.boot()
        drift = (wall - self._wall) - (boot - self._boot)
        if abs(drift) > JUMP and not self._jumped:
            self._jumped = f"the wall clock jumped by {drift} ms against the boot clock"
        doubt = self._jumped or self._behind(wall)
        if doubt:
            return Reading(max(wall, self.mark), doubt)
        self._wall, self._boot = wall, boot
        self.mark = max(self.mark, wall)
        return Reading(self.mark, "")

    def _behind(self, wall: Instant) -> str:
        if wall < self.mark - TOLERANCE:
            return f"the wall clock is {self.mark - wall} ms behind the highest time ever decided at"
        return ""

    def accept(self) -> Instant:
        """An operator says that the clock is right now; the mark follows it, also backwards. Returns the new mark."""
        self._wall, self._boot = self._clock.wall(), self._clock.boot()
        self._jumped = ""
        self.mark = self._wall
        return self.mark
