"""ApprovalService: the second person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from licd.core.errors import NotFound
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.queries import Page, listed
from licd.ledger.records import Approval
from licd.ledger.rows import APPROVALS
from licd.ledger.verbs.approvals import RejectApproval
from licd.server.caller import Caller
from licd.server.changes import Changes, approval_message, checked_text
from licd.server.reader import Reader
from licd.v1 import approval_service_pb2 as pb
from licd.v1 import operator_pb2

_STORED: Final = {
    operator_pb2.APPROVAL_STATUS_PENDING: "pending",
    operator_pb2.APPROVAL_STATUS_EXECUTED: "executed",
    operator_pb2.APPROVAL_STATUS_REJECTED: "rejected",
    operator_pb2.APPROVAL_STATUS_EXPIRED: "pending",
}


class ApprovalService:
    """Commands that wait for others to sign the very same bytes."""

    def __init__(self, reader: Reader, changes: Changes, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._wall: Final = wall

    async def list_approvals(self, request: pb.ListApprovalsRequest, caller: Caller) -> pb.ListApprovalsResponse:
        """In the order of their identifiers."""
        page = Page.of(request.page.page_size, request.page.page_token)
        now = self._wall()
        column = tables.approval.c
        wanted: list[Any] = []
        if request.status:
            wanted.append(column.status == _STORED.get(request.status, ""))
        if request.status == operator_pb2.APPROVAL_STATUS_PENDING:
            wanted.append(column.expires_at > now)
        if request.status == operator_pb2.APPROVAL_STATUS_EXPIRED:
            wanted.append(column.expires_at <= now)
        found, token = await self._reader.run(lambda connection: listed(connection, APPROVALS, page, wanted))
        return pb.ListApprovalsResponse(
            approvals=[approval_message(each, now) for each in found],
            page=operator_pb2.PageInfo(next_page_token=token),
        )

    async def get_approval(self, request: pb.GetApprovalRequest, caller: Caller) -> pb.GetApprovalResponse:
        """Raises NotFound."""
        found = await self._found(request.approval)
        return pb.GetApprovalResponse(approval=approval_message(found, self._wall()))

    async def _found(self, identifier: str) -> Approval:
        found = await self._reader.run(lambda connection: APPROVALS.get(connection, identifier))
        if found is None:
            raise NotFound(f"there is no approval {identifier}", field="approval")
        return found

    async def sign_approval(self, request: pb.SignApprovalRequest, caller: Caller) -> pb.SignApprovalResponse:
        """Executes when enough different persons have signed."""
        return await self._changes.sign(request, caller, await self._found(request.approval), _signed)

    async def reject_approval(self, request: pb.RejectApprovalRequest, caller: Caller) -> pb.RejectApprovalResponse:
        """Ends what waits; it can be requested again."""
        command = RejectApproval(request.approval, caller.operator().operator, checked_text(request.detail, "detail"))
        return await self._changes.once(request, caller, command, _rejected)


def _signed(approval: Approval) -> pb.SignApprovalResponse:
    return pb.SignApprovalResponse(approval=approval_message(approval))


def _rejected(approval: Approval) -> pb.RejectApprovalResponse:
    return pb.RejectApprovalResponse(approval=approval_message(approval))
