"""Continuity: for one planned outage of licd, what a system holds now may be acted on while licd is silent, once.

Rules
- It is given to a system that stands, with an open session and live leases that links renew.
- A licence that permits no grace permits no outage.
- It adds no lease. No hard end of it is later than its own end, 24 hours from now, the term, or an authorisation.
- A system has one at a time: while one may still be acted on there is no other.
- The seats are held until its end and rest beyond it, used or not, given back or not: what was given cannot be called
  back from who cannot be reached. So every bound on stopping contains it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from licd.core.bounds import epsilon
from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.link import Renewed
from licd.core.model import Deployment, DeploymentStatus, Lease, Session
from licd.core.standing import licence_standing
from licd.core.state import LicenceState
from licd.core.terms import GRACE_CEILING
from licd.core.time import HOUR, Instant, Millis

CONTINUITY_CEILING: Final[Millis] = GRACE_CEILING
"""How long an outage may be bridged: as long as grace can be, which is what lost permits are reckoned with."""


@dataclass(frozen=True, slots=True)
class Continuity:
    """What one system is given."""

    id: str
    deployment: Deployment
    session: Session
    leases: tuple[Renewed, ...]


def issue_continuity(
    state: LicenceState,
    now: Instant,
    *,
    until: Instant,
    deployment: str,
    detail: str,
    actor: str,
    new_id: Callable[[], str],
) -> tuple[Continuity, ...]:
    """Decides for all systems, or for the one named. Raises IllegalTransition, Invalid, NotFound, Conflict."""
    _refuse(state, now, until)
    if deployment and deployment not in state.deployments:
        raise NotFound(f"licence {state.licence.id} has no deployment {deployment}", field="deployment")
    systems = [deployment] if deployment else sorted(state.deployments)
    found = [each for name in systems for each in _given(state, name, now, until, new_id)]
    if not found:
        raise Conflict(f"no system of licence {state.licence.id} has a session with leases that it could go on with")
    for each in found:
        _hold(state, each, now, until, detail, actor)
    return tuple(found)


def _refuse(state: LicenceState, now: Instant, until: Instant) -> None:
    denied = licence_standing(state, now)
    if denied is not None:
        raise IllegalTransition(f"licence {state.licence.id} does not stand: {denied.detail}", field="licence")
    if not state.rights.grace:
        raise IllegalTransition(f"licence {state.licence.id} permits no grace, and so no outage", field="licence")
    refuse_span(now, until)


def refuse_span(now: Instant, until: Instant) -> None:
    """Raises Invalid for an end that is not within the next 24 hours."""
    if not now < until <= now + CONTINUITY_CEILING:
        raise Invalid(f"must lie ahead, at most {CONTINUITY_CEILING // HOUR} hours", field="until_ms")


def _given(state: LicenceState, name: str, now: Instant, until: Instant, new_id: Callable[[], str]) -> list[Continuity]:
    """One for a system that can have it, none for one that has nothing to go on with. Raises Conflict."""
    found, session = state.deployments[name], state.sessions.get(name)
    if found.status is not DeploymentStatus.ENROLLED or session is None or not session.session:
        return []
    if now < session.continuity_until + _rest(state, session.continuity_until - now):
        raise Conflict(f"system {name} has a continuity permit that has not run out", field="deployment")
    leases = [lease for lease in state.seats.of(name).values() if lease.attached and state.bound(lease) > now]
    ends = [Renewed(lease.id, lease.target, _end(state, lease, until)) for lease in leases]
    return [Continuity(new_id(), found, session, tuple(ends))] if ends else []


def _end(state: LicenceState, lease: Lease, until: Instant) -> Instant:
    return min(each for each in (until, state.rights.not_after, lease.authorisation_end) if each)


def _rest(state: LicenceState, length: Millis) -> Millis:
    return epsilon(max(length, 0), 0, state.timing)


def _hold(state: LicenceState, given: Continuity, now: Instant, until: Instant, detail: str, actor: str) -> None:
    """Holds the seats until the end, and writes down who has what."""
    for each in given.leases:
        lease = state.settled(state.seats.by_id[each.lease], attached=True)
        free_at = max(lease.free_at, each.hard_end + _rest(state, each.hard_end - now))
        state.put(replace(lease, seat_until=max(lease.seat_until, each.hard_end), free_at=free_at))
    latest = max(each.hard_end for each in given.leases)
    state.put(replace(given.session, continuity=given.id, continuity_until=latest))
    state.record(
        "continuity.issued",
        ("system", given.deployment.id),
        ("session", given.session.session),
        ("continuity", given.id),
        ("actor", actor),
        ("detail", detail),
        ("until", until),
        ("leases", len(given.leases)),
        ("latest_hard_end", latest),
    )


def take_word(state: LicenceState, session: Session, named: str, *, used: bool) -> Session:
    """The session after a link that names a continuity permit: licd need not send it again; its use is written down."""
    if not named or named != session.continuity:
        return session
    if session.continuity_payload:
        state.record("continuity.delivered", ("system", session.deployment), ("continuity", named))
    if used:
        state.record("continuity.used", ("system", session.deployment), ("continuity", named))
        return replace(session, continuity="", continuity_payload=b"")
    return replace(session, continuity_payload=b"")
