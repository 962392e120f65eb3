"""An event loop on virtual time: it never waits, and in which order it runs what is ready is the seed's choice."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final

from simulator.chance import Random

MICRO: Final = 1e-6


class Stalled(RuntimeError):
    """Everybody waits for somebody else, and nobody for the time."""


class _Moments(selectors.SelectSelector):
    """In place of waiting for sockets, lets the time pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stalled("nothing is ready and nothing is due")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on virtual seconds from 0. What becomes ready runs within a jitter of that moment, in an order of chance."""

    def __init__(self, chance: Random, jitter: float) -> None:
        """Jitter in seconds; 0 keeps asyncio's own order."""
        self._moments: Final = _Moments()
        super().__init__(self._moments)
        self._chance: Final = chance
        self._jitter: Final = jitter
        self.set_task_factory(_adopted)  # type: ignore[arg-type]  # its protocol changes with every Python

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._moments.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, but not in the order of the calls."""
        if not self._jitter:
            return super().call_soon(callback, *args, context=context)
        at = self.time() + self._jitter * self._chance.random()
        return self.call_at(at, callback, *args, context=context)


class Process:
    """Tasks that live and die together, those included that they start themselves."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.alive = True
        self._tasks: Final[dict[asyncio.Task[Any], None]] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts a task in this process."""
        context = copy_context()
        context.run(_RUNNING.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Counts a task as this process's."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        if not self.alive:
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever awaits it hears of it

    def kill(self) -> None:
        """Ends it now, wherever its tasks are. What they still try reaches nobody: the world asks `alive`."""
        self.alive = False
        for task in tuple(self._tasks):
            task.cancel()

    async def gone(self) -> None:
        """Returns when its last task has ended."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))


def outside(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Starts a task that belongs to no process, whoever asks for it."""
    context = copy_context()
    context.run(_RUNNING.set, None)
    return asyncio.get_running_loop().create_task(work, context=context)


_RUNNING: Final[ContextVar[Process | None]] = ContextVar("process", default=None)


def _adopted(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, **options)
    context: Context | None = options.get("context")
    process = context.get(_RUNNING) if context is not None else _RUNNING.get()
    if process is not None:
        process.adopt(task)
    return task
