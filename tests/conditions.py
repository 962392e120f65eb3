"""Contacts under test: what they certify, signed with their own keys."""

from __future__ import annotations

from typing import Any

from licd.core.time import Instant
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1.condition_pb2 import Certification
from licd.v1.envelope_pb2 import Envelope

CLAIRE = MemorySigner(KeyPurpose.CONTACT, b"c" * 32)
DORA = MemorySigner(KeyPurpose.CONTACT, b"d" * 32)


def certifying(licence: str, condition: str, now: Instant, audience: str, **changes: Any) -> Certification:
    """What a contact says for the first period; changes: what he says otherwise."""
    said: dict[str, Any] = {
        "contact": "customer/north/contact/claire",
        "audience": audience,
        "licence": licence,
        "condition": condition,
        "period": 1,
        "certified_at_ms": now,
        "statement": "The system was used as licensed.",
        "evidence": [b"e" * 32],
        "min_reader_version": 1,
    }
    return Certification(**said | changes)


def certified(said: Certification, signer: MemorySigner = CLAIRE) -> Envelope:
    """The token of it."""
    return seal(Kind.CERTIFICATION, said.SerializeToString(deterministic=True), signer)
