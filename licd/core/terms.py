"""What a licence permits: a closed union of constraints, each of which can only narrow.

Rules
- Two constraints of one kind both hold: numbers take the smaller, sets intersect.
- Unset and empty differ: an absent constraint does not limit, an empty set permits nothing.
- What every licence must carry (MANDATORY) and does not, makes the terms invalid.
- The union and the fields of each kind are append-only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from typing import TypeVar

from licd.core.regions import UnknownRegion, covers, expand, intersect
from licd.core.time import DAY, HOUR, Instant, Millis


class Basis(IntEnum):
    """How a region was established; numbers are those of RegionBasis in licence.proto."""

    NUMBER_PLAN = 1
    PRESENT_LOCATION = 2
    DECLARED = 3


@dataclass(frozen=True, slots=True)
class ConcurrentTargets:
    limit: int


@dataclass(frozen=True, slots=True)
class DistinctTargets:
    limit: int
    period: Millis


@dataclass(frozen=True, slots=True)
class TargetChurn:
    limit: int
    period: Millis


@dataclass(frozen=True, slots=True)
class TargetRegions:
    regions: frozenset[str]
    bases: frozenset[Basis]


@dataclass(frozen=True, slots=True)
class DeploymentRegions:
    regions: frozenset[str]


@dataclass(frozen=True, slots=True)
class DeploymentAddresses:
    """Address ranges in CIDR form."""

    ranges: frozenset[str]


@dataclass(frozen=True, slots=True)
class Purposes:
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Offences:
    offences: frozenset[str]


@dataclass(frozen=True, slots=True)
class AuthorisationRequired:
    """max_life bounds how far ahead an authorisation may claim to end; 0 does not bound it."""

    max_life: Millis


@dataclass(frozen=True, slots=True)
class ProtectedPersonAttestation:
    pass


@dataclass(frozen=True, slots=True)
class PermitLength:
    length: Millis


@dataclass(frozen=True, slots=True)
class OfflineGrace:
    grace: Millis


@dataclass(frozen=True, slots=True)
class Deployments:
    limit: int


Constraint = (
    ConcurrentTargets
    | DistinctTargets
    | TargetChurn
    | TargetRegions
    | DeploymentRegions
    | DeploymentAddresses
    | Purposes
    | Offences
    | AuthorisationRequired
    | ProtectedPersonAttestation
    | PermitLength
    | OfflineGrace
    | Deployments
)

MANDATORY: tuple[type[Constraint], ...] = (
    ConcurrentTargets,
    TargetRegions,
    Purposes,
    PermitLength,
    OfflineGrace,
    Deployments,
)

GRACE_CEILING: Millis = DAY
PERMIT_CEILING: Millis = HOUR
TERM_CEILING: Millis = 10 * 366 * DAY


class TermsInvalid(ValueError):
    """Terms that no licence may carry; the message names the field and what would be right."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Terms:
    """One signed set of limits. Times are instants; not_after is exclusive."""

    licence: str
    customer: str
    issuer: str
    revision: int
    issued_at: Instant
    not_before: Instant
    not_after: Instant
    product: str
    category: str
    policy_version: str
    lineage: str
    constraints: tuple[Constraint, ...]
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """Terms boiled down to what a decision looks at. None = not limited by the licence."""

    not_before: Instant
    not_after: Instant
    cap: int
    distinct: tuple[DistinctTargets, ...]
    churn: tuple[TargetChurn, ...]
    regions: frozenset[str]
    bases: frozenset[Basis]
    purposes: frozenset[str]
    length: Millis
    grace: Millis
    deployments: int
    offences: frozenset[str] | None
    deployment_regions: frozenset[str] | None
    addresses: tuple[frozenset[str], ...]
    authorisation: AuthorisationRequired | None
    attestation: bool

    @property
    def window(self) -> Millis:
        """The longest period any volume limit looks back over."""
        periods = [c.period for c in self.distinct] + [c.period for c in self.churn]
        return max(periods, default=0)


K = TypeVar("K")


def _of(constraints: Iterable[Constraint], kind: type[K]) -> list[K]:
    return [c for c in constraints if isinstance(c, kind)]


def _intersection(sets: list[frozenset[str]]) -> frozenset[str] | None:
    return reduce(frozenset.__and__, sets) if sets else None


def _regions(sets: list[frozenset[str]]) -> frozenset[str] | None:
    """What all the sets permit, by geography: {DE} and {DE-BY} leave {DE-BY}."""
    try:
        return reduce(intersect, [expand(each) for each in sets]) if sets else None
    except UnknownRegion as error:
        raise TermsInvalid("regions", str(error)) from error


def rights_of(terms: Terms) -> Rights:
    """Boils terms down. Raises TermsInvalid when a mandatory constraint is missing or a region is not known."""
    have = terms.constraints
    for kind in MANDATORY:
        if not _of(have, kind):
            raise TermsInvalid("constraints", f"{kind.__name__} is missing; every licence must carry it")
    target_regions = _of(have, TargetRegions)
    required = _of(have, AuthorisationRequired)
    lives = [c.max_life for c in required if c.max_life]
    return Rights(
        not_before=terms.not_before,
        not_after=terms.not_after,
        cap=min(c.limit for c in _of(have, ConcurrentTargets)),
        distinct=tuple(_of(have, DistinctTargets)),
        churn=tuple(_of(have, TargetChurn)),
        regions=_regions([c.regions for c in target_regions]) or frozenset(),
        bases=reduce(frozenset.__and__, [c.bases for c in target_regions]),
        purposes=_intersection([c.purposes for c in _of(have, Purposes)]) or frozenset(),
        length=min(c.length for c in _of(have, PermitLength)),
        grace=min(c.grace for c in _of(have, OfflineGrace)),
        deployments=min(c.limit for c in _of(have, Deployments)),
        offences=_intersection([c.offences for c in _of(have, Offences)]),
        deployment_regions=_regions([c.regions for c in _of(have, DeploymentRegions)]),
        addresses=tuple(c.ranges for c in _of(have, DeploymentAddresses)),
        authorisation=AuthorisationRequired(min(lives, default=0)) if required else None,
        attestation=bool(_of(have, ProtectedPersonAttestation)),
    )


def check_terms(terms: Terms) -> None:
    """Refuses terms that contradict themselves. Raises TermsInvalid naming the field."""
    if terms.not_after <= terms.not_before:
        raise TermsInvalid("not_after", "must be later than not_before")
    if terms.not_after - terms.not_before > TERM_CEILING:
        raise TermsInvalid("not_after", "the term is over ten years; no licence is perpetual")
    for constraint in terms.constraints:
        _check_constraint(constraint)


def _check_constraint(constraint: Constraint) -> None:
    match constraint:
        case ConcurrentTargets(limit) | Deployments(limit):
            _at_least(type(constraint).__name__ + ".limit", limit, 0)
        case DistinctTargets(limit, period) | TargetChurn(limit, period):
            _at_least(type(constraint).__name__ + ".limit", limit, 0)
            _at_least(type(constraint).__name__ + ".period", period, 1)
        case PermitLength(length):
            _within("PermitLength.length", length, 1, PERMIT_CEILING)
        case OfflineGrace(grace):
            _within("OfflineGrace.grace", grace, 0, GRACE_CEILING)
        case AuthorisationRequired(max_life):
            _at_least("AuthorisationRequired.max_life", max_life, 0)
        case _:
            pass


def _at_least(field: str, value: int, floor: int) -> None:
    if value < floor:
        raise TermsInvalid(field, f"must be at least {floor}, got {value}")


def _within(field: str, value: int, floor: int, ceiling: int) -> None:
    if not floor <= value <= ceiling:
        raise TermsInvalid(field, f"must be from {floor} to {ceiling} ms, got {value}")


def widened(old: Rights, new: Rights) -> tuple[str, ...]:
    """Names every respect in which new permits something that old does not. Empty: new only narrows."""
    found: list[str] = []

    def note(name: str, wider: bool) -> None:
        if wider:
            found.append(name)

    note("not_before", new.not_before < old.not_before)
    note("not_after", new.not_after > old.not_after)
    for name in ("cap", "length", "grace", "deployments"):
        note(name, getattr(new, name) > getattr(old, name))
    note("regions", not covers(old.regions, new.regions))
    for name in ("bases", "purposes"):
        note(name, not getattr(new, name) <= getattr(old, name))
    note("offences", _set_widened(old.offences, new.offences))
    note("deployment_regions", _places_widened(old.deployment_regions, new.deployment_regions))
    note("distinct", not _volume_covered(old.distinct, new.distinct))
    note("churn", not _volume_covered(old.churn, new.churn))
    note("addresses", not set(old.addresses) <= set(new.addresses))
    note("authorisation", _authorisation_widened(old.authorisation, new.authorisation))
    note("attestation", old.attestation and not new.attestation)
    return tuple(found)


def _set_widened(old: frozenset[str] | None, new: frozenset[str] | None) -> bool:
    if old is None:
        return False
    return new is None or not new <= old


def _places_widened(old: frozenset[str] | None, new: frozenset[str] | None) -> bool:
    if old is None:
        return False
    return new is None or not covers(old, new)


def _volume_covered(
    old: tuple[DistinctTargets | TargetChurn, ...], new: tuple[DistinctTargets | TargetChurn, ...]
) -> bool:
    return all(any(n.limit <= o.limit and n.period >= o.period for n in new) for o in old)


def _authorisation_widened(old: AuthorisationRequired | None, new: AuthorisationRequired | None) -> bool:
    if old is None:
        return False
    if new is None:
        return True
    return bool(old.max_life) and (not new.max_life or new.max_life > old.max_life)
