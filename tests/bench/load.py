"""Closed loops: so many callers, each with one call under way, for so long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tests.bench import clock


async def rate(callers: Sequence[Callable[[], Awaitable[object]]], seconds: float) -> float:
    """Calls a second that all callers together have finished within the time."""
    done = 0
    end = clock.seconds() + seconds

    async def loop(call: Callable[[], Awaitable[object]]) -> None:
        nonlocal done
        while clock.seconds() < end:
            await call()
            done += 1

    started = clock.seconds()
    await asyncio.gather(*(loop(call) for call in callers))
    return done / (clock.seconds() - started)
