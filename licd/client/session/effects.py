"""What a session machine wants done, in order: what is persisted must be durable before what comes after is sent."""

from dataclasses import dataclass
from enum import StrEnum

from licd.client.answers import Outcome
from licd.client.notices import Notice
from licd.core.time import Millis


class Record(StrEnum):
    """What a piece of persistent state is."""

    CHAIN = "chain"
    TRUST = "trust"
    LICENCE = "licence"


@dataclass(frozen=True, slots=True)
class Persist:
    """Make these bytes durable in place of the earlier ones of this record."""

    record: Record
    data: bytes


@dataclass(frozen=True, slots=True)
class SendOpen:
    """Call OpenSession with these bytes; answer with CallAnswered or CallFailed of this number."""

    number: int
    request: bytes


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send these bytes (a SessionRequest) up the stream of this number."""

    number: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Open a Session stream; answer with StreamOpened, then frames, and StreamBroken when it ends."""

    number: int


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Close the stream of this number; nothing more is expected from it."""

    number: int


@dataclass(frozen=True, slots=True)
class FetchTrust:
    """Fetch the bundles after this version; answer with TrustFetched."""

    held_version: int


@dataclass(frozen=True, slots=True)
class FetchLicence:
    """Fetch the licence as it stands; answer with LicenceFetched."""


@dataclass(frozen=True, slots=True)
class RenewCertificate:
    """Get a certificate with a longer life; answer with CertificateChanged."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give back by a unary call a lease that was had by one."""

    lease: int


@dataclass(frozen=True, slots=True)
class Resolve:
    """The answer to what was asked under this number."""

    op: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the program."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a Tick at this boot instant, in place of any asked for earlier."""

    boot_ms: Millis


@dataclass(frozen=True, slots=True)
class Finished:
    """All that stopping needed has been said; nothing more will come."""


Effect = (
    Persist
    | SendOpen
    | SendFrame
    | OpenStream
    | CloseStream
    | FetchTrust
    | FetchLicence
    | RenewCertificate
    | GiveBack
    | Resolve
    | Notify
    | WakeAt
    | Finished
)
