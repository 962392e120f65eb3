"""An assessment as a page that explains it: what was found, how, what follows, and what still stands in the way."""

from __future__ import annotations

from typing import Final

from licd.cli.document import Document, Facts, Grid, Section, Steps
from licd.cli.json_form import enum_word
from licd.cli.printing import Pairs
from licd.cli.times import iso, span, when
from licd.core.time import Instant
from licd.v1 import diligence_pb2 as pb

SHORT_HASH: Final = 16
_STATES: Final = pb.ChecklistItem.DESCRIPTOR.fields_by_name["state"]


def page_of(found: pb.Assessment, now: Instant) -> Document:
    """The page, as of now."""
    return Document(
        title=f"{found.customer}: {found.category}",
        lead=f"Due diligence for {found.product} in {found.country}, for {span(found.term_ms)}.",
        sections=[
            Section("Category", _in_force_words(found), Steps(found.ladder, found.category)),
            Section("Record", (), Facts(_head(found, now))),
            _reached(found),
            *([_overridden(found)] if found.overridden_by else []),
            _ceiling(found),
            _checklist(found, now),
            _obstacles(found),
            _sources(found),
        ],
        foot=f"{found.assessment}, by policy {found.policy_version}. It approves nothing: a licence needs its persons.",
    )


def state_of(item: pb.ChecklistItem) -> str:
    """pending, done or refused."""
    return enum_word(_STATES, item.state).lower()


def _in_force_words(found: pb.Assessment) -> list[str]:
    if found.superseded_by:
        return [f"No more: {found.superseded_by} has taken its place."]
    return []


def _head(found: pb.Assessment, now: Instant) -> Pairs:
    is_judged = found.category == found.judged_category
    category = found.category if is_judged else f"{found.category}, where {found.judged_category} was judged"
    return [
        ("assessment", found.assessment),
        ("category", category),
        ("assessed", f"{when(found.assessed_at_ms, now)}, by {found.assessed_by}"),
        ("review due", when(found.review_due_ms, now)),
        ("persons for a licence", str(found.approvals) if found.approvals else "nothing is licensed in this category"),
    ]


def _reached(found: pb.Assessment) -> Section:
    rows = [[line.description or line.subject, line.found, line.effect, line.category] for line in found.lines]
    after = [line.category for line in found.lines]
    weighing = frozenset(at for at in range(1, len(after)) if after[at] != after[at - 1])
    way = [category for at, category in enumerate(after) if at == 0 or at in weighing]
    sentences = [
        "The worst indicator decides, never a mean. What is missing makes it worse; no answer counts as the worst one.",
        f"It went: {' → '.join(way)}.",
    ]
    return Section("How it was reached", sentences, Grid(("LOOKED AT", "FOUND", "EFFECT", "CATEGORY"), rows, weighing))


def _overridden(found: pb.Assessment) -> Section:
    words = f"{found.judged_category} was judged; {found.category} was put in its place, for this reason:"
    pairs = [("reason", found.override_reason), ("asked by", found.overridden_by), ("at", iso(found.overridden_at_ms))]
    return Section("Overridden by two persons", [words], Facts(pairs))


def _ceiling(found: pb.Assessment) -> Section:
    if not found.HasField("ceiling"):
        return Section("What it allows", [f"Nothing: in category {found.category} no licence is issued."])
    most = found.ceiling
    pairs = [
        ("term", f"at most {span(most.term_ms)}, and {span(found.term_ms)} were looked at"),
        ("targets at one time", str(most.concurrent_targets)),
        ("different targets", f"{most.distinct_targets.limit} in {span(most.distinct_targets.period_ms)}"),
        ("new targets", f"{most.new_targets.limit} in {span(most.new_targets.period_ms)}"),
        ("systems", str(most.deployments)),
        ("permit, grace", f"{span(most.permit_ms)}, {span(most.grace_ms)}"),
        ("region established by", ", ".join(basis.replace("_", " ") for basis in most.bases)),
        ("authorisation", "for every lease" if most.authorisation_required else "not asked for"),
        ("protected persons", "attested for every lease" if most.attestation_required else "not asked for"),
    ]
    return Section("What it allows at most", (), Facts(pairs))


def _checklist(found: pb.Assessment, now: Instant) -> Section:
    rows = [
        [
            item.description or item.item,
            state_of(item),
            item.evidence_sha256.hex()[:SHORT_HASH],
            f"{item.actor}, {when(item.decided_at_ms, now)}" if item.decided_at_ms else "",
            item.note,
        ]
        for item in found.checklist
    ]
    open_ones = frozenset(at for at, item in enumerate(found.checklist) if state_of(item) != "done")
    grid = Grid(("WHAT MUST BE DONE", "STATE", "SHA-256 OF THE EVIDENCE", "BY, AT", "NOTE"), rows, open_ones)
    return Section("Checklist", (), grid)


def _obstacles(found: pb.Assessment) -> Section:
    if not found.obstacles:
        return Section("In the way of a licence", ["Nothing, for terms within the category."])
    return Section("In the way of a licence", (), Grid(("OBSTACLE",), [[each] for each in found.obstacles]))


def _sources(found: pb.Assessment) -> Section:
    files = {(each.indicators, each.year, each.file_sha256.hex()) for each in found.facts.readings if each.indicators}
    rows = [[name, str(year), digest] for name, year, digest in sorted(files)]
    return Section("What it rests on", (), Grid(("IMPORT", "YEAR", "SHA-256 OF THE PUBLISHER'S FILE"), rows))
