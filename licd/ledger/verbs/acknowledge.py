"""A system's signed word that it has carried out a directive, with the time it stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Final

from licd.core.deployment import system_of
from licd.core.errors import Forbidden
from licd.core.model import LicenceStatus
from licd.core.time import Instant, Millis
from licd.keys.kinds import Kind
from licd.ledger.records import Acknowledged
from licd.ledger.rows import ACKNOWLEDGEMENTS, DIRECTIVES, Rows
from licd.ledger.transaction import Transaction
from licd.v1.session_pb2 import Refusal

STOPPED: Final = (LicenceStatus.SUSPENDED, LicenceStatus.TERMINATED)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An acknowledgement whose signature verified. epoch is what the system has acted on.

    It must name the system that signed it, and what licd said: the directive of that epoch, or the refusal that the
    system's chain ends in; one that names neither is no news, for it may have been signed before. While the licence is
    stopped, only a system that acts on nothing any more has done what it was told; a word that it goes on is kept once.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    deployment: str
    system: str
    enrolment: int
    licence: str
    epoch: int
    directive: bytes
    stopped_at: Instant
    active_leases: int
    envelope: bytes

    @property
    def within(self) -> str:
        return self.deployment

    @property
    def sought(self) -> tuple[Rows[Any], tuple[Any, ...]] | None:
        if "\0" in self.licence:
            return None  # PostgreSQL takes no such text, and no licence is called so
        return DIRECTIVES, (self.licence, self.epoch)

    def run(self, tx: Transaction) -> Millis | None:
        """How long after the directive was decided it came; None when it is no news and changes nothing."""
        state = tx.state_of(self.deployment)
        found = state.deployments[self.deployment]
        if found.enrolment != self.enrolment or self.licence != state.licence.id:
            raise Forbidden("this acknowledgement is not for the caller's licence")
        if self.system != system_of(found):
            raise Forbidden("this acknowledgement is not the caller's own", field="acknowledgement.system")
        if not found.epoch_acknowledged < self.epoch <= state.licence.epoch or not self._names_what_was_said(tx):
            return None
        if self.active_leases == 0 or state.licence.status not in STOPPED:
            state.put(replace(found, epoch_acknowledged=self.epoch))
        elif tx.get(ACKNOWLEDGEMENTS, self.deployment, self.epoch) is not None:
            return None
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
        return tx.now - directive.decided_at if directive and not self.active_leases else None

    def _names_what_was_said(self, tx: Transaction) -> bool:
        directive = tx.get(DIRECTIVES, self.licence, self.epoch)
        if (
            directive is not None
            and directive.deployment in ("", self.deployment)
            and sha256(directive.payload).digest() == self.directive
        ):
            return True
        session = tx.state_of(self.deployment).sessions[self.deployment]
        if session.reply_kind != Kind.DENIAL.value or sha256(session.reply).digest() != self.directive:
            return False
        return Refusal.FromString(session.reply).header.epoch == self.epoch

    def _end_stopped(self, tx: Transaction) -> int:
        """A system that says it has stopped for a suspension holds no live lease any more; its seats cool."""
        state = tx.state_of(self.deployment)
        if state.licence.status not in STOPPED or self.active_leases:
            return 0
        held = list(state.seats.of(self.deployment).values())
        for lease in held:
            state.end(lease, tx.now, "stopped")
        return len(held)
