"""The ledger for the event loop: commands in, results out after the commit that made them durable.

One batch is in flight while the next gathers; there is no timer. Urgent commands go before everything that waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import structlog

from licd.core.errors import LicdError, OverQuota, ShuttingDown
from licd.ledger.ledger import Ledger
from licd.ledger.transaction import Command

logger = structlog.get_logger("licd.writer")

R = TypeVar("R")

BATCH_LIMIT: Final = 512
WAITING_LIMIT: Final = 20_000
RETRY_AFTER: Final = 1_000

Waiting = tuple[Command[Any], "asyncio.Future[Any]"]


class Writer(Protocol):
    """Executes commands. The result is durable when execute returns; an error is a LicdError."""

    @property
    def waiting(self) -> int:
        """Commands that no batch has taken yet."""
        ...

    async def execute(self, command: Command[R], /) -> R:
        """Raises the LicdError of the command."""
        ...

    async def close(self) -> None:
        """Decides what waits, then stops."""
        ...


class Queue:
    """What waits for the ledger, and how much of it goes into the next batch."""

    def __init__(self) -> None:
        self._urgent: Final[deque[Waiting]] = deque()
        self._usual: Final[deque[Waiting]] = deque()
        self.closing = False

    def __len__(self) -> int:
        return len(self._urgent) + len(self._usual)

    def admit(self, command: Command[R]) -> None:
        """Raises ShuttingDown, or OverQuota when too many wait."""
        if self.closing:
            raise ShuttingDown("licd is shutting down", retry_after=RETRY_AFTER)
        if not command.urgent and len(self._usual) >= WAITING_LIMIT:
            raise OverQuota("too many commands wait for the ledger", retry_after=RETRY_AFTER)

    def put(self, command: Command[Any], future: asyncio.Future[Any]) -> None:
        """Adds a command, and who waits for it."""
        (self._urgent if command.urgent else self._usual).append((command, future))

    def take(self) -> list[Waiting]:
        """The next batch, urgent commands first."""
        taken: list[Waiting] = []
        for queue in (self._urgent, self._usual):
            while queue and len(taken) < BATCH_LIMIT:
                taken.append(queue.popleft())
        return taken


class ThreadWriter:
    """Runs the ledger in one thread. To be made on the event loop that will call it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Final = ledger
        self._loop: Final = asyncio.get_running_loop()
        self._queue: Final = Queue()
        self._changed: Final = threading.Condition()
        self._thread: Final = threading.Thread(target=self._run, name="licd-ledger", daemon=False)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Commands that no batch has taken yet."""
        return len(self._queue)

    async def execute(self, command: Command[R], /) -> R:
        """Raises what the command raised; ShuttingDown, or OverQuota when too many wait.

        The write goes on when the caller is cancelled: what was sent is decided and durable, or not done at all.
        """
        self._queue.admit(command)
        future: asyncio.Future[R] = self._loop.create_future()
        with self._changed:
            self._queue.put(command, future)
            self._changed.notify()
        return await asyncio.shield(future)

    def _take(self) -> list[Waiting]:
        with self._changed:
            while not self._queue and not self._queue.closing:
                self._changed.wait()
            return self._queue.take()

    def _run(self) -> None:
        while taken := self._take():
            self._loop.call_soon_threadsafe(_deliver, taken, _outcomes(self._ledger, taken))

    async def close(self) -> None:
        """Decides what waits, then stops the thread."""
        with self._changed:
            self._queue.closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)


class LoopWriter:
    """Runs each batch on the calling loop, with a pause before it and one before its answers: for the simulation."""

    def __init__(self, ledger: Ledger, pause: Callable[[], Awaitable[None]]) -> None:
        self._ledger: Final = ledger
        self._pause: Final = pause
        self._queue: Final = Queue()
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Commands that no batch has taken yet."""
        return len(self._queue)

    async def execute(self, command: Command[R], /) -> R:
        """As ThreadWriter's."""
        self._queue.admit(command)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._queue.put(command, future)
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._queue:
            await self._pause()
            taken = self._queue.take()
            outcomes = _outcomes(self._ledger, taken)
            await self._pause()
            _deliver(taken, outcomes)

    async def close(self) -> None:
        """Decides what waits."""
        self._queue.closing = True
        if self._running is not None:
            await self._running


def _outcomes(ledger: Ledger, taken: Sequence[Waiting]) -> Sequence[Any]:
    """Whatever happens, everybody who waits is answered and the writer goes on."""
    try:
        return ledger.execute([command for command, _ in taken])
    except Exception:
        logger.exception("the ledger failed")
        return [LicdError("licd failed on this command; whether it was done is unknown") for _ in taken]


def _deliver(taken: Sequence[Waiting], outcomes: Sequence[Any]) -> None:
    for (_, future), outcome in zip(taken, outcomes, strict=True):
        if future.cancelled():
            continue
        if isinstance(outcome, LicdError):
            future.set_exception(outcome)
            future.exception()  # its caller may have hung up: a refusal that nobody takes is no failure of licd's
        else:
            future.set_result(outcome)
