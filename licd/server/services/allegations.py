"""AllegationService: what anybody has reported, for those who look into it. Who reported is asked for apart.

What people wrote passes through sealed. What the office writes is sealed for the reporter and for itself before the
ledger sees it; no text of either is in a row, the log, or a stored answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message

from licd.core.allegation import Allegation, AllegationMessage, AllegationState, Disclosure, Side
from licd.core.case import Case
from licd.core.errors import Invalid, NotFound
from licd.core.time import Instant
from licd.keys.letter import Part, seal_letter
from licd.ledger.allegation_tables import allegation
from licd.ledger.allegations import cases_of, disclosures_of, messages_of, same_number
from licd.ledger.database import Connection
from licd.ledger.queries import Page, listed
from licd.ledger.rows import ALLEGATIONS, CUSTOMERS
from licd.ledger.transaction import Command
from licd.ledger.verbs.allegations import (
    AcknowledgeAllegation,
    AnswerAllegation,
    DiscloseIdentity,
    JoinCase,
    OpenCaseFrom,
    PermitDisclosure,
    WriteMessage,
)
from licd.ledger.verbs.cases import OpenCase
from licd.policy import Policies
from licd.policy.problems import unknown
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.server.services.cases import case_message
from licd.v1 import allegation_pb2, operator_pb2
from licd.v1 import allegation_service_pb2 as pb

M = TypeVar("M", bound=Message)

PERMIT: Final = "AllegationService.PermitDisclosure"
STATES: Final = {
    each: allegation_pb2.AllegationState.Value(f"ALLEGATION_STATE_{each.name}") for each in AllegationState
}
SIDES: Final = {each: allegation_pb2.AllegationSide.Value(f"ALLEGATION_SIDE_{each.name}") for each in Side}


class Allegations:
    """Allegations, from the office's side."""

    def __init__(
        self, reader: Reader, changes: Changes, codes: ReasonCodes, policies: Policies, wall: Callable[[], Instant]
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._policies: Final = policies
        self._wall: Final = wall
        changes.plan_with(PERMIT, self._plan_permit)

    # reading

    async def get_allegation(self, request: pb.GetAllegationRequest, caller: Caller) -> pb.GetAllegationResponse:
        """With its sealed words, its cases and every look at who reported. Raises NotFound."""
        return pb.GetAllegationResponse(allegation=await self._shown(request.allegation))

    async def list_allegations(self, request: pb.ListAllegationsRequest, caller: Caller) -> pb.ListAllegationsResponse:
        """Newest first; those alone that were not answered, unless asked otherwise."""
        page = Page.of(request.page.page_size, request.page.page_token)
        wanted = [] if request.answered else [allegation.c.state != AllegationState.ANSWERED.value]
        found, token = await self._reader.run(
            lambda connection: listed(connection, ALLEGATIONS, page, wanted, descending=True)
        )
        return pb.ListAllegationsResponse(
            allegations=[allegation_message(each) for each in found],
            page=operator_pb2.PageInfo(next_page_token=token),
        )

    async def _found(self, identifier: str) -> Allegation:
        found = await self._reader.run(lambda connection: ALLEGATIONS.get(connection, identifier))
        if found is None:
            raise NotFound(f"there is no allegation {identifier}", field="allegation")
        return found

    async def _shown(self, identifier: str) -> allegation_pb2.Allegation:
        def query(found: Allegation, connection: Connection) -> allegation_pb2.Allegation:
            message = allegation_message(found)
            message.body, message.tracking = found.body, found.tracking
            message.messages.extend(_letter(each) for each in messages_of(connection, found.id))
            message.cases.extend(each.case for each in cases_of(connection, found.id))
            message.same_number.extend(same_number(connection, found))
            message.disclosures.extend(_disclosure(each) for each in disclosures_of(connection, found.id))
            return message

        return await self._reader.run(partial(query, await self._found(identifier)))

    # answering

    async def acknowledge_allegation(
        self, request: pb.AcknowledgeAllegationRequest, caller: Caller
    ) -> pb.AcknowledgeAllegationResponse:
        """Somebody has read it; the reporter sees so."""
        command = AcknowledgeAllegation(request.allegation, caller.operator().operator)
        return await self._answered(request, caller, command, pb.AcknowledgeAllegationResponse)

    async def answer_allegation(
        self, request: pb.AnswerAllegationRequest, caller: Caller
    ) -> pb.AnswerAllegationResponse:
        """In words of policy alone."""
        known = self._policies.allegations.answers
        if request.answer not in known:
            raise Invalid(unknown("answer", request.answer, known), field="answer")
        command = AnswerAllegation(request.allegation, request.answer, caller.operator().operator)
        return await self._answered(request, caller, command, pb.AnswerAllegationResponse)

    async def _answered(
        self, request: Any, caller: Caller, command: Command[Allegation], response: Callable[..., M]
    ) -> M:
        answer: Any = await self._changes.once(
            request, caller, command, lambda found: response(allegation=allegation_message(found))
        )
        answer.allegation.CopyFrom(await self._shown(answer.allegation.allegation))
        return cast("M", answer)

    async def write_message(self, request: pb.WriteMessageRequest, caller: Caller) -> pb.WriteMessageResponse:
        """To the reporter. Raises Invalid for one that names a customer: it would tell that there is one."""
        text = checked_text(request.text, "text")
        found = await self._found(request.allegation)
        await self._reader.run(partial(_refuse_naming, text))
        content = text.encode()
        command = WriteMessage(
            allegation=found.id,
            side=Side.OFFICE,
            for_office=seal_letter(found.office_key, Part.MESSAGE_TO_OFFICE, found.tracking, content),
            for_reporter=seal_letter(found.reporter_key, Part.MESSAGE_TO_REPORTER, found.tracking, content),
            actor=caller.operator().operator,
        )
        return await self._changes.once(
            request, caller, command, lambda made: pb.WriteMessageResponse(message=_letter(made, sealed=False))
        )

    # cases

    async def open_case_from(self, request: pb.OpenCaseFromRequest, caller: Caller) -> pb.OpenCaseFromResponse:
        """By one person; the case says nothing of who reported."""
        casework = self._policies.casework
        opening = OpenCase(
            customer=request.customer,
            licence=request.licence,
            code=self._codes.suspend(request.code),
            summary=checked_text(request.summary, "summary"),
            signal="",
            steps=casework.asked,
            acknowledge=casework.acknowledge,
            actor=caller.operator().operator,
        )
        command = OpenCaseFrom(request.allegation, opening)
        return await self._changes.once(request, caller, command, _with_case(pb.OpenCaseFromResponse))

    async def join_case(self, request: pb.JoinCaseRequest, caller: Caller) -> pb.JoinCaseResponse:
        """To a case that there is."""
        command = JoinCase(request.allegation, request.case, caller.operator().operator)
        return await self._changes.once(request, caller, command, _with_case(pb.JoinCaseResponse))

    # who reported

    async def permit_disclosure(
        self, request: pb.PermitDisclosureRequest, caller: Caller
    ) -> pb.PermitDisclosureResponse:
        """By as many persons as policy says, and for a purpose that it names."""
        response: pb.PermitDisclosureResponse = await self._changes.widen(PERMIT, request, caller)
        return response

    async def _plan_permit(self, request: pb.PermitDisclosureRequest, actor: str) -> Plan:
        policy = self._policies.allegations
        if request.purpose not in policy.purposes:
            raise Invalid(unknown("purpose", request.purpose, policy.purposes), field="purpose")
        detail = checked_text(request.detail, "detail")
        found = await self._found(request.allegation)
        return Plan(
            command=PermitDisclosure(found.id, request.purpose, detail, policy.life, actor),
            respond=lambda made: pb.PermitDisclosureResponse(disclosure=_disclosure(made)),
            subject=f"allegation/{found.id}",
            version=lambda _: 0,  # nothing that happens to it changes what is agreed to
            seen_version=0,
            summary=f"{actor} looks at who filed {found.id}, {request.purpose}: {detail}",
            persons=policy.persons,
        )

    async def disclose_identity(
        self, request: pb.DiscloseIdentityRequest, caller: Caller
    ) -> pb.DiscloseIdentityResponse:
        """One look. What is sealed is not kept with the answer: who asks again has to look again."""
        command = DiscloseIdentity(request.disclosure, caller.operator().operator)

        def kept(response: pb.DiscloseIdentityResponse) -> pb.DiscloseIdentityResponse:
            return pb.DiscloseIdentityResponse(disclosure=response.disclosure)

        return await self._changes.once(
            request,
            caller,
            command,
            lambda looked: pb.DiscloseIdentityResponse(
                disclosure=_disclosure(looked[0]), tracking=looked[1].tracking, sealed=looked[2].sealed
            ),
            kept,
        )


def _refuse_naming(text: str, connection: Connection) -> None:
    said = text.casefold()
    for customer in CUSTOMERS.where(connection):
        if customer.id.casefold() in said or (customer.name and customer.name.casefold() in said):
            raise Invalid("it names a customer, and would tell the reporter that there is one", field="text")


def _with_case(response: Callable[..., M]) -> Callable[[Case], M]:
    return lambda case: response(case=case_message(case))


def allegation_message(found: Allegation) -> allegation_pb2.Allegation:
    """An allegation as lists show it: nothing that was written."""
    return allegation_pb2.Allegation(
        allegation=found.id,
        state=STATES[found.state],
        filed_at_ms=found.filed_at,
        acknowledge_by_ms=found.acknowledge_by,
        answer_by_ms=found.answer_by,
        acknowledged_at_ms=found.acknowledged_at,
        acknowledged_by=found.acknowledged_by,
        answered_at_ms=found.answered_at,
        answered_by=found.answered_by,
        answer=found.answer,
        visible_at_ms=found.visible_at,
        identified=found.identified,
    )


def _letter(found: AllegationMessage, *, sealed: bool = True) -> allegation_pb2.AllegationMessage:
    return allegation_pb2.AllegationMessage(
        number=found.number,
        side=SIDES[found.side],
        sealed=found.for_office if sealed else b"",
        written_at_ms=found.written_at,
        actor=found.actor,
    )


def _disclosure(found: Disclosure) -> allegation_pb2.Disclosure:
    return allegation_pb2.Disclosure(
        disclosure=found.id,
        allegation=found.allegation,
        purpose=found.purpose,
        detail=found.detail,
        actor=found.actor,
        permitted_at_ms=found.permitted_at,
        expires_at_ms=found.expires_at,
        looks=found.looks,
    )
