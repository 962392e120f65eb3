"""Acquisitions as operations in links, as the SDK coalesces them: signed, persisted, durable."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from licd.client.answers import Authorisation
from licd.client.system import System
from licd.core.terms import Basis
from tests.bench import clock
from tests.bench.measures import CONNECTIONS, Measured, alternate, echo_calls
from tests.bench.stage import LICENCE, Enrolled, Stage, invite

SESSIONS = 16
CALLERS = 16
HOUR_MS = 3_600_000


def terms() -> dict[str, Any]:
    """What the benchmark's licence asks for."""
    return {
        "purpose": "licd:serious-crime",
        "offence": "eaw:drugs",
        "authorisation": Authorisation("bench", clock.now_ms() + HOUR_MS),
        "claims": [("AT", Basis.NUMBER_PLAN)],
        "attested_not_protected": True,
    }


async def stream_acquire_vs_echo(stage: Stage, systems: list[Enrolled]) -> Measured:
    """16 sessions × 16 callers that each acquire and give back, against the unary echo."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="licd-bench-sdk-")))
        opened: list[System] = []
        for number, token in enumerate(invite(stage, LICENCE, [f"stream-{n}" for n in range(SESSIONS)]).values()):
            await System.enrol(token, folder / str(number))
            opened.append(await stack.enter_async_context(System.open(folder / str(number), region="AT")))
        asked = terms()

        def caller(system: System) -> Callable[[], Awaitable[object]]:
            async def acquire() -> None:
                async with system.lease(clock.random(32), **asked):
                    pass

            return acquire

        ours: list[Callable[[], Awaitable[object]]] = [caller(system) for system in opened for _ in range(CALLERS)]
        channels, floor = echo_calls(stage, systems[:CONNECTIONS])
        acquired, echoed = await alternate(ours, floor)
        for channel in channels:
            await channel.close()
    return Measured(
        "stream_acquire_vs_echo", acquired / echoed, 5.0, True, {"acquire": acquired, "echo": echoed}, "calls/s"
    )
