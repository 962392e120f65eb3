"""Assessments, indicators and reviews: values ⇄ the messages that are stored, sent and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from licd.core.diligence import Judgement, Line, LineKind, Reading
from licd.core.gate import Assessment, ChecklistItem, ItemState
from licd.core.time import Millis
from licd.v1 import diligence_pb2 as pb

_KINDS: Final = {
    LineKind.INDICATOR: pb.JUDGEMENT_LINE_KIND_INDICATOR,
    LineKind.MISSING: pb.JUDGEMENT_LINE_KIND_MISSING,
    LineKind.FACTOR: pb.JUDGEMENT_LINE_KIND_FACTOR,
    LineKind.BOUND: pb.JUDGEMENT_LINE_KIND_BOUND,
}
_STATES: Final = {
    ItemState.PENDING: pb.CHECKLIST_ITEM_STATE_PENDING,
    ItemState.DONE: pb.CHECKLIST_ITEM_STATE_DONE,
    ItemState.REFUSED: pb.CHECKLIST_ITEM_STATE_REFUSED,
}


def facts_message(
    readings: Sequence[Reading], files: Mapping[str, bytes], answers: Mapping[str, str], product: str, term: Millis
) -> pb.AssessedFacts:
    """What a judgement looks at, in an order of its own. files: import → the hash of the file it read."""
    return pb.AssessedFacts(
        readings=[_reading_message(each, files.get(each.source, b"")) for each in readings],
        answers=[pb.FactorAnswer(factor=name, option=answers[name]) for name in sorted(answers)],
        product=product,
        term_ms=term,
    )


def _reading_message(reading: Reading, file: bytes) -> pb.IndicatorReading:
    return pb.IndicatorReading(
        dimension=reading.dimension,
        thousandths=reading.value,
        year=reading.year,
        indicators=reading.source,
        file_sha256=file,
        why=reading.why,
    )


def facts_from_message(message: pb.AssessedFacts) -> tuple[list[Reading], dict[str, str]]:
    """The readings and answers of stored facts: with the policy of then, the same judgement comes out."""
    readings = [
        Reading(
            dimension=each.dimension,
            value=each.thousandths if each.HasField("thousandths") else None,
            year=each.year,
            source=each.indicators,
            why=each.why,
        )
        for each in message.readings
    ]
    return readings, {each.factor: each.option for each in message.answers}


def judgement_message(judgement: Judgement, words: Mapping[str, str]) -> pb.Judgement:
    """A judgement; words: subject → what it measures or asks."""
    return pb.Judgement(
        category=judgement.category,
        lines=[_line_message(line, words.get(line.subject, "")) for line in judgement.lines],
    )


def _line_message(line: Line, description: str) -> pb.JudgementLine:
    return pb.JudgementLine(
        kind=_KINDS[line.kind],
        subject=line.subject,
        found=line.found,
        effect=line.effect,
        category=line.category,
        description=description,
    )


def item_message(item: ChecklistItem, description: str) -> pb.ChecklistItem:
    """One item of a checklist as operators read it."""
    return pb.ChecklistItem(
        item=item.item,
        description=description,
        state=_STATES[item.state],
        accepts_sha256=[bytes.fromhex(each) for each in item.accepts.split(",") if each],
        evidence_sha256=bytes.fromhex(item.evidence),
        note=item.note,
        actor=item.actor,
        decided_at_ms=item.decided_at,
    )


def assessment_message(
    found: Assessment, checklist: Sequence[pb.ChecklistItem], *, whole: bool = False
) -> pb.Assessment:
    """An assessment as operators read it; whole: with facts and judgement, which are long."""
    message = pb.Assessment(
        assessment=found.id,
        customer=found.customer,
        product=found.product,
        country=found.country,
        category=found.category,
        judged_category=found.judged,
        term_ms=found.term,
        policy_version=found.policy_version,
        assessed_at_ms=found.assessed_at,
        assessed_by=found.assessed_by,
        review_due_ms=found.review_due,
        checklist=checklist,
        overridden_by=found.overridden_by,
        overridden_at_ms=found.overridden_at,
        override_reason=found.override_reason,
        superseded_by=found.superseded_by,
    )
    if whole:
        message.facts.MergeFromString(found.facts)
        message.lines.extend(pb.Judgement.FromString(found.judgement).lines)
    return message
