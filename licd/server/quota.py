"""How often one caller may ask: a generic cell rate algorithm (GCRA) for each. Above it nothing is decided."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from licd.core.errors import OverQuota
from licd.core.time import Millis

CALLERS_KEPT: Final = 50_000
MICROS: Final = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second in the long run, so many at once."""

    per_second: int
    burst: int


class Quota:
    """Keeps one number a caller: when its next request would be on time. Times are boot milliseconds."""

    def __init__(self, rate: Rate) -> None:
        self._interval: Final = MICROS * MICROS // rate.per_second
        self._slack: Final = self._interval * (rate.burst - 1)
        self._due: OrderedDict[str, int] = OrderedDict()

    def take(self, caller: str, now: Millis) -> None:
        """Counts one request. Raises OverQuota with the time after which the next is welcome."""
        now_us = now * MICROS
        due = max(self._due.get(caller, 0), now_us)
        if due - now_us > self._slack:
            wait = (due - now_us - self._slack + MICROS - 1) // MICROS
            raise OverQuota("too many requests; nothing was decided", retry_after=wait)
        self._due[caller] = due + self._interval
        self._due.move_to_end(caller)
        while len(self._due) > CALLERS_KEPT:
            self._due.popitem(last=False)
