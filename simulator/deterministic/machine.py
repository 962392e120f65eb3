"""A computer: clocks that run a little wrong and can be set, a boot that can end, a pause in which nothing runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from simulator.clock import Instant, Millis

EPOCH: Final[Instant] = 1_800_000_000_000
"""True unix milliseconds when a run begins."""
MILLION: Final = 1_000_000


def true_ms() -> Millis:
    """True milliseconds since the run began."""
    return int(asyncio.get_running_loop().time() * 1_000)


class Machine:
    """Clocks in milliseconds. rate_ppm is how wrong they run; the wall clock can be set besides."""

    def __init__(self, name: str, rate_ppm: int = 0, up_for: Millis = 0) -> None:
        self.name: Final = name
        self._rate: Final = 1 + rate_ppm / MILLION
        self._offset: Millis = 0
        self._booted_at = -up_for / 1_000
        self._boot = 1
        self._running: Final = asyncio.Event()
        self._running.set()
        self._held_up: Final[list[Callable[[], None]]] = []

    def boot_ms(self) -> Millis:
        """Since this boot."""
        return int((asyncio.get_running_loop().time() - self._booted_at) * 1_000 * self._rate)

    def wall_ms(self) -> Instant:
        """By its own opinion."""
        return EPOCH + int(asyncio.get_running_loop().time() * 1_000 * self._rate) + self._offset

    def boot_id(self) -> str:
        """Another text after each start."""
        return f"{self.name}/{self._boot}"

    # as the daemon calls them
    boot = boot_ms
    wall = wall_ms

    async def sleep_until(self, boot_ms: Millis) -> None:
        """Return at this boot instant or, where the machine is paused then, when it goes on."""
        left = boot_ms - self.boot_ms()
        if left <= 0:
            await asyncio.sleep(0)
        while left > 0:
            await asyncio.sleep((left + 0.5) / 1_000 / self._rate)
            left = boot_ms - self.boot_ms()
        await self.running()

    def call_at(self, boot_ms: Millis, callback: Callable[[], None]) -> None:
        """As sleep_until, without a task: calls at this boot instant or, where the machine is paused then, later."""
        left = max(0, boot_ms - self.boot_ms())
        asyncio.get_running_loop().call_later((left + 0.5) / 1_000 / self._rate, self._call, callback)

    def _call(self, callback: Callable[[], None]) -> None:
        if self._running.is_set():
            callback()
        else:
            self._held_up.append(callback)

    def set_wall(self, by: Millis) -> None:
        """Moves the wall clock."""
        self._offset += by

    def set_right(self) -> None:
        """Takes every setting of the wall clock back."""
        self._offset = 0

    def reboot(self) -> None:
        """A new boot: the boot clock begins again."""
        self._boot += 1
        self._booted_at = asyncio.get_running_loop().time()

    def pause(self) -> None:
        """Nothing runs, the clocks go on: suspended to memory, or stopped by a signal."""
        self._running.clear()

    def resume(self) -> None:
        """Goes on."""
        self._running.set()
        while self._held_up:
            asyncio.get_running_loop().call_soon(self._held_up.pop(0))

    async def running(self) -> None:
        """Returns while the machine runs."""
        await self._running.wait()
