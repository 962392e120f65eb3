"""Conditions and certifications as they are signed, sent and shown."""

from __future__ import annotations

from typing import Final

from licd.core.condition import Condition, Schedule, consequences
from licd.core.terms import TermsInvalid
from licd.core.time import Instant
from licd.v1 import condition_pb2 as pb
from licd.v1.envelope_pb2 import Envelope

READER_VERSION: Final = 1
HASH_BYTES: Final = 32
MOST_EVIDENCE: Final = 64
MOST_TEXT: Final = 2000


def check_certification(message: pb.Certification) -> None:
    """Refuses what says too little or too much. Raises TermsInvalid naming the field."""
    if message.min_reader_version > READER_VERSION:
        raise TermsInvalid("min_reader_version", f"needs a reader of version {message.min_reader_version}")
    if not message.statement.strip():
        raise TermsInvalid("statement", "must say what is certified")
    if len(message.statement) > MOST_TEXT:
        raise TermsInvalid("statement", f"at most {MOST_TEXT} characters")
    if len(message.evidence) > MOST_EVIDENCE:
        raise TermsInvalid("evidence", f"at most {MOST_EVIDENCE} files")
    if any(len(each) != HASH_BYTES for each in message.evidence):
        raise TermsInvalid("evidence", f"each is the SHA-256 of a file, {HASH_BYTES} bytes")


def condition_state(condition: Condition, now: Instant) -> pb.ConditionState.ValueType:
    """Overdue follows from time; met is what is owed again later, or not at all."""
    if condition.is_overdue(now):
        return pb.CONDITION_STATE_OVERDUE
    return pb.CONDITION_STATE_MET if condition.met_at else pb.CONDITION_STATE_PENDING


def condition_message(
    condition: Condition, now: Instant, description: str, schedule: Schedule | None, *, certified: bool
) -> pb.Condition:
    """A condition as operators read it; schedule is None for one that policy no longer knows."""
    ahead = consequences(condition, schedule) if schedule and not condition.suspended_at else ()
    return pb.Condition(
        condition=condition.id,
        licence=condition.licence,
        customer=condition.customer,
        name=condition.name,
        description=description,
        state=condition_state(condition, now),
        period=condition.period,
        due_at_ms=condition.due_at,
        contact=condition.contact,
        certified=certified,
        met_at_ms=condition.met_at,
        met_by=condition.met_by,
        evidence_sha256=bytes.fromhex(condition.evidence),
        reminded_at_ms=condition.reminded_at,
        tightened_steps=condition.steps,
        suspended_at_ms=condition.suspended_at,
        next_consequence=ahead[0].consequence.value if ahead else "",
        next_at_ms=ahead[0].at if ahead else 0,
        version=condition.version,
        certification=Envelope.FromString(condition.certification) if condition.certification else None,
    )
