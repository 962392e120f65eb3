"""Acquire: one lease on one target, or why not.

Rules
- The same target under the same terms by the same system is the same lease; nothing is extended by asking again.
- The same target held by another system: TARGET_HELD, also while its seat cools: permits of that system run on, and a
  grant would let two systems act on it at once. Held under other terms: TERMS_DIFFER.
- A cooling target regains its own seat, unless it was force-released or the cap has been passed.
- It regains it so many times a minute: each time is two entries in the log, which nothing else would limit.
- A new seat needs room under the distinct limit, the churn limit and the cap, in this order.
- No grant while live + cooling >= cap, the target's own cooling seat apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import nsmallest

from licd.core.bounds import hard_end
from licd.core.model import Lease
from licd.core.narrowing import named
from licd.core.reasons import Denied, Reason, SeatHeld
from licd.core.scope import Acquisition, counting_claim, scope_denial
from licd.core.state import LicenceState, session_hard_end
from licd.core.time import MINUTE, Instant

SEATS_TOLD = 32
REGAINS_A_MINUTE = 10


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
        return named(state, denied, lambda rights: scope_denial(rights, ask, now))
    held = state.seats.live.get(ask.target)
    if held is not None and state.bound(held) <= now:
        state.lapse(held, now)
        held = None
    if held is not None:
        return _answer_held(state, held, deployment, ask, now, attached=attached)
    return _room_denial(state, deployment, ask, now) or _grant(
        state, deployment, ask, now, lease_id=lease_id, attached=attached
    )


def _answer_held(
    state: LicenceState, held: Lease, deployment: str, ask: Acquisition, now: Instant, *, attached: bool
) -> Granted | Denied:
    if held.deployment != deployment:
        free_at = state.free_at(held)
        return Denied(Reason.TARGET_HELD, "another system of this licence holds the target", retry_at=free_at)
    claim = counting_claim(state.rights, ask)
    asked = (ask.purpose, ask.offence, ask.authorisation, ask.authorisation_end, claim and claim.region)
    have = (held.purpose, held.offence, held.authorisation, held.authorisation_end, held.region)
    if asked != have:
        return Denied(Reason.TERMS_DIFFER, "the target is under lease with another purpose, region or authorisation")
    if attached and not held.attached:
        held = replace(held, attached=True)
        state.put(held)
    return Granted(held, _said_again(state, held, now, attached=attached), existing=True)


def _said_again(state: LicenceState, held: Lease, now: Instant, *, attached: bool) -> Instant:
    """Until when a lease that stands already may be acted on by a second answer.

    In a link that is what the link has just renewed it to. A call renews nothing: it gives what is left of what was
    given before, and no more than the figures as they now are.
    """
    if attached:
        return session_hard_end(held, state.sessions[held.deployment])
    return min(state.bound(held), now + state.rights.length, state.rights.not_after)


def _room_denial(state: LicenceState, deployment: str, ask: Acquisition, now: Instant) -> Denied | None:
    seats = state.seats
    barred = seats.barred.get(ask.target, 0)
    if barred > now:
        return Denied(Reason.FORCE_RELEASED, "an operator released this target; it cools down", retry_at=barred)
    seats.settle(now)
    cooling = seats.cooling.get(ask.target)
    if cooling is not None and cooling.deployment != deployment:
        detail = "another system of this licence held the target; its permits may run on until the seat is free"
        return Denied(Reason.TARGET_HELD, detail, retry_at=cooling.free_at)
    if cooling is not None:
        return _regain_denial(state, ask, now) or _cap_denial(state, deployment, now, own=ask.target)
    denied = _volume_denial(state, ask, now)
    return named(state, denied) if denied else _cap_denial(state, deployment, now)


def _regain_denial(state: LicenceState, ask: Acquisition, now: Instant) -> Denied | None:
    taken = state.seats.taken(ask.target, now)
    if len(taken) < REGAINS_A_MINUTE:
        return None
    detail = f"the target was taken {len(taken)} times in a minute; it can be {REGAINS_A_MINUTE} times"
    retry = taken[len(taken) - REGAINS_A_MINUTE] + MINUTE
    return Denied(Reason.CHURN_LIMIT, detail, retry_at=retry, limit=REGAINS_A_MINUTE)


def _volume_denial(state: LicenceState, ask: Acquisition, now: Instant) -> Denied | None:
    denied = _volume(state, ask, now)
    if denied is not None and state.reap(now):
        return _volume(state, ask, now)
    return denied


def _volume(state: LicenceState, ask: Acquisition, now: Instant) -> Denied | None:
    seats = state.seats
    for limit in state.rights.distinct:
        if seats.counts_already(ask.target, now, limit.period):
            continue
        count = seats.distinct(now, limit.period)
        if count >= limit.limit:
            retry = seats.oldest_seen_leaves(now, limit.period, count - limit.limit + 1)
            detail = f"{count} different targets in the period; the licence permits {limit.limit}"
            return Denied(Reason.DISTINCT_CAP, detail, retry_at=retry, limit=limit.limit)
    for churn in state.rights.churn:
        count = seats.churn(now, churn.period)
        if count >= churn.limit:
            retry = seats.churn_leaves(now, churn.period, count - churn.limit + 1)
            detail = f"{count} newly taken seats in the period; the licence permits {churn.limit}"
            return Denied(Reason.CHURN_LIMIT, detail, retry_at=retry, limit=churn.limit)
    return None


def _cap_denial(state: LicenceState, deployment: str, now: Instant, own: bytes = b"") -> Denied | None:
    """own: the target whose seat cools, and is not counted against it."""
    cap = state.rights.cap + (1 if own else 0)
    seats = state.seats
    if seats.occupied(now) < cap:
        return None
    state.reap(now)
    if seats.occupied(now) < cap:
        return None
    return named(state, cap_denied(state, deployment, now, own))


def cap_denied(state: LicenceState, deployment: str, now: Instant, own: bytes = b"") -> Denied:
    """The refusal of a full cap: which of the caller's own leases hold the seats, and when enough others are free."""
    seats = state.seats
    live, cooling, cap = len(seats.live), len(seats.cooling), state.rights.cap
    mine = [*seats.of(deployment).values()]
    mine += [lease for lease in seats.cooling.values() if lease.deployment == deployment]
    oldest = nsmallest(SEATS_TOLD, mine, key=lambda lease: (lease.granted_at, lease.id))
    return Denied(
        Reason.CONCURRENT_CAP,
        f"{live} live and {cooling} cooling of {cap} seats",
        retry_at=seats.next_free(now, live + cooling - cap + (0 if own else 1), own),
        seats=tuple(_seat_held(state, lease) for lease in oldest),
        live=live,
        cooling=cooling,
        limit=cap,
    )


def _seat_held(state: LicenceState, lease: Lease) -> SeatHeld:
    free_at = lease.free_at if lease.ended_at else state.free_at(lease)
    return SeatHeld(lease.id, lease.granted_at, free_at, cooling=bool(lease.ended_at))


def _grant(
    state: LicenceState, deployment: str, ask: Acquisition, now: Instant, *, lease_id: int, attached: bool
) -> Granted:
    rights = state.rights
    ends = min(rights.not_after, ask.authorisation_end) if ask.authorisation_end else rights.not_after
    until = hard_end(now, now, rights.length, rights.grace, ends)
    free_at = until + state.epsilon
    cooling = state.seats.cooling.get(ask.target)
    claim = counting_claim(rights, ask)
    if claim is None:
        raise ValueError("scope_denial let an acquisition without an accepted claim through")
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
        seat_until=until,
        attached=attached,
        ended_at=0,
        free_at=max(free_at, cooling.free_at) if cooling else free_at,
        end_reason="",
        barred_until=0,
    )
    state.put(lease)
    state.seats.note_taken(lease.target, now)
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
