"""Rows → the resources an operator reads."""

from __future__ import annotations

from typing import Final

from licd.core.model import Customer, Deployment, DeploymentStatus, Lease, Licence, LicenceStatus, Session
from licd.core.time import Instant
from licd.v1 import licence_pb2
from licd.v1 import operator_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.wire.terms import terms_message

LICENCE_STATUS: Final = {
    LicenceStatus.DRAFT: pb.LICENCE_STATUS_DRAFT,
    LicenceStatus.ACTIVE: pb.LICENCE_STATUS_ACTIVE,
    LicenceStatus.SUSPENDED: pb.LICENCE_STATUS_SUSPENDED,
    LicenceStatus.ACTIVE_RESTRICTED: pb.LICENCE_STATUS_ACTIVE_RESTRICTED,
    LicenceStatus.TERMINATED: pb.LICENCE_STATUS_TERMINATED,
}

DEPLOYMENT_STATUS: Final = {
    DeploymentStatus.INVITED: pb.DEPLOYMENT_STATUS_INVITED,
    DeploymentStatus.ENROLLED: pb.DEPLOYMENT_STATUS_ENROLLED,
    DeploymentStatus.REVOKED: pb.DEPLOYMENT_STATUS_REVOKED,
    DeploymentStatus.FENCED: pb.DEPLOYMENT_STATUS_FENCED,
}


def customer_message(customer: Customer) -> pb.Customer:
    """A customer as operators read it."""
    return pb.Customer(
        customer=customer.id,
        name=customer.name,
        status=pb.CUSTOMER_STATUS_BANNED if customer.banned else pb.CUSTOMER_STATUS_ACTIVE,
        created_at_ms=customer.created_at,
        version=customer.version,
        ban_reason=customer.ban_reason,
    )


def licence_status(licence: Licence, now: Instant) -> pb.LicenceStatus.ValueType:
    """The stored status; expired where the term is over and nothing final says otherwise."""
    over = licence.expired_at or now >= licence.terms.not_after
    if licence.status is not LicenceStatus.TERMINATED and over:
        return pb.LICENCE_STATUS_EXPIRED
    return LICENCE_STATUS[licence.status]


def licence_message(
    licence: Licence, now: Instant, *, live: int = 0, cooling: int = 0, deployments: int = 0
) -> pb.Licence:
    """A licence as operators read it, with its seats as counted by the caller."""
    return pb.Licence(
        licence=licence.id,
        customer=licence.customer,
        status=licence_status(licence, now),
        epoch=licence.epoch,
        version=licence.version,
        token=Envelope.FromString(licence.token),
        terms=terms_message(licence.terms),
        live=live,
        cooling=cooling,
        deployments=deployments,
        suspended_at_ms=licence.suspended_at,
        suspension_code=licence.suspension_code,
        suspension_detail=licence.suspension_detail,
    )


def deployment_message(
    deployment: Deployment, session: Session | None = None, *, connected: bool = False
) -> pb.Deployment:
    """A deployment as operators read it."""
    return pb.Deployment(
        deployment=deployment.id,
        licence=deployment.licence,
        customer=deployment.customer,
        status=DEPLOYMENT_STATUS[deployment.status],
        invited_at_ms=deployment.invited_at,
        enrolled_at_ms=deployment.enrolled_at,
        last_contact_ms=session.accepted_at if session else 0,
        connected=connected,
        session=session.session if session else "",
        sequence=session.sequence if session else 0,
        epoch_acknowledged=deployment.epoch_acknowledged,
        software=deployment.software,
    )


def lease_state(lease: Lease, now: Instant) -> pb.LeaseState.ValueType:
    """Live, cooling or ended, at now."""
    if not lease.ended_at:
        return pb.LEASE_STATE_LIVE
    return pb.LEASE_STATE_COOLING if lease.free_at > now else pb.LEASE_STATE_ENDED


def lease_message(lease: Lease, customer: str, hard_end: Instant, now: Instant) -> pb.Lease:
    """A lease as operators read it."""
    return pb.Lease(
        lease=lease.id,
        licence=lease.licence,
        customer=customer,
        deployment=lease.deployment,
        target=lease.target,
        region=lease.region,
        basis=licence_pb2.RegionBasis.ValueType(lease.basis),
        purpose=lease.purpose,
        offence=lease.offence,
        granted_at_ms=lease.granted_at,
        hard_end_ms=hard_end,
        ended_at_ms=lease.ended_at,
        end_reason=lease.end_reason,
        free_at_ms=lease.free_at if lease.ended_at else 0,
        state=lease_state(lease, now),
    )
