"""Who waits for which answer."""

import asyncio
import itertools
from typing import Final, TypeAlias

from licd.client.answers import Failed, Outcome
from licd.client.session.hold import Hold

Answer: TypeAlias = tuple[Outcome, Hold | None]
"""What came of it, and the hold where there is one."""

CLOSED: Final[Answer] = (Failed("the system is closed"), None)


class Waiting:
    """Futures by operation. After `end` everybody is answered that the system is closed."""

    __slots__ = ("_ended", "_futures", "_numbers")

    def __init__(self) -> None:
        self._futures: Final[dict[int, asyncio.Future[Answer]]] = {}
        self._numbers: Final = itertools.count(1)
        self._ended = False

    def number(self) -> int:
        """A number for a new operation."""
        return next(self._numbers)

    def future(self, op: int) -> asyncio.Future[Answer]:
        """What to wait for."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._ended:
            future.set_result(CLOSED)
        else:
            self._futures[op] = future
        return future

    def answer(self, op: int, answer: Answer) -> None:
        """Wake who waits, if anybody does."""
        future = self._futures.pop(op, None)
        if future is not None and not future.done():
            future.set_result(answer)

    def forget(self, op: int) -> None:
        """Nobody waits for this any more."""
        self._futures.pop(op, None)

    def end(self) -> None:
        """Answer everybody, now and from here on."""
        self._ended = True
        for op in list(self._futures):
            self.answer(op, CLOSED)
