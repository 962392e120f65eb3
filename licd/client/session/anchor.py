"""What time licd thinks it is, carried forward on the boot clock."""

from licd.core.time import Instant, Millis


class Anchor:
    """A lower bound of licd's time.

    Until licd has been heard in this process it is the later of the wall clock and the highest time ever seen; after
    that, what licd said last plus what has passed on the boot clock since, and the wall clock is never looked at again.
    """

    __slots__ = ("_ahead", "latest")

    def __init__(self, latest: Instant) -> None:
        self.latest = latest
        """Highest decided time ever seen, over the life of the enrolment."""
        self._ahead: Millis | None = None

    def start(self, wall_ms: Instant, now: Millis) -> None:
        """Begin with what the wall clock says at this boot instant."""
        self._ahead = max(wall_ms, self.latest) - now

    def take(self, decided: Instant, now: Millis) -> None:
        """Take licd's time from a reply received at this boot instant."""
        self._ahead = decided - now
        self.latest = max(self.latest, decided)

    def estimate(self, now: Millis) -> Instant:
        """Give licd's time at this boot instant, at least."""
        return self.latest if self._ahead is None else now + self._ahead

    def boot_instant(self, at: Instant, now: Millis) -> Millis:
        """The boot instant at which `estimate` reaches this time; now when it has."""
        return now + max(0, at - self.estimate(now))
