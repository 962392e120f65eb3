"""What an authority permits of a licence: constraint sets signed by others, which can only narrow.

Rules
- The effective right is the intersection of the terms and of every overlay about them; effective() is the one place
  where it is worked out, and every decision looks at what comes out of it.
- An overlay binds until a later revision of its own authority takes its place. Past its end, or withdrawn, it permits
  nothing: an end that let go of what it had narrowed would widen.
- A licence that demands an overlay of an authority has no right where none of that authority's is about it.
- Nothing of this depends on the order in which overlays were lodged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from licd.core.reasons import Denied, Reason
from licd.core.terms import (
    Basis,
    ConcurrentTargets,
    Constraint,
    Deployments,
    OfflineGrace,
    OverlayRequired,
    PermitLength,
    Purposes,
    Rights,
    TargetRegions,
    Terms,
    TermsInvalid,
    check_terms,
    rights_of,
    widened,
)
from licd.core.time import Instant

COMPLETED: tuple[Constraint, ...] = (
    ConcurrentTargets(0),
    TargetRegions(frozenset(), frozenset(Basis)),
    Purposes(frozenset()),
    PermitLength(1),
    OfflineGrace(0),
    Deployments(0),
)
"""What makes terms of an overlay's limits, to be judged as such."""


class OverlayEffect(IntEnum):
    """What the authority says; numbers are those of OverlayEffect in overlay.proto."""

    PERMIT = 1
    WITHDRAW = 2
    LIFT = 3


class OverlayStatus(StrEnum):
    """Stored status. Over by time is derived at each decision, and written down only before a clock is set back."""

    IN_FORCE = "in-force"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    LIFTED = "lifted"


@dataclass(frozen=True, slots=True)
class OverlayTerms:
    """What the authority has signed. product and licence empty: all of the customer's."""

    authority: str
    reference: str
    audience: str
    revision: int
    issued_at: Instant
    not_before: Instant
    not_after: Instant
    effect: OverlayEffect
    customer: str
    product: str
    licence: str
    constraints: tuple[Constraint, ...]
    statement: str

    @property
    def id(self) -> str:
        """authority/reference, the same in each revision."""
        return f"{self.authority}/{self.reference}"


@dataclass(frozen=True, slots=True)
class Overlay:
    """An overlay's latest revision as it stands. ended_at is 0 until it is withdrawn, or written down as over."""

    id: str
    authority: str
    customer: str
    revision: int
    status: OverlayStatus
    token: bytes
    terms: OverlayTerms
    lodged_at: Instant
    lodged_by: str
    ended_at: Instant
    ended_why: str

    @classmethod
    def of(cls, said: OverlayTerms, *, token: bytes, at: Instant, by: str) -> Overlay:
        """The overlay as it stands once an authority's word is taken at an instant."""
        withdrawn = said.effect is OverlayEffect.WITHDRAW
        return cls(
            id=said.id,
            authority=said.authority,
            customer=said.customer,
            revision=said.revision,
            status=STATUS_OF[said.effect],
            token=token,
            terms=said,
            lodged_at=at,
            lodged_by=by,
            ended_at=at if withdrawn else 0,
            ended_why=said.statement if withdrawn else "",
        )

    @property
    def until(self) -> Instant:
        """From here on it permits nothing."""
        return min(self.terms.not_after, self.ended_at) if self.ended_at else self.terms.not_after


STATUS_OF = {
    OverlayEffect.PERMIT: OverlayStatus.IN_FORCE,
    OverlayEffect.WITHDRAW: OverlayStatus.WITHDRAWN,
    OverlayEffect.LIFT: OverlayStatus.LIFTED,
}


@dataclass(frozen=True, slots=True)
class Narrowing:
    """An overlay, and in what it permits less than the terms: cap, regions, not_after, ..."""

    overlay: Overlay
    respects: tuple[str, ...]


def is_about(overlay: Overlay, terms: Terms) -> bool:
    """Whether the overlay names this licence, by itself or with others."""
    said = overlay.terms
    if said.customer != terms.customer:
        return False
    return said.product in ("", terms.product) and said.licence in ("", terms.licence)


def binding(terms: Terms, overlays: Iterable[Overlay]) -> tuple[Overlay, ...]:
    """The overlays that narrow a licence, in the order of their names; one that was lifted is none of them."""
    found = (each for each in overlays if each.status is not OverlayStatus.LIFTED and is_about(each, terms))
    return tuple(sorted(found, key=lambda each: each.id))


def effective(terms: Terms, overlays: Iterable[Overlay]) -> Rights:
    """The intersection of the terms and of every overlay about them; of no length where a demanded one is missing."""
    bound = binding(terms, overlays)
    rights = rights_of(_combined(terms, bound))
    if rights.overlays <= {each.authority for each in bound}:
        return rights
    return replace(rights, not_after=min(rights.not_before, rights.not_after))


def _combined(terms: Terms, bound: Sequence[Overlay]) -> Terms:
    """Terms that say all that these say: two constraints of a kind both hold."""
    if not bound:
        return terms
    return replace(
        terms,
        not_before=max(terms.not_before, *(each.terms.not_before for each in bound)),
        not_after=min(terms.not_after, *(each.until for each in bound)),
        constraints=(*terms.constraints, *(one for each in bound for one in each.terms.constraints)),
    )


def overlay_denial(terms: Terms, overlays: Iterable[Overlay], now: Instant) -> Denied | None:
    """Why no overlay or a demanded one lets the licence be used at now; None when all do. The first by name is told."""
    bound = binding(terms, overlays)
    missing = sorted(_missing(terms, bound))
    if missing:
        detail = f"the licence stands on an overlay of authority {missing[0]}, and there is none"
        return Denied(Reason.OVERLAY_NOT_IN_FORCE, detail, overlays=(missing[0],))
    return next((denied for each in bound if (denied := _not_in_force(each, now)) is not None), None)


def _not_in_force(overlay: Overlay, now: Instant) -> Denied | None:
    named = (overlay.id,)
    if overlay.status is OverlayStatus.WITHDRAWN:
        return Denied(Reason.OVERLAY_NOT_IN_FORCE, f"overlay {overlay.id} was withdrawn", overlays=named)
    if overlay.status is OverlayStatus.EXPIRED or now >= overlay.until:
        return Denied(Reason.OVERLAY_NOT_IN_FORCE, f"overlay {overlay.id} has run out", overlays=named)
    if now < overlay.terms.not_before:
        detail = f"overlay {overlay.id} does not hold yet"
        return Denied(Reason.OVERLAY_NOT_IN_FORCE, detail, retry_at=overlay.terms.not_before, overlays=named)
    return None


def narrowings(terms: Terms, overlays: Iterable[Overlay]) -> tuple[Narrowing, ...]:
    """Who narrows the terms, and in what, each overlay by itself."""
    base = rights_of(terms)
    return tuple(
        Narrowing(each, widened(rights_of(_combined(terms, [each])), base)) for each in binding(terms, overlays)
    )


def widened_by(terms: Terms, overlays: Iterable[Overlay], lodged: Overlay) -> tuple[str, ...]:
    """In what an overlay as lodged permits a licence more than it did before, within the terms; empty: in nothing.

    Judged by itself, whatever else narrows or stops the licence now: that can be over tomorrow, by one person's doing,
    and what this one had let go of would then be had. Also wider is the first one that the licence waits for.
    """
    have = tuple(overlays)
    if lodged.status is OverlayStatus.WITHDRAWN and is_about(lodged, terms):
        return ()
    before = next((each for each in have if each.id == lodged.id), None)
    found = widened(_alone(terms, before), _alone(terms, lodged))
    waited_for = lodged.authority in _missing(terms, binding(terms, have)) and binding(terms, [lodged])
    return found if "overlays" in found or not waited_for else (*found, "overlays")


def _alone(terms: Terms, overlay: Overlay | None) -> Rights:
    """What is left under one overlay, of no length where it was ended.

    A withdrawal that its authority has signed names no limits: it permits nothing in any respect.
    """
    if overlay is None or not binding(terms, [overlay]):
        return rights_of(terms)
    rights = rights_of(_combined(terms, [overlay]))
    if overlay.terms.effect is OverlayEffect.WITHDRAW:
        rights = rights_of(replace(terms, constraints=(*terms.constraints, *COMPLETED)))
    if overlay.status is OverlayStatus.IN_FORCE:
        return rights
    return replace(rights, not_after=min(rights.not_before, rights.not_after))


def _missing(terms: Terms, bound: Sequence[Overlay]) -> frozenset[str]:
    """Of which authorities an overlay is demanded, by the terms or by another overlay, and none is there."""
    limits = (*terms.constraints, *(one for each in bound for one in each.terms.constraints))
    demanded = frozenset(each.authority for each in limits if isinstance(each, OverlayRequired))
    return demanded - {each.authority for each in bound}


def beyond_terms(terms: Terms, said: OverlayTerms) -> tuple[str, ...]:
    """In what an overlay, in the kinds of limit that it names, permits more than a licence does."""
    kinds = {type(each) for each in said.constraints}
    kept = tuple(each for each in terms.constraints if type(each) not in kinds)
    return widened(rights_of(terms), rights_of(replace(terms, constraints=(*kept, *said.constraints))))


def check_overlay(said: OverlayTerms) -> None:
    """Refuses an overlay that contradicts itself. Raises TermsInvalid naming the field."""
    if said.not_after <= said.not_before:
        raise TermsInvalid("not_after", "must be later than not_before")
    if said.revision < 1:
        raise TermsInvalid("revision", f"counts from 1, got {said.revision}")
    if said.effect is not OverlayEffect.PERMIT and said.constraints:
        raise TermsInvalid("constraints", "only an overlay that permits something has limits")
    completed = _completed(said)
    check_terms(completed)
    rights_of(completed)


def _completed(said: OverlayTerms) -> Terms:
    return Terms(
        licence=said.licence,
        customer=said.customer,
        issuer="",
        revision=said.revision,
        issued_at=said.issued_at,
        not_before=said.not_before,
        not_after=said.not_after,
        product=said.product,
        category="",
        policy_version="",
        lineage="",
        constraints=(*COMPLETED, *said.constraints),
    )
