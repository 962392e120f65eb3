"""Changes to a licence's terms: the whole new terms, made from the old ones and what the caller wants different."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from licd.cli.failure import Exit, Stopped
from licd.cli.terms_words import constraint_words
from licd.cli.times import iso
from licd.core.time import Instant, Millis
from licd.v1 import licence_pb2 as pb
from licd.v1.licence_service_pb2 import TermsDraft


@dataclass(frozen=True, slots=True)
class Changes:
    """What shall be different; None leaves it as it is."""

    cap: int | None = None
    regions: Sequence[str] | None = None
    deployments: int | None = None
    permit_length: Millis | None = None
    grace: Millis | None = None
    not_before: Instant | None = None
    not_after: Instant | None = None

    @property
    def none(self) -> bool:
        """Whether nothing shall change."""
        return self == Changes()


def draft_of(terms: pb.LicenceTerms) -> TermsDraft:
    """The part of a licence's terms that an operator sets."""
    return TermsDraft(
        not_before_ms=terms.not_before_ms,
        not_after_ms=terms.not_after_ms,
        product=terms.product,
        category=terms.category,
        constraints=terms.constraints,
    )


def amended(terms: pb.LicenceTerms, changes: Changes) -> TermsDraft:
    """The terms with the changes. Raises Stopped(USAGE) where a short option cannot say which limit it means."""
    draft = draft_of(terms)
    if changes.not_before is not None:
        draft.not_before_ms = changes.not_before
    if changes.not_after is not None:
        draft.not_after_ms = changes.not_after
    if changes.cap is not None:
        _only_one(draft, "concurrent_targets", "--cap").concurrent_targets.limit = changes.cap
    if changes.deployments is not None:
        _only_one(draft, "deployments", "--deployments").deployments.limit = changes.deployments
    if changes.permit_length is not None:
        _only_one(draft, "permit_length", "--permit-length").permit_length.length_ms = changes.permit_length
    if changes.grace is not None:
        _only_one(draft, "offline_grace", "--grace").offline_grace.grace_ms = changes.grace
    if changes.regions is not None:
        _only_one(draft, "target_regions", "--regions").target_regions.regions[:] = sorted(set(changes.regions))
    return draft


def difference(old: TermsDraft, new: TermsDraft) -> list[str]:
    """What goes (`-`) and what comes (`+`), a line each; empty when nothing changes."""
    lines: list[str] = []
    fields: list[tuple[str, Callable[[TermsDraft], str]]] = [
        ("product", lambda one: one.product),
        ("category", lambda one: one.category),
        ("valid from", lambda one: iso(one.not_before_ms)),
        ("valid until", lambda one: iso(one.not_after_ms)),
    ]
    for name, value in fields:
        if value(old) != value(new):
            lines += [f"- {name} {value(old)}", f"+ {name} {value(new)}"]
    before = [constraint_words(one) for one in old.constraints]
    after = [constraint_words(one) for one in new.constraints]
    lines += [f"- {words}" for words in before if words not in after]
    lines += [f"+ {words}" for words in after if words not in before]
    return lines


def _only_one(draft: TermsDraft, kind: str, option: str) -> pb.Constraint:
    found = [one for one in draft.constraints if one.WhichOneof("kind") == kind]
    if len(found) != 1:
        message = f"{option}: the licence has {len(found)} limits of the kind {kind}; say all terms with --terms FILE"
        raise Stopped(Exit.USAGE, message)
    return found[0]
