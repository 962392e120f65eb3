"""An event loop on virtual time: it never waits, and in which order it runs what is ready is the seed's choice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, TypeVar

from simulator.chance import Random

T = TypeVar("T")

MANY: Final = 32
"""Tasks of a process that have ended and are still counted, about."""


class Stalled(RuntimeError):
    """Everybody waits for somebody else, and nobody for the time."""


class _Due(asyncio.TimerHandle):
    """A callback that waits for its moment. Without what asyncio's keeps for its debug mode."""

    __slots__ = ("args", "at", "callback", "context", "off")

    def __init__(self, at: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self.at: Final = at
        self.callback: Final = callback
        self.args: Final = args
        self.context: Final = context
        self.off = False

    def cancel(self) -> None:
        self.off = True

    def cancelled(self) -> bool:
        return self.off

    def when(self) -> float:
        return self.at


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs on virtual seconds from 0. What becomes ready runs within a jitter of that moment, in an order of chance.

    There is one queue, by moment: no socket, thread or signal can wake it. A callback that fails ends the run.
    """

    def __init__(self, chance: Random, jitter: float) -> None:
        """Jitter in seconds; 0 runs what is ready in the order in which it became so."""
        self._now = 0.0
        self._queue: Final[list[tuple[float, int, _Due]]] = []
        self._numbers: Final = count()
        self._draw: Final = chance.random
        self._jitter: Final = jitter
        self._closed = False

    # ------------------------------------------------------------------------------------------- time
    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, but not in the order of the calls."""
        at = self._now + self._jitter * self._draw() if self._jitter else self._now
        due = _Due(at, callback, args, copy_context() if context is None else context)
        heappush(self._queue, (at, next(self._numbers), due))
        return due

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        return self._put(when, callback, args, context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        return self._put(self._now + delay, callback, args, context)

    def _put(self, at: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> _Due:
        due = _Due(at, callback, args, copy_context() if context is None else context)
        heappush(self._queue, (at, next(self._numbers), due))
        return due

    # ------------------------------------------------------------------------------------------- tasks
    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:
        """Starts a task, in the process that starts it."""
        task = asyncio.Task(coro, loop=self, **options)
        context: Context | None = options.get("context")
        process = context.get(_RUNNING) if context is not None else _RUNNING.get()
        if process is not None:
            process.adopt(task)
        return task

    # ------------------------------------------------------------------------------------------- running
    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Runs what is due, moment after moment, until this is done. Raises what it raised, and Stalled."""
        awaited = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        queue = self._queue
        asyncio._set_running_loop(self)  # noqa: SLF001 -- named so, and documented for who writes a loop
        try:
            while not awaited.done():
                if not queue:
                    raise Stalled("nothing is ready and nothing is due")
                at, _, due = heappop(queue)
                if not due.off:
                    self._now = max(self._now, at)
                    due.context.run(due.callback, *due.args)
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001
        return awaited.result()

    def is_running(self) -> bool:
        """Whether it runs right now."""
        return asyncio._get_running_loop() is self  # noqa: SLF001

    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._closed

    def close(self) -> None:
        """Ends it."""
        self._closed = True
        self._queue.clear()

    def get_debug(self) -> bool:
        """Asked of every loop."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that nobody has heard of.

        When that shows depends on when memory is given back: it is no part of the run. Whoever must not fail is asked
        at the end how he is.
        """


class Process:
    """Tasks that live and die together, those included that they start themselves."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.alive = True
        self._tasks: list[asyncio.Task[Any]] = []
        self._crowded = MANY

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts a task in this process."""
        context = copy_context()
        context.run(_RUNNING.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Counts a task as this process's."""
        if len(self._tasks) >= self._crowded:
            self._tasks = [each for each in self._tasks if not each.done()]
            self._crowded = len(self._tasks) + MANY
        self._tasks.append(task)
        if not self.alive:
            task.cancel()

    def kill(self) -> None:
        """Ends it now, wherever its tasks are. What they still try reaches nobody: the world asks `alive`."""
        self.alive = False
        for task in tuple(self._tasks):
            task.cancel()

    async def gone(self) -> None:
        """Returns when its last task has ended."""
        while tasks := [task for task in self._tasks if not task.done()]:
            await asyncio.wait(tasks)


def outside(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Starts a task that belongs to no process, whoever asks for it."""
    context = copy_context()
    context.run(_RUNNING.set, None)
    return asyncio.get_running_loop().create_task(work, context=context)


_RUNNING: Final[ContextVar[Process | None]] = ContextVar("process", default=None)
