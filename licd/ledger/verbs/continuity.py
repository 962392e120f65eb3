"""Issue continuity permits: decided in one transaction, written down, delivered by the replies to come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.continuity import Continuity, issue_continuity
from licd.core.model import Session
from licd.core.state import LicenceState
from licd.core.time import Instant
from licd.ledger.transaction import Transaction
from licd.wire.continuity import continuity_payload, epoch_of


@dataclass(frozen=True, slots=True)
class Issued:
    """What was decided, and when."""

    permits: tuple[Continuity, ...]
    decided_at: Instant


@dataclass(frozen=True, slots=True)
class IssueContinuityPermit:
    """For every system of a licence that can have one, or for the one named."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    licence: str
    deployment: str
    until: Instant
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Issued:
        state = tx.state(self.licence)
        found = issue_continuity(
            state,
            tx.now,
            until=self.until,
            deployment=self.deployment,
            detail=self.detail,
            actor=self.actor,
            new_id=lambda: f"C-{tx.random(8).hex()}",
        )
        for each in found:
            payload = continuity_payload(
                each,
                issuer=tx.installation.trust_domain,
                epoch=state.licence.epoch,
                decided=tx.now,
                until=self.until,
            )
            state.put(replace(state.sessions[each.deployment.id], continuity_payload=payload))
        return Issued(found, tx.now)


def deliverable(state: LicenceState, session: Session, now: Instant) -> bytes:
    """The payload to send behind a permit: of this epoch, not run out, and not yet known to be with the system."""
    payload = session.continuity_payload
    if not payload or now >= session.continuity_until or epoch_of(payload) != state.licence.epoch:
        return b""
    return payload
