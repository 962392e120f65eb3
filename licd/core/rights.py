"""The verbs that change a licence: suspend, reinstate, terminate, amend, overlay, drill. Each raises the epoch by one.

draft → active ⇄ suspended → {active | active-restricted | terminated}. The term runs on while suspended; terminated
is final. Epochs are never reset or reused. What an amendment no longer permits is not renewed from there on.
"""

from __future__ import annotations

from dataclasses import replace

from licd.core.errors import Conflict, IllegalTransition
from licd.core.model import Directive, DirectiveKind, Licence, LicenceStatus
from licd.core.overlay import Overlay, overlay_denial
from licd.core.scope import renewal_denial
from licd.core.state import LicenceState
from licd.core.terms import Terms
from licd.core.time import Instant

IN_FORCE = (LicenceStatus.ACTIVE, LicenceStatus.ACTIVE_RESTRICTED)


def suspend_licence(
    state: LicenceState, now: Instant, *, suspension: str, code: str, detail: str, actor: str
) -> Directive:
    """Stops every system of the licence.

    One that is suspended already is suspended anew, with an epoch and a reason of its own: somebody has another cause
    to stop it, and what was agreed about lifting the first says nothing about the second. Raises IllegalTransition for
    a terminated one, and for a draft, which would come back from it as active.
    """
    licence = state.licence
    _refuse_terminated(licence, "suspended")
    if licence.status is LicenceStatus.DRAFT:
        raise IllegalTransition(f"licence {licence.id} is a draft; only one in force can be suspended")
    _step(
        state,
        status=LicenceStatus.SUSPENDED,
        suspended_at=now,
        suspension=suspension,
        suspension_code=code,
        suspension_detail=detail,
    )
    state.record("licence.suspended", ("actor", actor), ("code", code), ("detail", detail), ("suspension", suspension))
    return state.direct(DirectiveKind.SUSPEND, now, code, detail)


def reinstate_licence(
    state: LicenceState, now: Instant, *, epoch: int, code: str, detail: str, actor: str
) -> Directive:
    """Lifts the suspension that made this epoch. Raises Conflict for another epoch, IllegalTransition otherwise."""
    licence = state.licence
    if licence.status is not LicenceStatus.SUSPENDED:
        raise IllegalTransition(f"licence {licence.id} is {licence.status}; only a suspended one can be reinstated")
    if epoch != licence.epoch:
        raise Conflict(f"the suspension in force is of epoch {licence.epoch}, not {epoch}", field="epoch")
    _step(state, status=LicenceStatus.ACTIVE, suspended_at=0, suspension="", suspension_code="", suspension_detail="")
    state.record("licence.reinstated", ("actor", actor), ("code", code), ("detail", detail), ("lifted_epoch", epoch))
    return state.direct(DirectiveKind.REINSTATE, now, code, detail)


def terminate_licence(state: LicenceState, now: Instant, *, code: str, detail: str, actor: str) -> Directive:
    """Ends the licence for good; it stays as a tombstone. Raises IllegalTransition when it is terminated already."""
    _refuse_terminated(state.licence, "terminated")
    _step(state, status=LicenceStatus.TERMINATED)
    state.record("licence.terminated", ("actor", actor), ("code", code), ("detail", detail))
    return state.direct(DirectiveKind.TERMINATE, now, code, detail)


def amend_licence(
    state: LicenceState, now: Instant, *, terms: Terms, token: bytes, code: str, detail: str, actor: str, verb: str
) -> Directive:
    """Puts new terms in force. verb is amended or renewed. Raises IllegalTransition when it is terminated."""
    _refuse_terminated(state.licence, verb)
    attested = state.rights.attestation
    before = state.licence
    longer = terms.not_after > before.terms.not_after
    _step(state, terms=terms, token=token, expired_at=0 if longer else before.expired_at)
    state.record(
        f"licence.{verb}",
        ("actor", actor),
        ("code", code),
        ("detail", detail),
        ("revision", terms.revision),
        ("token", token),
    )
    if before.expired_at and longer:
        state.record("licence.extended", ("actor", actor), ("expired_at", 0))
    _end_outside(state, now, attested=attested)
    return _order(state, now, code, detail)


def overlay_licence(
    state: LicenceState, now: Instant, *, overlay: Overlay, code: str, detail: str, actor: str
) -> Directive | None:
    """Takes an overlay of the licence's customer as it now is; None, and no epoch, where that changes nothing here.

    What it no longer permits ends at once. Where nothing is left that may be done, the order is that of a suspension,
    without the status: what lifts it is another overlay, not a reinstatement.
    """
    attested, rights = state.rights.attestation, state.rights
    stood = overlay_denial(state.licence.terms, state.overlays.values(), now)
    state.put(overlay)
    stopped = overlay_denial(state.licence.terms, state.overlays.values(), now)
    if state.licence.status is LicenceStatus.TERMINATED or (state.rights == rights and stopped == stood):
        return None
    _step(state)
    state.record(
        "licence.overlaid",
        ("actor", actor),
        ("overlay", overlay.id),
        ("revision", overlay.revision),
        ("status", overlay.status.value),
        ("detail", stopped.detail if stopped else detail),
    )
    _end_outside(state, now, attested=attested)
    return _order(state, now, code, detail)


def _order(state: LicenceState, now: Instant, code: str, detail: str) -> Directive:
    """Of a right that has changed: an amendment, or where overlays leave nothing, the order of a suspension."""
    stopped = overlay_denial(state.licence.terms, state.overlays.values(), now)
    if stopped is None:
        return state.direct(DirectiveKind.AMEND, now, code, detail)
    # A stop is over with the next epoch alone: one that is over with time is told by the answer to the next link.
    kind = DirectiveKind.AMEND if stopped.retry_at else DirectiveKind.SUSPEND
    return state.direct(kind, now, code, stopped.detail)


def drill_licence(state: LicenceState, now: Instant, *, actor: str) -> Directive:
    """Orders nothing of every system, so that each acknowledges: the order takes the road of a suspension.

    It takes back no lease, and is acknowledged as one that does. Raises IllegalTransition for one not in force.
    """
    licence = state.licence
    if licence.status not in IN_FORCE:
        raise IllegalTransition(f"licence {licence.id} is {licence.status}; only one in force can be drilled")
    _step(state)
    state.record("licence.drilled", ("actor", actor))
    return state.direct(DirectiveKind.FORCE_RELEASE, now, "drill", "an order that takes nothing back")


def expire_licence(state: LicenceState, now: Instant) -> None:
    """Writes down that the term is over, so that a deciding clock that is set back does not bring it back.

    A later end, which takes two persons to agree on, starts a term again.
    """
    state.put(replace(state.licence, expired_at=now))
    state.record("licence.expired", ("not_after", state.licence.terms.not_after), ("expired_at", now))


def _end_outside(state: LicenceState, now: Instant, *, attested: bool) -> None:
    """Ends the leases that could not be had under the terms and overlays as they now are; their seats cool."""
    state.reap(now)
    stopped = overlay_denial(state.licence.terms, state.overlays.values(), now)
    for lease in list(state.seats.live.values()):
        denied = stopped or renewal_denial(state.rights, lease, now, attested=attested)
        if denied is not None:
            state.end(lease, now, denied.reason.spelled)


def _refuse_terminated(licence: Licence, verb: str) -> None:
    if licence.status is LicenceStatus.TERMINATED:
        raise IllegalTransition(f"licence {licence.id} was terminated and cannot be {verb}")


def _step(state: LicenceState, **changes: object) -> None:
    state.step(**changes)
