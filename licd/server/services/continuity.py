"""LicenceService, outages: continuity permits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from licd.core.continuity import refuse_span
from licd.core.errors import NotFound
from licd.core.time import SECOND, Instant
from licd.ledger.rows import LICENCES
from licd.ledger.verbs.continuity import IssueContinuityPermit, Issued
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.reader import Reader
from licd.v1 import licence_service_pb2 as pb

ISSUE: Final = "LicenceService.IssueContinuityPermit"


class ContinuityPermits:
    """Two persons, and logged: until it ends it cannot be called back from who cannot be reached."""

    def __init__(self, *, reader: Reader, changes: Changes, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._wall: Final = wall
        changes.plan_with(ISSUE, self._plan)

    async def issue_continuity_permit(
        self, request: pb.IssueContinuityPermitRequest, caller: Caller
    ) -> pb.IssueContinuityPermitResponse:
        """For what the licence's systems hold when the second person signs."""
        response: pb.IssueContinuityPermitResponse = await self._changes.widen(ISSUE, request, caller)
        return response

    async def _plan(self, request: pb.IssueContinuityPermitRequest, actor: str) -> Plan:
        found = await self._reader.run(lambda connection: LICENCES.get(connection, request.licence))
        if found is None:
            raise NotFound(f"there is no licence {request.licence}", field="licence")
        refuse_span(self._wall(), request.until_ms)
        whose = f"system {request.deployment}" if request.deployment else "all its systems"
        until = datetime.fromtimestamp(request.until_ms / SECOND, UTC).isoformat(timespec="seconds")
        detail = checked_text(request.detail, "detail")
        return Plan(
            command=IssueContinuityPermit(found.id, request.deployment, request.until_ms, detail, actor),
            respond=_issued,
            subject=f"licence/{found.id}",
            version=lambda tx: tx.state(found.id).licence.version,
            seen_version=found.version,
            summary=f"let {whose} under licence {found.id} go on until {until} without licd: {detail}",
        )


def _issued(done: Issued) -> pb.IssueContinuityPermitResponse:
    permits = [
        pb.ContinuityIssued(
            deployment=each.deployment.id,
            continuity=each.id,
            leases=len(each.leases),
            latest_hard_end_ms=max(lease.hard_end for lease in each.leases),
        )
        for each in done.permits
    ]
    issued = pb.ContinuityIssuedList(permits=permits, decided_ms=done.decided_at)
    return pb.IssueContinuityPermitResponse(issued=issued)
