"""Release: give a lease back. Its seat cools until every permit decided for it has run out."""

from __future__ import annotations

from dataclasses import dataclass

from licd.core.reasons import Denied, Reason
from licd.core.state import LicenceState
from licd.core.time import Instant


@dataclass(frozen=True, slots=True)
class Released:
    """The lease has ended; its seat is free at free_at."""

    lease: int
    free_at: Instant


def release_lease(state: LicenceState, deployment: str, lease_id: int, now: Instant) -> Released | Denied:
    """Ends the caller's own lease. Releasing twice answers the same; another's lease answers as missing."""
    lease = state.seats.by_id.get(lease_id)
    if lease is None or lease.deployment != deployment:
        return Denied(Reason.LEASE_NOT_FOUND, "the caller holds no such lease")
    if not lease.ended_at:
        lease = state.end(lease, now, "released")
    return Released(lease.id, lease.free_at)
