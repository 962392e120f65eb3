"""Continuity permits ⇄ their message."""

from __future__ import annotations

from licd.core.continuity import Continuity
from licd.core.deployment import system_of
from licd.core.time import Instant
from licd.v1 import session_pb2


def continuity_payload(given: Continuity, *, issuer: str, epoch: int, decided: Instant, until: Instant) -> bytes:
    """The payload of kind continuity-permit."""
    session = given.session
    return session_pb2.ContinuityPermit(
        issuer=issuer,
        system=system_of(given.deployment),
        enrolment=session.enrolment,
        session=session.session,
        boot_nonce=session.boot_nonce,
        licence=session.licence,
        epoch=epoch,
        continuity=given.id,
        decided_ms=decided,
        until_ms=until,
        leases=[each.lease for each in given.leases],
        targets=b"".join(each.target for each in given.leases),
        hard_ends_ms=[each.hard_end for each in given.leases],
    ).SerializeToString()


def epoch_of(payload: bytes) -> int:
    """The epoch under which a stored payload was decided."""
    return session_pb2.ContinuityPermit.FromString(payload).epoch
