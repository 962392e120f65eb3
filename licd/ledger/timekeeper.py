"""The deciding clock: the process's or the database's, held to what was decided and to the boot clock.

Rules
- Below the mark minus tolerance licd decides nothing that grants.
- Wall and boot clock progress differing by more than 2 s: no grants, mark unmoved, until operators accept. What the two
  have drifted apart is forgotten at a crystal's rate only, so that many small steps are found as one large one is.
- Both clocks are kept with the mark: a wall clock that was set while licd was down is found as well. After a start of
  the machine the boot clock tells nothing of the time that licd was down, and `unaccounted` says how much that is.
- A forward jump does not poison the mark: the mark moves only on undoubted time.
- Narrowing always works. While the wall clock is in doubt it is decided at the last instant that was not, moved on by
  the boot clock: what is decided at an instant far ahead would free seats that are still in use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

from licd.core.bounds import CLOCK_JUMP, MILLION
from licd.core.time import SECOND, Instant, Millis

TOLERANCE: Final[Millis] = 1 * SECOND
JUMP: Final[Millis] = CLOCK_JUMP
RATE_PPM: Final = 200
"""By how much a wall clock that is kept in step may run differently from the boot clock, in the long run."""


class Clock(Protocol):
    """Where time comes from. Both in milliseconds."""

    def wall(self) -> Instant:
        """Unix time."""
        ...

    def boot(self) -> Millis:
        """Time since the machine started, suspended time included (CLOCK_BOOTTIME)."""
        ...

    def boot_id(self) -> str:
        """Another text after each start of the machine."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """The instant to decide at, and why nothing may be granted at it; empty when all is well."""

    now: Instant
    doubt: str


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """What is kept over a restart: an instant that was believed, and both clocks.

    boot is the boot clock at that instant, offset is wall minus boot clock as believed; doubt is why it was not, and
    stands until it is accepted. unvouched is how much of the time until `known` the wall clock alone tells of: while
    licd's machine was off, since operators last accepted a clock.
    """

    id: int
    known: Instant
    boot_id: str
    boot: Millis
    offset: Millis
    doubt: str
    unvouched: Millis = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """What a timekeeper knows.

    known is the last instant that was believed, boot the boot clock then; offset is the believed wall minus boot clock,
    last moved at the boot instant `since`. unaccounted is how long licd may have been down without knowing it, and
    unvouched the sum of that which nobody has vouched for since.
    """

    mark: Instant
    known: Instant
    boot: Millis
    offset: Millis
    since: Millis
    jumped: str
    unaccounted: Millis
    unvouched: Millis


class Timekeeper:
    """Reads the clock once for each batch and keeps the mark. look() may be called from any thread, the rest not."""

    def __init__(
        self, clock: Clock, mark: Instant = 0, anchor: ClockAnchor | None = None, *, told: bool = True
    ) -> None:
        """told: whether the time since the mark is to be accounted for; not where others have decided meanwhile."""
        self._clock: Final = clock
        wall, boot = clock.wall(), clock.boot()
        unvouched = anchor.unvouched if anchor else 0
        self._boot_id: Final = clock.boot_id()
        if anchor is not None and anchor.boot_id == self._boot_id and anchor.boot <= boot:
            known = max(anchor.known, mark)
            self._saved = Saved(mark, known, anchor.boot, anchor.offset, anchor.boot, anchor.doubt, 0, unvouched)
            return
        doubt = anchor.doubt if anchor else ""
        known = mark if doubt else max(wall, mark)
        unaccounted = known - mark if mark and told else 0
        self._saved = Saved(mark, known, boot, wall - boot, boot, doubt, unaccounted, unvouched + unaccounted)

    @property
    def mark(self) -> Instant:
        """The highest instant ever decided at while the clock was not in doubt."""
        return self._saved.mark

    @property
    def unaccounted(self) -> Millis:
        """How far time went on after the mark without a clock that could have shown it to be less."""
        return self._saved.unaccounted

    @property
    def anchor(self) -> ClockAnchor:
        """What is to be kept with the mark."""
        saved = self._saved
        return ClockAnchor(1, saved.known, self._boot_id, saved.boot, saved.offset, saved.jumped, saved.unvouched)

    @property
    def unvouched(self) -> Millis:
        """How much of the time that has passed is known by the wall clock alone, and nobody has vouched for it."""
        return self._saved.unvouched

    def saved(self) -> Saved:
        """What it knows, to go back to when a batch fails."""
        return self._saved

    def restore(self, saved: Saved) -> None:
        """Goes back to what it knew."""
        self._saved = saved

    def follow(self, mark: Instant | None) -> None:
        """The mark is where somebody else has left it. None: nobody has."""
        if mark is not None and mark != self._saved.mark:
            self._saved = replace(self._saved, mark=mark, known=max(self._saved.known, mark))

    def look(self) -> Reading:
        """What read() would answer now; changes nothing."""
        return self._read()[0]

    def now(self) -> Instant:
        """The time by which all is decided: in doubt it is not the wall clock's. May be called from any thread.

        As look() says; asked several times for each call, so nothing else of a reading is made.
        """
        saved, wall, boot = self._saved, self._clock.wall(), self._clock.boot()
        return _instant(saved, wall, boot, doubtful=bool(_jumped(saved, wall, boot) or _behind(wall, saved.mark)))

    def move(self) -> Millis:
        """How far deciding time would move if the wall clock were accepted; backwards is negative, 0 without doubt."""
        wall, reading = self._clock.wall(), self.look()
        return wall - reading.now if reading.doubt else 0

    def read(self) -> Reading:
        """The instant to decide at. Moves the mark when the clock is not in doubt."""
        reading, self._saved = self._read()
        return reading

    def _read(self) -> tuple[Reading, Saved]:
        saved, wall, boot = self._saved, self._clock.wall(), self._clock.boot()
        jumped = _jumped(saved, wall, boot)
        if jumped != saved.jumped:
            saved = replace(saved, jumped=jumped)
        doubt = jumped or _behind(wall, saved.mark)
        now = _instant(saved, wall, boot, doubtful=bool(doubt))
        if doubt:
            return Reading(now, doubt), saved
        offset, since, slack = saved.offset, saved.since, _slack(saved, boot)
        if slack:
            offset, since = offset + max(-slack, min(slack, wall - boot - offset)), boot
        return Reading(now, ""), Saved(now, now, boot, offset, since, "", saved.unaccounted, saved.unvouched)

    def account(self) -> None:
        """What may still be acted on after the unaccounted time was taken into account."""
        self._saved = replace(self._saved, unaccounted=0)

    def accept(self) -> Instant:
        """A clock that is in doubt is right now; the mark follows it, also backwards. Returns the new mark.

        Where time moves by it two persons have vouched for the clock, else one who saw that it is in step.
        """
        reading, saved = self.look(), self._saved
        if not reading.doubt:
            return self.read().now
        wall, boot = self._clock.wall(), self._clock.boot()
        unvouched = 0 if abs(wall - reading.now) > JUMP else saved.unvouched
        self._saved = Saved(wall, wall, boot, wall - boot, boot, "", saved.unaccounted, unvouched)
        return wall


def _instant(saved: Saved, wall: Instant, boot: Millis, *, doubtful: bool) -> Instant:
    """What is decided at: the wall clock's time; in doubt the last that was believed, moved on by the boot clock."""
    return max(saved.mark, saved.known + boot - saved.boot if doubtful else wall)


def _slack(saved: Saved, boot: Millis) -> Millis:
    """How far the two clocks may have drifted apart since the offset was moved."""
    return max(boot - saved.since, 0) * RATE_PPM // MILLION


def _jumped(saved: Saved, wall: Instant, boot: Millis) -> str:
    """Why the wall clock is not believed by the boot clock; empty when it is. Stands until it is accepted."""
    if saved.jumped:
        return saved.jumped
    gap = wall - boot - saved.offset
    if -JUMP <= gap <= JUMP or abs(gap) <= JUMP + _slack(saved, boot):
        return ""
    return f"the wall clock jumped by {gap} ms against the boot clock"


def _behind(wall: Instant, mark: Instant) -> str:
    if wall < mark - TOLERANCE:
        return f"the wall clock is {mark - wall} ms behind the highest time ever decided at"
    return ""
