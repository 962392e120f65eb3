"""How many there are: of seats, enrolled systems, what waits and what is overdue. Asked often; nothing decides."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, Select, bindparam, distinct, func, select

from licd.core.model import DeploymentStatus
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Connection, Prepared


@Prepared
def _seat_counts() -> Select[Any]:
    column = tables.lease.c
    live = func.sum((column.ended_at == 0).cast(Integer))
    occupied = (column.ended_at == 0) | (column.free_at > bindparam("now"))
    return select(column.licence, live, func.count()).where(occupied).group_by(column.licence)


def seat_counts(connection: Connection, now: Instant) -> dict[str, tuple[int, int]]:
    """Live and cooling seats by licence."""
    rows = _seat_counts.rows(connection, now=now)
    return {licence: (int(live), int(total) - int(live)) for licence, live, total in rows}


@Prepared
def _live_seats() -> Select[Any]:
    column = tables.lease.c
    return select(func.count()).where(column.lineage == bindparam("licence"), column.ended_at == 0)


@Prepared
def _cooling_seats() -> Select[Any]:
    column = tables.lease.c
    cools = (column.lineage == bindparam("licence"), column.ended_at > 0, column.free_at > bindparam("now"))
    return select(func.count()).where(*cools)


def licence_seats(connection: Connection, licence: str, now: Instant) -> tuple[int, int]:
    """Live and cooling seats of one licence."""
    live = _live_seats.number(connection, licence=licence)
    return live, _cooling_seats.number(connection, licence=licence, now=now)


@Prepared
def _enrolled() -> Select[Any]:
    column = tables.deployment.c
    enrolled = column.status == DeploymentStatus.ENROLLED.value
    return select(func.count()).where(column.licence == bindparam("licence"), enrolled)


def enrolled_systems(connection: Connection, licence: str) -> int:
    """How many systems of a licence are enrolled."""
    return _enrolled.number(connection, licence=licence)


@Prepared
def _pending() -> Select[Any]:
    column = tables.approval.c
    return select(func.count()).where(column.status == "pending", column.expires_at > bindparam("now"))


def pending_approvals(connection: Connection, now: Instant) -> int:
    """How many changes wait for a second person."""
    return _pending.number(connection, now=now)


@Prepared
def _open_reviews() -> Select[Any]:
    return select(func.count()).where(tables.review.c.closed_at == 0)


@Prepared
def _overdue_reviews() -> Select[Any]:
    column = tables.review.c
    return select(func.count()).where(column.closed_at == 0, column.due_at <= bindparam("now"))


def review_counts(connection: Connection, now: Instant) -> tuple[int, int]:
    """Open reviews, and those of them that are overdue."""
    return _open_reviews.number(connection), _overdue_reviews.number(connection, now=now)


@Prepared
def _reminded_conditions() -> Select[Any]:
    column = tables.condition.c
    return select(func.count()).where(column.reminded_at > 0, column.due_at > bindparam("now"))


@Prepared
def _overdue_conditions() -> Select[Any]:
    column = tables.condition.c
    return select(func.count()).where(column.due_at > 0, column.due_at <= bindparam("now"))


def condition_counts(connection: Connection, now: Instant) -> tuple[int, int]:
    """Conditions that are due soon, and those that should have been met."""
    return _reminded_conditions.number(connection, now=now), _overdue_conditions.number(connection, now=now)


def _unconfirmed() -> Select[Any]:
    system, licence, deployment = tables.suspension_system.c, tables.licence.c, tables.deployment.c
    return (
        select(func.count(distinct(system.deployment)))
        .select_from(
            tables.suspension_system.join(tables.licence, licence.id == system.licence).join(
                tables.deployment, deployment.id == system.deployment
            )
        )
        .where(
            licence.status == "suspended",
            licence.suspension == system.suspension,
            deployment.epoch_acknowledged < system.epoch,
        )
    )


@Prepared
def _unconfirmed_within() -> Select[Any]:
    return _unconfirmed().where(tables.suspension_system.c.bounded_until > bindparam("now"))


@Prepared
def _unconfirmed_past() -> Select[Any]:
    return _unconfirmed().where(tables.suspension_system.c.bounded_until <= bindparam("now"))


def unconfirmed_systems(connection: Connection, now: Instant) -> tuple[int, int]:
    """Systems of suspended licences that have not acknowledged: who may still act, and who is past the bound."""
    return _unconfirmed_within.number(connection, now=now), _unconfirmed_past.number(connection, now=now)
