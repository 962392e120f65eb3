"""Where real time comes into the simulator, and the only place where it does.

What a permit still allows is counted on the boot clock (CLOCK_BOOTTIME); licd's decisions, and the oracle's judgement,
are on the wall clock. licd and the fleet run on one machine here, so that both read the same two clocks.
"""

import asyncio
import time
from pathlib import Path
from typing import Final, Protocol, TypeAlias

Instant: TypeAlias = int
"""Unix milliseconds."""
Millis: TypeAlias = int
"""Milliseconds: a duration, or an instant of the boot clock."""

SECOND: Final[Millis] = 1_000

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NANOS: Final = 1_000_000
_LONGEST_SLEEP: Final[Millis] = 5_000


class Clock(Protocol):
    """Time as everybody in one simulation sees it, the SDK included. A virtual one would fit here."""

    def boot_ms(self) -> Millis:
        """Milliseconds since the machine started. Never goes back."""
        ...

    def wall_ms(self) -> Instant:
        """Unix milliseconds."""
        ...

    def boot_id(self) -> str:
        """Another text after each start of the machine."""
        ...

    async def sleep_until(self, boot_ms: Millis) -> None:
        """Return at this boot instant or soon after it; at once when it is past."""
        ...


class RealClock:
    """This machine's clocks."""

    def boot_ms(self) -> Millis:
        """CLOCK_BOOTTIME, rounded down."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // _NANOS

    def wall_ms(self) -> Instant:
        """CLOCK_REALTIME, rounded down."""
        return time.time_ns() // _NANOS

    def boot_id(self) -> str:
        """The kernel's random id of this boot."""
        return _BOOT_ID.read_text(encoding="ascii").strip()

    async def sleep_until(self, boot_ms: Millis) -> None:
        """Sleep in short stretches: the loop's own clock stands still while the machine is suspended."""
        left = boot_ms - self.boot_ms()
        while True:
            await asyncio.sleep(max(0, min(left, _LONGEST_SLEEP)) / SECOND)
            left = boot_ms - self.boot_ms()
            if left <= 0:
                return


async def sleep(clock: Clock, duration: Millis) -> None:
    """Let so many milliseconds pass."""
    await clock.sleep_until(clock.boot_ms() + max(0, duration))
