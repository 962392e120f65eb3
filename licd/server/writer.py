"""The ledger for the event loop: commands in, results out after the commit that made them durable.

One batch is in flight while the next gathers; there is no timer. Urgent commands go before everything that waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
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


class ThreadWriter:
    """Runs the ledger in one thread. To be made on the event loop that will call it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Final = ledger
        self._loop: Final = asyncio.get_running_loop()
        self._urgent: deque[Waiting] = deque()
        self._usual: deque[Waiting] = deque()
        self._changed: Final = threading.Condition()
        self._closing = False
        self._thread: Final = threading.Thread(target=self._run, name="licd-ledger", daemon=False)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Commands that no batch has taken yet."""
        return len(self._urgent) + len(self._usual)

    async def execute(self, command: Command[R], /) -> R:
        """Raises what the command raised; ShuttingDown, or OverQuota when too many wait.

        The write goes on when the caller is cancelled: what was sent is decided and durable, or not done at all.
        """
        if self._closing:
            raise ShuttingDown("licd is shutting down", retry_after=RETRY_AFTER)
        if not command.urgent and len(self._usual) >= WAITING_LIMIT:
            raise OverQuota("too many commands wait for the ledger", retry_after=RETRY_AFTER)
        future: asyncio.Future[R] = self._loop.create_future()
        with self._changed:
            (self._urgent if command.urgent else self._usual).append((command, future))
            self._changed.notify()
        return await asyncio.shield(future)

    def _take(self) -> list[Waiting]:
        with self._changed:
            while not self._urgent and not self._usual and not self._closing:
                self._changed.wait()
            taken: list[Waiting] = []
            for queue in (self._urgent, self._usual):
                while queue and len(taken) < BATCH_LIMIT:
                    taken.append(queue.popleft())
            return taken

    def _run(self) -> None:
        while taken := self._take():
            self._loop.call_soon_threadsafe(_deliver, taken, self._outcomes(taken))

    def _outcomes(self, taken: Sequence[Waiting]) -> Sequence[Any]:
        """Whatever happens, everybody who waits is answered and the thread goes on."""
        try:
            return self._ledger.execute([command for command, _ in taken])
        except Exception:
            logger.exception("the ledger failed")
            return [LicdError("licd failed on this command; whether it was done is unknown") for _ in taken]

    async def close(self) -> None:
        """Decides what waits, then stops the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)


class InlineWriter:
    """Runs each command at once on the calling loop: for tools and for the deterministic simulation."""

    waiting: Final = 0

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Final = ledger

    async def execute(self, command: Command[R], /) -> R:
        """Raises what the command raised."""
        outcome = self._ledger.execute([command])[0]
        if isinstance(outcome, LicdError):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Nothing waits."""


def _deliver(taken: Sequence[Waiting], outcomes: Sequence[Any]) -> None:
    for (_, future), outcome in zip(taken, outcomes, strict=True):
        if future.cancelled():
            continue
        if isinstance(outcome, LicdError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
