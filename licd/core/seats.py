"""Which seats of a licence are taken, by rows alone: live leases, cooling ones, and what volume limits look back on.

A seat is free only when every permit ever decided for it has run out, also after release. Counts derive from the
leases put in; there is no counter that could leak.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from licd.core.model import Lease
from licd.core.time import MINUTE, Instant, Millis

SLACK = 64
FOREVER = 1 << 62


class Window:
    """The targets that held a seat in the last period and hold none now; live ones are counted elsewhere."""

    __slots__ = ("_ends", "_period", "gone")

    def __init__(self, period: Millis, gone: dict[bytes, Instant]) -> None:
        self._period = period
        self.gone = dict(gone)
        self._ends = [(until, target) for target, until in gone.items()]
        heapq.heapify(self._ends)

    def left(self, target: bytes, until: Instant) -> None:
        """The target gave its seat up; it was last in use at until."""
        self.gone[target] = until
        heapq.heappush(self._ends, (until, target))
        if len(self._ends) > 2 * len(self.gone) + SLACK:
            self._ends = [(until, target) for target, until in self.gone.items()]
            heapq.heapify(self._ends)

    def came(self, target: bytes) -> None:
        """The target holds a seat again."""
        self.gone.pop(target, None)

    def settle(self, now: Instant) -> None:
        """Forgets what has dropped out of the period."""
        horizon = now - self._period
        while self._ends and self._ends[0][0] <= horizon:
            until, target = heapq.heappop(self._ends)
            if self.gone.get(target) == until:
                del self.gone[target]

    def next_leaves(self, now: Instant, count: int = 1) -> Instant:
        """When so many targets have dropped out; 0 when there are not so many."""
        self.settle(now)
        if count > 1:
            ends = _smallest(self.gone.values(), count)
            return ends + self._period if ends else 0
        while self._ends and self.gone.get(self._ends[0][1]) != self._ends[0][0]:
            heapq.heappop(self._ends)
        return self._ends[0][0] + self._period if self._ends else 0


def _smallest(instants: Iterable[Instant], count: int) -> Instant:
    """The count-th smallest; 0 when there are fewer."""
    if count == 1:
        return min(instants, default=0)
    smallest = heapq.nsmallest(count, instants)
    return smallest[-1] if len(smallest) == count else 0


def _oldest_end_first(lease: Lease) -> tuple[bool, Instant, Instant, Instant]:
    """Ended leases before live ones: a live lease takes over the seat its target was cooling on."""
    return (not lease.ended_at, lease.ended_at, lease.granted_at, lease.free_at)


def _newly_taken(leases: Iterable[Lease]) -> Iterator[Instant]:
    """When seats were newly taken; a target that came back to a seat which still cooled for it took no new one."""
    free_at: dict[bytes, Instant] = {}
    for lease in sorted(leases, key=lambda each: (each.granted_at, each.free_at or FOREVER)):
        if lease.granted_at >= free_at.get(lease.target, 0):
            yield lease.granted_at
        free_at[lease.target] = lease.free_at


class Seats:
    """Index over the leases of one licence. put() takes each new version of a lease."""

    __slots__ = (
        "_by_deployment",
        "_cooling_heap",
        "_forgotten",
        "_grants",
        "_seen",
        "_taken",
        "_takings",
        "_windows",
        "barred",
        "by_id",
        "cooling",
        "live",
    )

    def __init__(self) -> None:
        self.live: dict[bytes, Lease] = {}
        self.cooling: dict[bytes, Lease] = {}
        self.by_id: dict[int, Lease] = {}
        self.barred: dict[bytes, Instant] = {}
        self._by_deployment: dict[str, dict[int, Lease]] = {}
        self._cooling_heap: list[tuple[Instant, int]] = []
        self._seen: dict[bytes, Instant] = {}
        self._windows: dict[Millis, Window] = {}
        self._grants: list[Instant] = []
        self._takings: deque[tuple[Instant, bytes]] = deque()
        self._taken: dict[bytes, deque[Instant]] = {}
        self._forgotten: Instant = 0

    def restore(self, leases: Iterable[Lease], now: Instant, window: Millis) -> None:
        """Builds the index anew from rows: the live, and of the ended those whose free_at or bar is not yet past.

        Of the ended ones it needs all with free_at > now - window: they also tell which later lease came back to a
        seat that was still cooling, and so was not newly taken. And all that ended in the last minute, for taken().
        """
        known = list(leases)
        for lease in sorted(known, key=_oldest_end_first):
            self.put(lease)
        for granted_at in _newly_taken(known):
            if granted_at > now - window:
                self.count_grant(granted_at)
        for lease in sorted(known, key=lambda each: each.granted_at):
            if lease.granted_at > now - MINUTE:
                self.note_taken(lease.target, lease.granted_at)
        self.settle(now)

    def put(self, lease: Lease) -> None:
        """Takes a lease as it now is: a new one, or one that was put before and has changed."""
        known = lease.id in self.by_id
        if not lease.ended_at:
            self._put_live(lease)
        elif known or lease.free_at:
            self._put_ended(lease)
        if lease.barred_until:
            self.barred[lease.target] = max(lease.barred_until, self.barred.get(lease.target, 0))

    def _put_live(self, lease: Lease) -> None:
        displaced = self.cooling.pop(lease.target, None)
        if displaced is not None:
            self.by_id.pop(displaced.id, None)
        if lease.target not in self.live:
            for window in self._windows.values():
                window.came(lease.target)
        self.live[lease.target] = lease
        self.by_id[lease.id] = lease
        self._by_deployment.setdefault(lease.deployment, {})[lease.id] = lease

    def _put_ended(self, lease: Lease) -> None:
        held = self.live.get(lease.target)
        if held is not None and held.id == lease.id:
            del self.live[lease.target]
        self._by_deployment.get(lease.deployment, {}).pop(lease.id, None)
        self._mark_seen(lease.target, lease.seat_until)
        if lease.target in self.live:
            return
        displaced = self.cooling.get(lease.target)
        if displaced is not None and displaced.id != lease.id:
            self.by_id.pop(displaced.id, None)
        self.cooling[lease.target] = lease
        self.by_id[lease.id] = lease
        heapq.heappush(self._cooling_heap, (lease.free_at, lease.id))
        if len(self._cooling_heap) > 2 * len(self.cooling) + SLACK:
            self._cooling_heap = [(each.free_at, each.id) for each in self.cooling.values()]
            heapq.heapify(self._cooling_heap)

    def _mark_seen(self, target: bytes, until: Instant) -> None:
        latest = max(until, self._seen.get(target, 0))
        self._seen[target] = latest
        if target not in self.live:
            for window in self._windows.values():
                window.left(target, latest)

    def count_grant(self, granted_at: Instant) -> None:
        """Counts a newly taken seat towards churn."""
        insort(self._grants, granted_at)

    def note_taken(self, target: bytes, granted_at: Instant) -> None:
        """Remembers for a minute that the target was granted, also to a seat of its own. In their order."""
        self._takings.append((granted_at, target))
        self._taken.setdefault(target, deque()).append(granted_at)

    def taken(self, target: bytes, now: Instant) -> Sequence[Instant]:
        """When the target was granted in the last minute, oldest first."""
        takings = self._takings
        while takings and takings[0][0] <= now - MINUTE:
            _, gone = takings.popleft()
            own = self._taken[gone]
            own.popleft()
            if not own:
                del self._taken[gone]
        return self._taken.get(target, ())

    def settle(self, now: Instant) -> None:
        """Frees every seat whose cooling is over."""
        heap = self._cooling_heap
        while heap and heap[0][0] <= now:
            _, identifier = heapq.heappop(heap)
            lease = self.by_id.get(identifier)
            if lease is not None and lease.ended_at and lease.free_at <= now:
                del self.by_id[identifier]
                held = self.cooling.get(lease.target)
                if held is not None and held.id == identifier:
                    del self.cooling[lease.target]

    def occupied(self, now: Instant) -> int:
        """Live and cooling seats."""
        self.settle(now)
        return len(self.live) + len(self.cooling)

    def of(self, deployment: str) -> dict[int, Lease]:
        """The live leases of one deployment, by id."""
        return self._by_deployment.get(deployment, {})

    def next_free(self, now: Instant, count: int = 1, besides: bytes = b"") -> Instant:
        """When so many cooling seats, one target's apart, are free; 0 when not so many cool."""
        self.settle(now)
        return _smallest((lease.free_at for target, lease in self.cooling.items() if target != besides), count)

    def distinct(self, now: Instant, period: Millis) -> int:
        """How many different targets could be acted on at any time in the last period."""
        window = self._window(period)
        window.settle(now)
        return len(self.live) + len(window.gone)

    def _window(self, period: Millis) -> Window:
        found = self._windows.get(period)
        if found is None:
            gone = {target: until for target, until in self._seen.items() if target not in self.live}
            found = self._windows[period] = Window(period, gone)
        return found

    def counts_already(self, target: bytes, now: Instant, period: Millis) -> bool:
        """Whether the target is one of those that distinct() counts."""
        return target in self.live or self._seen.get(target, 0) > now - period

    def oldest_seen_leaves(self, now: Instant, period: Millis, count: int = 1) -> Instant:
        """When so many targets have dropped out of the distinct count; 0 when live ones stand in the way."""
        return self._window(period).next_leaves(now, count)

    def churn(self, now: Instant, period: Millis) -> int:
        """How many seats were newly taken in the last period."""
        grants = self._grants
        return len(grants) - bisect_right(grants, now - period)

    def churn_leaves(self, now: Instant, period: Millis, count: int = 1) -> Instant:
        """When so many grants have dropped out of the churn count; 0 when there are not so many."""
        index = bisect_right(self._grants, now - period) + count - 1
        return self._grants[index] + period if index < len(self._grants) else 0

    def forget_before(self, horizon: Instant) -> None:
        """Drops what no volume limit looks back on any more; not at every turn, for it walks all that is remembered."""
        if horizon < self._forgotten + MINUTE:
            return
        self._forgotten = horizon
        del self._grants[: bisect_right(self._grants, horizon)]
        self._seen = {target: until for target, until in self._seen.items() if until > horizon}
