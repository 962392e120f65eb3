"""What a program is told without having asked."""

from dataclasses import dataclass
from enum import StrEnum

from licd.client.answers import Stopped
from licd.core.reasons import Denied
from licd.core.terms import Terms
from licd.core.time import Instant, Millis


@dataclass(frozen=True, slots=True)
class Suspended:
    """licd said no to the system as a whole: every lease has stopped. `final` says that it is for good."""

    denied: Denied
    epoch: int
    stopped_leases: int
    final: bool


@dataclass(frozen=True, slots=True)
class Reinstated:
    """licd lets the system go on; the leases still open are being acquired again."""

    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseLapsing:
    """A lease runs out in `remaining` milliseconds unless licd is heard before."""

    op: int
    remaining: Millis


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """A lease has ended for good, or could not be had again after a reinstatement."""

    op: int
    stopped: Stopped


@dataclass(frozen=True, slots=True)
class ContinuityBegun:
    """licd is silent, and the system goes on under a continuity permit: for `remaining` milliseconds at the most."""

    continuity: str
    remaining: Millis


@dataclass(frozen=True, slots=True)
class LeaseRegained:
    """A lease stands again after a reinstatement."""

    op: int


class DropReason(StrEnum):
    """Why something that was received did nothing. The words count in `Status.dropped`."""

    UNREADABLE = "UNREADABLE"
    NOT_SEALED = "NOT_SEALED"
    NOT_FOR_US = "NOT_FOR_US"
    LATE = "LATE"
    CONTRADICTORY = "CONTRADICTORY"
    BUNDLE_REFUSED = "BUNDLE_REFUSED"


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """Something was received that cannot be believed or used; it changed nothing."""

    reason: DropReason
    detail: str


@dataclass(frozen=True, slots=True)
class ContactLost:
    """licd was not heard in time, and is being called again."""

    detail: str


@dataclass(frozen=True, slots=True)
class ContactMade:
    """licd answered."""

    decided: Instant


@dataclass(frozen=True, slots=True)
class TrustChanged:
    """A newer trust bundle is in force."""

    version: int


@dataclass(frozen=True, slots=True)
class LicenceChanged:
    """The licence came with new terms."""

    revision: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class SigningFailed:
    """The system's own key could not sign; nothing was sent."""

    detail: str


Notice = (
    Suspended
    | Reinstated
    | LeaseLapsing
    | LeaseLost
    | LeaseRegained
    | ContinuityBegun
    | FrameDropped
    | ContactLost
    | ContactMade
    | TrustChanged
    | LicenceChanged
    | SigningFailed
)
