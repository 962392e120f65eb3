"""Force-release: an operator ends one lease; the target cannot come straight back."""

from __future__ import annotations

from licd.core.errors import NotFound
from licd.core.model import DirectiveKind, Lease
from licd.core.state import LicenceState
from licd.core.time import Instant, Millis


def force_release_lease(
    state: LicenceState, lease_id: int, now: Instant, *, cool_down: Millis, code: str, detail: str, actor: str
) -> Lease:
    """Ends a live lease now and bars its target for cool_down beyond the end of its cooling. Raises NotFound."""
    lease = state.seats.by_id.get(lease_id)
    if lease is None or lease.ended_at:
        raise NotFound(f"no live lease {lease_id}", field="lease")
    barred_until = state.free_at(lease) + cool_down
    state.step()
    ended = state.end(lease, now, "force-released", barred_until=barred_until)
    state.record(
        "lease.force-released",
        ("system", lease.deployment),
        ("lease", lease.id),
        ("actor", actor),
        ("code", code),
        ("detail", detail),
        ("barred_until", barred_until),
    )
    state.direct(DirectiveKind.FORCE_RELEASE, now, code, detail, leases=(lease.id,), deployment=lease.deployment)
    return ended
