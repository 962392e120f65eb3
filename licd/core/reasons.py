"""Why a request is refused. A denial is a value; an exception means that licd could not answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from licd.core.time import Instant


class Reason(IntEnum):
    """The closed list of denial reasons; numbers are those of DenialReason in denial.proto. Append-only."""

    LICENCE_NOT_FOUND = 1
    CUSTOMER_BANNED = 2
    LICENCE_TERMINATED = 3
    LICENCE_SUSPENDED = 4
    LICENCE_NOT_YET_VALID = 5
    LICENCE_EXPIRED = 6
    OVERDUE = 7
    DEPLOYMENT_REVOKED = 8
    SYSTEM_FENCED = 9
    NO_SESSION = 10
    SESSION_SUPERSEDED = 11
    CONSTRAINT_NOT_UNDERSTOOD = 12
    DEPLOYMENT_REGION_NOT_PERMITTED = 13
    ADDRESS_NOT_PERMITTED = 14
    REGION_UNKNOWN = 15
    REGION_NOT_PERMITTED = 16
    REGION_BASIS_NOT_ACCEPTED = 17
    REGION_BASES_DISAGREE = 18
    PURPOSE_UNKNOWN = 19
    PURPOSE_NOT_PERMITTED = 20
    OFFENCE_UNKNOWN = 21
    OFFENCE_NOT_PERMITTED = 22
    AUTHORISATION_REQUIRED = 23
    AUTHORISATION_EXPIRED = 24
    ATTESTATION_REQUIRED = 25
    CONCURRENT_CAP = 26
    DISTINCT_CAP = 27
    CHURN_LIMIT = 28
    TARGET_HELD = 29
    TERMS_DIFFER = 30
    FORCE_RELEASED = 31
    LEASE_NOT_FOUND = 32
    LEASE_LAPSED = 33
    CAP_NARROWED = 34
    OVERLAY_NOT_IN_FORCE = 35

    @property
    def spelled(self) -> str:
        """As the log and a lease's end name it: cap-narrowed."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class SeatHeld:
    """A seat that the caller itself holds, told to him when the cap is full."""

    lease: int
    granted_at: Instant
    free_at: Instant
    cooling: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal with what the caller needs to go on.

    retry_at is the earliest instant at which asking again can help; 0 when it cannot. overlays are those without which
    it would have been no refusal, or an authority of which one is missing.
    """

    reason: Reason
    detail: str
    retry_at: Instant = 0
    seats: tuple[SeatHeld, ...] = ()
    live: int = 0
    cooling: int = 0
    limit: int = 0
    suspension_code: str = ""
    overlays: tuple[str, ...] = ()
