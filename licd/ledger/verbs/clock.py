"""Clock, housekeeping and bundles: what an installation does with itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import bindparam, select

from licd.core.errors import Conflict
from licd.core.time import Instant, Millis
from licd.ledger import tables
from licd.ledger.database import Statement
from licd.ledger.kept_seats import keep_seats
from licd.ledger.records import StoredBundle
from licd.ledger.rows import ANSWERED, TRUST_BUNDLES
from licd.ledger.timekeeper import JUMP, Timekeeper
from licd.ledger.transaction import NOTHING, Transaction
from licd.ledger.verbs.over import end_what_is_over

FORGET_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class AcceptClock:
    """Operators vouch for the wall clock after a jump; decisions resume with the next batch.

    move is how far deciding time goes on by that, as they were told; another move by more than two seconds is refused
    with Conflict. Forwards, every seat in use stays so for as long as its permits run on their holders' boot clocks;
    backwards, what had come to its end is written down as ended, and does not come back. Terms that ended in time that
    nobody vouches for are not: the clock that told of it is what is found wrong now.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    timekeeper: Timekeeper
    move: Millis
    actor: str
    detail: str

    def run(self, tx: Transaction) -> Instant:
        move = self.timekeeper.move()
        if abs(move - self.move) > JUMP:
            raise Conflict(
                f"the clock would move licd's time by {move} ms, not by {self.move} ms; look again", field="move_ms"
            )
        before, unvouched = self.timekeeper.mark, self.timekeeper.unvouched
        kept = keep_seats(tx, tx.now, move, permits_run_on=True) if move > 0 else 0
        ended = end_what_is_over(tx, unvouched) if move < 0 else 0
        mark = self.timekeeper.accept()
        tx.log(
            "clock.accepted",
            ("actor", self.actor),
            ("detail", self.detail),
            ("mark_before", before),
            ("decided_at", tx.now),
            ("mark", mark),
            ("move", move),
            ("seats_kept", kept),
            ("ended", ended),
            ("unvouched", unvouched),
        )
        return mark


@dataclass(frozen=True, slots=True)
class Beat:
    """Does nothing; that it comes back shows that the ledger decides."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True
    within: ClassVar[str] = NOTHING

    def run(self, tx: Transaction) -> None:
        """Changes nothing."""


@dataclass(frozen=True, slots=True)
class ForgetAnswers:
    """Deletes some of the stored answers whose time is over: a few at once, so that nothing urgent waits for them."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    def run(self, tx: Transaction) -> bool:
        """Whether there may be more of them."""
        column = tables.answered.c
        expired = select(column.caller, column.request_id).where(column.expires_at < bindparam("now"))
        statement = Statement(expired.limit(FORGET_AT_ONCE), tx.connection.dialect)
        found = tx.connection.execute(statement.text, statement.arguments({"now": tx.now}))
        for key in found:
            tx.remove(ANSWERED, *key)
        tx.wrote |= bool(found)
        return len(found) == FORGET_AT_ONCE


@dataclass(frozen=True, slots=True)
class StoreBundle:
    """Keeps a trust bundle that was verified against the one before. It may withdraw a key, so it does not wait."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    version: int
    envelope: bytes
    actor: str

    def run(self, tx: Transaction) -> Instant:
        tx.refuse_behind()
        before = tx.get(TRUST_BUNDLES, self.version - 1)
        if tx.get(TRUST_BUNDLES, self.version) is not None or (before is None and self.version > 1):
            raise Conflict(f"bundle {self.version} does not follow the newest one any more", field="bundle")
        tx.put(StoredBundle(self.version, self.envelope))
        tx.log("trust.published", ("version", self.version), ("bundle", self.envelope), ("actor", self.actor))
        return tx.now
