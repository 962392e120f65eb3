"""Authorities under test: what they say, signed with their own keys."""

from __future__ import annotations

from typing import Any

from licd.core.overlay import OverlayEffect, OverlayTerms
from licd.core.terms import Constraint
from licd.core.time import DAY, Instant
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1.envelope_pb2 import Envelope
from licd.wire.overlay import overlay_payload

EXPORT = MemorySigner(KeyPurpose.OVERSEER, b"q" * 32)
STRANGER = MemorySigner(KeyPurpose.OVERSEER, b"z" * 32)


def saying(whose: str, now: Instant, installation: str, *constraints: Constraint, **changes: Any) -> OverlayTerms:
    """What an export authority says of all that a customer has, for a year; changes: what it says otherwise."""
    said: dict[str, Any] = {
        "authority": "export-qn",
        "reference": "EX-1",
        "audience": installation,
        "revision": 1,
        "issued_at": now,
        "not_before": now,
        "not_after": now + 365 * DAY,
        "effect": OverlayEffect.PERMIT,
        "customer": whose,
        "product": "",
        "licence": "",
        "constraints": constraints,
        "statement": "",
    }
    return OverlayTerms(**said | changes)


def signed(said: OverlayTerms, signer: MemorySigner = EXPORT) -> Envelope:
    """The token of it."""
    return seal(Kind.OVERLAY, overlay_payload(said), signer)
