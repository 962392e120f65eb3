"""Link: one accepted step of a chain. Renews what is held, carries out the operations, makes one permit.

Rules
- A right link is accepted even while the licence is suspended: the answer is a refusal, the chain goes on.
- What is held and still live is renewed; a lapsed lease is never made again by renewing it.
- What is attached and left out of `held` is not renewed: it ends, and its seat cools.
- What the link gives back is not renewed either: its seat cools from the last permit that listed it.
- After the cap was narrowed the youngest excess leases are not renewed.
- When the figures of the last permit shrink, or the clock was set back, the longer hard ends are copied to the leases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, assert_never

from licd.core.acquire_lease import Granted, acquire_lease
from licd.core.bounds import hard_end
from licd.core.model import Deployment, Lease, Session
from licd.core.narrowing import named
from licd.core.reasons import Denied, Reason
from licd.core.release_lease import Released, release_lease
from licd.core.scope import Acquisition, Place, place_denial
from licd.core.standing import standing
from licd.core.state import LicenceState
from licd.core.time import Instant


@dataclass(frozen=True, slots=True)
class Release:
    """An operation: give one lease back."""

    lease: int


Operation = Acquisition | Release
Outcome = Granted | Released | Denied

WHY_ENDED = {reason.spelled: reason for reason in Reason} | {
    "lapsed": Reason.LEASE_LAPSED,
    "authorisation-ended": Reason.AUTHORISATION_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Opening:
    """Asks for a new session; fences the system's earlier one."""

    session: str
    region: str
    software: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link that the chain has accepted. opening is set in the one that starts a session."""

    sequence: int
    payload_hash: bytes
    nonce: bytes
    boot_nonce: bytes
    session: str
    held: Sequence[int]
    operations: Sequence[Operation]
    opening: Opening | None = None
    address: str = ""


class Renewed(NamedTuple):
    """A lease on a permit, and its hard end there. One is made for each lease of each link."""

    lease: int
    target: bytes
    hard_end: Instant


@dataclass(frozen=True, slots=True)
class Permit:
    """What one link is answered with when the licence stands."""

    leases: tuple[Renewed, ...]
    outcomes: tuple[Outcome, ...]
    ended: tuple[tuple[int, Reason], ...]
    revision: int


def answer_link(
    state: LicenceState, deployment: str, link: Link, now: Instant, new_lease_id: Callable[[], int]
) -> tuple[Session, Permit | Denied]:
    """Decides an accepted link. Returns the session to store (its reply is filled in by the caller) and the answer."""
    session = state.sessions[deployment]
    if link.opening is not None:
        session = _open(state, session, link, link.opening, now)
    denied = _refusal(state, session, deployment, link, now)
    if denied is not None:
        return session, denied
    session, permit = _renew(state, session, link, now, new_lease_id)
    return session, permit


def _open(state: LicenceState, session: Session, link: Link, opening: Opening, now: Instant) -> Session:
    """The session row of a new session. The figures of the last permit stay: leases carry over."""
    found = state.deployments[session.deployment]
    if (found.region, found.software) != (opening.region, opening.software) or found.token_hash:
        # The system has its enrolment: from here on its join token is good for nothing, not even to be told it again.
        state.put(replace(found, region=opening.region, software=opening.software, token_hash=b""))
    state.record(
        "session.opened",
        ("system", session.deployment),
        ("session", opening.session),
        ("fenced", session.session),
        ("sequence", link.sequence),
        ("head", link.payload_hash),
    )
    return replace(
        session,
        session=opening.session,
        opened_at=now,
        boot_nonce=link.boot_nonce,
        continuity="",
        continuity_payload=b"",
    )


def _refusal(state: LicenceState, session: Session, deployment: str, link: Link, now: Instant) -> Denied | None:
    denied = standing(state, deployment, now)
    if denied is not None:
        return denied
    if link.opening is None and (not session.session or link.session != session.session):
        return Denied(Reason.NO_SESSION, "no such session; open one")
    found: Deployment = state.deployments[deployment]
    place = Place(found.region, link.address)
    denied = place_denial(state.rights, place)
    return denied and named(state, denied, lambda rights: place_denial(rights, place))


def _renew(
    state: LicenceState, session: Session, link: Link, now: Instant, new_lease_id: Callable[[], int]
) -> tuple[Session, Permit]:
    deployment = session.deployment
    mine = dict(state.seats.of(deployment))
    given_back = _given_back(mine, link.operations)
    asked = [each for each in link.held if each not in given_back] if given_back else link.held
    held, ended = _sort_held(state, deployment, mine, asked, now)
    _end_omitted(state, mine, held, now)
    if given_back:
        _end_given_back(state, given_back, link.operations, now)
    ended += _narrow(state, held, given_back, now)
    rights = state.rights
    renewed = session.renewed(now, rights.length, rights.grace, rights.not_after)
    _keep_longer_ends(state, session, renewed, held)
    state.put(renewed)
    outcomes = tuple(_operate(state, deployment, each, now, held, new_lease_id) for each in link.operations)
    permit = Permit(
        leases=_renewals(renewed, held.values()),
        outcomes=outcomes,
        ended=tuple(ended),
        revision=state.licence.terms.revision,
    )
    return renewed, permit


def _given_back(mine: dict[int, Lease], operations: Sequence[Operation]) -> dict[int, Lease]:
    """Takes out of mine what the operations give back."""
    named = [each.lease for each in operations if isinstance(each, Release) and each.lease in mine]
    return {identifier: mine.pop(identifier) for identifier in dict.fromkeys(named)}


def _end_given_back(
    state: LicenceState, given_back: dict[int, Lease], operations: Sequence[Operation], now: Instant
) -> None:
    """Ends what is given back before anything is renewed.

    Where the same target is asked for as well, the order counts: it ends in its turn, and is only kept from being
    renewed on the way.
    """
    asked = {each.target for each in operations if isinstance(each, Acquisition)}
    for lease in given_back.values():
        if lease.target in asked:
            state.put(state.settled(lease, attached=False))
        else:
            state.end(lease, now, "released")


def _sort_held(
    state: LicenceState, deployment: str, mine: dict[int, Lease], asked: Sequence[int], now: Instant
) -> tuple[dict[int, Lease], list[tuple[int, Reason]]]:
    """Splits what the system wants to go on with into what it can, and what not and why."""
    held: dict[int, Lease] = {}
    ended: list[tuple[int, Reason]] = []
    running = _all_running(state.sessions[deployment], now)
    for identifier in asked:
        lease = mine.get(identifier)
        if lease is not None and (
            (running and lease.attached and (not lease.authorisation_end or lease.authorisation_end > now))
            or state.bound(lease) > now
        ):
            held[identifier] = lease
            continue
        if lease is not None:
            state.lapse(mine.pop(identifier), now)
        ended.append((identifier, _why_ended(state, deployment, identifier)))
    return held, ended


def _all_running(session: Session, now: Instant) -> bool:
    """Whether the last permit still holds for every lease it renewed, but for ended authorisations."""
    return now < min(session.renewed_at + session.length, session.licence_end)


def _why_ended(state: LicenceState, deployment: str, identifier: int) -> Reason:
    """Why a lease is not renewed, as far as its cooling seat still tells."""
    lease = state.seats.by_id.get(identifier)
    if lease is None or lease.deployment != deployment:
        return Reason.LEASE_NOT_FOUND
    return WHY_ENDED.get(lease.end_reason, Reason.LEASE_NOT_FOUND)


def _end_omitted(state: LicenceState, mine: dict[int, Lease], held: dict[int, Lease], now: Instant) -> None:
    for identifier, lease in mine.items():
        if identifier in held or not lease.attached:
            continue
        if state.bound(lease) > now:
            state.end(lease, now, "omitted")
        else:
            state.lapse(lease, now)


def _narrow(
    state: LicenceState, held: dict[int, Lease], given_back: dict[int, Lease], now: Instant
) -> list[tuple[int, Reason]]:
    """Ends those of the held leases that are among the licence's youngest beyond its cap."""
    if len(state.seats.live) <= state.rights.cap:
        return []
    state.reap(now)
    live = [lease for lease in state.seats.live.values() if lease.id not in given_back]
    excess = len(live) - state.rights.cap
    if excess <= 0:
        return []
    youngest = sorted(live, key=lambda lease: (lease.granted_at, lease.id))[-excess:]
    ended = [lease for lease in youngest if lease.id in held]
    for lease in ended:
        state.end(lease, now, Reason.CAP_NARROWED.spelled)
        del held[lease.id]
    return [(lease.id, Reason.CAP_NARROWED) for lease in ended]


def _keep_longer_ends(state: LicenceState, old: Session, new: Session, held: dict[int, Lease]) -> None:
    """Copies the old hard ends where the new figures would give shorter ones, and attaches what is now held."""
    shrunk = (
        new.length < old.length
        or new.grace < old.grace
        or new.licence_end < old.licence_end
        or new.renewed_at < old.renewed_at
    )
    for identifier, lease in held.items():
        if shrunk or not lease.attached:
            held[identifier] = state.settled(lease, attached=True)
            state.put(held[identifier])


def _operate(
    state: LicenceState,
    deployment: str,
    operation: Operation,
    now: Instant,
    held: dict[int, Lease],
    new_lease_id: Callable[[], int],
) -> Outcome:
    match operation:
        case Acquisition():
            outcome = acquire_lease(state, deployment, operation, now, lease_id=new_lease_id(), attached=True)
            if isinstance(outcome, Granted):
                held[outcome.lease.id] = outcome.lease
            return outcome
        case Release(lease):
            held.pop(lease, None)
            return release_lease(state, deployment, lease, now)
        case _:
            assert_never(operation)


def _renewals(session: Session, leases: Iterable[Lease]) -> tuple[Renewed, ...]:
    """The leases of a permit that has just been decided, each with its hard end."""
    now, length, grace, last = session.renewed_at, session.length, session.grace, session.licence_end
    full = now - grace
    of_full_grace = hard_end(now, full, length, grace, last)
    found: list[tuple[int, bytes, Instant]] = []
    for lease in leases:  # most are old enough to have all of their grace, and so the same end
        granted_at, ends = lease.granted_at, lease.authorisation_end
        until = of_full_grace if granted_at <= full else hard_end(now, granted_at, length, grace, last)
        found.append((lease.id, lease.target, ends if 0 < ends < until else until))
    return tuple(map(Renewed._make, found))
