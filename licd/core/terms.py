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
from ipaddress import IPv4Network, IPv6Network, ip_network
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
    """At most so many targets at one time, cooling seats included."""

    limit: int


@dataclass(frozen=True, slots=True)
class DistinctTargets:
    """At most so many different targets in any window of the period."""

    limit: int
    period: Millis


@dataclass(frozen=True, slots=True)
class TargetChurn:
    """At most so many newly taken seats in any window of the period."""

    limit: int
    period: Millis


@dataclass(frozen=True, slots=True)
class TargetRegions:
    """Targets only in these regions, established in one of these ways."""

    regions: frozenset[str]
    bases: frozenset[Basis]


@dataclass(frozen=True, slots=True)
class DeploymentRegions:
    """Systems only in these regions, by their own declaration."""

    regions: frozenset[str]


@dataclass(frozen=True, slots=True)
class DeploymentAddresses:
    """Address ranges in CIDR form."""

    ranges: frozenset[str]


@dataclass(frozen=True, slots=True)
class Purposes:
    """Only for these purposes, scheme:code."""

    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Offences:
    """Only for these offences, scheme:code; a lease names one."""

    offences: frozenset[str]


@dataclass(frozen=True, slots=True)
class AuthorisationRequired:
    """max_life bounds how far ahead an authorisation may claim to end; 0 does not bound it."""

    max_life: Millis


@dataclass(frozen=True, slots=True)
class ProtectedPersonAttestation:
    """Each lease attests that its target is no protected person."""


@dataclass(frozen=True, slots=True)
class PermitLength:
    """L: how long a permit holds after it was decided."""

    length: Millis


@dataclass(frozen=True, slots=True)
class OfflineGrace:
    """G: the longest a system that hears nothing goes on beyond L."""

    grace: Millis


@dataclass(frozen=True, slots=True)
class Deployments:
    """At most so many systems enrolled at one time."""

    limit: int


@dataclass(frozen=True, slots=True)
class OverlayRequired:
    """No right without an overlay of this authority in force."""

    authority: str


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
    | OverlayRequired
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
    """Terms boiled down to what a decision looks at. None = not limited. overlays: authorities that must permit it."""

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
    overlays: frozenset[str]

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
        overlays=frozenset(c.authority for c in _of(have, OverlayRequired)),
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
            _within(type(constraint).__name__ + ".period", period, 1, TERM_CEILING)
        case PermitLength(length):
            _within("PermitLength.length", length, 1, PERMIT_CEILING)
        case OfflineGrace(grace):
            _within("OfflineGrace.grace", grace, 0, GRACE_CEILING)
        case AuthorisationRequired(max_life):
            _at_least("AuthorisationRequired.max_life", max_life, 0)
        case OverlayRequired(authority):
            if not authority:
                raise TermsInvalid("OverlayRequired.authority", "must name the authority")
        case DeploymentAddresses(ranges):
            for each in sorted(ranges):
                _network("DeploymentAddresses.ranges", each)
        case _:
            pass


def _at_least(field: str, value: int, floor: int) -> None:
    if value < floor:
        raise TermsInvalid(field, f"must be at least {floor}, got {value}")


def _within(field: str, value: int, floor: int, ceiling: int) -> None:
    if not floor <= value <= ceiling:
        raise TermsInvalid(field, f"must be from {floor} to {ceiling} ms, got {value}")


def _network(field: str, cidr: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(cidr)
    except ValueError as error:
        raise TermsInvalid(field, f"want a range in CIDR form, as 192.0.2.0/24: {error}") from error


def widened_terms(old: Terms, new: Terms) -> tuple[str, ...]:
    """As widened(), and in what else the terms differ: another product, or another category, is no narrower one."""
    other = tuple(name for name in ("product", "category") if getattr(new, name) != getattr(old, name))
    return (*other, *widened(rights_of(old), rights_of(new)))


def widened(old: Rights, new: Rights) -> tuple[str, ...]:
    """Names every respect in which new permits something that old does not. Empty: new only narrows."""
    found: list[str] = []

    def note(name: str, wider: bool) -> None:  # noqa: FBT001 - a comparison, written where it stands
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
    note("addresses", not all(any(_ranges_inside(n, o) for n in new.addresses) for o in old.addresses))
    note("authorisation", _authorisation_widened(old.authorisation, new.authorisation))
    note("attestation", old.attestation and not new.attestation)
    note("overlays", not old.overlays <= new.overlays)
    return tuple(found)


def _set_widened(old: frozenset[str] | None, new: frozenset[str] | None) -> bool:
    if old is None:
        return False
    return new is None or not new <= old


def _places_widened(old: frozenset[str] | None, new: frozenset[str] | None) -> bool:
    if old is None:
        return False
    return new is None or not covers(old, new)


def _ranges_inside(inner: frozenset[str], outer: frozenset[str]) -> bool:
    """Whether every range of inner lies in one of outer; two halves in outer are not taken together."""
    wide = [_network("addresses", each) for each in outer]
    return all(any(_lies_in(_network("addresses", each), one) for one in wide) for each in inner)


def _lies_in(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


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
