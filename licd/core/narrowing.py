"""A refusal names the overlays without which it would have been none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from licd.core.overlay import binding, effective, narrowings
from licd.core.reasons import Denied, Reason
from licd.core.state import LicenceState
from licd.core.terms import Rights, rights_of

RESPECTS: Final = {
    Reason.DEPLOYMENT_REGION_NOT_PERMITTED: "deployment_regions",
    Reason.ADDRESS_NOT_PERMITTED: "addresses",
    Reason.REGION_NOT_PERMITTED: "regions",
    Reason.REGION_BASES_DISAGREE: "regions",
    Reason.REGION_BASIS_NOT_ACCEPTED: "bases",
    Reason.PURPOSE_NOT_PERMITTED: "purposes",
    Reason.OFFENCE_UNKNOWN: "offences",
    Reason.OFFENCE_NOT_PERMITTED: "offences",
    Reason.AUTHORISATION_REQUIRED: "authorisation",
    Reason.ATTESTATION_REQUIRED: "attestation",
    Reason.CONCURRENT_CAP: "cap",
    Reason.DISTINCT_CAP: "distinct",
    Reason.CHURN_LIMIT: "churn",
}
"""In what the right is short when a request is refused for a reason."""


def named(state: LicenceState, denied: Denied, alone: Callable[[Rights], Denied | None] = lambda _: None) -> Denied:
    """The refusal with the overlays that make it one. alone is what a right would refuse of the same request.

    None are named where the terms by themselves refuse. Where no overlay does so by itself, but several together,
    those are named that narrow the terms in this respect.
    """
    terms = state.licence.terms
    if not state.overlays or denied.overlays or alone(rights_of(terms)) is not None:
        return denied
    bound = binding(terms, state.overlays.values())
    found = [each.id for each in bound if alone(effective(terms, [each])) is not None]
    if not found:
        respect = RESPECTS.get(denied.reason, "")
        found = [each.overlay.id for each in narrowings(terms, bound) if respect in each.respects]
    if not found:
        return denied
    return replace(denied, detail=f"{denied.detail}; narrowed by overlay {', '.join(found)}", overlays=tuple(found))
