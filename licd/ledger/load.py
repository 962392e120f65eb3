"""Rows → the working copy of one licence."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, bindparam, or_

from licd.core.bounds import Timing
from licd.core.overlay import Overlay
from licd.core.state import LicenceState
from licd.core.time import MINUTE, Instant
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.rows import CUSTOMERS, DEPLOYMENTS, LEASES, LICENCES, OVERLAYS, SESSIONS


def load_state(connection: Connection, licence: str, now: Instant, timing: Timing) -> LicenceState | None:
    """The licence with its customer's standing, deployments, sessions and seats; None when there is none."""
    found = LICENCES.get(connection, licence)
    if found is None:
        return None
    customer = CUSTOMERS.get(connection, found.customer)
    banned = customer is None or customer.banned
    state = LicenceState(found, banned=banned, timing=timing, overlays=overlays_of(connection, found.customer))
    for deployment in DEPLOYMENTS.find(connection, "of_licence", _deployments, licence=licence):
        state.deployments[deployment.id] = deployment
    for session in SESSIONS.find(connection, "of_licence", _sessions, licence=licence):
        state.sessions[session.deployment] = session
    _load_seats(connection, state, now)
    return state


def overlays_of(connection: Connection, customer: str) -> list[Overlay]:
    """Every overlay of a customer, each at its latest revision."""
    return OVERLAYS.find(connection, "of_customer", _overlays, customer=customer)


def _load_seats(connection: Connection, state: LicenceState, now: Instant) -> None:
    since = now - max(state.rights.window, MINUTE)  # a minute for the grants that Seats.taken() tells
    leases = LEASES.find(connection, "of_lineage", _leases, lineage=state.licence.lineage, live=0, now=now, since=since)
    state.seats.restore(leases, now, state.rights.window)


def _deployments() -> Select[Any]:
    return DEPLOYMENTS.select(tables.deployment.c.licence == bindparam("licence"))


def _sessions() -> Select[Any]:
    return SESSIONS.select(tables.session.c.licence == bindparam("licence"))


def _overlays() -> Select[Any]:
    return OVERLAYS.select(tables.overlay.c.customer == bindparam("customer"))


def _leases() -> Select[Any]:
    column = tables.lease.c
    wanted = or_(
        column.ended_at == bindparam("live"),
        column.free_at > bindparam("since"),
        column.ended_at > bindparam("since"),
        column.barred_until > bindparam("now"),
    )
    return LEASES.select(column.lineage == bindparam("lineage"), wanted)
