"""The line to licd: down, calling to open a session, dialling a stream, or up. When to give up, when to try again."""

from enum import Enum
from typing import Final

from licd.client.pace import Pace
from licd.core.time import Millis
from licd.keys.signer import Randomness

_MOST_DOUBLINGS: Final = 16


class LineState(Enum):
    """What the line is doing."""

    DOWN = "down"
    CALLING = "calling"
    DIALLING = "dialling"
    UP = "up"


class Line:
    """Numbers every attempt, so that news of an earlier one can be told from news of this one.

    `deadline` is when the present attempt, or the link last sent, counts as unanswered; `retry_at` when to try again.
    """

    __slots__ = ("_pace", "_randomness", "deadline", "failures", "number", "retry_at", "spoke", "state")

    def __init__(self, pace: Pace, randomness: Randomness) -> None:
        self._pace: Final = pace
        self._randomness: Final = randomness
        self.state = LineState.DOWN
        self.number = 0
        self.failures = 0
        self.deadline: Millis = 0
        self.retry_at: Millis = 0
        self.spoke = False
        """Whether a link has gone up this stream."""

    @property
    def is_up(self) -> bool:
        """Whether the stream stands."""
        return self.state is LineState.UP

    def may_begin(self, now: Millis) -> bool:
        """Whether an attempt may be made now."""
        return self.state is LineState.DOWN and now >= self.retry_at

    def begin(self, state: LineState, now: Millis) -> int:
        """Start an attempt. Returns its number."""
        self.state = state
        self.number += 1
        self.deadline = now + self._pace.rpc_timeout
        return self.number

    def up(self) -> None:
        """The stream stands; nothing is awaited on it yet."""
        self.state = LineState.UP
        self.deadline = 0
        self.spoke = False

    def sent(self, now: Millis) -> None:
        """A link went up the stream: its reply is awaited."""
        self.deadline = now + self._pace.rpc_timeout

    def heard(self) -> None:
        """A link was answered."""
        self.failures = 0
        self.deadline = 0

    def ready(self, now: Millis) -> None:
        """Go on at once: the attempt did what it was for."""
        self.state = LineState.DOWN
        self.retry_at = now

    def fail(self, now: Millis, retry_after: Millis = 0) -> None:
        """The attempt came to nothing: wait, longer each time, and not in step with others."""
        self.state = LineState.DOWN
        self.deadline = 0
        longest = min(self._pace.backoff << min(self.failures, _MOST_DOUBLINGS), self._pace.heartbeat)
        jitter = int.from_bytes(self._randomness(2), "big")
        wait = longest // 2 + (longest * jitter >> 17)  # from a half to the whole of it
        self.failures += 1
        self.retry_at = now + max(wait, min(retry_after, self._pace.refused_heartbeat))

    def is_overdue(self, now: Millis) -> bool:
        """Whether an answer should have come by now."""
        return self.state is not LineState.DOWN and bool(self.deadline) and now >= self.deadline
