"""Acquisitions as operations in links, as the SDK coalesces them: signed, persisted, durable."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from licd.client.answers import Authorisation
from licd.client.system import System
from licd.core.terms import Basis
from tests.bench import clock
from tests.bench.load import Call, alternate
from tests.bench.measures import CALLERS_EACH, Measured, echoing
from tests.bench.stage import LICENCE, Enrolled, Stage, invite

SESSIONS: Final = 16
HOUR_MS: Final = 3_600_000


def terms() -> dict[str, Any]:
    """What the benchmark's licence asks for."""
    return {
        "purpose": "licd:serious-crime",
        "offence": "eaw:drugs",
        "authorisation": Authorisation("bench", clock.now_ms() + HOUR_MS),
        "claims": [("AT", Basis.NUMBER_PLAN)],
        "attested_not_protected": True,
    }


@asynccontextmanager
async def sessions(stage: Stage, names: Sequence[str], callers_each: int) -> AsyncIterator[list[Call]]:
    """Callers over the SDK, so many on each system: each acquires a new target and lets it go."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="licd-bench-sdk-")))
        calls: list[Call] = []
        for name, token in invite(stage, LICENCE, list(names)).items():
            await System.enrol(token, folder / name)
            system = await stack.enter_async_context(System.open(folder / name, region="AT"))
            calls += [_caller(system, terms())] * callers_each
        yield calls


def _caller(system: System, asked: dict[str, Any]) -> Call:
    async def acquire() -> None:
        async with system.lease(clock.random(32), **asked):
            pass

    return acquire


async def stream_acquire_vs_echo(stage: Stage, systems: Sequence[Enrolled]) -> Measured:
    """16 sessions x 16 callers that each acquire and give back, against the unary echo of as many callers."""
    names = [f"stream-{n}-{clock.now_ms()}" for n in range(SESSIONS)]
    async with sessions(stage, names, CALLERS_EACH) as ours, echoing(stage, systems) as floor:
        acquired, echoed = await alternate(ours, floor)
    sides = {"acquire": acquired, "echo": echoed}
    return Measured("stream_acquire_vs_echo", acquired / echoed, 5.0, True, sides, "calls/s")
