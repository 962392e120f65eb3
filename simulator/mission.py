"""What a system may ask for under its licence, as it reads it, and how it can get it wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from licd.v1 import licence_pb2, session_pb2
from simulator.chance import Random
from simulator.clock import SECOND, Instant, Millis

TARGET_BYTES: Final = 32
WARRANT_LIFE: Final[Millis] = 3_600 * SECOND
PREFERRED: Final = (
    licence_pb2.REGION_BASIS_PRESENT_LOCATION,
    licence_pb2.REGION_BASIS_NUMBER_PLAN,
    licence_pb2.REGION_BASIS_DECLARED,
)
ELSEWHERE: Final = ("BR", "KE", "JP", "ZA", "NZ", "PE")
"""No licence that comes along is for targets there."""

Basis: TypeAlias = licence_pb2.RegionBasis.ValueType


@dataclass(frozen=True, slots=True)
class Wish:
    """One target and the use it is wanted for."""

    target: bytes
    claims: tuple[tuple[str, Basis], ...]
    purpose: str
    offence: str = ""
    authorisation: str = ""
    authorisation_end: Instant = 0
    attested: bool = False

    @property
    def region(self) -> str:
        """The first region claimed."""
        return self.claims[0][0] if self.claims else ""

    def but(self, **changes: object) -> Wish:
        """The same, but for this."""
        return replace(self, **changes)  # type: ignore[arg-type]  # the fields' types are the caller's business

    def message(self) -> session_pb2.Acquisition:
        """As licd is asked."""
        asked = session_pb2.Acquisition(
            target=self.target,
            regions=[session_pb2.RegionClaim(region=region, basis=basis) for region, basis in self.claims],
            purpose=self.purpose,
            offence=self.offence,
            attested_not_protected=self.attested,
        )
        if self.authorisation or self.authorisation_end:
            asked.authorisation.reference = self.authorisation
            asked.authorisation.expires_at_ms = self.authorisation_end
        return asked

    def __str__(self) -> str:
        """For journals: everything that chance decides, and no time."""
        claims = "+".join(f"{region or '?'}/{basis}" for region, basis in self.claims)
        words = (self.target.hex()[:8], claims, self.purpose, self.offence, self.authorisation, str(self.attested))
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Mission:
    """The parts of a licence that a system needs to ask rightly."""

    licence: str
    cap: int
    length: Millis
    grace: Millis
    ends: Instant
    regions: tuple[str, ...]
    bases: tuple[Basis, ...]
    purposes: tuple[str, ...]
    offences: tuple[str, ...]
    deployment_regions: tuple[str, ...]
    authorisation: bool
    authorisation_life: Millis
    attestation: bool

    @classmethod
    def of(cls, terms: licence_pb2.LicenceTerms) -> Mission:
        """Read terms in which each kind of constraint is there once, as those that come along are."""
        by_kind: dict[str | None, licence_pb2.Constraint] = {
            each.WhichOneof("kind"): each for each in terms.constraints
        }

        def found(kind: str) -> licence_pb2.Constraint:
            return by_kind.get(kind, licence_pb2.Constraint())

        return cls(
            licence=terms.licence,
            cap=found("concurrent_targets").concurrent_targets.limit,
            length=found("permit_length").permit_length.length_ms,
            grace=found("offline_grace").offline_grace.grace_ms,
            ends=terms.not_after_ms,
            regions=tuple(sorted(found("target_regions").target_regions.regions)),
            bases=tuple(each for each in PREFERRED if each in found("target_regions").target_regions.bases),
            purposes=tuple(sorted(found("purposes").purposes.purposes)),
            offences=tuple(sorted(found("offences").offences.offences)),
            deployment_regions=tuple(sorted(found("deployment_regions").deployment_regions.regions)),
            authorisation="authorisation_required" in by_kind,
            authorisation_life=found("authorisation_required").authorisation_required.max_life_ms,
            attestation="protected_person_attestation" in by_kind,
        )

    @property
    def home(self) -> str:
        """Where a system that keeps to the licence stands."""
        return self.deployment_regions[0] if self.deployment_regions else "NO"

    def wish(self, chance: Random, now: Instant) -> Wish:
        """A new target, asked for as the licence wants it."""
        life = min(WARRANT_LIFE, self.authorisation_life or WARRANT_LIFE)
        return Wish(
            target=chance.randbytes(TARGET_BYTES),
            claims=((chance.choice(self.regions), self.bases[0]),),
            purpose=chance.choice(self.purposes),
            offence=chance.choice(self.offences) if self.offences else "",
            authorisation=f"W-{chance.randrange(10_000):04}" if self.authorisation else "",
            authorisation_end=now + life if self.authorisation else 0,
            attested=self.attestation,
        )

    # ------------------------------------------------------------------------------------------ wrong
    def out_of_region(self, wish: Wish, chance: Random) -> Wish:
        """The same target, somewhere else, nowhere, here and there at once, or known in a way that does not count."""
        basis = self.bases[0]
        elsewhere = chance.choice([each for each in ELSEWHERE if each not in self.regions])
        refused = [each for each in PREFERRED if each not in self.bases]
        variants: list[tuple[tuple[str, Basis], ...]] = [
            ((elsewhere, basis),),
            (("001", basis),),
            (),
            ((wish.region, basis), (elsewhere, basis)),
            ((elsewhere, basis), (wish.region, basis)),
        ]
        variants += [((wish.region, each),) for each in refused]
        return wish.but(claims=chance.choice(variants))

    def device_elsewhere(self, wish: Wish, chance: Random) -> Wish:
        """The same target: its number is of the region, the device is not, and the system says so."""
        elsewhere = chance.choice([each for each in ELSEWHERE if each not in self.regions])
        number, present = licence_pb2.REGION_BASIS_NUMBER_PLAN, licence_pb2.REGION_BASIS_PRESENT_LOCATION
        return wish.but(claims=((wish.region, number), (elsewhere, present)))

    def out_of_purpose(self, wish: Wish, chance: Random) -> Wish:
        """The same target for something else, or without what must go with it."""
        variants = [
            wish.but(purpose="licd:journalism"),
            wish.but(purpose="sar:search-and-rescue" if "sar:search-and-rescue" not in self.purposes else "licd:none"),
            wish.but(purpose=""),
            wish.but(purpose=wish.purpose.upper()),
        ]
        if self.offences:
            variants += [wish.but(offence=""), wish.but(offence="eaw:defamation")]
        if self.authorisation:
            variants += [wish.but(authorisation="", authorisation_end=0), wish.but(authorisation_end=1)]
        if self.attestation:
            variants.append(wish.but(attested=False))
        return chance.choice(variants)
