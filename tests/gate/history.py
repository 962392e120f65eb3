"""Were the answers those of one licd that does one thing after the other? Per licence, with the log as the one order.

What each caller saw is an interval: it asked, and was answered. The log says in which order things were done. An order
is a witness of linearizability when (a) nothing stands in it before what had been answered before it was asked for, and
(b) every answer is what that order gives: a permit of an epoch that had begun and had not been ended by something
answered before the permit was asked for. Licences are looked at one by one, which is enough: linearizability is local
(Herlihy and Wing, 1990). Finding a witness is hard, holding one against the intervals is not.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FAR = 1 << 62
Deed = tuple[str, int]
"""A kind of entry and what it is about: the lease, or for a licence's own the epoch that it began."""


def now() -> int:
    """Nanoseconds, of all callers' one machine."""
    return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Span:
    """Between asking and being answered."""

    asked: int
    answered: int


class History:
    """What was done, and what permits were read, as callers saw it. Told's lock is held by whoever adds."""

    def __init__(self) -> None:
        self._done: dict[str, dict[Deed, Span]] = defaultdict(dict)
        self._read: dict[str, list[tuple[int, Span]]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self._done.values())) + sum(map(len, self._read.values()))

    def done(self, licence: str, kind: str, subject: int, span: Span) -> None:
        """This was answered as done. What is answered again, later, was done the first time."""
        self._done[licence].setdefault((kind, subject), span)

    def read(self, licence: str, epoch: int, span: Span) -> None:
        """A permit of this epoch was answered."""
        self._read[licence].append((epoch, span))

    def against(self, log: Mapping[str, Mapping[Deed, int]]) -> Iterator[str]:
        """What no order of one licd's gives. The log: for each licence its deeds, and where they stand."""
        for licence, deeds in self._done.items():
            order = log.get(licence, {})
            if missing := [deed for deed in deeds if deed not in order]:
                yield f"{licence}: {missing[0]} was answered and is not in the log"
                continue
            yield from _out_of_order(licence, deeds, order)
        for licence, permits in self._read.items():
            yield from _misread(licence, permits, self._done.get(licence, {}))


def _out_of_order(licence: str, deeds: Mapping[Deed, Span], order: Mapping[Deed, int]) -> Iterator[str]:
    """In the log before something that had been answered when it was asked for."""
    earliest, which = FAR, ("", 0)
    for deed, span in sorted(deeds.items(), key=lambda each: -order[each[0]]):
        if earliest < span.asked:
            yield f"{licence}: {deed} stands in the log before {which}, which was answered before it was asked for"
        if span.answered < earliest:
            earliest, which = span.answered, deed


def _misread(licence: str, permits: list[tuple[int, Span]], deeds: Mapping[Deed, Span]) -> Iterator[str]:
    begun = {epoch: span for (kind, epoch), span in deeds.items() if kind.startswith("licence.")}
    for epoch, span in permits:
        if epoch in begun and span.answered < begun[epoch].asked:
            yield f"{licence}: a permit of epoch {epoch} was answered before that was asked for"
        over = [each for each, other in begun.items() if each > epoch and other.answered < span.asked]
        if over:
            yield f"{licence}: a permit of epoch {epoch} was asked for after epoch {min(over)} had been answered"
