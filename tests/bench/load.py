"""Closed loops: so many callers, each with one call under way, for so long."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence

from tests.bench import clock

Call = Callable[[], Awaitable[object]]

ROUNDS = 5
SECONDS = 2.0


async def rate(callers: Sequence[Call], seconds: float) -> float:
    """Calls a second that all callers together have finished within the time."""
    done = 0
    end = clock.seconds() + seconds

    async def loop(call: Call) -> None:
        nonlocal done
        while clock.seconds() < end:
            await call()
            done += 1

    started = clock.seconds()
    await asyncio.gather(*(loop(call) for call in callers))
    return done / (clock.seconds() - started)


async def alternate(
    ours: Sequence[Call], yardstick: Sequence[Call], before: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Medians of both sides' rates, round by round in turn, after a shorter, uncounted round of each.

    before is done ahead of each of our rounds, and takes no time of it.
    """
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for side, calls in zip(rates, (ours, yardstick), strict=True):
            before()
            measured = await rate(calls, SECONDS if number else SECONDS / 2)
            if number:
                side.append(measured)
    return statistics.median(rates[0]), statistics.median(rates[1])
