"""What a program may ask to be told. A callback that raises is logged; it never stops the system, nor the program."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from licd.client.lease import Lease
from licd.client.notices import ContinuityBegun, LeaseLost, Reinstated, Suspended
from licd.core.time import Millis

_LOG: Final = logging.getLogger("licd.client")

Told: TypeAlias = Awaitable[None] | None


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Plain functions or coroutine functions. Plain ones run at once, in the event loop: they must not block.

    By the time on_suspended is called every check has begun to fail; what a program still does to stop working is the
    `act` time of the protocol's bounds.
    """

    on_suspended: Callable[[Suspended], Told] | None = None
    on_reinstated: Callable[[Reinstated], Told] | None = None
    on_lapsing: Callable[[Lease, Millis], Told] | None = None
    on_lost: Callable[[Lease, LeaseLost], Told] | None = None
    on_continuity: Callable[[ContinuityBegun], Told] | None = None


@dataclass(slots=True)
class Caller:
    """Calls callbacks, and keeps what they started until it is done."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def call(self, callback: Callable[..., Told] | None, *arguments: Any) -> None:
        """Call it, if there is one, whatever it does."""
        if callback is None:
            return
        try:
            told = callback(*arguments)
            if inspect.isawaitable(told):
                task = asyncio.ensure_future(_awaited(told))
                self.tasks.add(task)
                task.add_done_callback(self._done)
        except Exception:  # noqa: BLE001 -- a program's mistake in a callback is logged, and stops nothing
            _LOG.exception("a callback raised; the system goes on")

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a callback raised; the system goes on", exc_info=task.exception())


async def _awaited(told: Awaitable[None]) -> None:
    await told
