"""Is what is asked for inside what the licence is for? Region, purpose, offence, authorisation, attestation.

Default deny: unknown, absent and contradictory answers are refused, each with a reason of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from licd.core.model import Lease
from licd.core.reasons import Denied, Reason
from licd.core.regions import agree, is_known, permits
from licd.core.terms import Basis, Rights
from licd.core.time import Instant


@dataclass(frozen=True, slots=True)
class RegionClaim:
    """A region, and how it was established."""

    region: str
    basis: Basis


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One target asked for, with what a decision needs to know. authorisation_end 0 = none given."""

    target: bytes
    regions: tuple[RegionClaim, ...]
    purpose: str
    offence: str = ""
    authorisation: str = ""
    authorisation_end: Instant = 0
    attested: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the asking system stands: its own declaration, and the address it calls from."""

    region: str = ""
    address: str = ""


def place_denial(rights: Rights, place: Place) -> Denied | None:
    """Why a system standing there may not use the licence; None when it may."""
    if rights.deployment_regions is not None and not permits(rights.deployment_regions, place.region):
        return Denied(
            Reason.DEPLOYMENT_REGION_NOT_PERMITTED, f"the licence is not for systems in {place.region or 'no region'}"
        )
    for ranges in rights.addresses:
        if not _inside(place.address, ranges):
            return Denied(Reason.ADDRESS_NOT_PERMITTED, "the licence is not for systems at this address")
    return None


def _inside(address: str, ranges: frozenset[str]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in _network(each) for each in ranges)


@lru_cache(maxsize=4096)
def _network(cidr: str) -> IPv4Network | IPv6Network:
    return ip_network(cidr)


def scope_denial(rights: Rights, ask: Acquisition, now: Instant) -> Denied | None:
    """Why the acquisition is outside the licence; None when it is inside."""
    return (
        _region_denial(rights, ask)
        or _purpose_denial(rights, ask)
        or _authorisation_denial(rights, ask, now)
        or _attestation_denial(rights, ask)
    )


def renewal_denial(rights: Rights, lease: Lease, now: Instant, *, attested: bool) -> Denied | None:
    """Why a lease could not be had today under the terms it stands under; None when it could.

    A lease does not say whether its holder attested; attested says whether the licence asked for that when it was had.
    """
    claim = RegionClaim(lease.region, lease.basis)
    ask = Acquisition(
        target=lease.target,
        regions=(claim,),
        purpose=lease.purpose,
        offence=lease.offence,
        authorisation=lease.authorisation,
        authorisation_end=lease.authorisation_end,
        attested=attested,
    )
    return scope_denial(rights, ask, now)


def counting_claim(rights: Rights, ask: Acquisition) -> RegionClaim | None:
    """The claim that counts: the first whose basis the licence accepts."""
    return next((claim for claim in ask.regions if claim.basis in rights.bases), None)


def _region_denial(rights: Rights, ask: Acquisition) -> Denied | None:
    if not ask.regions or any(not is_known(claim.region) for claim in ask.regions):
        return Denied(Reason.REGION_UNKNOWN, "the target's region is not known; every claim must name a known region")
    if len(ask.regions) > 1 and not _each_basis_agrees(ask.regions):
        return Denied(Reason.REGION_BASES_DISAGREE, "the claims disagree: one basis gives two regions")
    accepted = [claim for claim in ask.regions if claim.basis in rights.bases]
    if not accepted:
        wanted = ", ".join(sorted(basis.name for basis in rights.bases)) or "no basis at all"
        return Denied(Reason.REGION_BASIS_NOT_ACCEPTED, f"the licence asks for a region established by {wanted}")
    inside = [permits(rights.regions, claim.region) for claim in ask.regions]
    if all(inside):
        return None
    if any(inside):
        return Denied(Reason.REGION_BASES_DISAGREE, "the claims disagree: one is inside the licence, another is not")
    return Denied(Reason.REGION_NOT_PERMITTED, f"the licence is not for targets in {accepted[0].region}")


def _each_basis_agrees(claims: tuple[RegionClaim, ...]) -> bool:
    """Whether no basis contradicts itself. Two bases may differ: they are different facts."""
    said: dict[Basis, list[str]] = {}
    for claim in claims:
        said.setdefault(claim.basis, []).append(claim.region)
    return all(agree(regions) for regions in said.values())


def _purpose_denial(rights: Rights, ask: Acquisition) -> Denied | None:
    if not ask.purpose:
        return Denied(Reason.PURPOSE_UNKNOWN, "a purpose must be named, scheme:code")
    if ask.purpose not in rights.purposes:
        return Denied(Reason.PURPOSE_NOT_PERMITTED, "the licence is not for this purpose")
    if rights.offences is None:
        return None
    if not ask.offence:
        return Denied(Reason.OFFENCE_UNKNOWN, "an offence must be named, scheme:code")
    if ask.offence not in rights.offences:
        return Denied(Reason.OFFENCE_NOT_PERMITTED, "the licence is not for this offence")
    return None


def _authorisation_denial(rights: Rights, ask: Acquisition, now: Instant) -> Denied | None:
    required = rights.authorisation
    if required is not None and (not ask.authorisation or not ask.authorisation_end):
        return Denied(Reason.AUTHORISATION_REQUIRED, "an authorisation reference with its end must be given")
    if ask.authorisation_end and ask.authorisation_end <= now:
        return Denied(Reason.AUTHORISATION_EXPIRED, "the authorisation has ended")
    if required is not None and required.max_life and ask.authorisation_end - now > required.max_life:
        return Denied(Reason.AUTHORISATION_REQUIRED, "the authorisation ends later than the licence lets one claim")
    return None


def _attestation_denial(rights: Rights, ask: Acquisition) -> Denied | None:
    if rights.attestation and not ask.attested:
        return Denied(Reason.ATTESTATION_REQUIRED, "it must be attested that the target is no protected person")
    return None
