"""A hold: one program's wish to act on one target, through everything that happens to the leases behind it."""

from enum import Enum
from typing import Final

from licd.client.answers import Granted, StopCause, Stopped
from licd.core.time import SECOND, Millis
from licd.v1 import session_pb2


class HoldState(Enum):
    """Where a hold stands. Only a held one can be acted on, and that only until its time runs out."""

    WAITING = "waiting"
    HELD = "held"
    PARKED = "parked"
    """Stopped by an authoritative no; asked for again when that is lifted."""
    ENDED = "ended"


class Hold:
    """`until` is the boot instant before which the target may be acted on; 0 when it may not.

    Written by the machine alone. `until` and `stopped` may be read from any thread: that is all that a check looks at.
    """

    __slots__ = (
        "acquisition",
        "attached",
        "grant",
        "known",
        "lease",
        "op",
        "queued",
        "state",
        "stopped",
        "target",
        "until",
        "warn_at",
    )

    def __init__(self, op: int, acquisition: session_pb2.Acquisition, now: Millis, *, attached: bool) -> None:
        self.op: Final = op
        self.acquisition: Final = acquisition
        self.target: Final[bytes] = acquisition.target
        """The pseudonym."""
        self.attached: Final = attached
        """Whether links renew it; a lease had by a unary call they leave alone."""
        self.state = HoldState.WAITING
        self.until: Millis = 0
        self.warn_at: Millis = 0
        self.lease = 0
        self.queued = False
        """Whether it waits for the next link; a waiting hold that does not is in the outstanding one."""
        self.known = False
        """Whether the program has been given the lease; from then on news of it are notices, not answers."""
        self.grant: Granted | None = None
        self.stopped: Stopped = Stopped(StopCause.WAITING, now)

    @property
    def is_in_flight(self) -> bool:
        """Whether the outstanding link asks for it."""
        return self.state is HoldState.WAITING and not self.queued

    def may_act(self, until: Millis, warn_at: Millis) -> None:
        """Take the end that the newest permit gives. warn_at is when to say that it runs out, once for one end."""
        warned = self.state is HoldState.HELD and 0 < self.until <= self.warn_at
        self.state = HoldState.HELD
        self.warn_at = until if warned and until - self.until < SECOND else warn_at
        self.until = until

    def why_not(self, now: Millis) -> Stopped:
        """Why it may not be acted on. A hold whose time has run out is noted as lapsed only at the next tick."""
        return Stopped(StopCause.LAPSED, now) if self.state is HoldState.HELD else self.stopped

    def stop(self, state: HoldState, stopped: Stopped) -> None:
        """Stop at once. The end goes first: a check in another thread must not see a hold that runs on."""
        self.until = 0
        self.stopped = stopped
        self.state = state
