"""Is what was asked for inside what the licence is for? Unknown, absent and contradictory answers are not."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.oracle.facts import Ask, Rule
from simulator.oracle.terms import Terms


def faults(ask: Ask, terms: Terms, decided: int) -> Iterator[tuple[Rule, str]]:
    """Everything for which a lease with this request must not have been granted, or gone on, at this instant."""
    if not terms.sound:
        yield Rule.REGION, "the licence carries something that is not understood, or lacks what every licence has"
    if not region_fits(ask, terms):
        yield Rule.REGION, f"regions {_shown(ask.claims)} are not inside the licence"
    if ask.purpose not in terms.purposes:
        yield Rule.PURPOSE, f"purpose {ask.purpose or 'none'} is not in the licence"
    if terms.offences is not None and ask.offence not in terms.offences:
        yield Rule.PURPOSE, f"offence {ask.offence or 'none'} is not in the licence"
    if terms.authorisation and not (ask.authorisation and ask.authorisation_end):
        yield Rule.AUTHORISATION, "no authorisation was given"
    if ask.authorisation_end and ask.authorisation_end <= decided:
        yield Rule.AUTHORISATION, f"the authorisation ended at {ask.authorisation_end}"
    if terms.attestation and not ask.attested:
        yield Rule.AUTHORISATION, "it was not attested that the target is no protected person"


def fault_of_length(ask: Ask, terms: Terms, decided: int) -> str:
    """Whether the authorisation claims to end later than the licence lets one claim, when a lease is granted."""
    life = terms.authorisation_life
    if life and ask.authorisation_end - decided > life:
        return f"the authorisation claims {ask.authorisation_end - decided} ms, the licence allows {life}"
    return ""


def region_fits(ask: Ask, terms: Terms) -> bool:
    """Every claim is inside, and one of them was established in a way that the licence accepts."""
    accepted = any(basis in terms.bases for _, basis in ask.claims)
    return accepted and all(terms.permits_region(region) for region, _ in ask.claims)


def _shown(claims: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{region or '?'}/{basis}" for region, basis in claims) or "none"
