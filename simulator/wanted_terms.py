"""Terms that a scenario writes out instead of naming a template; short-lived licences, mostly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from licd.v1 import licence_pb2 as pb
from simulator.clock import SECOND, Instant, Millis
from simulator.table import Table

DAY: Final[Millis] = 86_400 * SECOND
BASES: Final = {
    "number_plan": pb.REGION_BASIS_NUMBER_PLAN,
    "present_location": pb.REGION_BASIS_PRESENT_LOCATION,
    "declared": pb.REGION_BASIS_DECLARED,
}


@dataclass(frozen=True, slots=True)
class Volume:
    """At most limit in any window of the period."""

    limit: int
    period: Millis


@dataclass(frozen=True, slots=True)
class WantedTerms:
    """The parts of a draft that do not depend on the time of the run. None = the constraint is left out."""

    product: str
    category: str
    term: Millis
    cap: int
    distinct: Volume
    churn: Volume
    regions: tuple[str, ...]
    bases: tuple[str, ...]
    purposes: tuple[str, ...]
    offences: tuple[str, ...]
    deployment_regions: tuple[str, ...]
    permit: Millis
    grace: Millis
    deployments: int
    authorisation: bool
    attestation: bool

    def constraints(self) -> list[pb.Constraint]:
        """The constraints that an operator asks for."""
        found = [
            pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=self.cap)),
            pb.Constraint(
                distinct_targets=pb.DistinctTargets(limit=self.distinct.limit, period_ms=self.distinct.period)
            ),
            pb.Constraint(target_churn=pb.TargetChurn(limit=self.churn.limit, period_ms=self.churn.period)),
            pb.Constraint(
                target_regions=pb.TargetRegions(regions=self.regions, bases=[BASES[each] for each in self.bases])
            ),
            pb.Constraint(purposes=pb.Purposes(purposes=self.purposes)),
            pb.Constraint(permit_length=pb.PermitLength(length_ms=self.permit)),
            pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=self.grace)),
            pb.Constraint(deployments=pb.Deployments(limit=self.deployments)),
        ]
        if self.offences:
            found.append(pb.Constraint(offences=pb.Offences(offences=self.offences)))
        if self.deployment_regions:
            found.append(pb.Constraint(deployment_regions=pb.DeploymentRegions(regions=self.deployment_regions)))
        if self.authorisation:
            found.append(pb.Constraint(authorisation_required=pb.AuthorisationRequired()))
        if self.attestation:
            found.append(pb.Constraint(protected_person_attestation=pb.ProtectedPersonAttestation()))
        return found


def read_wanted_terms(table: Table) -> WantedTerms:
    """Read [licence.terms]."""
    terms = WantedTerms(
        product=table.text("product", default="locator"),
        category=table.text("category"),
        term=table.whole("term_days", default=1, least=1) * DAY,
        cap=table.whole("concurrent_targets"),
        distinct=_read_volume(table.table("distinct_targets"), "period_days", DAY),
        churn=_read_volume(table.table("new_targets"), "period_hours", DAY // 24),
        regions=table.texts("regions"),
        bases=table.texts("bases"),
        purposes=table.texts("purposes"),
        offences=table.texts("offences", default=[]),
        deployment_regions=table.texts("deployment_regions", default=[]),
        permit=table.span("permit_seconds", least=SECOND),
        grace=table.span("grace_seconds"),
        deployments=table.whole("deployments", least=1),
        authorisation=table.flag("authorisation_required", default=False),
        attestation=table.flag("attestation_required", default=False),
    )
    for basis in terms.bases:
        if basis not in BASES:
            table.note("bases", f'has "{basis}"; known: {", ".join(BASES)}')
    table.done()
    return terms


def _read_volume(table: Table, period_key: str, unit: Millis) -> Volume:
    volume = Volume(table.whole("limit"), table.whole(period_key, least=1) * unit)
    table.done()
    return volume


def term_of(starts_after: Millis, ends_after: Millis, now: Instant, length: Millis) -> tuple[Instant, Instant]:
    """When a term begins and ends: where the end is given, it is the beginning that gives way."""
    if ends_after:
        ends = now + ends_after
        return (now + starts_after if starts_after else ends - length), ends
    return now + starts_after, now + starts_after + length
