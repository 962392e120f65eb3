"""One alarm, set over and over, for the price of one task."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from licd.client.clock import Clock
from licd.core.time import Millis

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts a task, and hears how it ends."""

_BREATH: Final[Millis] = 20


class Timer:
    """Calls `fire` at or soon after the instant it was last set to. Setting it later costs nothing."""

    __slots__ = ("_at", "_clock", "_fire", "_sleeping_until", "_spawn", "_task")

    def __init__(self, clock: Clock, fire: Callable[[], None], spawn: Spawn) -> None:
        self._clock: Final = clock
        self._fire: Final = fire
        self._spawn: Final = spawn
        self._at: Millis = 0
        self._sleeping_until: Millis = 0
        self._task: asyncio.Task[None] | None = None

    def set(self, at: Millis) -> None:
        """Fire at this boot instant, and at no other set before."""
        self._at = at
        if self._task is None:
            self._task = self._spawn(self._run())
        elif at < self._sleeping_until:
            self._task.cancel()
            self._task = self._spawn(self._run())

    async def _run(self) -> None:
        while True:
            self._sleeping_until = self._at
            await self._clock.sleep_until(self._at)
            now = self._clock.boot_ms()
            if now < self._at:
                continue
            self._sleeping_until = 0  # whatever `fire` sets is looked at here, not by starting anew
            self._fire()
            self._at = max(self._at, now + _BREATH if self._at <= now else self._at)
