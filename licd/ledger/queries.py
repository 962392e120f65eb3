"""Reading for lists, reports and status. Nothing here decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import BigInteger, Select, Table, asc, bindparam, desc, func, select
from sqlalchemy.sql.elements import ColumnElement

from licd.core.errors import Invalid
from licd.core.model import Deployment, Lease, Session
from licd.core.state import session_hard_end
from licd.core.time import Instant
from licd.evidence.entry import ErasedField, decode
from licd.ledger import tables
from licd.ledger.database import Connection, Prepared, Statement
from licd.ledger.records import (
    Acknowledged,
    DenialTally,
    LogCheckpoint,
    StoredBundle,
    Suspension,
    SuspensionSystem,
)
from licd.ledger.rows import (
    ACKNOWLEDGEMENTS,
    DENIAL_TALLIES,
    DEPLOYMENTS,
    LEASES,
    LOG_CHECKPOINTS,
    LOG_ENTRIES,
    SESSIONS,
    SUSPENSION_SYSTEMS,
    SUSPENSIONS,
    TRUST_BUNDLES,
    Rows,
)

T = TypeVar("T")

PAGE_DEFAULT: Final = 50
PAGE_LIMIT: Final = 500
CHECKPOINTS_AT_ONCE: Final = 1_000
LONGEST: Final = (1 << 63) - 1
LONG_DIGITS: Final = len(str(LONGEST))


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: so many rows after the one whose key the token names."""

    size: int
    token: str

    @staticmethod
    def of(size: int, token: str) -> Page:
        """Raises Invalid for a size that is not from 0 (the default) to the limit."""
        if not 0 <= size <= PAGE_LIMIT:
            raise Invalid(f"from 0 (= {PAGE_DEFAULT}) to {PAGE_LIMIT}", field="page.page_size")
        return Page(size or PAGE_DEFAULT, token)


def listed(
    connection: Connection,
    rows: Rows[T],
    page: Page,
    conditions: Sequence[ColumnElement[bool]] = (),
    *,
    descending: bool = False,
) -> tuple[list[T], str]:
    """One page in the order of the primary key, and the token of the next; empty at the end."""
    key = next(iter(rows.table.primary_key.columns))
    wanted = list(conditions)
    if page.token:
        after = _token(connection, rows, key, page.token)
        wanted.append(key < after if descending else key > after)
    order = desc(key) if descending else asc(key)
    found = _all(connection, rows, rows.select(*wanted).order_by(order).limit(page.size + 1))
    more = found[page.size - 1] if len(found) > page.size else None
    return found[: page.size], str(getattr(more, key.name)) if more is not None else ""


def _token(connection: Connection, rows: Rows[Any], key: Any, token: str) -> Any:
    """A token is the key of the row before the page; rows that are listed are never removed."""
    number = token.isascii() and token.isdigit() and len(token) <= LONG_DIGITS and int(token) <= LONGEST
    after = (int(token) if number else None) if key.type.python_type is int else token
    if after is None or not count(connection, rows, key == after):
        raise Invalid("not a token that a list gave out", field="page.page_token")
    return after


def _all(connection: Connection, rows: Rows[T], clause: Any) -> list[T]:
    statement = Statement(clause, connection.dialect)
    return [rows.from_row(row) for row in connection.execute(statement.text, statement.arguments({}))]


def _rows(connection: Connection, clause: Select[Any]) -> list[Any]:
    statement = Statement(clause, connection.dialect)
    return connection.execute(statement.text, statement.arguments({}))


def _one(connection: Connection, clause: Any) -> int:
    statement = Statement(clause, connection.dialect)
    return int(connection.execute(statement.text, statement.arguments({}))[0][0] or 0)


def count(connection: Connection, rows: Rows[Any], *conditions: ColumnElement[bool]) -> int:
    """How many rows there are of which the conditions hold."""
    return _one(connection, select(func.count()).select_from(rows.table).where(*conditions))


@dataclass(frozen=True, slots=True)
class SystemNow:
    """An enrolled system with its chain's head and the leases that still count for it."""

    deployment: Deployment
    session: Session | None
    leases: tuple[Lease, ...]

    @property
    def live(self) -> tuple[Lease, ...]:
        """The leases that have not ended."""
        return tuple(lease for lease in self.leases if not lease.ended_at)

    @property
    def latest_hard_end(self) -> Instant:
        """The latest hard end on record; 0 when it never had a permit that still counts."""
        return max((self._bound(lease) for lease in self.leases), default=0)

    @property
    def continuity_until(self) -> Instant:
        """Until when its last continuity permit holds; 0 when it never had one."""
        return self.session.continuity_until if self.session is not None else 0

    def _bound(self, lease: Lease) -> Instant:
        if lease.ended_at or not lease.attached or self.session is None or not self.session.renewed_at:
            return lease.seat_until
        return max(lease.seat_until, session_hard_end(lease, self.session))


@Prepared
def _deployments_of() -> Select[Any]:
    return DEPLOYMENTS.select(tables.deployment.c.licence == bindparam("licence"))


@Prepared
def _sessions_of() -> Select[Any]:
    return SESSIONS.select(tables.session.c.licence == bindparam("licence"))


@Prepared
def _leases_of() -> Select[Any]:
    column = tables.lease.c
    counts = (column.ended_at == 0) | (column.free_at > bindparam("now"))
    return LEASES.select(column.licence == bindparam("licence"), counts)


def systems_of(connection: Connection, licences: Sequence[str], now: Instant) -> list[SystemNow]:
    """Every enrolled system of the licences."""
    found: list[SystemNow] = []
    for licence in licences:
        deployments = map(DEPLOYMENTS.from_row, _deployments_of.rows(connection, licence=licence))
        sessions = map(SESSIONS.from_row, _sessions_of.rows(connection, licence=licence))
        leases = [LEASES.from_row(row) for row in _leases_of.rows(connection, licence=licence, now=now)]
        by_deployment = {session.deployment: session for session in sessions}
        own: dict[str, list[Lease]] = {}
        for lease in leases:
            own.setdefault(lease.deployment, []).append(lease)
        for deployment in deployments:
            if deployment.enrolled_at:
                session, its = by_deployment.get(deployment.id), tuple(own.get(deployment.id, ()))
                found.append(SystemNow(deployment, session, its))
    return found


@dataclass(frozen=True, slots=True)
class SuspensionNow:
    """A suspension with the systems it hit; by system acknowledgements, live leases, ends of continuity permits.

    A system that has none of it is missing there.
    """

    suspension: Suspension
    systems: tuple[SuspensionSystem, ...]
    acknowledged: dict[str, Acknowledged]
    live: dict[str, int]
    continuity: dict[str, Instant]


def suspension_now(connection: Connection, identifier: str) -> SuspensionNow | None:
    """None when there is no such suspension."""
    found = SUSPENSIONS.get(connection, identifier)
    if found is None:
        return None
    systems = _all(
        connection, SUSPENSION_SYSTEMS, SUSPENSION_SYSTEMS.select(tables.suspension_system.c.suspension == identifier)
    )
    hit = tables.suspension_system.c.suspension == identifier
    return SuspensionNow(
        found,
        tuple(systems),
        acknowledged={each.deployment: each for each in _acknowledging(connection, hit)},
        live=dict(_rows(connection, _of_hit(tables.lease, hit, func.count(), tables.lease.c.ended_at == 0))),
        continuity=dict(_rows(connection, _of_hit(tables.session, hit, func.max(tables.session.c.continuity_until)))),
    )


def _acknowledging(connection: Connection, hit: ColumnElement[bool]) -> list[Acknowledged]:
    """Of each system that a suspension hit, the first word since that it acts on nothing any more."""
    system, said, first = tables.suspension_system.c, tables.acknowledgement.c, tables.acknowledgement.alias().c
    stopped = first.deployment == system.deployment, first.epoch >= system.epoch, first.active_leases == 0
    earliest = select(func.min(first.epoch)).where(*stopped).correlate(tables.suspension_system).scalar_subquery()
    same = (said.deployment == system.deployment) & (said.epoch == earliest)
    joined = tables.suspension_system.join(tables.acknowledgement, same)
    return _all(connection, ACKNOWLEDGEMENTS, ACKNOWLEDGEMENTS.select(hit).select_from(joined))


def _of_hit(table: Table, hit: ColumnElement[bool], figure: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    """One figure of a table's rows for each system that a suspension hit and that has any."""
    system = tables.suspension_system.c
    joined = tables.suspension_system.join(table, table.c.deployment == system.deployment)
    return select(system.deployment, figure).select_from(joined).where(hit, *conditions).group_by(system.deployment)


@Prepared
def _licences_to_reap() -> Select[Any]:
    now = bindparam("now", type_=BigInteger)
    lease, session = tables.lease.c, tables.session.c
    joined = tables.lease.outerjoin(tables.session, session.deployment == lease.deployment)
    latest = session.renewed_at + session.length + session.grace
    gone = ~lease.attached | (latest <= now) | (session.licence_end <= now)
    over = (lease.seat_until <= now) & (gone | ((lease.authorisation_end > 0) & (lease.authorisation_end <= now)))
    return select(lease.licence).distinct().select_from(joined).where(lease.ended_at == 0, over)


def licences_to_reap(connection: Connection, now: Instant) -> list[str]:
    """Licences with live leases whose last permit may have run out."""
    return [str(row[0]) for row in _licences_to_reap.rows(connection, now=now)]


@Prepared
def _tallies() -> Select[Any]:
    column = tables.denial_tally.c
    return DENIAL_TALLIES.select(column.minute < bindparam("before"), column.counted > 0)


def tallies(connection: Connection, minute: int) -> list[DenialTally]:
    """Denials that were only counted, in minutes that are over."""
    return [DENIAL_TALLIES.from_row(row) for row in _tallies.rows(connection, before=minute)]


@Prepared
def _bundles() -> Select[Any]:
    column = tables.trust_bundle.c
    return TRUST_BUNDLES.select(column.version > bindparam("after")).order_by(asc(column.version))


def bundles(connection: Connection, after: int = 0) -> list[StoredBundle]:
    """The stored trust bundles after a version, in order."""
    return [TRUST_BUNDLES.from_row(row) for row in _bundles.rows(connection, after=after)]


@Prepared
def _publications() -> Select[Any]:
    column = tables.log_entry.c
    return LOG_ENTRIES.select(column.kind == "trust.published").order_by(asc(column.index))


def publications(connection: Connection) -> dict[int, Instant]:
    """When each version of the trust bundle was published, by the log."""
    found = map(LOG_ENTRIES.from_row, _publications.rows(connection))
    versions = ((each.at, decode(each.body).field("version")) for each in found)
    return {int(version.value): at for at, version in versions if version and not isinstance(version, ErasedField)}


def checkpoints(connection: Connection, size: int) -> Iterator[LogCheckpoint]:
    """The checkpoints kept as history over fewer than size entries, smallest first, read in portions."""
    column = tables.log_checkpoint.c
    after = -1
    while True:
        wanted = LOG_CHECKPOINTS.select(column.size > after, column.size < size).order_by(asc(column.size))
        found = _all(connection, LOG_CHECKPOINTS, wanted.limit(CHECKPOINTS_AT_ONCE))
        yield from found
        if len(found) < CHECKPOINTS_AT_ONCE:
            return
        after = found[-1].size


@Prepared
def _last_contacts() -> Select[Any]:
    session, deployment, licence = tables.session.c, tables.deployment.c, tables.licence.c
    joined = tables.session.join(tables.deployment, deployment.id == session.deployment).join(
        tables.licence, licence.id == session.licence
    )
    clause = select(session.deployment, session.accepted_at).select_from(joined)
    return clause.where(session.session != "", deployment.status == "enrolled", licence.status != "terminated")


def last_contacts(connection: Connection) -> list[tuple[str, Instant]]:
    """When the last link of each open session was accepted; sessions of systems that may not come back are left out."""
    return [(str(name), int(at)) for name, at in _last_contacts.rows(connection)]
