"""OverlayService, the overlays: lodge, withdraw, show, and what is left of a licence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from licd.core.bounds import Timing
from licd.core.errors import IllegalTransition, Invalid, NotFound
from licd.core.model import Licence, LicenceStatus
from licd.core.overlay import Overlay, OverlayTerms, check_overlay, narrowings, widened_by
from licd.core.standing import licence_standing
from licd.core.state import LicenceState
from licd.core.terms import TERM_CEILING, TermsInvalid
from licd.core.time import MINUTE, Instant, Millis
from licd.keys.envelope import verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid
from licd.keys.verification_key import VerificationKey
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.load import overlays_of
from licd.ledger.queries import Page, listed
from licd.ledger.records import Authority
from licd.ledger.rows import AUTHORITIES, CUSTOMERS, LICENCES, OVERLAYS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.overlays import LodgeOverlay, WithdrawOverlay, refuse_out_of_turn, refuse_wide
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.directory import FOREVER
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import operator_pb2, overlay_pb2
from licd.v1 import overlay_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.wire.overlay import overlay_from_message, overlay_message, rights_message

LODGE: Final = "OverlayService.LodgeOverlay"
REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STATEMENT_LIMIT: Final = 2000
LIMITS_LIMIT: Final = 64
CLOCKS_APART: Final[Millis] = 5 * MINUTE
"""By how much an authority's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is about what is lodged."""

    before: Overlay | None
    licences: list[Licence]
    overlays: list[Overlay]


class Overlays:
    """What authorities permit."""

    def __init__(
        self, reader: Reader, changes: Changes, codes: ReasonCodes, audience: str, wall: Callable[[], Instant]
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._audience: Final = audience
        self._wall: Final = wall
        changes.plan_with(LODGE, self._plan_lodge)

    # reading

    async def get_overlay(self, request: pb.GetOverlayRequest, caller: Caller) -> pb.GetOverlayResponse:
        """Raises NotFound."""
        found = await self._reader.run(lambda connection: OVERLAYS.get(connection, request.overlay))
        if found is None:
            raise NotFound(f"there is no overlay {request.overlay[:120]}", field="overlay")
        return pb.GetOverlayResponse(overlay=overlay_message(found, self._wall()))

    async def list_overlays(self, request: pb.ListOverlaysRequest, caller: Caller) -> pb.ListOverlaysResponse:
        """In the order of their names."""
        page, now = Page.of(request.page.page_size, request.page.page_token), self._wall()
        column = tables.overlay.c
        wanted = [column.customer == request.customer] if request.customer else []
        if request.authority:
            wanted.append(column.authority == request.authority)
        found, token = await self._reader.run(lambda connection: listed(connection, OVERLAYS, page, wanted))
        return pb.ListOverlaysResponse(
            overlays=[overlay_message(each, now) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def get_rights(self, request: pb.GetRightsRequest, caller: Caller) -> pb.GetRightsResponse:
        """Raises NotFound."""
        now = self._wall()
        rights = await self._reader.run(lambda connection: _rights(connection, request.licence, now))
        return pb.GetRightsResponse(rights=rights)

    # lodging

    async def lodge_overlay(self, request: pb.LodgeOverlayRequest, caller: Caller) -> pb.LodgeOverlayResponse:
        """What narrows takes effect at once; what gives more than there was needs a second person."""
        response: pb.LodgeOverlayResponse = await self._changes.widen(LODGE, request, caller)
        return response

    async def _plan_lodge(self, request: pb.LodgeOverlayRequest, actor: str) -> Plan:
        said, authority = await self._verified(request.overlay)
        known = await self._reader.run(lambda connection: _known(connection, said))
        refuse_out_of_turn(said, known.before)
        _refuse_wide(said, known.licences)
        probe = LodgeOverlay(said, request.overlay.SerializeToString(), authority.key_id, may_widen=False, actor=actor)
        wider = self._wider(probe, known)
        return Plan(
            command=LodgeOverlay(said, probe.token, authority.key_id, may_widen=bool(wider), actor=actor),
            respond=lambda lodged: pb.LodgeOverlayResponse(overlay=overlay_message(lodged, self._wall())),
            subject=f"overlay/{said.id}",
            version=_revision_of(said.id),
            seen_version=known.before.revision if known.before else 0,
            summary=f"lodge revision {said.revision} of overlay {said.id} of {authority.name} about {_subject(said)}, "
            f"giving more {wider or 'nothing'}",
            widens=bool(wider),
        )

    async def _verified(self, envelope: Envelope) -> tuple[OverlayTerms, Authority]:
        """What an authority says, its seal checked. Raises SealInvalid, Invalid, NotFound, IllegalTransition."""
        claimed = _parsed(envelope)
        authority = await self._reader.run(lambda connection: AUTHORITIES.get(connection, claimed.authority))
        if authority is None:
            raise NotFound(f"there is no authority {claimed.authority[:60]!r}", field="overlay.authority")
        if authority.withdrawn_at:
            why = f"authority {authority.id} was withdrawn ({authority.withdrawn_why})"
            raise IllegalTransition(why, field="overlay.authority")
        key = VerificationKey.of(
            KeyPurpose.OVERSEER,
            authority.public_key,
            not_before_ms=0,
            not_after_ms=FOREVER,
            owner=f"overseer/{authority.id}",
        )
        try:
            verified = verify(envelope, Kind.OVERLAY, Keyring([key]), self._wall())
            message = read_payload(verified, overlay_pb2.OverlayTerms)
        except SealInvalid as error:
            why = f"it says that it is of authority {authority.id}, whose key is {authority.key_id}: {error.detail}"
            raise SealInvalid(error.reason, why) from error
        try:
            said = overlay_from_message(message)
            check_overlay(said)
        except TermsInvalid as error:
            raise Invalid(error.problem, field=f"overlay.{error.field}") from error
        self._refuse_unfit(said)
        return said, authority

    def _refuse_unfit(self, said: OverlayTerms) -> None:
        if said.audience != self._audience:
            raise Invalid(f"it is for {said.audience[:120]!r}, and this is {self._audience}", field="overlay.audience")
        if not REFERENCE.fullmatch(said.reference):
            raise Invalid("1 to 64 letters, digits, dots, hyphens, underscores", field="overlay.overlay")
        if said.not_after - said.not_before > TERM_CEILING:
            raise Invalid("it holds for over ten years", field="overlay.not_after_ms")
        if said.issued_at > self._wall() + CLOCKS_APART:
            raise Invalid("it was issued later than now", field="overlay.issued_at_ms")
        if len(said.constraints) > LIMITS_LIMIT:
            raise Invalid(f"at most {LIMITS_LIMIT} limits", field="overlay.constraints")
        checked_text(said.statement, "overlay.statement", limit=STATEMENT_LIMIT, required=False)

    def _wider(self, probe: LodgeOverlay, known: Known) -> str:
        """In what the licences that there are may do more, in words; empty when in nothing."""
        lodged = probe.overlay(self._wall())
        found: dict[str, None] = {}
        for licence in known.licences:
            found |= dict.fromkeys(widened_by(licence.terms, known.overlays, lodged))
        return ", ".join(found)

    async def withdraw_overlay(self, request: pb.WithdrawOverlayRequest, caller: Caller) -> pb.WithdrawOverlayResponse:
        """One person, at once: it stops."""
        command = WithdrawOverlay(
            request.overlay,
            self._codes.suspend(request.reason_code),
            checked_text(request.detail, "detail"),
            caller.operator().operator,
        )
        return await self._changes.once(
            request,
            caller,
            command,
            lambda done: pb.WithdrawOverlayResponse(overlay=overlay_message(done, self._wall())),
        )


def _parsed(envelope: Envelope) -> overlay_pb2.OverlayTerms:
    """Who claims to have signed it, to know whose key to check it by; nothing in it is believed yet."""
    try:
        return overlay_pb2.OverlayTerms.FromString(envelope.payload)
    except DecodeError as error:
        raise Invalid("the payload is no overlay", field="overlay.payload") from error


def _known(connection: Connection, said: OverlayTerms) -> Known:
    if CUSTOMERS.get(connection, said.customer) is None:
        raise NotFound(f"there is no customer {said.customer[:60]!r}", field="overlay.customer")
    column = tables.licence.c
    standing = column.status != LicenceStatus.TERMINATED.value
    return Known(
        before=OVERLAYS.get(connection, said.id),
        licences=LICENCES.where(connection, column.customer == said.customer, standing),
        overlays=overlays_of(connection, said.customer),
    )


def _refuse_wide(said: OverlayTerms, licences: list[Licence]) -> None:
    for licence in licences:
        if licence.id == said.licence:
            refuse_wide(said, licence.terms)


def _subject(said: OverlayTerms) -> str:
    if said.licence:
        return f"licence {said.licence} of {said.customer}"
    return f"every licence of {said.customer}" + (f" for {said.product}" if said.product else "")


def _revision_of(overlay: str) -> Callable[[Transaction], int]:
    def revision(tx: Transaction) -> int:
        found = tx.get(OVERLAYS, overlay)
        return found.revision if found else 0

    return revision


def _rights(connection: Connection, name: str, now: Instant) -> overlay_pb2.Rights:
    licence = LICENCES.get(connection, name)
    if licence is None:
        raise NotFound(f"there is no licence {name[:60]}", field="licence")
    overlays, customer = overlays_of(connection, licence.customer), CUSTOMERS.get(connection, licence.customer)
    banned = customer is None or customer.banned
    state = LicenceState(licence, banned=banned, timing=Timing(), overlays=overlays)  # looked at, and never decided on
    narrowed, denied = narrowings(licence.terms, overlays), licence_standing(state, now)
    return rights_message(licence.id, licence.epoch, state.rights, narrowed, denied, now)
