"""The states that lists can be narrowed to, as people type them."""

from enum import StrEnum
from typing import Any


class CustomerState(StrEnum):
    """Of a customer."""

    ACTIVE = "active"
    BANNED = "banned"


class LicenceState(StrEnum):
    """Of a licence."""

    DRAFT = "draft"
    ACTIVE = "active"
    ACTIVE_RESTRICTED = "active-restricted"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    EXPIRED = "expired"


class DeploymentState(StrEnum):
    """Of a deployment."""

    INVITED = "invited"
    ENROLLED = "enrolled"
    REVOKED = "revoked"
    FENCED = "fenced"


class ApprovalState(StrEnum):
    """Of an approval, or any."""

    ANY = "any"
    PENDING = "pending"
    EXECUTED = "executed"
    REJECTED = "rejected"
    EXPIRED = "expired"


class LeaseState(StrEnum):
    """Of a lease."""

    LIVE = "live"
    COOLING = "cooling"
    ENDED = "ended"


def number_of(kind: Any, state: StrEnum | None) -> Any:
    """The value of a generated enum that a state stands for; 0, which does not narrow, for None and any."""
    if state is None or state is ApprovalState.ANY:
        return 0
    prefix = kind.keys()[0].removesuffix("_UNSPECIFIED")
    return kind.Value(f"{prefix}_{state.name}")
