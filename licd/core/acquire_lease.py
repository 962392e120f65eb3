"""Acquire: one lease on one target, or why not.

Rules
- The same target under the same terms by the same system is the same lease; nothing is extended by asking again.
- The same target held by another system: TARGET_HELD. Held under other terms: TERMS_DIFFER.
- A cooling target regains its own seat, unless it was force-released.
- A new seat needs room under the distinct limit, the churn limit and the cap, in this order.
- No grant while live + cooling >= cap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from licd.core.bounds import hard_end
from licd.core.model import Lease
from licd.core.reasons import Denied, Reason, SeatHeld
from licd.core.scope import Acquisition, counting_claim, scope_denial
from licd.core.state import LicenceState
from licd.core.time import Instant

SEATS_TOLD = 32


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease, and until when the caller may act on it by this answer."""

    lease: Lease
    hard_end: Instant
    existing: bool


def acquire_lease(
    state: LicenceState, deployment: str, ask: Acquisition, now: Instant, *, lease_id: int, attached: bool
) -> Granted | Denied:
    """Decides one acquisition; the licence's standing has been checked already.

    attached says that the session's permits will renew the lease (asked for in a link); else it holds for L only.
    """
    denied = scope_denial(state.rights, ask, now)
    if denied is not None:
        return denied
    held = state.seats.live.get(ask.target)
    if held is not None and state.bound(held) <= now:
        state.end(held, now, "lapsed")
        held = None
    if held is not None:
        return _answer_held(state, held, deployment, ask, attached=attached)
    return _room_denial(state, deployment, ask, now) or _grant(
        state, deployment, ask, now, lease_id=lease_id, attached=attached
    )


def _answer_held(
    state: LicenceState, held: Lease, deployment: str, ask: Acquisition, *, attached: bool
) -> Granted | Denied:
    bound = state.bound(held)
    if held.deployment != deployment:
        free_at = bound + state.epsilon
        return Denied(Reason.TARGET_HELD, "another system of this licence holds the target", retry_at=free_at)
    claim = counting_claim(state.rights, ask)
    asked = (ask.purpose, ask.offence, ask.authorisation, ask.authorisation_end, claim and claim.region)
    have = (held.purpose, held.offence, held.authorisation, held.authorisation_end, held.region)
    if asked != have:
        return Denied(Reason.TERMS_DIFFER, "the target is under lease with another purpose, region or authorisation")
    if attached and not held.attached:
        held = replace(held, attached=True)
        state.put(held)
    return Granted(held, bound, existing=True)


def _room_denial(state: LicenceState, deployment: str, ask: Acquisition, now: Instant) -> Denied | None:
    seats = state.seats
    barred = seats.barred.get(ask.target, 0)
    if barred > now:
        return Denied(Reason.FORCE_RELEASED, "an operator released this target; it cools down", retry_at=barred)
    seats.settle(now)
    if ask.target in seats.cooling:
        return None
    return _volume_denial(state, ask, now) or _cap_denial(state, deployment, now)


def _volume_denial(state: LicenceState, ask: Acquisition, now: Instant) -> Denied | None:
    seats = state.seats
    for limit in state.rights.distinct:
        if seats.counts_already(ask.target, now, limit.period):
            continue
        count = seats.distinct(now, limit.period)
        if count >= limit.limit:
            retry = seats.oldest_seen_leaves(now, limit.period)
            detail = f"{count} different targets in the period; the licence permits {limit.limit}"
            return Denied(Reason.DISTINCT_CAP, detail, retry_at=retry, limit=limit.limit)
    for churn in state.rights.churn:
        count = seats.churn(now, churn.period)
        if count >= churn.limit:
            retry = seats.churn_leaves(now, churn.period)
            detail = f"{count} newly taken seats in the period; the licence permits {churn.limit}"
            return Denied(Reason.CHURN_LIMIT, detail, retry_at=retry, limit=churn.limit)
    return None


def _cap_denial(state: LicenceState, deployment: str, now: Instant) -> Denied | None:
    cap = state.rights.cap
    seats = state.seats
    if seats.occupied(now) < cap:
        return None
    state.reap(now)
    if seats.occupied(now) < cap:
        return None
    return cap_denied(state, deployment, now)


def cap_denied(state: LicenceState, deployment: str, now: Instant) -> Denied:
    """The refusal of a full cap: which of the caller's own leases hold the seats, and when the next is free."""
    seats = state.seats
    own = [lease for lease in (*seats.live.values(), *seats.cooling.values()) if lease.deployment == deployment]
    own.sort(key=lambda lease: lease.granted_at)
    live, cooling, cap = len(seats.live), len(seats.cooling), state.rights.cap
    return Denied(
        Reason.CONCURRENT_CAP,
        f"{live} live and {cooling} cooling of {cap} seats",
        retry_at=seats.next_free(now),
        seats=tuple(_seat_held(state, lease) for lease in own[:SEATS_TOLD]),
        live=live,
        cooling=cooling,
        limit=cap,
    )


def _seat_held(state: LicenceState, lease: Lease) -> SeatHeld:
    free_at = lease.free_at or state.bound(lease) + state.epsilon
    return SeatHeld(lease.id, lease.granted_at, free_at, cooling=bool(lease.ended_at))


def _grant(
    state: LicenceState, deployment: str, ask: Acquisition, now: Instant, *, lease_id: int, attached: bool
) -> Granted:
    rights = state.rights
    ends = min(rights.not_after, ask.authorisation_end) if ask.authorisation_end else rights.not_after
    until = hard_end(now, now, rights.length, rights.grace, ends)
    cooling = state.seats.cooling.get(ask.target)
    claim = counting_claim(rights, ask)
    assert claim is not None, "scope_denial let an acquisition without an accepted claim through"
    lease = Lease(
        id=lease_id,
        licence=state.licence.id,
        lineage=state.licence.lineage,
        deployment=deployment,
        target=ask.target,
        region=claim.region,
        basis=claim.basis,
        purpose=ask.purpose,
        offence=ask.offence,
        authorisation=ask.authorisation,
        authorisation_end=ask.authorisation_end,
        granted_at=now,
        seat_until=max(until, cooling.free_at - state.epsilon) if cooling else until,
        attached=attached,
        ended_at=0,
        free_at=0,
        end_reason="",
        barred_until=0,
    )
    state.put(lease)
    if cooling is None:
        state.seats.count_grant(now)
    state.record(
        "lease.granted",
        ("system", deployment),
        ("lease", lease.id),
        ("target", lease.target),
        ("region", lease.region),
        ("basis", int(lease.basis)),
        ("purpose", lease.purpose),
        ("offence", lease.offence),
        ("authorisation", lease.authorisation),
        ("hard_end", until),
    )
    return Granted(lease, until, existing=False)
