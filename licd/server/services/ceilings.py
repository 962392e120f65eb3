"""A category's ceiling as operators read it."""

from __future__ import annotations

from licd.policy.limits import Limits, Volume
from licd.v1 import diligence_pb2 as pb


def ceiling_message(ceiling: Limits) -> pb.CategoryCeiling:
    """What policy allows at most."""
    return pb.CategoryCeiling(
        term_ms=ceiling.term,
        concurrent_targets=ceiling.concurrent_targets,
        distinct_targets=_volume(ceiling.distinct_targets),
        new_targets=_volume(ceiling.new_targets),
        deployments=ceiling.deployments,
        permit_ms=ceiling.permit,
        grace_ms=ceiling.grace,
        bases=sorted(basis.name.lower() for basis in ceiling.bases),
        authorisation_required=ceiling.authorisation_required,
        attestation_required=ceiling.attestation_required,
    )


def _volume(volume: Volume) -> pb.VolumeCeiling:
    return pb.VolumeCeiling(limit=volume.limit, period_ms=volume.period)
