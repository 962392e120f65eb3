"""Waiting for what no event tells, with a limit: on real processes, on the boot clock."""

import threading
import time  # the boot clock of real processes
from collections.abc import Callable

LOOK_EVERY = 0.02
_NEVER = threading.Event()


def boot_ms() -> int:
    """CLOCK_BOOTTIME, which every process of the machine shares."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def let_pass(seconds: float) -> None:
    """Lets real time pass: for what is about time itself, never to make something happen sooner."""
    _NEVER.wait(seconds)


def eventually(condition: Callable[[], bool], limit: float, what: str, every: float = LOOK_EVERY) -> None:
    """Returns when it holds. Raises AssertionError when it does not within so many seconds."""
    deadline = boot_ms() + limit * 1_000
    while not condition():
        assert boot_ms() < deadline, f"not within {limit} s: {what}"
        _NEVER.wait(every)
