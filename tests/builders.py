"""Values for tests of the rules: terms, licences, deployments, sessions, and states made of them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from licd.core.bounds import Timing
from licd.core.deployment import Enrolment, enrol, invite_deployment
from licd.core.model import Deployment, DeploymentStatus, Licence, LicenceStatus, Session
from licd.core.overlay import Overlay, OverlayEffect, OverlayStatus, OverlayTerms
from licd.core.scope import Acquisition, RegionClaim
from licd.core.state import LicenceState
from licd.core.terms import (
    Basis,
    ConcurrentTargets,
    Constraint,
    Deployments,
    OfflineGrace,
    PermitLength,
    Purposes,
    TargetRegions,
    Terms,
)
from licd.core.time import DAY, SECOND, Instant, Millis

NOW: Instant = 1_800_000_000_000
TERM: Millis = 365 * DAY
LENGTH: Millis = 20 * SECOND
GRACE: Millis = 300 * SECOND
TIMING = Timing(act=1 * SECOND, skew=0, rate_error_ppm=200)
PURPOSE = "test:one"
REASON = {"code": "test", "detail": "because", "actor": "operator/o"}


def target(number: int) -> bytes:
    """An opaque pseudonym."""
    return number.to_bytes(32, "big")


def make_constraints(
    *extra: Constraint,
    cap: int = 3,
    length: Millis = LENGTH,
    grace: Millis = GRACE,
    deployments: int = 5,
    regions: Iterable[str] = ("DE", "AT"),
    bases: Iterable[Basis] = tuple(Basis),
    purposes: Iterable[str] = (PURPOSE, "test:two"),
) -> tuple[Constraint, ...]:
    """What every licence must carry, and more."""
    return (
        ConcurrentTargets(cap),
        TargetRegions(frozenset(regions), frozenset(bases)),
        Purposes(frozenset(purposes)),
        PermitLength(length),
        OfflineGrace(grace),
        Deployments(deployments),
        *extra,
    )


def make_terms(
    *extra: Constraint, now: Instant = NOW, not_after: Instant = 0, revision: int = 1, **figures: Any
) -> Terms:
    """Terms of a year from now; figures are those of make_constraints."""
    return Terms(
        licence="l1",
        customer="c1",
        issuer="licd.test",
        revision=revision,
        issued_at=now,
        not_before=now,
        not_after=not_after or now + TERM,
        product="product",
        category="green",
        policy_version="p1",
        lineage="l1",
        constraints=make_constraints(*extra, **figures),
    )


def make_overlay(
    *constraints: Constraint,
    authority: str = "export-qn",
    reference: str = "EX-1",
    status: OverlayStatus = OverlayStatus.IN_FORCE,
    **changes: Any,
) -> Overlay:
    """What an authority permits of c1's licences, for as long as make_terms makes them; changes: of what it signs."""
    said = OverlayTerms(
        authority=authority,
        reference=reference,
        audience="licd.test",
        revision=1,
        issued_at=NOW,
        not_before=NOW,
        not_after=NOW + TERM,
        effect=OverlayEffect.PERMIT,
        customer="c1",
        product="",
        licence="",
        constraints=constraints,
        statement="",
    )
    said = replace(said, **changes)
    return Overlay(
        id=said.id,
        authority=said.authority,
        customer=said.customer,
        revision=said.revision,
        status=status,
        token=b"token",
        terms=said,
        lodged_at=NOW,
        lodged_by="o",
        ended_at=NOW if status in (OverlayStatus.WITHDRAWN, OverlayStatus.EXPIRED) else 0,
        ended_why="",
    )


def make_licence(
    terms: Terms | None = None, *, status: LicenceStatus = LicenceStatus.ACTIVE, epoch: int = 1
) -> Licence:
    terms = terms or make_terms()
    return Licence(
        id=terms.licence,
        customer=terms.customer,
        lineage=terms.lineage,
        status=status,
        epoch=epoch,
        version=epoch,
        token=b"token",
        terms=terms,
        issued_at=terms.issued_at,
        suspended_at=0,
        suspension="",
        suspension_code="",
        suspension_detail="",
    )


def make_deployment(
    name: str = "a", *, status: DeploymentStatus = DeploymentStatus.ENROLLED, now: Instant = NOW
) -> Deployment:
    is_enrolled = status is not DeploymentStatus.INVITED
    return Deployment(
        id=name,
        licence="l1",
        customer="c1",
        status=status,
        invited_at=now,
        token_hash=b"" if is_enrolled else b"token of " + name.encode(),
        token_expires_at=now + DAY,
        enrolment=1 if is_enrolled else 0,
        enrolled_at=now if is_enrolled else 0,
        system_key=b"key of " + name.encode(),
        channel_key_hash=b"channel",
        pseudonym_commitment=b"commitment of " + name.encode(),
        software="",
        region="",
        epoch_acknowledged=1,
    )


def make_session(name: str = "a", **changes: Any) -> Session:
    """The chain's row before its first link, unless changed."""
    fresh = Session(
        deployment=name,
        licence="l1",
        enrolment=1,
        session="",
        sequence=0,
        link_hash=b"",
        frame=b"",
        recent=b"",
        reply=b"receipt of " + name.encode(),
        reply_kind="",
        reply_epoch=1,
        replaced_reply=b"",
        accepted_at=0,
        opened_at=0,
        boot_nonce=b"",
        renewed_at=0,
        length=0,
        grace=0,
        licence_end=0,
    )
    return replace(fresh, **changes)


def make_state(
    *extra: Constraint,
    systems: Iterable[str] = ("a", "b"),
    status: LicenceStatus = LicenceStatus.ACTIVE,
    banned: bool = False,
    timing: Timing = TIMING,
    **terms: Any,
) -> LicenceState:
    """A licence with enrolled systems that have not opened a session yet. terms: what make_terms takes."""
    licence = make_licence(make_terms(*extra, **terms), status=status)
    state = LicenceState(licence, banned=banned, timing=timing)
    for name in systems:
        state.put(make_deployment(name))
        state.put(make_session(name))
    state.take_changes()
    return state


def make_ask(number: int = 1, *, region: str = "DE", basis: Basis = Basis.NUMBER_PLAN, **changes: Any) -> Acquisition:
    """One target asked for, inside the terms that make_terms makes."""
    return Acquisition(target(number), (RegionClaim(region, basis),), **({"purpose": PURPOSE} | changes))


def invite(state: LicenceState, name: str, now: Instant = NOW) -> Deployment:
    """Invites through the verb."""
    expires_at = now + DAY
    return invite_deployment(state, name, now, token_hash=b"t", expires_at=expires_at, actor="operator/o")


def enrol_anew(state: LicenceState, name: str, now: Instant = NOW, commitment: bytes = b"") -> Deployment:
    """Enrols through the verb, with the pseudonym key committed before."""
    known = state.deployments[name].pseudonym_commitment
    keys = Enrolment(b"new key", b"channel", commitment or known or b"commitment", b"receipt")
    return enrol(state, name, keys, now)
