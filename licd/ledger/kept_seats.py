"""What is in use stays in use when deciding time goes on faster than real time may have.

Permits run on their holders' boot clocks. Where licd's time is moved on, by an accepted clock or over a start of the
machine, every seat that was not free before is kept as much longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Select, asc, bindparam, or_

from licd.core.model import Lease
from licd.core.state import kept_seat
from licd.core.time import Instant, Millis
from licd.ledger import tables
from licd.ledger.rows import LEASES, SESSIONS
from licd.ledger.transaction import Transaction

PORTION: Final = 10_000


def keep_seats(tx: Transaction, at: Instant, by: Millis, *, permits_run_on: bool) -> int:
    """Keeps each seat that was not free at an instant for so much longer. Returns how many.

    permits_run_on: whether a boot clock shows that their permits have not run out meanwhile.
    """
    tx.flush()
    kept = 0
    for leases in _portions(tx, at):
        timing = tx.installation.timing
        sessions = (SESSIONS.get(tx.connection, each.deployment) for each in leases)
        LEASES.put(
            tx.connection,
            [
                kept_seat(each, session, timing, at, by, permits_run_on=permits_run_on)
                for each, session in zip(leases, sessions, strict=True)
            ],
        )
        kept += len(leases)
    if kept:
        tx.reread()
    return kept


def _portions(tx: Transaction, at: Instant) -> Iterator[Sequence[Lease]]:
    after = -1
    while True:
        found = LEASES.find(tx.connection, "in use", _in_use, after=after, at=at, live=0)
        if found:
            yield found
        if len(found) < PORTION:
            return
        after = found[-1].id


def _in_use() -> Select[Any]:
    column = tables.lease.c
    unfree = or_(
        column.ended_at == bindparam("live"), column.free_at > bindparam("at"), column.barred_until > bindparam("at")
    )
    return LEASES.select(column.id > bindparam("after"), unfree).order_by(asc(column.id)).limit(PORTION)
