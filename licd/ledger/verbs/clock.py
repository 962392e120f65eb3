"""Clock, housekeeping and bundles: what an installation does with itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import bindparam, select

from licd.core.errors import Conflict
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Statement
from licd.ledger.records import StoredBundle
from licd.ledger.rows import ANSWERED, TRUST_BUNDLES
from licd.ledger.timekeeper import Timekeeper
from licd.ledger.transaction import Transaction

FORGET_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class AcceptClock:
    """An operator vouches for the clock after a jump; decisions resume with the next batch."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    timekeeper: Timekeeper
    actor: str
    detail: str

    def run(self, tx: Transaction) -> Instant:
        before = self.timekeeper.mark
        mark = self.timekeeper.accept()
        tx.log(
            "clock.accepted",
            ("actor", self.actor),
            ("detail", self.detail),
            ("mark_before", before),
            ("mark", mark),
        )
        return mark


@dataclass(frozen=True, slots=True)
class Beat:
    """Does nothing; that it comes back shows that the ledger decides."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

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
            ANSWERED.remove(tx.connection, *key)
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
