"""LicenceService, the way back: what a reinstatement takes, the items done, and the reinstatement itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.model import Licence, LicenceStatus
from licd.core.reinstatement import Demands, ReinstatementItem, refuse_missing
from licd.core.time import Instant
from licd.ledger.database import Connection
from licd.ledger.rows import LICENCES
from licd.ledger.verbs.reinstatement import MeetReinstatementItem, ReinstateLicence, items_met
from licd.policy.suspension import SuspensionPolicy
from licd.server.caller import Caller
from licd.server.changes import PERSONS, Changes, Plan, checked_text
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.server.services.licences import recounted, version_of
from licd.v1 import licence_service_pb2 as pb
from licd.wire.resources import licence_message

REINSTATE: Final = "LicenceService.ReinstateLicence"
HASH_BYTES: Final = 32


class Reinstatements:
    """With care: what the reason of the suspension demands is done first, and seen by everybody who agrees."""

    def __init__(
        self,
        *,
        reader: Reader,
        changes: Changes,
        codes: ReasonCodes,
        policy: SuspensionPolicy,
        wall: Callable[[], Instant],
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._policy: Final = policy
        self._wall: Final = wall
        changes.plan_with(REINSTATE, self._plan_reinstate)

    async def get_reinstatement(
        self, request: pb.GetReinstatementRequest, caller: Caller
    ) -> pb.GetReinstatementResponse:
        """Raises NotFound, and IllegalTransition for a licence that is not suspended."""
        found, done = await self._suspended(request.licence)
        reason = self._policy.suspend.get(found.suspension_code)
        demands = reason.demands if reason else Demands()
        met = {each.item: each for each in done}
        return pb.GetReinstatementResponse(
            reinstatement=pb.Reinstatement(
                licence=found.id,
                epoch=found.epoch,
                suspension_code=found.suspension_code,
                waits_until_ms=found.suspended_at + demands.wait,
                items=[self._message(item, met.get(item)) for item in demands.items],
                persons=demands.persons,
                mistaken_codes=sorted(each.code for each in self._policy.lift.values() if not each.checklist),
            )
        )

    def _message(self, item: str, met: ReinstatementItem | None) -> pb.ReinstatementItem:
        message = pb.ReinstatementItem(item=item, description=self._policy.described(item))
        if met is not None:
            message.met_at_ms, message.met_by, message.note = met.met_at, met.actor, met.note
            message.evidence_sha256 = bytes.fromhex(met.evidence)
        return message

    async def _suspended(self, identifier: str) -> tuple[Licence, list[ReinstatementItem]]:
        def query(connection: Connection) -> tuple[Licence | None, list[ReinstatementItem]]:
            found = LICENCES.get(connection, identifier)
            return found, items_met(connection, found.id, found.epoch) if found is not None else []

        found, done = await self._reader.run(query)
        if found is None:
            raise NotFound(f"there is no licence {identifier}", field="licence")
        if found.status is not LicenceStatus.SUSPENDED:
            raise IllegalTransition(f"licence {found.id} is {found.status}; only a suspended one can be reinstated")
        return found, done

    async def meet_reinstatement_item(
        self, request: pb.MeetReinstatementItemRequest, caller: Caller
    ) -> pb.MeetReinstatementItemResponse:
        """By one person: it lifts nothing. Those who agree to the reinstatement see who said so, and by what."""
        found, _ = await self._suspended(request.licence)
        reason = self._policy.suspend.get(found.suspension_code)
        demanded = reason.demands.items if reason else ()
        if request.item not in demanded:
            names = ", ".join(demanded) or "nothing"
            raise Invalid(f"{found.suspension_code} demands {names}, not {request.item[:60]!r}", field="item")
        if len(request.evidence_sha256) != HASH_BYTES:
            raise Invalid("the SHA-256 of the file that shows it, 32 bytes", field="evidence_sha256")
        command = MeetReinstatementItem(
            found.id,
            request.epoch,
            request.item,
            request.evidence_sha256.hex(),
            checked_text(request.note, "note", required=False),
            caller.operator().operator,
        )
        return await self._changes.once(
            request, caller, command, lambda met: pb.MeetReinstatementItemResponse(item=self._message(met.item, met))
        )

    async def reinstate_licence(
        self, request: pb.ReinstateLicenceRequest, caller: Caller
    ) -> pb.ReinstateLicenceResponse:
        """Lifts the suspension of the epoch named, once what its reason demands is done."""
        response: pb.ReinstateLicenceResponse = await self._changes.widen(REINSTATE, request, caller)
        return await recounted(self._reader, self._wall(), response)

    async def _plan_reinstate(self, request: pb.ReinstateLicenceRequest, actor: str) -> Plan:
        code = self._codes.lift(request.reason_code)
        found, done = await self._suspended(request.licence)
        if request.epoch != found.epoch:
            raise Conflict(f"the suspension in force is of epoch {found.epoch}, not {request.epoch}", field="epoch")
        demands = self._policy.demands(found.suspension_code, code)
        refuse_missing(found.id, demands, (each.item for each in done), found.suspended_at, self._wall())
        command = ReinstateLicence(
            found.id, request.epoch, code, checked_text(request.detail, "detail"), actor, demands
        )
        return Plan(
            command=command,
            respond=lambda licence: pb.ReinstateLicenceResponse(licence=licence_message(licence, self._wall())),
            subject=f"licence/{found.id}",
            version=version_of(found.id),
            seen_version=found.version,
            summary=f"reinstate licence {found.id}, suspended at epoch {request.epoch} for "
            f"{found.suspension_code or 'nothing'} ({code}{_done(demands, done)}): {request.detail}",
            persons=max(PERSONS, demands.persons),
        )


def _done(demands: Demands, done: list[ReinstatementItem]) -> str:
    """Who did the items, for those who sign."""
    said = [f"{each.item} by {each.actor}" for each in done if each.item in demands.items]
    return f"; {', '.join(said)}" if said else ""
