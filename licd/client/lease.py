"""A lease in a program's hands."""

from collections.abc import Awaitable, Callable
from typing import Final

from licd.client.answers import Granted, Released
from licd.client.errors import LeaseStopped
from licd.client.session.hold import Hold
from licd.core.time import Instant, Millis


class Lease:
    """One target that may be acted on, as long as `check` does not raise.

    It stands for the wish, not for one lease of licd's: after a suspension and a reinstatement it can be usable again,
    under another lease number. `check` and `usable` may be called from any thread.
    """

    __slots__ = ("_boot_ms", "_hold", "_release", "_released")

    def __init__(
        self, hold: Hold, boot_ms: Callable[[], Millis], release: Callable[[int], Awaitable[Released]]
    ) -> None:
        self._hold: Final = hold
        self._boot_ms: Final = boot_ms
        self._release: Final = release
        self._released: Released | None = None

    def check(self) -> Millis:
        """Return how many milliseconds the target may still be acted on, licd staying silent. Costs no I/O.

        Raises LeaseStopped: stop acting on it now. Ask before each act, and after any pause.
        """
        left = self._hold.until - self._boot_ms()
        if left > 0:
            return left
        raise LeaseStopped(self._hold.why_not(self._boot_ms()))

    @property
    def usable(self) -> bool:
        """Whether the target may be acted on now."""
        return self._hold.until > self._boot_ms()

    @property
    def op(self) -> int:
        """The number of the wish, as notices name it."""
        return self._hold.op

    @property
    def number(self) -> int:
        """The lease's number at licd, as it now is."""
        return self._hold.lease

    @property
    def target(self) -> bytes:
        """The pseudonym, 32 bytes."""
        return self._hold.target

    @property
    def region(self) -> str:
        """The region that counted."""
        return self._grant.region

    @property
    def granted_at(self) -> Instant:
        """When it was granted, by licd's clock."""
        return self._grant.granted_at

    @property
    def _grant(self) -> Granted:
        if self._hold.grant is None:
            raise LeaseStopped(self._hold.stopped)
        return self._hold.grant

    async def release(self) -> Released:
        """Stop at once and give it back; wait until licd has answered. Releasing twice answers the same."""
        if self._released is None:
            self._released = await self._release(self._hold.op)
        return self._released

    def __repr__(self) -> str:
        return f"Lease({self.number}, {'usable' if self.usable else self._hold.stopped})"
