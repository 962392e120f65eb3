"""licd's own measure for the metrics page: taken every few seconds, so that a scrape costs no query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Select

from licd.core.overlay import Overlay, effective
from licd.core.time import SECOND, Instant
from licd.ledger import tables
from licd.ledger.allegations import AllegationsNow, allegations_now
from licd.ledger.counts import condition_counts, pending_approvals, review_counts, seat_counts, unconfirmed_systems
from licd.ledger.database import Connection
from licd.ledger.ledger import Ledger
from licd.ledger.queries import last_contacts
from licd.ledger.rows import LICENCES, OVERLAYS
from licd.ledger.signals import SignalsNow, signals_now
from licd.server.metrics import Seats, Snapshot
from licd.server.reader import Reader
from licd.server.writer import Writer

Queried = tuple[
    tuple[Seats, ...],
    tuple[int, int],
    int,
    tuple[float, ...],
    int,
    tuple[int, int],
    tuple[int, int],
    SignalsNow,
]

STALE: Final = 60 * SECOND


class Observation:
    """The last measure taken."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        reader: Reader,
        writer: Writer,
        impediments: Callable[[], tuple[str, ...]],
        reserve_held: Callable[[], bool],
        expiries: Callable[[], Mapping[str, Mapping[str, Instant]]],
        wall: Callable[[], Instant],
    ) -> None:
        self._ledger: Final = ledger
        self._reader: Final = reader
        self._writer: Final = writer
        self._impediments: Final = impediments
        self._reserve_held: Final = reserve_held
        self._expiries: Final = expiries
        self._wall: Final = wall
        self._queried: Queried = ((), (0, 0), 0, (), 0, (0, 0), (0, 0), SignalsNow(0, 0, 0, 0, 0))
        self.allegations = AllegationsNow()
        self._taken_at: Instant = 0

    async def take(self) -> None:
        """Queries what a scrape will show."""
        now = self._wall()
        self._queried = await self._reader.run(lambda connection: _query(connection, now))
        self.allegations = await self._reader.run(lambda connection: allegations_now(connection, now))
        self._taken_at = now

    def snapshot(self) -> Snapshot:
        """The last measure, and what costs nothing to look at now. Raises RuntimeError when that is too long ago."""
        if self._wall() - self._taken_at > STALE:
            raise RuntimeError(f"the last measure was taken at {self._taken_at}")
        seats, (unconfirmed, past_bound), pending, ages, sessions, reviews, conditions, signals = self._queried
        expiries = self._expiries()
        return Snapshot(
            seats=seats,
            sessions_open=sessions,
            heartbeat_ages=ages,
            suspensions_unconfirmed=unconfirmed,
            suspensions_past_bound=past_bound,
            log_entries=self._ledger.log_size,
            disk_reserve_ok=self._reserve_held(),
            impediments=self._impediments(),
            certificate_expiry=expiries["certificates"],
            key_expiry=expiries["keys"],
            trust_bundle_expiry=expiries["bundle"]["bundle"],
            queue_waiting=self._writer.waiting,
            approvals_pending=pending,
            reviews_open=reviews[0],
            reviews_overdue=reviews[1],
            conditions_reminded=conditions[0],
            conditions_overdue=conditions[1],
            signals_unacknowledged=signals.unacknowledged,
            signals_overdue=signals.overdue,
            signals_braked=signals.braked,
            oldest_signal_age=signals.oldest_age / SECOND,
            rules_asked_until=signals.asked_until,
            cases_open=signals.cases_open,
            cases_unacknowledged=signals.cases_unacknowledged,
        )


def _query(connection: Connection, now: Instant) -> Queried:
    ages = tuple((now - at) / SECOND for _, at in last_contacts(connection))
    return (
        _seats(connection, now),
        unconfirmed_systems(connection, now),
        pending_approvals(connection, now),
        ages,
        len(ages),
        review_counts(connection, now),
        condition_counts(connection, now),
        signals_now(connection, now),
    )


def _not_terminated() -> Select[Any]:
    return LICENCES.select(tables.licence.c.status != "terminated")


def _seats(connection: Connection, now: Instant) -> tuple[Seats, ...]:
    counts = seat_counts(connection, now)
    overlays: dict[str, list[Overlay]] = {}
    for overlay in OVERLAYS.find(connection, "all", OVERLAYS.select):
        overlays.setdefault(overlay.customer, []).append(overlay)
    totals: dict[str, tuple[int, int, int]] = {}
    for licence in LICENCES.find(connection, "not terminated", _not_terminated):
        live, cooling = counts.get(licence.id, (0, 0))
        before = totals.get(licence.terms.category, (0, 0, 0))
        cap = effective(licence.terms, overlays.get(licence.customer, ())).cap
        totals[licence.terms.category] = (before[0] + live, before[1] + cooling, before[2] + cap)
    return tuple(Seats(category, *figures) for category, figures in sorted(totals.items()))
