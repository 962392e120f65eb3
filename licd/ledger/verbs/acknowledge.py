"""A system's signed word that it has carried out a directive, with the time it stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from licd.core.errors import Forbidden
from licd.core.model import LicenceStatus
from licd.core.time import Instant, Millis
from licd.ledger.records import Acknowledged
from licd.ledger.rows import DIRECTIVES
from licd.ledger.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An acknowledgement whose signature verified. epoch is what the system has acted on."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    deployment: str
    enrolment: int
    licence: str
    epoch: int
    directive: bytes
    stopped_at: Instant
    active_leases: int
    envelope: bytes

    def run(self, tx: Transaction) -> Millis | None:
        """How long after the directive was decided it came; None when it is no news and changes nothing."""
        state = tx.state_of(self.deployment)
        found = state.deployments[self.deployment]
        if found.enrolment != self.enrolment or self.licence != state.licence.id:
            raise Forbidden("this acknowledgement is not for the caller's licence")
        if not found.epoch_acknowledged < self.epoch <= state.licence.epoch:
            return None
        state.put(replace(found, epoch_acknowledged=self.epoch))
        tx.put(
            Acknowledged(
                self.deployment, self.epoch, self.licence, tx.now, self.stopped_at, self.active_leases, self.envelope
            )
        )
        stopped = self._end_stopped(tx)
        state.record(
            "directive.acknowledged",
            ("system", self.deployment),
            ("acknowledged", self.epoch),
            ("directive", self.directive),
            ("stopped_at", self.stopped_at),
            ("active", self.active_leases),
            ("ended", stopped),
        )
        directive = tx.get(DIRECTIVES, self.licence, self.epoch)
        return tx.now - directive.decided_at if directive else None

    def _end_stopped(self, tx: Transaction) -> int:
        """A system that says it has stopped for a suspension holds no live lease any more; its seats cool."""
        state = tx.state_of(self.deployment)
        if state.licence.status not in (LicenceStatus.SUSPENDED, LicenceStatus.TERMINATED) or self.active_leases:
            return 0
        held = list(state.seats.of(self.deployment).values())
        for lease in held:
            state.end(lease, tx.now, "stopped")
        return len(held)
