"""How a system is doing, as values."""

from collections.abc import Mapping
from dataclasses import dataclass

from licd.client.notices import DropReason
from licd.core.reasons import Denied
from licd.core.terms import Terms
from licd.core.time import Instant


@dataclass(frozen=True, slots=True)
class Status:
    """A look at an open system.

    connected says that the stream stands and that nothing is overdue on it. refused is the authoritative no in force.
    leases counts those that may be acted on, continuity names the continuity permit that is held. last_decided is
    licd's time in its last reply, 0 before the first one. contact_detail says what went wrong with the last attempt.
    failure is what ended the background work.
    """

    system: str
    session: str
    connected: bool
    refused: Denied | None
    epoch_seen: int
    leases: int
    continuity: str
    links: int
    last_decided: Instant
    bundle_version: int
    licence_revision: int
    contact_detail: str
    dropped: Mapping[DropReason, int]
    failure: BaseException | None


@dataclass(frozen=True, slots=True)
class InForce:
    """The licence stands, by numbers, as licd said when asked."""

    epoch: int
    decided: Instant
    live: int
    cooling: int
    limit: int
    not_after: Instant


@dataclass(frozen=True, slots=True)
class LicenceCheck:
    """What licd said of the licence, and the licence itself where it verified."""

    standing: InForce | Denied
    terms: Terms | None
