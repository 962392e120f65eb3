"""LicenceService, stopping: preview, suspend, and how far a suspension has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from licd.core.bounds import StopBounds, Timing, stop_bounds
from licd.core.errors import Invalid, NotFound
from licd.core.model import Licence, LicenceStatus
from licd.core.terms import rights_of
from licd.core.time import Instant
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.queries import SuspensionNow, SystemNow, suspension_now, systems_of
from licd.ledger.records import SuspensionSystem
from licd.ledger.rows import LICENCES
from licd.ledger.verbs.licences import DrillLicence, Suspended, SuspendLicence, SuspensionScope
from licd.server.caller import Caller
from licd.server.changes import Changes, checked_text
from licd.server.push import Push
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import licence_service_pb2 as pb
from licd.v1 import operator_pb2
from licd.wire.resources import licence_message


class Suspensions:
    """One person, at once; then watched until nobody is unconfirmed."""

    def __init__(
        self,
        *,
        reader: Reader,
        changes: Changes,
        codes: ReasonCodes,
        push: Push,
        timing: Timing,
        wall: Callable[[], Instant],
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._push: Final = push
        self._timing: Final = timing
        self._wall: Final = wall

    async def preview_suspension(
        self, request: pb.PreviewSuspensionRequest, caller: Caller
    ) -> pb.PreviewSuspensionResponse:
        """What a suspension of this scope would hit, and W. Changes nothing."""
        scope = scope_from_message(request.scope)
        if request.reason_code:
            self._codes.suspend(request.reason_code)
        now = self._wall()
        licences, systems = await self._reader.run(lambda connection: _hit(connection, scope, now))
        if not licences:
            raise NotFound(f"nothing to suspend in {scope.words()}", field="scope")
        return pb.PreviewSuspensionResponse(
            licences=[licence.id for licence in licences],
            systems=[self._affected(system) for system in systems],
            live_leases=sum(len(system.live) for system in systems),
            bounds=self._bounds(licences, systems),
        )

    def _affected(self, system: SystemNow) -> pb.AffectedSystem:
        return pb.AffectedSystem(
            deployment=system.deployment.id,
            licence=system.deployment.licence,
            connected=self._push.connected(system.deployment.id),
            live_leases=len(system.live),
            last_contact_ms=system.session.accepted_at if system.session else 0,
            latest_hard_end_ms=system.latest_hard_end,
        )

    def _bounds(self, licences: list[Licence], systems: list[SystemNow]) -> pb.StopBounds:
        """The formulas with the longest L and G among the licences; the hard end as it is on record."""
        rights = [rights_of(licence.terms) for licence in licences]
        length, grace = max(each.length for each in rights), max(each.grace for each in rights)
        bounds: StopBounds = stop_bounds(length, grace, len(systems), self._timing)
        return pb.StopBounds(
            push_ms=bounds.push,
            pull_ms=bounds.pull,
            unreachable_ms=bounds.unreachable,
            latest_hard_end_ms=max((system.latest_hard_end for system in systems), default=0),
            continuity_until_ms=_ahead(max((system.continuity_until for system in systems), default=0), self._wall()),
        )

    async def suspend_licence(self, request: pb.SuspendLicenceRequest, caller: Caller) -> pb.SuspendLicenceResponse:
        """Suspends everything in scope in one transaction."""
        scope = scope_from_message(request.scope)
        command = SuspendLicence(
            scope,
            self._codes.suspend(request.reason_code),
            checked_text(request.detail, "detail"),
            caller.operator().operator,
        )
        response = await self._changes.once(request, caller, command, _suspended)
        return await self._with_bounds(response)

    async def _with_bounds(self, response: pb.SuspendLicenceResponse) -> pb.SuspendLicenceResponse:
        names = [licence.licence for licence in response.licences]
        now = self._wall()

        def query(connection: Connection) -> tuple[list[Licence], list[SystemNow]]:
            found = [LICENCES.get(connection, name) for name in names]
            return [each for each in found if each is not None], systems_of(connection, names, now)

        response.bounds.CopyFrom(self._bounds(*await self._reader.run(query)))
        return response

    async def drill_licence(self, request: pb.DrillLicenceRequest, caller: Caller) -> pb.DrillLicenceResponse:
        """An order that takes nothing back, for every system to acknowledge; one person may at any time."""
        command = DrillLicence(request.licence, caller.operator().operator)
        return await self._changes.once(
            request,
            caller,
            command,
            lambda licence: pb.DrillLicenceResponse(licence=licence_message(licence, self._wall())),
        )

    async def get_suspension(self, request: pb.GetSuspensionRequest, caller: Caller) -> pb.GetSuspensionResponse:
        """Who has acknowledged, who is unconfirmed and bounded, whose last permit has run out."""
        found = await self._reader.run(lambda connection: suspension_now(connection, request.suspension))
        if found is None:
            raise NotFound(f"there is no suspension {request.suspension}", field="suspension")
        now = self._wall()
        systems = [_stop(found, system, now) for system in found.systems]
        return pb.GetSuspensionResponse(
            suspension=found.suspension.id,
            decided_ms=found.suspension.decided_at,
            now_ms=now,
            systems=systems,
            live_leases=sum(found.live.values()),
            settled=all(system.state != pb.STOP_STATE_UNCONFIRMED for system in systems),
        )


def scope_from_message(message: pb.SuspensionScope) -> SuspensionScope:
    """Raises Invalid when nothing is named."""
    match message.WhichOneof("scope"):
        case "licence":
            return SuspensionScope(licence=message.licence)
        case "customer":
            return SuspensionScope(customer=message.customer)
        case "all" if message.all:
            return SuspensionScope(everything=True)
        case _:
            raise Invalid("name a licence, a customer, or all", field="scope")


def _hit(connection: Connection, scope: SuspensionScope, now: Instant) -> tuple[list[Licence], list[SystemNow]]:
    column = tables.licence.c
    wanted = [column.status != LicenceStatus.TERMINATED.value]
    if scope.licence:
        wanted = [column.id == scope.licence]
    elif scope.customer:
        wanted.append(column.customer == scope.customer)
    licences = LICENCES.where(connection, *wanted)
    return licences, systems_of(connection, [licence.id for licence in licences], now)


def _suspended(done: Suspended) -> pb.SuspendLicenceResponse:
    return pb.SuspendLicenceResponse(
        suspension=done.suspension,
        licences=[_stopped(licence, done.decided_at) for licence in done.licences],
        decided_ms=done.decided_at,
    )


def _stopped(licence: Licence, now: Instant) -> operator_pb2.Licence:
    """A licence without its terms: a suspension of everything may hit a hundred thousand."""
    message = licence_message(licence, now)
    message.ClearField("token")
    message.ClearField("terms")
    return message


def _stop(found: SuspensionNow, system: SuspensionSystem, now: Instant) -> pb.SystemStop:
    acknowledged = found.acknowledged.get(system.deployment)
    if acknowledged is not None:
        state = pb.STOP_STATE_ACKNOWLEDGED
    else:
        state = pb.STOP_STATE_RUN_OUT if now >= system.bounded_until else pb.STOP_STATE_UNCONFIRMED
    return pb.SystemStop(
        deployment=system.deployment,
        licence=system.licence,
        state=state,
        acknowledged_at_ms=acknowledged.acknowledged_at if acknowledged else 0,
        stopped_at_ms=acknowledged.stopped_at if acknowledged else 0,
        bounded_until_ms=system.bounded_until,
        live_leases=found.live.get(system.deployment, 0),
        continuity_until_ms=_ahead(found.continuity.get(system.deployment, 0), found.suspension.decided_at),
    )


def _ahead(until: Instant, now: Instant) -> Instant:
    """The end of a continuity permit, where it adds something; 0 where it had run out by then."""
    return until if until > now else 0
