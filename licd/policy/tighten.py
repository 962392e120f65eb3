"""Terms brought within a category's ceiling: each limit as it was or at the ceiling, whichever is less."""

from __future__ import annotations

from dataclasses import replace

from licd.core.terms import (
    AuthorisationRequired,
    ConcurrentTargets,
    Constraint,
    Deployments,
    DistinctTargets,
    OfflineGrace,
    PermitLength,
    ProtectedPersonAttestation,
    TargetChurn,
    TargetRegions,
    Terms,
    rights_of,
)
from licd.core.time import Instant
from licd.policy.limits import Limits, Volume


def tightened(terms: Terms, ceiling: Limits, now: Instant) -> Terms:
    """Terms that never permit what these do not, nor what the ceiling does not; from now they last its term at most.

    The same terms where they are within it already. What the ceiling adds stands beside what was there: two limits of
    a kind both hold.
    """
    rights = rights_of(terms)
    added: list[Constraint] = []
    for constraint, have, most in (
        (ConcurrentTargets(ceiling.concurrent_targets), rights.cap, ceiling.concurrent_targets),
        (Deployments(ceiling.deployments), rights.deployments, ceiling.deployments),
        (PermitLength(ceiling.permit), rights.length, ceiling.permit),
        (OfflineGrace(ceiling.grace), rights.grace, ceiling.grace),
    ):
        if have > most:
            added.append(constraint)
    distinct, churn = ceiling.distinct_targets, ceiling.new_targets
    if not any(Volume(each.limit, each.period).fits(distinct) for each in rights.distinct):
        added.append(DistinctTargets(distinct.limit, distinct.period))
    if not any(Volume(each.limit, each.period).fits(churn) for each in rights.churn):
        added.append(TargetChurn(churn.limit, churn.period))
    if not rights.bases <= ceiling.bases:
        added.append(TargetRegions(rights.regions, ceiling.bases))
    if ceiling.authorisation_required and rights.authorisation is None:
        added.append(AuthorisationRequired(0))
    if ceiling.attestation_required and not rights.attestation:
        added.append(ProtectedPersonAttestation())
    ends = min(terms.not_after, now + ceiling.term)
    if not added and ends == terms.not_after:
        return terms
    return replace(terms, not_after=ends, constraints=(*terms.constraints, *added))
