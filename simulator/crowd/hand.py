"""A process of systems, as seen from the one that measures."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from simulator.crowd.worker import LINE_LIMIT

PATIENCE: Final = 10.0
"""Seconds for a process to end by itself."""


class WorkerFailed(RuntimeError):
    """A process of systems ended; the message says what it wrote last."""


class Hand:
    """Asks one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a process without pipes")
        self._process: Final = process
        self._commands: Final = process.stdin
        self._answers: Final = process.stdout
        self._log: Final = log
        self._alone: Final = asyncio.Lock()

    async def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Raises WorkerFailed."""
        async with self._alone:
            self._commands.write(json.dumps({"do": do, **more}).encode() + b"\n")
            await self._commands.drain()
            line = await self._answers.readline()
        if not line:
            said = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise WorkerFailed("a process of systems ended:\n" + "\n".join(said))
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """Close its input; it ends by that. Killed where it does not."""
        self._commands.close()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def hands(number: int, folder: Path) -> AsyncIterator[list[Hand]]:
    """So many processes; they end with the block."""
    made: list[Hand] = []
    try:
        for index in range(number):
            log = folder / f"worker-{index}.log"
            with log.open("wb") as errors:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "simulator.crowd.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                    limit=LINE_LIMIT,
                    env=os.environ | {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"},
                )
            made.append(Hand(process, log))
        yield made
    finally:
        await asyncio.gather(*(each.end() for each in made))
