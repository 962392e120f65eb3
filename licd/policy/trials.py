"""What each kind of policy file answers to a question: what the cases of its test file are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import TypeVar

from licd.core.bounds import epsilon, stop_bounds
from licd.core.case import Determination
from licd.core.diligence import Reading, judge
from licd.core.reasons import Reason
from licd.core.regions import permits
from licd.core.reinstatement import OVERSEER
from licd.core.scope import Acquisition, Place, RegionClaim, place_denial, scope_denial
from licd.core.terms import Terms, rights_of
from licd.core.time import DAY, HOUR, SECOND
from licd.policy.indicators.sources import SOURCES
from licd.policy.limits import BASES, KEYS, Volume, exceeded, read_bases
from licd.policy.misuse_trial import signals_of
from licd.policy.policies import Policies
from licd.policy.problems import unknown
from licd.policy.reader import Reader
from licd.policy.templates import TermsTemplate

Answer = str | int | bool | list[str]
Trial = Callable[[Policies, Reader], Answer]
T = TypeVar("T")

PERMITTED = "permitted"
_NOW = 1


class NotAsked(Exception):
    """A case that asks nothing that could be answered; what is wrong with it has been noted."""


def category_trial(policies: Policies, given: Reader) -> Answer:
    """Which limits go beyond the category's ceiling. What is not given is taken at the ceiling."""
    ceiling = _pick(given, "category", policies.categories).ceiling
    if ceiling is None:
        return ["may_issue"]
    asked = replace(
        ceiling,
        term=given.span("term_days", DAY, default=ceiling.term // DAY),
        concurrent_targets=given.whole("concurrent_targets", default=ceiling.concurrent_targets),
        distinct_targets=_volume(given, "distinct_targets", "period_days", DAY, ceiling.distinct_targets),
        new_targets=_volume(given, "new_targets", "period_hours", HOUR, ceiling.new_targets),
        deployments=given.whole("deployments", default=ceiling.deployments),
        permit=given.span("permit_seconds", SECOND, default=ceiling.permit // SECOND),
        grace=given.span("grace_seconds", SECOND, least=0, default=ceiling.grace // SECOND),
        bases=read_bases(given, "bases") if given.has("bases") else ceiling.bases,
        authorisation_required=given.flag("authorisation_required", default=ceiling.authorisation_required),
        attestation_required=given.flag("attestation_required", default=ceiling.attestation_required),
    )
    return [KEYS[field] for field in exceeded(asked, ceiling)]


def region_trial(policies: Policies, given: Reader) -> Answer:
    """Whether a named region permits a code."""
    return permits(_pick(given, "region", policies.regions.named).codes, str(given.raw("code")))


def purpose_trial(policies: Policies, given: Reader) -> Answer:
    """permitted, prohibited or unknown."""
    return policies.purposes.standing(given.text("purpose"))


def offence_trial(policies: Policies, given: Reader) -> Answer:
    """From how many years of maximum penalty the offence is; -1 for one that is unknown."""
    offence = policies.offences.offences.get(given.text("offence"))
    return offence.least_penalty_years if offence else -1


def denial_trial(policies: Policies, given: Reader) -> Answer:
    """When asking again can help: never, after N, or at."""
    hint = policies.denials[_pick(given, "reason", Reason.__members__)]
    return f"after {hint.after // SECOND}" if hint.after else hint.retry.value


def role_trial(policies: Policies, given: Reader) -> Answer:
    """refused, alone or second-person, for somebody with these roles who calls this verb."""
    roles = given.texts("roles", least=0, choices=policies.roles.roles)
    verb = given.text("verb")
    widens = given.flag("widens", default=False)
    if not policies.roles.may_call(roles, verb):
        return "refused"
    return "second-person" if policies.roles.needs_second_person(verb, widens=widens) else "alone"


def suspension_trial(policies: Policies, given: Reader) -> Answer:
    """What still stands in the way of reinstating."""
    return list(
        policies.suspension.missing_to_lift(
            _pick(given, "code", policies.suspension.suspend).code,
            met=frozenset(given.texts("met", least=0, choices={*policies.suspension.conditions, OVERSEER})),
            elapsed=given.span("elapsed_hours", HOUR, least=0),
            persons=given.whole("persons"),
        )
    )


def default_trial(policies: Policies, given: Reader) -> Answer:
    """One of the bounds, in milliseconds, for the default L and G."""
    defaults = policies.defaults
    bounds = stop_bounds(defaults.permit, defaults.grace, given.whole("systems", default=1), defaults.timing)
    figures = {
        "w_push": bounds.push,
        "w_pull": bounds.pull,
        "w_unreachable": bounds.unreachable,
        "epsilon": epsilon(defaults.permit, defaults.grace, defaults.timing),
    }
    return _pick(given, "bound", figures)


def template_trial(template: TermsTemplate) -> Trial:
    """permitted, or the reason for which a licence from the template would refuse a system or a lease.

    Decided by the rules themselves. Seats and volumes are not looked at: they depend on what happened before.
    """
    rights = rights_of(_terms(template))

    def trial(_: Policies, given: Reader) -> Answer:
        place, acquisition = _place(given, template), _acquisition(given)
        denied = place_denial(rights, place) or scope_denial(rights, acquisition, _NOW)
        return denied.reason.name if denied else PERMITTED

    return trial


def diligence_trial(policies: Policies, given: Reader) -> Answer:
    """The category an opportunity comes to; with list = true what must be done before a licence."""
    policy = policies.diligence
    table = given.table_at("indicators") if given.has("indicators") else None
    readings = [] if table is None else [_reading(table, dimension) for dimension in table.table]
    term = given.span("days", DAY)
    asked = given.table_at("answers")
    answers = {name: asked.text(name) for name in asked.table}
    judged = judge(policy.rules, readings, policy.answered(answers, given.text("product"), term))
    return list(policy.checklists[judged.category]) if given.flag("list", default=False) else judged.category


def _reading(table: Reader, dimension: str) -> Reading:
    scale = next((source for source in SOURCES.values() if dimension in source.dimensions), None)
    if scale is None:
        table.note(
            dimension, unknown("indicator", dimension, [name for one in SOURCES.values() for name in one.dimensions])
        )
        raise NotAsked
    return Reading(dimension, table.thousandths(dimension, least=scale.least, most=scale.most), year=1)


def misuse_trial(policies: Policies, given: Reader) -> Answer:
    """The signals that the rules raise over a log that the case makes up."""
    return signals_of(policies.misuse.rules, policies.misuse.brake, given)


def casework_trial(policies: Policies, given: Reader) -> Answer:
    """Whether a remedy may follow from a finding; with step, whether a determination waits for that."""
    if given.has("step"):
        return "mandatory" if _pick(given, "step", policies.casework.steps).mandatory else "optional"
    word = given.text("determination", choices=[each.value for each in Determination])
    remedy = _pick(given, "remedy", policies.casework.remedies)
    return "permitted" if word in {each.value for each in remedy.after} else "refused"


def allegation_trial(policies: Policies, given: Reader) -> Answer:
    """What is overdue after so many days; with answered_after_days, on which day the reporter sees the answer."""
    deadlines = policies.allegations.deadlines
    if given.has("answered_after_days"):
        return max(given.span("answered_after_days", DAY, least=0), deadlines.show_after) // DAY
    age = given.span("days", DAY, least=0)
    state = given.text("state", choices=["received", "acknowledged"])
    if age >= deadlines.answer:
        return "answer overdue"
    return "acknowledgement overdue" if state == "received" and age >= deadlines.acknowledge else "in time"


TRIALS: Mapping[str, Trial] = {
    "categories": category_trial,
    "regions": region_trial,
    "purposes": purpose_trial,
    "offences": offence_trial,
    "denials": denial_trial,
    "roles": role_trial,
    "suspension": suspension_trial,
    "defaults": default_trial,
    "diligence": diligence_trial,
    "misuse": misuse_trial,
    "casework": casework_trial,
    "allegations": allegation_trial,
}


def _pick(given: Reader, key: str, table: Mapping[str, T]) -> T:
    name = given.text(key, choices=table)
    if name not in table:
        raise NotAsked
    return table[name]


def _volume(given: Reader, key: str, period_key: str, unit: int, ceiling: Volume) -> Volume:
    if not given.has(key):
        return ceiling
    table = given.table_at(key)
    volume = Volume(table.whole("limit", least=1), table.span(period_key, unit))
    table.done()
    return volume


def _terms(template: TermsTemplate) -> Terms:
    return Terms(
        licence="trial",
        customer="trial",
        issuer="trial",
        revision=1,
        issued_at=_NOW,
        not_before=_NOW,
        not_after=_NOW + template.term,
        product=template.product,
        category=template.category,
        policy_version="trial",
        lineage="trial",
        constraints=template.constraints(),
    )


def _place(given: Reader, template: TermsTemplate) -> Place:
    """Where the system stands; what is not given is inside the licence."""
    region = next(iter(template.deployment_regions or ()), "")
    address = next(iter(template.deployment_addresses or ()), "").partition("/")[0]
    return Place(
        region=str(given.raw("deployment_region")) if given.has("deployment_region") else region,
        address=_address(given) if given.has("address") else address,
    )


def _address(given: Reader) -> str:
    text = given.text("address")
    try:
        return str(ip_address(text))
    except ValueError as error:
        given.note("address", str(error))
        raise NotAsked from error


def _acquisition(given: Reader) -> Acquisition:
    claims = given.table_at("claims")
    regions = tuple(RegionClaim(str(claims.raw(name)), basis) for name, basis in BASES.items() if claims.has(name))
    claims.done()
    days = given.whole("authorised_days", default=0)
    return Acquisition(
        target=bytes(32),
        regions=regions,
        purpose=given.text("purpose"),
        offence=given.text("offence") if given.has("offence") else "",
        authorisation="trial" if days else "",
        authorisation_end=_NOW + days * DAY if days else 0,
        attested=given.flag("attested", default=False),
    )
