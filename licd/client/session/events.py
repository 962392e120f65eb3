"""What can happen to a session machine."""

from dataclasses import dataclass

from licd.core.time import Instant, Millis
from licd.v1 import session_pb2


@dataclass(frozen=True, slots=True)
class Start:
    """The process is ready to talk; comes first, once."""

    wall_ms: Instant
    certificate_from: Instant
    certificate_until: Instant


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The call of this number returned these bytes (an OpenSessionResponse)."""

    number: int
    response: bytes


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The call of this number brought no answer. retry_after is licd's wish, 0 for none."""

    number: int
    detail: str
    retry_after: Millis = 0


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The stream of this number can be written to."""

    number: int


@dataclass(frozen=True, slots=True)
class StreamBroken:
    """The stream of this number is gone, or never came up."""

    number: int
    detail: str
    retry_after: Millis = 0


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """Bytes came down a stream (a SessionResponse)."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. wall_ms is what the wall clock says now, where it was looked at."""

    wall_ms: Instant | None = None


@dataclass(frozen=True, slots=True)
class AcquireAsked:
    """The program wants a lease. `op` is any number not used before; it names the hold from here on."""

    op: int
    acquisition: session_pb2.Acquisition


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """The program is done with this hold, whatever state it is in."""

    op: int


@dataclass(frozen=True, slots=True)
class UnaryAnswered:
    """A unary AcquireLease, first sent at `sent_at` (boot clock), returned these bytes."""

    op: int
    acquisition: session_pb2.Acquisition
    request_id: str
    sent_at: Millis
    response: bytes


@dataclass(frozen=True, slots=True)
class TrustFetched:
    """Bundles came (a TrustBundleChain); None when they could not be had."""

    chain: bytes | None


@dataclass(frozen=True, slots=True)
class LicenceFetched:
    """A licence envelope came by a unary call; None when it could not be had."""

    envelope: bytes | None


@dataclass(frozen=True, slots=True)
class CertificateChanged:
    """A renewed certificate is in use from here on; None when there is none."""

    validity: tuple[Instant, Instant] | None


@dataclass(frozen=True, slots=True)
class JournalGrew:
    """The system's own journal has a new head."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Rebooted:
    """The machine is not the one that the boot clock was read on: it was restored somewhere else."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The program closes the system."""


Wish = AcquireAsked | ReleaseAsked
"""What the program asks for, over and over."""
Happening = (
    Start
    | CallAnswered
    | CallFailed
    | StreamOpened
    | StreamBroken
    | FrameReceived
    | Tick
    | UnaryAnswered
    | TrustFetched
    | LicenceFetched
    | CertificateChanged
    | JournalGrew
    | Rebooted
    | Stop
)
"""Everything else."""
Event = Wish | Happening
