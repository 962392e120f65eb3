"""Licence terms ⇄ the payload that is signed. What this reader does not understand, it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from google.protobuf.message import DecodeError, Message

from licd.core.terms import (
    AuthorisationRequired,
    Basis,
    ConcurrentTargets,
    Constraint,
    DeploymentAddresses,
    DeploymentRegions,
    Deployments,
    DistinctTargets,
    Offences,
    OfflineGrace,
    OverlayRequired,
    PermitLength,
    ProtectedPersonAttestation,
    Purposes,
    TargetChurn,
    TargetRegions,
    Terms,
    TermsInvalid,
)
from licd.keys.payload import refuse_unknown_fields
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import licence_pb2 as pb

READER_VERSION: Final = 1


def terms_payload(terms: Terms) -> bytes:
    """The payload of kind licence for these terms."""
    return terms_message(terms).SerializeToString(deterministic=True)


def terms_message(terms: Terms) -> pb.LicenceTerms:
    """The message that stands for these terms."""
    return pb.LicenceTerms(
        licence=terms.licence,
        customer=terms.customer,
        issuer=terms.issuer,
        revision=terms.revision,
        issued_at_ms=terms.issued_at,
        not_before_ms=terms.not_before,
        not_after_ms=terms.not_after,
        product=terms.product,
        category=terms.category,
        policy_version=terms.policy_version,
        lineage=terms.lineage,
        constraints=[constraint_message(each) for each in terms.constraints],
        min_reader_version=READER_VERSION,
        conditions=terms.conditions,
    )


def terms_from_payload(payload: bytes) -> Terms:
    """The terms in a verified payload. Raises TermsInvalid."""
    try:
        message = pb.LicenceTerms.FromString(payload)
    except DecodeError as error:
        raise TermsInvalid("licence", "the payload cannot be read") from error
    return terms_from_message(message)


def terms_from_message(message: pb.LicenceTerms) -> Terms:
    """The terms in a message. Raises TermsInvalid for a newer format or a constraint not understood."""
    if message.min_reader_version > READER_VERSION:
        raise TermsInvalid("min_reader_version", f"needs a reader of version {message.min_reader_version}")
    _refuse_unknown(message, "licence")
    return Terms(
        licence=message.licence,
        customer=message.customer,
        issuer=message.issuer,
        revision=message.revision,
        issued_at=message.issued_at_ms,
        not_before=message.not_before_ms,
        not_after=message.not_after_ms,
        product=message.product,
        category=message.category,
        policy_version=message.policy_version,
        lineage=message.lineage,
        constraints=_constraints(message.constraints),
        conditions=tuple(message.conditions),
    )


def constraints_from_messages(messages: Iterable[pb.Constraint]) -> tuple[Constraint, ...]:
    """The constraints in order. Raises TermsInvalid for an unknown kind or field, or an unspecified enum."""
    wanted = list(messages)
    for index, message in enumerate(wanted):
        _refuse_unknown(message, f"constraints[{index}]")
    return _constraints(wanted)


def _constraints(messages: Iterable[pb.Constraint]) -> tuple[Constraint, ...]:
    return tuple(_constraint(message, index) for index, message in enumerate(messages))


def _refuse_unknown(message: Message, field: str) -> None:
    """An old reader must not grant what a new limit forbids."""
    try:
        refuse_unknown_fields(message)
    except SealInvalid as error:
        raise TermsInvalid(field, f"has a field that this reader does not know: {error}") from error


def constraint_message(constraint: Constraint) -> pb.Constraint:
    """One constraint as it goes into signed terms; sets are sorted so that equal terms look equal."""
    match constraint:
        case ConcurrentTargets(limit):
            return pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=limit))
        case DistinctTargets(limit, period):
            return pb.Constraint(distinct_targets=pb.DistinctTargets(limit=limit, period_ms=period))
        case TargetChurn(limit, period):
            return pb.Constraint(target_churn=pb.TargetChurn(limit=limit, period_ms=period))
        case TargetRegions(regions, bases):
            found = pb.TargetRegions(
                regions=sorted(regions), bases=[pb.RegionBasis.ValueType(each) for each in sorted(bases)]
            )
            return pb.Constraint(target_regions=found)
        case DeploymentRegions(regions):
            return pb.Constraint(deployment_regions=pb.DeploymentRegions(regions=sorted(regions)))
        case DeploymentAddresses(ranges):
            return pb.Constraint(deployment_addresses=pb.DeploymentAddresses(ranges=sorted(ranges)))
        case Purposes(purposes):
            return pb.Constraint(purposes=pb.Purposes(purposes=sorted(purposes)))
        case Offences(offences):
            return pb.Constraint(offences=pb.Offences(offences=sorted(offences)))
        case AuthorisationRequired(max_life):
            return pb.Constraint(authorisation_required=pb.AuthorisationRequired(max_life_ms=max_life))
        case ProtectedPersonAttestation():
            return pb.Constraint(protected_person_attestation=pb.ProtectedPersonAttestation())
        case PermitLength(length):
            return pb.Constraint(permit_length=pb.PermitLength(length_ms=length))
        case OfflineGrace(grace):
            return pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=grace))
        case Deployments(limit):
            return pb.Constraint(deployments=pb.Deployments(limit=limit))
        case OverlayRequired(authority):
            return pb.Constraint(overlay_required=pb.OverlayRequired(authority=authority))
        case _:
            assert_never(constraint)


def _constraint(message: pb.Constraint, index: int) -> Constraint:
    match message.WhichOneof("kind"):
        case "concurrent_targets":
            return ConcurrentTargets(message.concurrent_targets.limit)
        case "distinct_targets":
            return DistinctTargets(message.distinct_targets.limit, message.distinct_targets.period_ms)
        case "target_churn":
            return TargetChurn(message.target_churn.limit, message.target_churn.period_ms)
        case "target_regions":
            found = message.target_regions
            return TargetRegions(frozenset(found.regions), frozenset(_basis(each, index) for each in found.bases))
        case "deployment_regions":
            return DeploymentRegions(frozenset(message.deployment_regions.regions))
        case "deployment_addresses":
            return DeploymentAddresses(frozenset(message.deployment_addresses.ranges))
        case "purposes":
            return Purposes(frozenset(message.purposes.purposes))
        case "offences":
            return Offences(frozenset(message.offences.offences))
        case "authorisation_required":
            return AuthorisationRequired(message.authorisation_required.max_life_ms)
        case "protected_person_attestation":
            return ProtectedPersonAttestation()
        case "permit_length":
            return PermitLength(message.permit_length.length_ms)
        case "offline_grace":
            return OfflineGrace(message.offline_grace.grace_ms)
        case "deployments":
            return Deployments(message.deployments.limit)
        case "overlay_required":
            return OverlayRequired(message.overlay_required.authority)
        case None:
            raise TermsInvalid(f"constraints[{index}]", "a kind of constraint that this reader does not know")
        case other:
            assert_never(other)


def _basis(number: int, index: int) -> Basis:
    if number not in Basis._value2member_map_:
        raise TermsInvalid(f"constraints[{index}].target_regions.bases", f"{number} is no basis")
    return Basis(number)
