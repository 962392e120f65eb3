"""Where time and chance come in, and the only place of the SDK where they do.

What a system may still do is counted on the boot clock (CLOCK_BOOTTIME), which goes on while the machine is suspended
to memory and which nobody can set. The wall clock is asked until licd has been heard, and decides nothing but which
keys have certainly run out until then.
"""

import asyncio
import os
import time
from functools import cache
from pathlib import Path
from typing import Final, Protocol

from licd.core.time import Instant, Millis

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NANOS: Final = 1_000_000
_LONGEST_SLEEP: Final = 5_000


class Clock(Protocol):
    """Time as one machine sees it. A simulation gives its own."""

    def boot_ms(self) -> Millis:
        """Milliseconds since this machine started, suspended time included. Never goes back."""
        ...

    def wall_ms(self) -> Instant:
        """Unix milliseconds by this machine's own opinion."""
        ...

    def boot_id(self) -> str:
        """Another text after each start of the machine."""
        ...

    async def sleep_until(self, boot_ms: Millis) -> None:
        """Return at this boot instant or soon after it; at once when it is past."""
        ...


class SystemClock:
    """This machine's clocks. Linux only: elsewhere no clock counts the time spent suspended."""

    def boot_ms(self) -> Millis:
        """CLOCK_BOOTTIME, rounded down."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // _NANOS

    def wall_ms(self) -> Instant:
        """CLOCK_REALTIME, rounded down."""
        return time.time_ns() // _NANOS

    def boot_id(self) -> str:
        """The kernel's random id of this boot. Raises OSError where there is none, at the first time of asking."""
        return os.pread(_boot_id_file(), 64, 0).decode("ascii").strip()

    async def sleep_until(self, boot_ms: Millis) -> None:
        """Sleep in short stretches, because the loop's own clock stands still while the machine is suspended."""
        left = boot_ms - self.boot_ms()
        while True:
            await asyncio.sleep(max(0, min(left, _LONGEST_SLEEP)) / 1_000)
            left = boot_ms - self.boot_ms()
            if left <= 0:
                return


@cache
def _boot_id_file() -> int:
    """Kept open: a program that has run out of files still learns whether its machine was started anew."""
    return os.open(_BOOT_ID, os.O_RDONLY | os.O_CLOEXEC)


SYSTEM_CLOCK: Final = SystemClock()


def system_randomness(count: int) -> bytes:
    """Bytes from the kernel's generator."""
    return os.urandom(count)
