"""Overlays ⇄ the payload that an authority signs, and what is shown of them. What is not understood is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from licd.core.overlay import Narrowing, Overlay, OverlayEffect, OverlayStatus, OverlayTerms
from licd.core.reasons import Denied
from licd.core.terms import (
    ConcurrentTargets,
    Constraint,
    DeploymentAddresses,
    DeploymentRegions,
    Deployments,
    Offences,
    OfflineGrace,
    OverlayRequired,
    PermitLength,
    ProtectedPersonAttestation,
    Purposes,
    Rights,
    TargetRegions,
    TermsInvalid,
)
from licd.core.time import Instant
from licd.v1 import overlay_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.wire.session import denial_message
from licd.wire.terms import READER_VERSION, constraint_message, constraints_from_messages

STATUS: Final = {
    OverlayStatus.IN_FORCE: pb.OVERLAY_STATUS_IN_FORCE,
    OverlayStatus.WITHDRAWN: pb.OVERLAY_STATUS_WITHDRAWN,
    OverlayStatus.EXPIRED: pb.OVERLAY_STATUS_EXPIRED,
    OverlayStatus.LIFTED: pb.OVERLAY_STATUS_LIFTED,
}


def overlay_payload(said: OverlayTerms) -> bytes:
    """The payload of kind overlay."""
    return overlay_terms_message(said).SerializeToString(deterministic=True)


def overlay_terms_message(said: OverlayTerms) -> pb.OverlayTerms:
    """The message that an authority signs."""
    return pb.OverlayTerms(
        authority=said.authority,
        overlay=said.reference,
        audience=said.audience,
        revision=said.revision,
        issued_at_ms=said.issued_at,
        not_before_ms=said.not_before,
        not_after_ms=said.not_after,
        effect=pb.OverlayEffect.ValueType(said.effect),
        customer=said.customer,
        product=said.product,
        licence=said.licence,
        constraints=[constraint_message(each) for each in said.constraints],
        statement=said.statement,
        min_reader_version=READER_VERSION,
    )


def overlay_from_payload(payload: bytes) -> OverlayTerms:
    """What was signed, from a payload that was verified before it was stored. Raises TermsInvalid."""
    return overlay_from_message(pb.OverlayTerms.FromString(payload))


def overlay_from_message(message: pb.OverlayTerms) -> OverlayTerms:
    """What an authority says. Raises TermsInvalid for a newer format, an unknown limit, or an effect that is none."""
    if message.min_reader_version > READER_VERSION:
        raise TermsInvalid("min_reader_version", f"needs a reader of version {message.min_reader_version}")
    if message.effect not in OverlayEffect._value2member_map_:
        raise TermsInvalid("effect", f"{message.effect} is no effect: permit, withdraw or lift")
    return OverlayTerms(
        authority=message.authority,
        reference=message.overlay,
        audience=message.audience,
        revision=message.revision,
        issued_at=message.issued_at_ms,
        not_before=message.not_before_ms,
        not_after=message.not_after_ms,
        effect=OverlayEffect(message.effect),
        customer=message.customer,
        product=message.product,
        licence=message.licence,
        constraints=constraints_from_messages(message.constraints),
        statement=message.statement,
    )


def overlay_status(overlay: Overlay, now: Instant) -> pb.OverlayStatus.ValueType:
    """The stored status; over, or not yet begun, where time says so."""
    if overlay.status is OverlayStatus.IN_FORCE and now >= overlay.until:
        return pb.OVERLAY_STATUS_EXPIRED
    if overlay.status is OverlayStatus.IN_FORCE and now < overlay.terms.not_before:
        return pb.OVERLAY_STATUS_NOT_YET_VALID
    return STATUS[overlay.status]


def overlay_message(overlay: Overlay, now: Instant) -> pb.Overlay:
    """An overlay as operators read it."""
    return pb.Overlay(
        overlay=overlay.id,
        status=overlay_status(overlay, now),
        token=Envelope.FromString(overlay.token),
        terms=overlay_terms_message(overlay.terms),
        lodged_at_ms=overlay.lodged_at,
        lodged_by=overlay.lodged_by,
        ended_at_ms=overlay.ended_at,
        ended_why=overlay.ended_why,
    )


def narrowing_message(narrowing: Narrowing, now: Instant) -> pb.Narrowing:
    """One overlay's part in a right."""
    overlay = narrowing.overlay
    return pb.Narrowing(
        overlay=overlay.id,
        status=overlay_status(overlay, now),
        not_before_ms=overlay.terms.not_before,
        not_after_ms=overlay.until,
        respects=narrowing.respects,
    )


def rights_message(
    licence: str, epoch: int, rights: Rights, narrowed: Iterable[Narrowing], denied: Denied | None, now: Instant
) -> pb.Rights:
    """What a licence comes to."""
    return pb.Rights(
        licence=licence,
        epoch=epoch,
        not_before_ms=rights.not_before,
        not_after_ms=rights.not_after,
        constraints=[constraint_message(each) for each in _constraints(rights)],
        narrowed=[narrowing_message(each, now) for each in narrowed],
        denial=denial_message(denied) if denied else None,
    )


def _constraints(rights: Rights) -> Iterator[Constraint]:
    """A right as the limits that say the same."""
    yield ConcurrentTargets(rights.cap)
    yield from rights.distinct
    yield from rights.churn
    yield TargetRegions(rights.regions, rights.bases)
    if rights.deployment_regions is not None:
        yield DeploymentRegions(rights.deployment_regions)
    yield from map(DeploymentAddresses, rights.addresses)
    yield Purposes(rights.purposes)
    if rights.offences is not None:
        yield Offences(rights.offences)
    if rights.authorisation is not None:
        yield rights.authorisation
    if rights.attestation:
        yield ProtectedPersonAttestation()
    yield PermitLength(rights.length)
    yield OfflineGrace(rights.grace)
    yield Deployments(rights.deployments)
    yield from map(OverlayRequired, sorted(rights.overlays))
