"""The ledger for the event loop: commands in, results out after the commit that made them durable.

One batch is in flight while the next gathers; there is no timer. Urgent commands go before everything that waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from queue import SimpleQueue
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
TURN_SECONDS: Final = 0.02
"""For longer the loop does not rest: a licence with very many leases may be read for the first time."""
LOOKS: Final = 24
"""Turns of the loop that a batch waits at most for more callers; none of them waits for anything to happen."""
QUIET_LOOKS: Final = 4
"""So many in a row that bring nobody end it; one would not do: calls come one by one, each by way of gRPC's thread."""

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

    @property
    def is_urgent(self) -> bool:
        """Whether something urgent waits."""
        return bool(self._urgent)

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


class Committing(Protocol):
    """A connection that says when a transaction is about to be committed."""

    def before_commit(self, tell: Callable[[], None], /) -> None:
        """From now on tells it, on the writing thread."""
        ...


class Turn:
    """The writing thread's turn to run Python: begun and waited for by the loop, ended by the thread."""

    def __init__(self) -> None:
        self._taken: Final = threading.Lock()

    def begin(self) -> None:
        """The thread's turn begins."""
        self._taken.acquire(blocking=False)

    def wait(self) -> None:
        """Returns when the turn has ended, or has taken too long to be waited for."""
        self._taken.acquire(timeout=TURN_SECONDS)

    def end(self) -> None:
        """The turn is over; harmless when it was before. On the writing thread alone."""
        if self._taken.locked():
            self._taken.release()


class ThreadWriter:
    """Runs the ledger in one thread. To be made on the event loop that will call it.

    A batch goes to the thread when the loop has heard everybody who was calling, not when the first has called: a batch
    of one costs four times one of thirty for each command. A caller who is alone waits some ten microseconds for
    that, and then milliseconds for the disk. And while a batch is decided the loop rests: two threads that run Python
    take its lock from one another at each statement. What the loop does not wait for is the disk: it goes on as soon as
    the batch is being committed, or when it takes long.
    """

    def __init__(self, ledger: Ledger, committing: Committing | None = None) -> None:
        """Committing is of the ledger's connection; without one, as over a network, the loop never rests."""
        self._ledger: Final = ledger
        self._turn: Final = Turn() if committing else None
        if committing and self._turn:
            committing.before_commit(self._turn.end)
        self._loop: Final = asyncio.get_running_loop()
        self._queue: Final = Queue()
        self._batches: Final[SimpleQueue[list[Waiting]]] = SimpleQueue()
        self._at_work = False
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
        self._queue.put(command, future)
        if not self._at_work:
            self._at_work = True
            self._loop.call_soon(self._gather)
        return await future

    def _gather(self, seen: int = 0, looks: int = LOOKS, quiet: int = 0) -> None:
        """Looks again with each turn of the loop, until several in a row have brought nobody, or something urgent."""
        waiting = len(self._queue)
        quiet = 0 if waiting > seen else quiet + 1
        if looks and quiet < QUIET_LOOKS and not self._queue.is_urgent:
            self._loop.call_soon(self._gather, waiting, looks - 1, quiet)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        turn = self._turn
        if turn is None:
            self._batches.put(self._queue.take())
            return
        turn.begin()
        self._batches.put(self._queue.take())
        turn.wait()

    def _run(self) -> None:
        while taken := self._batches.get():
            outcomes = _outcomes(self._ledger, taken)
            if self._turn:
                self._turn.end()
            self._loop.call_soon_threadsafe(self._done, taken, outcomes)

    def _done(self, taken: Sequence[Waiting], outcomes: Sequence[Any]) -> None:
        _deliver(taken, outcomes)
        if self._queue:
            self._loop.call_soon(self._gather)
        else:
            self._at_work = False
            self._end_if_closing()

    def _end_if_closing(self) -> None:
        if self._queue.closing:
            self._batches.put([])

    async def close(self) -> None:
        """Decides what waits, then stops the thread."""
        if not self._queue.closing:
            self._queue.closing = True
            if not self._at_work:
                self._end_if_closing()
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
