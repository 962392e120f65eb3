# ruff: noqa: TID251 -- here time and randomness come in
"""The operator's machine: its clock and its randomness. The only place of the tool where they come in."""

import secrets
import time
from typing import Final, Protocol

from licd.core.time import SECOND, Instant, Millis

_NANOS_PER_MILLI: Final = 1_000_000


class Clock(Protocol):
    """What the tool asks of time. Nothing is decided by it: licd decides by its own."""

    def now(self) -> Instant:
        """Unix milliseconds, to say how far away an instant is."""
        ...

    def elapsed(self) -> Millis:
        """Milliseconds since some fixed moment; never goes back."""
        ...

    def sleep(self, span: Millis) -> None:
        """Waits so long."""
        ...


class MachineClock:
    """The clock of this machine."""

    def now(self) -> Instant:
        """Unix milliseconds."""
        return time.time_ns() // _NANOS_PER_MILLI

    def elapsed(self) -> Millis:
        """Milliseconds since the machine started."""
        return time.monotonic_ns() // _NANOS_PER_MILLI

    def sleep(self, span: Millis) -> None:
        """Waits so long."""
        time.sleep(span / SECOND)


def machine_randomness(size: int) -> bytes:
    """That many unpredictable bytes."""
    return secrets.token_bytes(size)
