"""What a signed licence permits, read from its bytes. Constraints only narrow: two of a kind both hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from ipaddress import ip_address, ip_network

from licd.v1 import licence_pb2 as pb


@dataclass(frozen=True, slots=True)
class Volume:
    """At most `limit` in any window of `period` milliseconds."""

    limit: int
    period: int


@dataclass(frozen=True, slots=True)
class Terms:
    """One revision of a licence. None = not limited; `sound` is false when there is something not understood."""

    licence: str
    revision: int
    issued_at: int
    begins: int
    ends: int
    sound: bool
    cap: int
    length: int
    grace: int
    distinct: tuple[Volume, ...]
    churn: tuple[Volume, ...]
    regions: tuple[frozenset[str], ...]
    bases: frozenset[int]
    purposes: frozenset[str]
    offences: frozenset[str] | None
    authorisation: bool
    authorisation_life: int
    attestation: bool
    deployment_regions: tuple[frozenset[str], ...]
    addresses: tuple[frozenset[str], ...]

    def permits_region(self, region: str) -> bool:
        """Whether a target there is inside."""
        return bool(self.regions) and all(inside(region, each) for each in self.regions)

    def permits_deployment(self, region: str) -> bool:
        """Whether a system may stand there."""
        return all(inside(region, each) for each in self.deployment_regions)

    def permits_address(self, address: str) -> bool:
        """Whether a system may call from there."""
        return all(any(ip_address(address) in ip_network(each) for each in ranges) for ranges in self.addresses)


def inside(region: str, allowed: frozenset[str]) -> bool:
    """Whether a code is one of these, or a subdivision (AT-7) of one of these (AT)."""
    return region in allowed or region.partition("-")[0] in allowed


def read_terms(payload: bytes) -> Terms:
    """Raises google.protobuf's DecodeError for bytes that are no terms."""
    message = pb.LicenceTerms.FromString(payload)
    have = _Kinds(message.constraints)
    required = have.of("authorisation_required")
    return Terms(
        licence=message.licence,
        revision=message.revision,
        issued_at=message.issued_at_ms,
        begins=message.not_before_ms,
        ends=message.not_after_ms,
        sound=have.sound,
        cap=have.least("concurrent_targets", lambda each: each.limit),
        length=have.least("permit_length", lambda each: each.length_ms),
        grace=have.least("offline_grace", lambda each: each.grace_ms),
        distinct=tuple(Volume(each.limit, each.period_ms) for each in have.of("distinct_targets")),
        churn=tuple(Volume(each.limit, each.period_ms) for each in have.of("target_churn")),
        regions=tuple(frozenset(each.regions) for each in have.of("target_regions")),
        bases=have.common("target_regions", lambda each: each.bases) or frozenset(),
        purposes=have.common("purposes", lambda each: each.purposes) or frozenset(),
        offences=have.common("offences", lambda each: each.offences),
        authorisation=bool(required),
        authorisation_life=min((each.max_life_ms for each in required if each.max_life_ms), default=0),
        attestation=bool(have.of("protected_person_attestation")),
        deployment_regions=tuple(frozenset(each.regions) for each in have.of("deployment_regions")),
        addresses=tuple(frozenset(each.ranges) for each in have.of("deployment_addresses")),
    )


_MANDATORY = ("concurrent_targets", "target_regions", "purposes", "permit_length", "offline_grace")


class _Kinds:
    """Constraints by kind."""

    def __init__(self, constraints: Iterable[pb.Constraint]) -> None:
        self._by_kind: dict[str, list[pb.Constraint]] = {}
        for each in constraints:
            self._by_kind.setdefault(each.WhichOneof("kind") or "", []).append(each)

    @property
    def sound(self) -> bool:
        """Whether each constraint is known and none that every licence must carry is missing."""
        return "" not in self._by_kind and all(kind in self._by_kind for kind in _MANDATORY)

    def of(self, kind: str) -> list:  # type: ignore[type-arg]  # one message class per kind
        return [getattr(each, kind) for each in self._by_kind.get(kind, ())]

    def least(self, kind: str, figure: Callable[..., int]) -> int:
        return min((figure(each) for each in self.of(kind)), default=0)

    def common(self, kind: str, values: Callable[..., Iterable]) -> frozenset | None:  # type: ignore[type-arg]
        sets = [frozenset(values(each)) for each in self.of(kind)]
        return reduce(frozenset.__and__, sets) if sets else None
