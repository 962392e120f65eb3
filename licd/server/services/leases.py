"""LeaseService."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from licd.core.model import Lease
from licd.core.state import session_hard_end
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.queries import Page, listed
from licd.ledger.rows import DEPLOYMENTS, LEASES, SESSIONS
from licd.ledger.verbs.leases import ForceReleaseLease
from licd.server.caller import Caller
from licd.server.changes import Changes, checked_text
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import lease_service_pb2 as pb
from licd.v1 import operator_pb2
from licd.wire.resources import lease_message


class LeaseService:
    """Leases as operators see them: pseudonyms, never identifiers."""

    def __init__(self, reader: Reader, changes: Changes, codes: ReasonCodes, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._wall: Final = wall

    async def list_leases(self, request: pb.ListLeasesRequest, caller: Caller) -> pb.ListLeasesResponse:
        """In the order of their numbers."""
        page = Page.of(request.page.page_size, request.page.page_token)
        now = self._wall()
        wanted = _conditions(request, now)

        def query(connection: Connection) -> pb.ListLeasesResponse:
            found, token = listed(connection, LEASES, page, wanted)
            return pb.ListLeasesResponse(
                leases=[_message(connection, each, now) for each in found],
                page=operator_pb2.PageInfo(next_page_token=token),
            )

        return await self._reader.run(query)

    async def force_release_lease(
        self, request: pb.ForceReleaseLeaseRequest, caller: Caller
    ) -> pb.ForceReleaseLeaseResponse:
        """Ends one lease now; its target cools down before it can be leased again."""
        command = ForceReleaseLease(
            lease=request.lease,
            cool_down=request.cool_down_ms,
            code=self._codes.suspend(request.reason_code),
            detail=checked_text(request.detail, "detail"),
            actor=caller.operator().operator,
        )
        return await self._changes.once(request, caller, command, self._released)

    def _released(self, lease: Lease) -> pb.ForceReleaseLeaseResponse:
        return pb.ForceReleaseLeaseResponse(lease=lease_message(lease, "", lease.seat_until, self._wall()))


def _conditions(request: pb.ListLeasesRequest, now: Instant) -> list[Any]:
    column = tables.lease.c
    wanted: list[Any] = []
    if request.licence:
        wanted.append(column.licence == request.licence)
    if request.deployment:
        wanted.append(column.deployment == request.deployment)
    match request.state:
        case operator_pb2.LEASE_STATE_LIVE:
            wanted.append(column.ended_at == 0)
        case operator_pb2.LEASE_STATE_COOLING:
            wanted += [column.ended_at > 0, column.free_at > now]
        case operator_pb2.LEASE_STATE_ENDED:
            wanted += [column.ended_at > 0, column.free_at <= now]
        case _:
            pass
    return wanted


def _message(connection: Connection, lease: Lease, now: Instant) -> operator_pb2.Lease:
    deployment = DEPLOYMENTS.get(connection, lease.deployment)
    session = SESSIONS.get(connection, lease.deployment)
    until = lease.seat_until
    if lease.attached and not lease.ended_at and session is not None and session.renewed_at:
        until = max(until, session_hard_end(lease, session))
    return lease_message(lease, deployment.customer if deployment else "", until, now)
