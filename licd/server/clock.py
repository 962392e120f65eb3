"""The only place of the daemon where real time and real randomness come in."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from licd.core.time import Instant, Millis

NANOS_PER_MILLI: Final = 1_000_000
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """The machine's clocks, in milliseconds."""

    def wall(self) -> Instant:
        """Unix time."""
        return time.time_ns() // NANOS_PER_MILLI

    def boot(self) -> Millis:
        """Time since the machine started, suspended time included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // NANOS_PER_MILLI

    def boot_id(self) -> str:
        """Another text after each start of the machine."""
        return BOOT_ID.read_text().strip()


def entropy(size: int) -> bytes:
    """That many bytes of the system's randomness."""
    return os.urandom(size)


def stopwatch() -> int:
    """Nanoseconds of a clock that only measures how long things take."""
    return time.perf_counter_ns()
