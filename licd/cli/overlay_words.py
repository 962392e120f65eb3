"""Overlays and authorities in words."""

from typing import Final

from licd.cli.json_form import enum_word
from licd.cli.printing import Columns, Pairs
from licd.cli.terms_words import constraint_words
from licd.cli.times import iso, when
from licd.core.time import Instant
from licd.v1.overlay_pb2 import Authority, Narrowing, Overlay, OverlayTerms

_RESPECTS: Final = {
    "not_before": "when it begins",
    "not_after": "when it ends",
    "cap": "targets at one time",
    "length": "permit length (L)",
    "grace": "grace (G)",
    "deployments": "systems",
    "regions": "target regions",
    "bases": "how a region is established",
    "purposes": "purposes",
    "offences": "offences",
    "deployment_regions": "where the system stands",
    "addresses": "addresses",
    "distinct": "different targets in a period",
    "churn": "newly taken seats in a period",
    "authorisation": "authorisation",
    "attestation": "attestation",
    "overlays": "overlays that must be in force",
}


def status_of(overlay: Overlay | Narrowing) -> str:
    """`in force`, `withdrawn`, `expired`, ..."""
    return enum_word(Overlay.DESCRIPTOR.fields_by_name["status"], overlay.status).lower().replace("_", " ")


def narrowing_words(narrowing: Narrowing, now: Instant) -> str:
    """Which overlay, in what, and until when."""
    respects = ", ".join(_RESPECTS.get(one, one) for one in narrowing.respects) or "nothing"
    until = when(narrowing.not_after_ms, now)
    return f"by {narrowing.overlay} ({status_of(narrowing)}, until {until}) in: {respects}"


def about(terms: OverlayTerms) -> str:
    """Whose licences it is about."""
    if terms.licence:
        return f"licence {terms.licence} of {terms.customer}"
    return f"every licence of {terms.customer}" + (f" for {terms.product}" if terms.product else "")


def effect_of(terms: OverlayTerms) -> str:
    """`permit`, `withdraw`, `lift`."""
    return enum_word(OverlayTerms.DESCRIPTOR.fields_by_name["effect"], terms.effect).lower()


def kind_of(authority: Authority) -> str:
    """`export` or `domestic`."""
    return enum_word(Authority.DESCRIPTOR.fields_by_name["kind"], authority.kind).lower()


OVERLAYS: Final[Columns] = (
    ("OVERLAY", lambda one: one.overlay),
    ("REVISION", lambda one: str(one.terms.revision)),
    ("STATUS", status_of),
    ("ABOUT", lambda one: about(one.terms)),
    ("VALID UNTIL", lambda one: iso(one.terms.not_after_ms)),
)

AUTHORITIES: Final[Columns] = (
    ("AUTHORITY", lambda one: one.authority),
    ("NAME", lambda one: one.name),
    ("KIND", kind_of),
    ("IN", lambda one: one.jurisdiction),
    ("KEY", lambda one: one.key_id),
    ("WITHDRAWN", lambda one: iso(one.withdrawn_at_ms) if one.withdrawn_at_ms else "-"),
)


def authority_pairs(authority: Authority, now: Instant) -> Pairs:
    """One authority."""
    pairs = [
        ("authority", authority.authority),
        ("name", f"{authority.name}, {kind_of(authority)} authority in {authority.jurisdiction}"),
        ("key", f"{authority.key_id}, {authority.public_key.hex()}"),
        ("registered", f"{when(authority.registered_at_ms, now)}, by {authority.registered_by}"),
    ]
    if authority.withdrawn_at_ms:
        pairs.append(("withdrawn", f"{when(authority.withdrawn_at_ms, now)}: {authority.withdrawn_why}"))
    return pairs


def overlay_pairs(overlay: Overlay, now: Instant) -> Pairs:
    """One overlay: where it stands, and what its authority says."""
    state = [
        ("overlay", f"{overlay.overlay}, revision {overlay.terms.revision}"),
        ("status", status_of(overlay)),
        ("lodged", f"{when(overlay.lodged_at_ms, now)}, by {overlay.lodged_by}"),
    ]
    if overlay.ended_at_ms:
        state.append(("ended", f"{when(overlay.ended_at_ms, now)}: {overlay.ended_why}"))
    return [*state, *list(overlay_terms_pairs(overlay.terms, now))[2:]]


def overlay_terms_pairs(terms: OverlayTerms, now: Instant) -> Pairs:
    """What an authority says."""
    permits = [constraint_words(one) for one in terms.constraints]
    if effect_of(terms) == "permit":
        permits = permits or ["what the terms permit, and no more"]
    return [
        ("overlay", f"{terms.overlay} of {terms.authority}, revision {terms.revision}"),
        ("for", terms.audience),
        ("says", effect_of(terms)),
        ("about", about(terms)),
        ("issued", when(terms.issued_at_ms, now)),
        ("valid from", when(terms.not_before_ms, now)),
        ("valid until", when(terms.not_after_ms, now)),
        *[("permits" if at == 0 else "", words) for at, words in enumerate(permits)],
        *([("statement", terms.statement)] if terms.statement else []),
    ]
