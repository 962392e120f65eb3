"""ConditionService, what is owed: list, add, meet, certify, waive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

from licd.core.condition import Condition
from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.terms import TERM_CEILING, TermsInvalid
from licd.core.time import MINUTE, Instant, Millis
from licd.keys.envelope import verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid
from licd.keys.verification_key import VerificationKey
from licd.ledger import tables
from licd.ledger.queries import Page, listed
from licd.ledger.rows import CONDITIONS, CONTACTS
from licd.ledger.verbs.conditions import (
    AddCondition,
    LodgeCertification,
    MeetCondition,
    WaiveCondition,
    condition_of,
    refuse_early,
    refuse_stranger,
    refuse_unfit,
)
from licd.policy import Policies
from licd.policy.problems import unknown
from licd.policy.suspension import Obligation
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.directory import FOREVER
from licd.server.reader import Reader
from licd.v1 import condition_pb2, operator_pb2
from licd.v1 import condition_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.wire.condition import HASH_BYTES, check_certification, condition_message

ADD: Final = "ConditionService.AddCondition"
MEET: Final = "ConditionService.MeetCondition"
WAIVE: Final = "ConditionService.WaiveCondition"
CLOCKS_APART: Final[Millis] = 5 * MINUTE
"""By how much a contact's clock may be ahead of ours."""


class Conditions:
    """What customers owe, and what shows that they have done it."""

    def __init__(
        self, reader: Reader, changes: Changes, policies: Policies, audience: str, wall: Callable[[], Instant]
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._policies: Final = policies
        self._audience: Final = audience
        self._wall: Final = wall
        changes.plan_with(ADD, self._plan_add)
        changes.plan_with(MEET, self._plan_meet)
        changes.plan_with(WAIVE, self._plan_waive)

    # reading

    async def get_condition(self, request: pb.GetConditionRequest, caller: Caller) -> pb.GetConditionResponse:
        """Raises NotFound."""
        return pb.GetConditionResponse(condition=self._message(await self._found(request.condition)))

    async def list_conditions(self, request: pb.ListConditionsRequest, caller: Caller) -> pb.ListConditionsResponse:
        """In the order of their names."""
        page, column = Page.of(request.page.page_size, request.page.page_token), tables.condition.c
        wanted: list[Any] = []
        if request.customer:
            wanted.append(column.customer == request.customer)
        if request.licence:
            wanted.append(column.licence == request.licence)
        if request.overdue:
            wanted += [column.due_at > 0, column.due_at <= self._wall()]
        found, token = await self._reader.run(lambda connection: listed(connection, CONDITIONS, page, wanted))
        return pb.ListConditionsResponse(
            conditions=[self._message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def _found(self, identifier: str) -> Condition:
        found = await self._reader.run(lambda connection: CONDITIONS.get(connection, identifier))
        if found is None:
            raise NotFound(f"there is no condition {identifier[:120]}", field="condition")
        return found

    def _message(self, condition: Condition) -> condition_pb2.Condition:
        known = self._policies.suspension.obligations.get(condition.name)
        return condition_message(
            condition,
            self._wall(),
            known.description if known else "",
            known.schedule if known else None,
            certified=bool(known and known.certified),
        )

    def _obligation(self, name: str) -> Obligation:
        known = self._policies.suspension.obligations
        if name not in known:
            raise Invalid(unknown("obligation", name, known), field="name")
        return known[name]

    # what is owed

    async def add_condition(self, request: pb.AddConditionRequest, caller: Caller) -> pb.AddConditionResponse:
        """One person may: it obliges. Two, where somebody else is to sign than who is named."""
        response: pb.AddConditionResponse = await self._changes.widen(ADD, request, caller)
        return response

    async def _plan_add(self, request: pb.AddConditionRequest, actor: str) -> Plan:
        obligation = self._obligation(request.name)
        if request.due_at_ms and not self._wall() - TERM_CEILING < request.due_at_ms < self._wall() + TERM_CEILING:
            raise Invalid("unix milliseconds, within ten years of now; 0: by the calendar", field="due_at_ms")
        name, contact = f"{request.licence}/{request.name}", request.contact
        found = await self._reader.run(lambda connection: CONDITIONS.get(connection, name))
        replaces = found is not None and bool(contact) and found.contact not in ("", contact)
        if found is not None and replaces:
            known = await self._reader.run(lambda connection: CONTACTS.get(connection, contact))
            refuse_stranger(known, found.customer, contact)
        command = AddCondition(
            request.licence, request.name, request.due_at_ms, contact, obligation.every, replaces, actor
        )
        return Plan(
            command=command,
            respond=lambda made: pb.AddConditionResponse(condition=self._message(made)),
            subject=f"condition/{name}",
            version=lambda tx: condition_of(tx, name).version,
            seen_version=found.version if found else 0,
            summary=f"for condition {name} {contact} signs in the place of {found.contact if found else 'nobody'}",
            widens=replaces,
        )

    async def meet_condition(self, request: pb.MeetConditionRequest, caller: Caller) -> pb.MeetConditionResponse:
        """By one person, unless something was tightened for it."""
        response: pb.MeetConditionResponse = await self._changes.widen(MEET, request, caller)
        return response

    async def _plan_meet(self, request: pb.MeetConditionRequest, actor: str) -> Plan:
        found = await self._in_period(request.condition, request.period)
        obligation = self._obligation(found.name)
        if obligation.certified:
            raise IllegalTransition(
                f"condition {found.id} is met by what {found.contact or 'a named contact'} signs: "
                "licctl condition certify",
                field="condition",
            )
        if len(request.evidence_sha256) != HASH_BYTES:
            raise Invalid("the SHA-256 of the file that shows it, 32 bytes", field="evidence_sha256")
        note = checked_text(request.note, "note", required=False)
        refuse_early(found, obligation.schedule, self._wall())
        evidence, widens = request.evidence_sha256.hex(), found.steps > 0
        command = MeetCondition(found.id, found.period, evidence, note, obligation.schedule, widens, actor)
        return Plan(
            command=command,
            respond=lambda met: pb.MeetConditionResponse(condition=self._message(met)),
            subject=f"condition/{found.id}",
            version=lambda tx: condition_of(tx, found.id).version,
            seen_version=found.version,
            summary=f"condition {found.id}, period {found.period}, is met by {evidence[:16]}…; what was tightened for "
            f"it in {found.steps} steps comes back",
            widens=widens,
        )

    async def waive_condition(self, request: pb.WaiveConditionRequest, caller: Caller) -> pb.WaiveConditionResponse:
        """Needs a second person."""
        response: pb.WaiveConditionResponse = await self._changes.widen(WAIVE, request, caller)
        return response

    async def _plan_waive(self, request: pb.WaiveConditionRequest, actor: str) -> Plan:
        found = await self._in_period(request.condition, request.period)
        detail = checked_text(request.detail, "detail")
        known = self._policies.suspension.obligations.get(found.name)
        command = WaiveCondition(found.id, found.period, detail, known.every if known else 0, actor)
        return Plan(
            command=command,
            respond=lambda done: pb.WaiveConditionResponse(condition=self._message(done)),
            subject=f"condition/{found.id}",
            version=lambda tx: condition_of(tx, found.id).version,
            seen_version=found.version,
            summary=f"condition {found.id} is not owed in period {found.period}: {detail}",
        )

    async def _in_period(self, identifier: str, period: int) -> Condition:
        found = await self._found(identifier)
        if found.period != period:
            raise Conflict(f"condition {identifier} is in period {found.period}, not {period}", field="period")
        return found

    # what a contact signs

    async def lodge_certification(
        self, request: pb.LodgeCertificationRequest, caller: Caller
    ) -> pb.LodgeCertificationResponse:
        """One person brings it; the one who answers for it has signed."""
        said, key_id = await self._verified(request.certification)
        found = await self._found(f"{said.licence}/{said.condition}")
        obligation = self._obligation(found.name)
        refuse_unfit(found, said.contact, said.period, said.certified_at_ms)
        refuse_early(found, obligation.schedule, said.certified_at_ms)
        command = LodgeCertification(
            condition=found.id,
            period=said.period,
            contact=said.contact,
            key_id=key_id,
            token=request.certification.SerializeToString(),
            evidence=said.evidence[0].hex() if said.evidence else "",
            certified_at=said.certified_at_ms,
            schedule=obligation.schedule,
            actor=caller.operator().operator,
        )
        return await self._changes.once(
            request, caller, command, lambda met: pb.LodgeCertificationResponse(condition=self._message(met))
        )

    async def _verified(self, envelope: Envelope) -> tuple[condition_pb2.Certification, str]:
        """What a contact says, and the key that signed it. Raises SealInvalid, Invalid, NotFound, IllegalTransition."""
        name = _claimed(envelope)
        contact = await self._reader.run(lambda connection: CONTACTS.get(connection, name))
        if contact is None:
            raise NotFound(f"there is no contact {name[:120]!r}", field="certification.contact")
        if contact.withdrawn_at:
            raise IllegalTransition(f"contact {contact.id} was withdrawn", field="certification.contact")
        key = VerificationKey.of(
            KeyPurpose.CONTACT, contact.public_key, not_before_ms=0, not_after_ms=FOREVER, owner=contact.id
        )
        try:
            verified = verify(envelope, Kind.CERTIFICATION, Keyring([key]), self._wall())
            said = read_payload(verified, condition_pb2.Certification)
        except SealInvalid as error:
            why = f"it says that it is {contact.id}'s, whose key is {contact.key_id}: {error.detail}"
            raise SealInvalid(error.reason, why) from error
        self._refuse_unfit(said)
        return said, contact.key_id

    def _refuse_unfit(self, said: condition_pb2.Certification) -> None:
        try:
            check_certification(said)
        except TermsInvalid as error:
            raise Invalid(error.problem, field=f"certification.{error.field}") from error
        if said.audience != self._audience:
            raise Invalid(
                f"it is for {said.audience[:120]!r}, and this is {self._audience}", field="certification.audience"
            )
        if said.certified_at_ms > self._wall() + CLOCKS_APART:
            raise Invalid("it was certified later than now", field="certification.certified_at_ms")


def _claimed(envelope: Envelope) -> str:
    """Who claims to have signed it, to know whose key to check it by; nothing in it is believed yet."""
    try:
        return condition_pb2.Certification.FromString(envelope.payload).contact
    except DecodeError as error:
        raise Invalid("the payload is no certification", field="certification.payload") from error
