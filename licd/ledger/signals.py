"""How many signals and cases there are, and how old. Asked often; nothing decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from licd.core.case import ENDED, CaseState
from licd.core.misuse import Done
from licd.core.time import Instant, Millis
from licd.ledger import signal_tables
from licd.ledger.database import Connection, Prepared
from licd.ledger.rows import RULES_ASKED
from licd.ledger.verbs.signals import ASKED_ID


@dataclass(frozen=True, slots=True)
class SignalsNow:
    """Signals that nobody has acknowledged, until when rules have been asked (0: never), and cases.

    cases_unacknowledged counts those that are past their time.
    """

    unacknowledged: int
    overdue: int
    braked: int
    oldest_age: Millis
    asked_until: Instant
    cases_open: int = 0
    cases_unacknowledged: int = 0


@Prepared
def _unacknowledged() -> Select[Any]:
    return select(func.count()).where(signal_tables.signal.c.acknowledged_at == 0)


@Prepared
def _overdue() -> Select[Any]:
    column = signal_tables.signal.c
    return select(func.count()).where(column.acknowledged_at == 0, column.due_at <= bindparam("now"))


@Prepared
def _braked() -> Select[Any]:
    column = signal_tables.signal.c
    return select(func.count()).where(column.acknowledged_at == 0, column.done == Done.BRAKED.value)


@Prepared
def _oldest() -> Select[Any]:
    column = signal_tables.signal.c
    return select(func.min(column.raised_at)).where(column.acknowledged_at == 0)


@Prepared
def _cases_open() -> Select[Any]:
    column = signal_tables.case_file.c
    return select(func.count()).where(*[column.state != state.value for state in sorted(ENDED)])


@Prepared
def _cases_late() -> Select[Any]:
    column = signal_tables.case_file.c
    received = column.state == CaseState.RECEIVED.value
    return select(func.count()).where(received, column.acknowledge_by <= bindparam("now"))


def signals_now(connection: Connection, now: Instant) -> SignalsNow:
    """As they are now."""
    oldest = _oldest.number(connection)
    asked = RULES_ASKED.get(connection, ASKED_ID)
    return SignalsNow(
        unacknowledged=_unacknowledged.number(connection),
        overdue=_overdue.number(connection, now=now),
        braked=_braked.number(connection),
        oldest_age=max(0, now - oldest) if oldest else 0,
        asked_until=asked.until if asked else 0,
        cases_open=_cases_open.number(connection),
        cases_unacknowledged=_cases_late.number(connection, now=now),
    )
