"""May this system ask for anything at all? The checks that come before the request is looked at.

In their order: existence → ban → terminated → suspended → time → overlays. One function, used on every path.
"""

from __future__ import annotations

from licd.core.model import Deployment, DeploymentStatus, LicenceStatus
from licd.core.overlay import overlay_denial
from licd.core.reasons import Denied, Reason
from licd.core.state import LicenceState
from licd.core.time import Instant

NOT_FOUND = Denied(Reason.LICENCE_NOT_FOUND, "there is no such licence for this caller")


def standing(state: LicenceState, deployment: str, now: Instant) -> Denied | None:
    """None when the licence stands for the deployment at now, else why not."""
    found = state.deployments.get(deployment)
    if found is None:
        return NOT_FOUND
    return _deployment_standing(found) or licence_standing(state, now)


def _deployment_standing(deployment: Deployment) -> Denied | None:
    match deployment.status:
        case DeploymentStatus.FENCED:
            return Denied(Reason.SYSTEM_FENCED, "two copies of this system were seen; it must be enrolled anew")
        case DeploymentStatus.REVOKED:
            return Denied(Reason.DEPLOYMENT_REVOKED, "this deployment was revoked")
        case DeploymentStatus.INVITED:
            return NOT_FOUND
        case DeploymentStatus.ENROLLED:
            return None


def licence_standing(state: LicenceState, now: Instant) -> Denied | None:
    """None when the licence itself stands at now, else why not."""
    licence = state.licence
    if licence.status is LicenceStatus.DRAFT:
        return NOT_FOUND
    if state.banned:
        return Denied(Reason.CUSTOMER_BANNED, "the customer is banned")
    match licence.status:
        case LicenceStatus.TERMINATED:
            return Denied(Reason.LICENCE_TERMINATED, "the licence was terminated")
        case LicenceStatus.SUSPENDED:
            return Denied(
                Reason.LICENCE_SUSPENDED,
                licence.suspension_detail or "the licence is suspended",
                suspension_code=licence.suspension_code,
            )
        case LicenceStatus.ACTIVE | LicenceStatus.ACTIVE_RESTRICTED:
            return _time_standing(state, now)


def is_over(state: LicenceState, now: Instant) -> bool:
    """Whether the term has ended, now or before the deciding clock was set back."""
    return bool(state.licence.expired_at) or now >= state.licence.terms.not_after


def _time_standing(state: LicenceState, now: Instant) -> Denied | None:
    terms = state.licence.terms
    if now < terms.not_before:
        return Denied(Reason.LICENCE_NOT_YET_VALID, "the licence does not hold yet", retry_at=terms.not_before)
    if is_over(state, now):
        return Denied(Reason.LICENCE_EXPIRED, "the licence's term is over")
    if now >= state.rights.not_after or now < state.rights.not_before or state.overlays:
        return overlay_denial(terms, state.overlays.values(), now)
    return None
