"""What time licd thinks it is, carried forward on the boot clock."""

from licd.core.time import Instant, Millis


class Anchor:
    """A lower bound of licd's time.

    Until licd has been heard in this process it is the later of the wall clock, as it is now, and the highest time ever
    seen; after that, what licd said last plus what has passed on the boot clock since, and the wall clock is never
    looked at again.
    """

    __slots__ = ("_ahead", "_heard", "latest")

    def __init__(self, latest: Instant) -> None:
        self.latest = latest
        """Highest decided time ever seen, over the life of the enrolment."""
        self._ahead: Millis | None = None
        self._heard = False

    def read_wall(self, wall_ms: Instant, now: Millis) -> None:
        """Take what the wall clock says at this boot instant: it may have been wrong when last read, and right now."""
        if not self._heard:
            self._ahead = max(wall_ms, self.latest) - now

    def forget(self, now: Millis) -> None:
        """Begin anew on another boot clock: what was said on the old one tells no time any more."""
        self._heard = False
        self._ahead = self.latest - now

    def take(self, decided: Instant, now: Millis) -> None:
        """Take licd's time from a reply received at this boot instant."""
        self._heard = True
        self._ahead = decided - now
        self.latest = max(self.latest, decided)

    def estimate(self, now: Millis) -> Instant:
        """Give licd's time at this boot instant, at least."""
        return self.latest if self._ahead is None else now + self._ahead

    def boot_instant(self, at: Instant, now: Millis) -> Millis:
        """The boot instant at which `estimate` reaches this time; now when it has."""
        return now + max(0, at - self.estimate(now))
