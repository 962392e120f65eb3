"""The life of a deployment: invited → enrolled → {revoked | fenced} → invited again by re-enrolment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, NotFound
from licd.core.model import Deployment, DeploymentStatus, DirectiveKind, LicenceStatus, Session
from licd.core.standing import is_over
from licd.core.state import LicenceState
from licd.core.time import Instant

STOPPED = (DeploymentStatus.REVOKED, DeploymentStatus.FENCED)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The keys a system binds when it enrols; receipt is the first reply of its chain."""

    system_key: bytes
    channel_key_hash: bytes
    pseudonym_commitment: bytes
    receipt: bytes


def system_of(deployment: Deployment) -> str:
    """Its name as a system: customer/C/system/S."""
    return f"customer/{deployment.customer}/system/{deployment.id}"


def invite_deployment(
    state: LicenceState, name: str, now: Instant, *, token_hash: bytes, expires_at: Instant, actor: str
) -> Deployment:
    """Makes room for one system; one that is invited already gets a new token in place of the old one.

    Raises AlreadyExists for an enrolled one, Conflict when the licence permits no more deployments.
    """
    if state.licence.status is LicenceStatus.TERMINATED:
        raise IllegalTransition(f"licence {state.licence.id} was terminated")
    if is_over(state, now):
        raise IllegalTransition(f"the term of licence {state.licence.id} is over; renew it first")
    found = state.deployments.get(name)
    if found is not None:
        return _invite_again(state, found, now, token_hash=token_hash, expires_at=expires_at, actor=actor)
    _refuse_one_more(state)
    deployment = Deployment(
        id=name,
        licence=state.licence.id,
        customer=state.licence.customer,
        status=DeploymentStatus.INVITED,
        invited_at=now,
        token_hash=token_hash,
        token_expires_at=expires_at,
        enrolment=0,
        enrolled_at=0,
        system_key=b"",
        channel_key_hash=b"",
        pseudonym_commitment=b"",
        software="",
        region="",
        epoch_acknowledged=0,
    )
    state.put(deployment)
    state.record("deployment.invited", ("actor", actor), ("system", name), ("expires_at", expires_at))
    return deployment


def _refuse_one_more(state: LicenceState) -> None:
    """A system of which two copies were seen keeps its place, also revoked: a new name must be no way back for it."""
    revoked = [each for each in state.deployments.values() if each.status is DeploymentStatus.REVOKED]
    fenced = [each.id for each in revoked if each.fenced_at]
    counted = len(state.deployments) - len(revoked) + len(fenced)
    if counted >= state.rights.deployments:
        held = f", among them {', '.join(sorted(fenced))} until re-enrolled by two persons" if fenced else ""
        raise Conflict(f"the licence permits {state.rights.deployments} deployments and has {counted}{held}")


def _invite_again(
    state: LicenceState, found: Deployment, now: Instant, *, token_hash: bytes, expires_at: Instant, actor: str
) -> Deployment:
    if found.status is not DeploymentStatus.INVITED:
        raise AlreadyExists(f"deployment {found.id} is {found.status}", field="deployment")
    invited = replace(found, invited_at=now, token_hash=token_hash, token_expires_at=expires_at)
    state.put(invited)
    state.record("deployment.invited", ("actor", actor), ("system", found.id), ("expires_at", expires_at))
    return invited


def expire_invitation(state: LicenceState, name: str) -> Deployment:
    """Takes the join token back whose time is over, so that a clock that is set back does not bring it back."""
    expired = replace(state.deployments[name], token_hash=b"", token_expires_at=0)
    state.put(expired)
    state.record("deployment.invitation-expired", ("system", name))
    return expired


def said_again(state: LicenceState, name: str, keys: Enrolment, now: Instant) -> bytes | None:
    """The receipt of the enrolment that this very request made, where its answer may have been lost; else None.

    Only the same three keys get it, with the token that made it, while that would still be good, and until the first
    link: whoever has sent one has had the answer.
    """
    found = state.deployments[name]
    session = state.sessions.get(name)
    if found.status is not DeploymentStatus.ENROLLED or session is None or session.sequence:
        return None
    same = (found.system_key, found.channel_key_hash, found.pseudonym_commitment)
    if now >= found.token_expires_at or same != (keys.system_key, keys.channel_key_hash, keys.pseudonym_commitment):
        return None
    return session.reply


def enrol(state: LicenceState, name: str, keys: Enrolment, now: Instant) -> Deployment:
    """Binds a system's keys. Raises Forbidden when the token is used or late, Conflict on a changed pseudonym key."""
    found = state.deployments[name]
    if found.status is not DeploymentStatus.INVITED or not found.token_hash:
        raise Forbidden("the join token was used already; ask for a new one", field="join_secret")
    if now >= found.token_expires_at:
        raise Forbidden("the join token is past its time; ask for a new one", field="join_secret")
    if found.pseudonym_commitment and found.pseudonym_commitment != keys.pseudonym_commitment:
        raise Conflict(
            "the pseudonym key committed before must be kept: volume limits count by it",
            field="pseudonym_key_commitment",
        )
    enrolled = replace(
        found,
        status=DeploymentStatus.ENROLLED,
        enrolment=found.enrolment + 1,
        enrolled_at=now,
        system_key=keys.system_key,
        channel_key_hash=keys.channel_key_hash,
        pseudonym_commitment=keys.pseudonym_commitment,
        epoch_acknowledged=state.licence.epoch,
    )
    _end_leases(state, name, now, "re-enrolled")
    state.put(enrolled)
    state.put(_first_session(state, enrolled, keys.receipt))
    state.record(
        "deployment.enrolled",
        ("system", name),
        ("enrolment", enrolled.enrolment),
        ("key", keys.system_key),
        ("channel_key", keys.channel_key_hash),
        ("pseudonym_commitment", keys.pseudonym_commitment),
    )
    return enrolled


def _first_session(state: LicenceState, deployment: Deployment, receipt: bytes) -> Session:
    """The chain's row before its first link: the receipt stands as the reply that link 1 follows."""
    return Session(
        deployment=deployment.id,
        licence=deployment.licence,
        enrolment=deployment.enrolment,
        session="",
        sequence=0,
        link_hash=b"",
        frame=b"",
        recent=b"",
        reply=receipt,
        reply_kind="",
        reply_epoch=state.licence.epoch,
        replaced_reply=b"",
        accepted_at=0,
        opened_at=0,
        boot_nonce=b"",
        renewed_at=0,
        length=0,
        grace=0,
        licence_end=0,
    )


def revoke_deployment(
    state: LicenceState, name: str, now: Instant, *, code: str, detail: str, actor: str
) -> Deployment:
    """Ends an enrolment for good. Raises NotFound, or IllegalTransition when it is revoked already.

    The place of one that is fenced stays taken until two persons open it again.
    """
    found = _found(state, name)
    if found.status is DeploymentStatus.FENCED and not found.fenced_at:
        found = replace(found, fenced_at=now)
    if found.status is DeploymentStatus.REVOKED:
        raise IllegalTransition(f"deployment {name} is revoked already")
    return _stop(state, found, DeploymentStatus.REVOKED, now, code, detail, actor)


def fence_deployment(
    state: LicenceState, name: str, now: Instant, *, first: bytes, reply: bytes, second: bytes
) -> Deployment:
    """Stops a system of which two copies were seen; the hashes of both links, and of the reply between, are logged.

    One that is stopped already stays so; one that was revoked takes its place up again.
    """
    found = _found(state, name)
    links = (("first", first), ("reply", reply), ("second", second))
    state.record("deployment.forked", ("system", name), ("enrolment", found.enrolment), *links)
    seen = replace(found, fenced_at=found.fenced_at or now)
    if found.status in STOPPED:
        if not found.fenced_at:
            state.put(seen)
        return seen
    return _stop(state, seen, DeploymentStatus.FENCED, now, "fork", "two copies of this system were seen", "licd")


def reinvite_deployment(state: LicenceState, name: str, now: Instant, *, actor: str, detail: str) -> Deployment:
    """Opens a deployment for a new enrolment; its chain starts anew, its pseudonym key stays.

    It has no join token until it is invited again. Raises NotFound, IllegalTransition, and Conflict when a revoked
    one's place has been taken.
    """
    found = _found(state, name)
    if state.licence.status is LicenceStatus.TERMINATED:
        raise IllegalTransition(f"licence {state.licence.id} was terminated")
    if found.status is DeploymentStatus.REVOKED and not found.fenced_at:
        _refuse_one_more(state)
    _end_leases(state, name, now, "re-enrolled")
    invited = replace(
        found,
        status=DeploymentStatus.INVITED,
        invited_at=now,
        token_hash=b"",
        token_expires_at=0,
        system_key=b"",
        channel_key_hash=b"",
        fenced_at=0,
    )
    state.put(invited)
    state.record("deployment.reinvited", ("actor", actor), ("system", name), ("detail", detail))
    return invited


def _found(state: LicenceState, name: str) -> Deployment:
    found = state.deployments.get(name)
    if found is None:
        raise NotFound(f"no deployment {name}", field="deployment")
    return found


def _stop(
    state: LicenceState,
    found: Deployment,
    status: DeploymentStatus,
    now: Instant,
    code: str,
    detail: str,
    actor: str,
) -> Deployment:
    state.step()
    _end_leases(state, found.id, now, status.value)
    stopped = replace(found, status=status, token_hash=b"")
    state.put(stopped)
    state.record(f"deployment.{status}", ("actor", actor), ("system", found.id), ("code", code), ("detail", detail))
    state.direct(DirectiveKind.REVOKE, now, code, detail, deployment=found.id)
    return stopped


def _end_leases(state: LicenceState, name: str, now: Instant, reason: str) -> None:
    for lease in list(state.seats.of(name).values()):
        state.end(lease, now, reason)
