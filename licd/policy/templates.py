"""policies/licences/NAME.toml: templates that licences are issued from; each keeps within its category's ceiling.

Rules
- A template states every limit; nothing is taken from the category in silence.
- Regions and offences are expanded when the policy is read: a licence carries plain codes, so that neither a later
  policy nor another table can change what it means.
- A list that is absent does not limit, where that is allowed at all (offences, deployment regions and addresses); an
  empty one is refused, for it would permit nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from licd.core.terms import (
    AuthorisationRequired,
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
)
from licd.core.time import DAY, SECOND, Millis
from licd.policy.categories import Category
from licd.policy.defaults import Defaults, shortest_useful_permit
from licd.policy.limits import KEYS, Limits, exceeded, read_limits
from licd.policy.offences import OffencePolicy, read_offence_codes
from licd.policy.problems import unknown
from licd.policy.purposes import PurposePolicy
from licd.policy.reader import Reader
from licd.policy.regions import RegionPolicy, read_region_names
from licd.policy.suspension import SuspensionPolicy


@dataclass(frozen=True, slots=True)
class TermsTemplate:
    """Terms without the parts that one licence adds: identifiers, dates, issuer. None = not limited.

    authorisation_max_life bounds how far ahead an authorisation may claim to end; 0 does not bound it. overlays are the
    authorities without whose overlay there is no right.
    """

    name: str
    title: str
    customer: str
    product: str
    category: str
    limits: Limits
    target_regions: frozenset[str]
    deployment_regions: frozenset[str] | None
    deployment_addresses: frozenset[str] | None
    purposes: frozenset[str]
    offences: frozenset[str] | None
    authorisation_max_life: Millis
    conditions: tuple[str, ...]
    overlays: tuple[str, ...]

    @property
    def term(self) -> Millis:
        """How long a licence from this template lasts."""
        return self.limits.term

    def constraints(self) -> tuple[Constraint, ...]:
        """The template's limits as the constraints that a licence carries."""
        limits = self.limits
        always: list[Constraint] = [
            ConcurrentTargets(limits.concurrent_targets),
            DistinctTargets(limits.distinct_targets.limit, limits.distinct_targets.period),
            TargetChurn(limits.new_targets.limit, limits.new_targets.period),
            TargetRegions(self.target_regions, limits.bases),
            Purposes(self.purposes),
            PermitLength(limits.permit),
            OfflineGrace(limits.grace),
            Deployments(limits.deployments),
        ]
        if self.deployment_regions is not None:
            always.append(DeploymentRegions(self.deployment_regions))
        if self.deployment_addresses is not None:
            always.append(DeploymentAddresses(self.deployment_addresses))
        if self.offences is not None:
            always.append(Offences(self.offences))
        if limits.authorisation_required:
            always.append(AuthorisationRequired(self.authorisation_max_life))
        if limits.attestation_required:
            always.append(ProtectedPersonAttestation())
        always += [OverlayRequired(each) for each in self.overlays]
        return tuple(always)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a template may refer to."""

    categories: Mapping[str, Category]
    regions: RegionPolicy
    purposes: PurposePolicy
    offences: OffencePolicy
    defaults: Defaults
    suspension: SuspensionPolicy


def read_template(name: str, reader: Reader, words: Vocabulary) -> TermsTemplate:
    """Reads one template and holds it against its category."""
    template = TermsTemplate(
        name=name,
        title=reader.text("title"),
        customer=reader.text("customer"),
        product=reader.text("product"),
        category=reader.text("category"),
        limits=read_limits(reader.table_at("limits")),
        target_regions=read_region_names(reader, "target_regions", words.regions),
        deployment_regions=_optional_regions(reader, words.regions),
        deployment_addresses=_read_addresses(reader),
        purposes=_read_purposes(reader, words.purposes),
        offences=read_offence_codes(reader, "offences", words.offences) if reader.has("offences") else None,
        authorisation_max_life=reader.span("authorisation_max_life_days", DAY, least=0, default=0),
        conditions=_read_conditions(reader, words.suspension),
        overlays=reader.texts("overlays", default=[], least=0),
    )
    if reader.sound():
        _check_offences(template, reader, words)
        _check_category(template, reader, words)
        _check_permit(template, reader, words.defaults)
    return template


def _optional_regions(reader: Reader, regions: RegionPolicy) -> frozenset[str] | None:
    key = "deployment_regions"
    return read_region_names(reader, key, regions) if reader.has(key) else None


def _read_addresses(reader: Reader) -> frozenset[str] | None:
    key = "deployment_addresses"
    if not reader.has(key):
        return None
    found = reader.texts(key)
    for index, text in enumerate(found):
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            reader.note(key, f"not an address range: {error}", element=index)
            continue
        if str(network) != text:
            reader.note(key, f'write "{network}" for "{text}"', element=index)
    return frozenset(found)


def _read_purposes(reader: Reader, policy: PurposePolicy) -> frozenset[str]:
    codes = reader.texts("purposes")
    for index, code in enumerate(codes):
        if code in policy.prohibited:
            reader.note("purposes", f"{code} is prohibited: {policy.prohibited[code]}", element=index, refers=True)
        elif code not in policy.permitted:
            reader.note("purposes", unknown("purpose", code, policy.permitted), element=index, refers=True)
    return frozenset(codes)


def _read_conditions(reader: Reader, policy: SuspensionPolicy) -> tuple[str, ...]:
    names = reader.texts("conditions", default=[], least=0)
    for index, name in enumerate(names):
        if name not in policy.obligations:
            reader.note("conditions", unknown("condition", name, policy.obligations), element=index, refers=True)
    return names


def _check_offences(template: TermsTemplate, reader: Reader, words: Vocabulary) -> None:
    needing = [
        code
        for code in sorted(template.purposes)
        if code in words.purposes.permitted and words.purposes.permitted[code].offence_required
    ]
    if needing and template.offences is None:
        reader.note("purposes", f"{needing[0]} needs an offence with each lease, and offences is missing", refers=True)


def _check_category(template: TermsTemplate, reader: Reader, words: Vocabulary) -> None:
    if template.category not in words.categories:
        reader.note("category", unknown("category", template.category, words.categories), refers=True)
        return
    category = words.categories[template.category]
    if category.ceiling is None:
        reader.note("category", f"no licence may be issued in category {category.name}", refers=True)
        return
    limits = reader.table_at("limits")
    for field in exceeded(template.limits, category.ceiling):
        limits.note(
            KEYS[field] if KEYS[field] in limits.table else None,
            f"{KEYS[field]} is beyond the ceiling of category {category.name}: {_shown(category.ceiling, field)}",
            refers=True,
        )
    if template.limits.permit < category.shortest_permit:
        shortest = category.shortest_permit // SECOND
        limits.note("permit_seconds", f"permit_seconds must be at least {shortest}", refers=True)
    for code in sorted(template.offences or ()):
        years = words.offences.offences[code].least_penalty_years
        if years < category.least_penalty_years:
            asks = f"category {category.name} asks for {category.least_penalty_years} or more"
            reader.note("offences", f"{code} is from {years} years; {asks}", refers=True)


def _check_permit(template: TermsTemplate, reader: Reader, defaults: Defaults) -> None:
    if template.limits.permit <= shortest_useful_permit(defaults.timing):
        message = "permit_seconds must be more than heartbeat + rpc_timeout of defaults.toml"
        reader.table_at("limits").note("permit_seconds", message, refers=True)


def _shown(ceiling: Limits, field: str) -> str:
    match getattr(ceiling, field):
        case frozenset() as bases:
            return ", ".join(sorted(basis.name.lower() for basis in bases))
        case bool() as flag:
            return f"must be {str(flag).lower()}"
        case int() as figure if KEYS[field].endswith("_days"):
            return f"{figure // DAY}"
        case int() as figure if KEYS[field].endswith("_seconds"):
            return f"{figure // SECOND}"
        case volume_or_count:
            return str(volume_or_count)
