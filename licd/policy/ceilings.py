"""Do terms that an operator wrote keep within their category and our vocabularies? Templates are checked when read."""

from __future__ import annotations

from licd.core.terms import Rights, Terms, rights_of
from licd.policy.limits import Limits, Volume
from licd.policy.policies import Policies


def beyond_policy(policies: Policies, terms: Terms) -> tuple[str, ...]:
    """What in the terms no policy permits, in words; empty when all is inside. Raises TermsInvalid."""
    category = policies.categories.get(terms.category)
    if category is None:
        return (f"category {terms.category!r} is none of {', '.join(sorted(policies.categories))}",)
    if category.ceiling is None:
        return (f"category {category.name} permits no licence at all",)
    rights = rights_of(terms)
    found = [*_beyond_ceiling(rights, terms.not_after - terms.not_before, category.ceiling)]
    found += [
        f"purpose {each} is not permitted by policy"
        for each in sorted(rights.purposes - set(policies.purposes.permitted))
    ]
    offences = rights.offences or frozenset()
    found += [
        f"offence {each} is in no scheme of policy" for each in sorted(offences - set(policies.offences.offences))
    ]
    if rights.length < category.shortest_permit:
        found.append(f"permit length {rights.length} ms is below {category.shortest_permit} ms")
    return tuple(found)


def _beyond_ceiling(rights: Rights, term: int, ceiling: Limits) -> list[str]:
    pairs = [
        ("term", term, ceiling.term),
        ("concurrent targets", rights.cap, ceiling.concurrent_targets),
        ("deployments", rights.deployments, ceiling.deployments),
        ("permit length", rights.length, ceiling.permit),
        ("offline grace", rights.grace, ceiling.grace),
    ]
    found = [f"{name} {asked} is beyond the category's {most}" for name, asked, most in pairs if asked > most]
    for name, limits, most in (
        ("distinct targets", rights.distinct, ceiling.distinct_targets),
        ("new targets", rights.churn, ceiling.new_targets),
    ):
        if not any(Volume(each.limit, each.period).fits(most) for each in limits):
            found.append(f"{name} must be limited to {most.limit} in {most.period} ms")
    if not rights.bases <= ceiling.bases:
        found.append("a region basis that the category does not accept")
    if ceiling.authorisation_required and rights.authorisation is None:
        found.append("the category asks for an authorisation on every lease")
    if ceiling.attestation_required and not rights.attestation:
        found.append("the category asks for the protected-person attestation")
    return found
