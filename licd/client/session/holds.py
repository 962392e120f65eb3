"""All holds of a system, and the leases behind them.

Rules
- A lease may be acted on only if the newest permit lists it. What a newer permit leaves out has ended.
- Two holds on one target under the same terms share one lease; it is given back when the last of them is done.
- A lease about to be given back is kept while another acquisition of its target is under way.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from licd.client.answers import Granted, StopCause, Stopped
from licd.client.pace import Pace
from licd.client.session.hold import Hold, HoldState
from licd.core.time import SECOND, Millis
from licd.v1 import session_pb2

MOST_OPERATIONS: Final = 256
"""Operations in one link, as licd takes them."""
MOST_OPERATION_BYTES: Final = 128 * 1024
"""Bytes of operations in one link; with all holds listed it stays below the largest message."""
MOST_HOLDS: Final = 4_000
"""Holds of one system: a permit that lists them all stays below the largest message, 256 KiB."""
_NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class GivingUp:
    """A lease that nobody holds any more, on its way back to licd; `ops` wait for the answer."""

    lease: int
    target: bytes
    ops: tuple[int, ...]


Asked = Hold | GivingUp
"""What one operation of a link asks for."""


class Holds:
    """The registry. `next_boundary` is the boot instant at which `pass_time` has something to do."""

    __slots__ = ("_by_lease", "_by_op", "_given_up", "_pace", "_queue", "_unary", "next_boundary")

    def __init__(self, pace: Pace) -> None:
        self._pace: Final = pace
        self._by_op: Final[dict[int, Hold]] = {}
        self._by_lease: Final[dict[int, list[Hold]]] = {}
        self._unary: Final[dict[int, Hold]] = {}
        self._queue: Final[deque[Hold]] = deque()
        self._given_up: Final[dict[int, GivingUp]] = {}
        self.next_boundary: Millis = _NEVER

    def __len__(self) -> int:
        return len(self._by_op)

    def __iter__(self) -> Iterator[Hold]:
        return iter(tuple(self._by_op.values()))

    def find(self, op: int) -> Hold | None:
        """The hold of this number, unless it has ended."""
        return self._by_op.get(op)

    @property
    def anything_to_ask(self) -> bool:
        """Whether there is something for the next link to carry."""
        return bool(self._queue or self._given_up)

    # ------------------------------------------------------------------------------------------ wishes
    def ask(self, op: int, acquisition: session_pb2.Acquisition, now: Millis) -> Hold:
        """A new hold, to be asked for in the next link."""
        hold = self._by_op[op] = Hold(op, acquisition, now, attached=True)
        self.ask_again(hold)
        return hold

    def ask_again(self, hold: Hold) -> None:
        """Put a hold that was parked, or whose link was refused for the session's sake, into the next link."""
        hold.state = HoldState.WAITING
        hold.queued = True
        self._queue.append(hold)

    def _unqueue(self, hold: Hold) -> None:
        if hold.queued:
            self._queue.remove(hold)
            hold.queued = False

    def done(self, hold: Hold, stopped: Stopped) -> bool:
        """The program is done with a hold. Returns whether licd's answer to giving it back is worth waiting for."""
        was_held = hold.state is HoldState.HELD
        self.end(hold, stopped)
        if not was_held or not hold.attached or hold.lease in self._by_lease:
            return False
        self._given_up[hold.lease] = GivingUp(hold.lease, hold.target, (hold.op,))
        return True

    def is_shared(self, hold: Hold) -> bool:
        """Whether another hold stands on the same lease."""
        return hold.lease in self._by_lease

    # ------------------------------------------------------------------------------------------ links
    def held_leases(self) -> list[int]:
        """What the next link is to go on with. Call after `take`."""
        return [*self._by_lease, *self._given_up]

    def take(self) -> list[Asked]:
        """The operations of the next link; they are in flight from here on."""
        asked = self._take_asked()
        if not self._given_up:
            return list(asked)
        wanted = {hold.target for hold in (*self._queue, *asked)}
        back = [each for each in self._given_up.values() if each.target not in wanted][: MOST_OPERATIONS - len(asked)]
        for each in back:
            del self._given_up[each.lease]
        return [*asked, *back]

    def _take_asked(self) -> list[Hold]:
        asked: list[Hold] = []
        room = MOST_OPERATION_BYTES
        while self._queue and len(asked) < MOST_OPERATIONS:
            room -= self._queue[0].acquisition.ByteSize()
            if room < 0:
                break
            hold = self._queue.popleft()
            hold.queued = False
            asked.append(hold)
        return asked

    def put_back(self, taken: Iterable[Asked]) -> None:
        """Undo `take`: the link could not be made."""
        for each in reversed(list(taken)):
            if isinstance(each, Hold):
                each.queued = True
                self._queue.appendleft(each)
            else:
                self._given_up[each.lease] = each

    # ---------------------------------------------------------------------------------------- permits
    def grant(self, hold: Hold, granted: Granted) -> GivingUp | None:
        """Take the lease that the hold asked for. Whether it may be acted on is for `renew` to say.

        Returns what was about to be given back and now is not, the hold having taken it over.
        """
        self._unqueue(hold)
        hold.grant = granted
        hold.lease = granted.lease
        self._by_lease.setdefault(granted.lease, []).append(hold)
        return self._given_up.pop(granted.lease, None)

    def refuse_grant(self, hold: Hold, granted: Granted) -> None:
        """Give back what was granted though the program does not want it any more."""
        if granted.lease not in self._by_lease:
            self._given_up[granted.lease] = GivingUp(granted.lease, hold.target, ())

    def renew(self, ends: Mapping[int, tuple[bytes, Millis]], now: Millis) -> list[Hold]:
        """Take the newest permit: target and boot-clock end of every lease on it. Returns the holds it left out."""
        left_out: list[Hold] = []
        boundary = min((hold.warn_at for hold in self._unary.values()), default=_NEVER)
        lapsing, nothing = self._pace.lapsing, (b"", 0)
        for lease, holds in self._by_lease.items():  # at every heartbeat, for every lease: no calls that can be spared
            target, until = ends.get(lease, nothing)
            if holds[0].target != target:
                left_out += holds
                continue
            half = (until - now) // 2
            warn_at = until - (min(half, lapsing))
            for hold in holds:
                hold.may_act(until, warn_at)
                boundary = min(boundary, hold.warn_at)
        self.next_boundary = boundary
        return left_out

    def stretch(self, ends: Mapping[int, tuple[bytes, Millis]], now: Millis) -> bool:
        """Give those that are about to run out, and have not, longer ends. Returns whether there were any."""
        found = False
        nothing = (b"", 0)
        for lease, holds in self._by_lease.items():
            target, until = ends.get(lease, nothing)
            for hold in holds:
                due = hold.state is HoldState.HELD and hold.warn_at <= now < hold.until
                if due and hold.target == target and until > hold.until + SECOND:
                    hold.may_act(until, until - min(self._pace.lapsing, (until - now) // 2))
                    found = True
        return found

    def take_unary(self, hold: Hold, granted: Granted, until: Millis, now: Millis) -> None:
        """A lease had by a unary call: it is kept apart, because links do not renew it."""
        hold.grant = granted
        hold.lease = granted.lease
        self._by_op[hold.op] = self._unary[hold.op] = hold
        hold.may_act(until, until - min(self._pace.lapsing, (until - now) // 2))
        self.next_boundary = min(self.next_boundary, hold.warn_at)

    # ------------------------------------------------------------------------------------------- ends
    def end(self, hold: Hold, stopped: Stopped) -> None:
        """Nothing will come of this hold any more."""
        self._unqueue(hold)
        hold.stop(HoldState.ENDED, stopped)
        self._by_op.pop(hold.op, None)
        self._unary.pop(hold.op, None)
        self._detach(hold)

    def end_all(self, stopped: Stopped) -> None:
        """Nothing will come of any hold. All have stopped before the books are closed, whatever state those are in."""
        for hold in self:
            hold.stop(HoldState.ENDED, stopped)
        for book in (self._queue, self._by_op, self._unary, self._by_lease, self._given_up):
            book.clear()

    def park(self, hold: Hold, stopped: Stopped) -> None:
        """Stop a hold that will be asked for again."""
        self._unqueue(hold)
        hold.stop(HoldState.PARKED, stopped)
        self._detach(hold)

    def _detach(self, hold: Hold) -> None:
        sharing = self._by_lease.get(hold.lease)
        if sharing is not None and hold in sharing:
            sharing.remove(hold)
            if not sharing:
                del self._by_lease[hold.lease]

    def of_lease(self, lease: int) -> list[Hold]:
        """The holds on this lease."""
        unary = [hold for hold in self._unary.values() if hold.lease == lease]
        return [*self._by_lease.get(lease, ()), *unary]

    def forget_given_up(self) -> list[GivingUp]:
        """Every link from here on leaves everything out: nothing need be given back by itself."""
        given_up = list(self._given_up.values())
        self._given_up.clear()
        return given_up

    def pass_time(self, now: Millis) -> tuple[list[Hold], list[Hold]]:
        """Who has run out, and who is about to; each is told once. Ends the former."""
        lapsed: list[Hold] = []
        lapsing: list[Hold] = []
        if now < self.next_boundary:
            return lapsed, lapsing
        boundary = _NEVER
        for hold in self._by_op.values():
            if hold.state is not HoldState.HELD:
                continue
            if now >= hold.until:
                lapsed.append(hold)
                continue
            if now >= hold.warn_at:
                hold.warn_at = hold.until
                lapsing.append(hold)
            boundary = min(boundary, hold.warn_at)
        self.next_boundary = boundary
        for hold in lapsed:
            self.end(hold, Stopped(StopCause.LAPSED, now))
        return lapsed, lapsing
