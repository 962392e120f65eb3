"""StatusService and PolicyService: how licd is, and by which rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from licd.core.errors import Invalid
from licd.core.time import DAY, SECOND, Instant, Millis
from licd.ledger.counts import pending_approvals, seat_counts, unconfirmed_systems
from licd.ledger.database import Connection
from licd.ledger.ledger import Ledger
from licd.ledger.queries import count
from licd.ledger.rows import CUSTOMERS, DEPLOYMENTS, LICENCES
from licd.ledger.timekeeper import JUMP
from licd.ledger.verbs.clock import AcceptClock
from licd.policy import Policies
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.directory import Directory
from licd.server.methods import METHODS
from licd.server.push import Push
from licd.server.reader import Reader
from licd.server.trust import Trust
from licd.v1 import policy_service_pb2
from licd.v1 import status_service_pb2 as pb

ACCEPT: Final = "StatusService.AcceptClock"
MOVE_CEILING: Final[Millis] = 3653 * DAY


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while the daemon runs."""

    version: str
    trust_domain: str
    started_at: Instant


class StatusService:
    """How licd is."""

    def __init__(
        self,
        *,
        about: About,
        ledger: Ledger,
        reader: Reader,
        changes: Changes,
        directory: Directory,
        push: Push,
        policies: Policies,
        trust: Trust,
        impediments: Callable[[], tuple[str, ...]],
        wall: Callable[[], Instant],
    ) -> None:
        self._about: Final = about
        self._ledger: Final = ledger
        self._reader: Final = reader
        self._changes: Final = changes
        self._directory: Final = directory
        self._push: Final = push
        self._policies: Final = policies
        self._trust: Final = trust
        self._impediments: Final = impediments
        self._wall: Final = wall
        changes.plan_with(ACCEPT, self._plan_accept)

    async def get_status(self, request: pb.GetStatusRequest, caller: Caller) -> pb.GetStatusResponse:
        """Counts, impediments, and what the caller may do."""
        now = self._wall()
        operator = self._directory.operator(caller)
        response = await self._reader.run(lambda connection: _counts(connection, now))
        response.MergeFrom(
            pb.GetStatusResponse(
                version=self._about.version,
                trust_domain=self._about.trust_domain,
                now_ms=now,
                started_at_ms=self._about.started_at,
                impediments=self._impediments(),
                log_size=self._ledger.log_size,
                policy_version=self._policies.version,
                bundle_version=self._trust.version,
                sessions=self._push.streams,
                caller=caller.name,
                caller_roles=sorted(operator.role_set),
                clock_mark_ms=self._ledger.timekeeper.mark,
                clock_move_ms=self._ledger.timekeeper.move(),
                caller_methods=[
                    method.verb
                    for method in METHODS.values()
                    if self._policies.roles.may_call(operator.role_set, method.verb)
                ],
            )
        )
        return response

    async def accept_clock(self, request: pb.AcceptClockRequest, caller: Caller) -> pb.AcceptClockResponse:
        """An operator vouches for the clock after a jump; two, where that moves the time by which all is decided."""
        response: pb.AcceptClockResponse = await self._changes.widen(ACCEPT, request, caller)
        return response

    async def _plan_accept(self, request: pb.AcceptClockRequest, actor: str) -> Plan:
        if abs(request.move_ms) > MOVE_CEILING:
            raise Invalid("milliseconds, within ten years", field="move_ms")
        detail = checked_text(request.detail, "detail")
        towards = "forward" if request.move_ms > 0 else "back"
        return Plan(
            command=AcceptClock(self._ledger.timekeeper, request.move_ms, actor, detail),
            respond=lambda mark: pb.AcceptClockResponse(accepted=pb.AcceptedClock(now_ms=mark, mark_ms=mark)),
            subject="clock",
            version=lambda _tx: 0,
            seen_version=0,
            summary=f"accept licd's clock, which moves all deciding {towards} by {abs(request.move_ms) / SECOND:g} s: "
            f"{detail}",
            widens=abs(request.move_ms) > JUMP,
        )


def _counts(connection: Connection, now: Instant) -> pb.GetStatusResponse:
    seats = seat_counts(connection, now).values()
    return pb.GetStatusResponse(
        customers=count(connection, CUSTOMERS),
        licences=count(connection, LICENCES),
        deployments=count(connection, DEPLOYMENTS),
        live=sum(live for live, _ in seats),
        cooling=sum(cooling for _, cooling in seats),
        unconfirmed_suspensions=unconfirmed_systems(connection, now)[0],
        pending_approvals=pending_approvals(connection, now),
    )


class PolicyService:
    """By which rules."""

    def __init__(self, policies: Policies) -> None:
        self._policies: Final = policies

    async def get_policy(
        self, request: policy_service_pb2.GetPolicyRequest, caller: Caller
    ) -> policy_service_pb2.GetPolicyResponse:
        """The version in force and the files it was read from."""
        files = [
            policy_service_pb2.PolicyFile(
                path=each.path, sha256=each.sha256, text=each.text if request.with_text else ""
            )
            for each in self._policies.files
        ]
        return policy_service_pb2.GetPolicyResponse(
            version=self._policies.version, files=files, templates=sorted(self._policies.templates)
        )
