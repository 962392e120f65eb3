"""CaseService: suspicion that is looked into, to a determination by several persons and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, assert_never, cast

from google.protobuf.message import Message

from licd.core.case import ENDED, Case, CaseState, CaseStep, Determination, StepState, obstacles
from licd.core.errors import Invalid, NotFound
from licd.core.model import Licence
from licd.core.time import Instant
from licd.ledger import signal_tables
from licd.ledger.database import Connection
from licd.ledger.queries import Page, listed
from licd.ledger.rows import CASES, CONDITIONS, LICENCES
from licd.ledger.transaction import Command
from licd.ledger.verbs.cases import (
    DecideStep,
    DetermineCase,
    MoveCase,
    OpenCase,
    Remedy,
    ReopenCase,
    case_of,
    steps_of,
)
from licd.ledger.verbs.conditions import AddCondition
from licd.ledger.verbs.licences import AmendLicence, TerminateLicence
from licd.policy import Policies
from licd.policy.casework import Action, RemedyPolicy
from licd.policy.problems import unknown
from licd.policy.tighten import tightened
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import case_pb2, operator_pb2
from licd.v1 import case_service_pb2 as pb

M = TypeVar("M", bound=Message)

DETERMINE: Final = "CaseService.DetermineCase"
HASH_BYTES: Final = 32
STATES: Final = {state: case_pb2.CaseState.Value(f"CASE_STATE_{state.name}") for state in CaseState}
DETERMINATIONS: Final = {each: case_pb2.Determination.Value(f"DETERMINATION_{each.name}") for each in Determination}
STEP_STATES: Final = {state: case_pb2.CaseStepState.Value(f"CASE_STEP_STATE_{state.name}") for state in StepState}


class CaseService:
    """Cases, and what becomes of them."""

    def __init__(
        self, reader: Reader, changes: Changes, codes: ReasonCodes, policies: Policies, wall: Callable[[], Instant]
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._policies: Final = policies
        self._wall: Final = wall
        changes.plan_with(DETERMINE, self._plan_determine)

    # reading

    async def get_case(self, request: pb.GetCaseRequest, caller: Caller) -> pb.GetCaseResponse:
        """With the steps of its present round, and what stands in the way of a determination. Raises NotFound."""
        return pb.GetCaseResponse(case=await self._shown(request.case))

    async def list_cases(self, request: pb.ListCasesRequest, caller: Caller) -> pb.ListCasesResponse:
        """Newest first; those alone that are not over, unless asked otherwise."""
        page = Page.of(request.page.page_size, request.page.page_token)
        column = signal_tables.case_file.c
        wanted = [column.customer == request.customer] if request.customer else []
        if not request.ended:
            wanted += [column.state != state.value for state in sorted(ENDED)]
        found, token = await self._reader.run(
            lambda connection: listed(connection, CASES, page, wanted, descending=True)
        )
        return pb.ListCasesResponse(
            cases=[case_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def _found(self, identifier: str) -> tuple[Case, list[CaseStep]]:
        def query(connection: Connection) -> tuple[Case, list[CaseStep]]:
            found = CASES.get(connection, identifier)
            if found is None:
                raise NotFound(f"there is no case {identifier}", field="case")
            return found, steps_of(connection, found)

        return await self._reader.run(query)

    async def _shown(self, identifier: str) -> case_pb2.Case:
        found, steps = await self._found(identifier)
        message = case_message(found)
        known = self._policies.casework.steps
        for step in steps:
            description = known[step.step].description if step.step in known else ""
            message.steps.append(_step_message(step, description))
        message.obstacles.extend(obstacles(steps))
        return message

    # working on it

    async def open_case(self, request: pb.OpenCaseRequest, caller: Caller) -> pb.OpenCaseResponse:
        """By one person: suspicion is never held up."""
        casework = self._policies.casework
        command = OpenCase(
            customer=request.customer,
            licence=request.licence,
            code=self._codes.suspend(request.code),
            summary=checked_text(request.summary, "summary"),
            signal=request.signal,
            steps=casework.asked,
            acknowledge=casework.acknowledge,
            actor=caller.operator().operator,
        )
        return await self._answered(request, caller, command, pb.OpenCaseResponse)

    async def move_case(self, request: pb.MoveCaseRequest, caller: Caller) -> pb.MoveCaseResponse:
        """To the next state. Raises IllegalTransition with the ways there are, and with the steps that are missing."""
        to = next((state for state, number in STATES.items() if number == request.state), None)
        if to is None:
            raise Invalid("which state?", field="state")
        command = MoveCase(request.case, to, checked_text(request.note, "note"), caller.operator().operator)
        return await self._answered(request, caller, command, pb.MoveCaseResponse)

    async def complete_step(self, request: pb.CompleteStepRequest, caller: Caller) -> pb.CompleteStepResponse:
        """Done, with the hash of what shows it."""
        if len(request.evidence) != HASH_BYTES:
            raise Invalid("the SHA-256 of the file that shows it, 32 bytes", field="evidence")
        note = checked_text(request.note, "note", required=False)
        actor = caller.operator().operator
        command = DecideStep(request.case, request.step, StepState.DONE, request.evidence.hex(), note, actor)
        return await self._answered(request, caller, command, pb.CompleteStepResponse)

    async def refuse_step(self, request: pb.RefuseStepRequest, caller: Caller) -> pb.RefuseStepResponse:
        """Will not be done, with a reason."""
        reason = checked_text(request.reason, "reason")
        actor = caller.operator().operator
        command = DecideStep(request.case, request.step, StepState.REFUSED, "", reason, actor)
        return await self._answered(request, caller, command, pb.RefuseStepResponse)

    async def reopen_case(self, request: pb.ReopenCaseRequest, caller: Caller) -> pb.ReopenCaseResponse:
        """A new round, every step anew."""
        reason = checked_text(request.reason, "reason")
        command = ReopenCase(request.case, reason, self._policies.casework.asked, caller.operator().operator)
        return await self._answered(request, caller, command, pb.ReopenCaseResponse)

    async def _answered(self, request: Any, caller: Caller, command: Command[Case], response: Callable[..., M]) -> M:
        answer: Any = await self._changes.once(request, caller, command, lambda case: response(case=case_message(case)))
        answer.case.CopyFrom(await self._shown(answer.case.case))
        return cast("M", answer)

    # determining

    async def determine_case(self, request: pb.DetermineCaseRequest, caller: Caller) -> pb.DetermineCaseResponse:
        """By as many persons as policy says."""
        response: pb.DetermineCaseResponse = await self._changes.widen(DETERMINE, request, caller)
        return response

    async def _plan_determine(self, request: pb.DetermineCaseRequest, actor: str) -> Plan:
        found, steps = await self._found(request.case)
        determination = next((each for each, number in DETERMINATIONS.items() if number == request.determination), None)
        if determination is None:
            raise Invalid("misuse, no misuse or inconclusive", field="determination")
        reasons = checked_text(request.reasons, "reasons")
        if open_ones := obstacles(steps):
            raise Invalid("; ".join(open_ones), field="case")
        remedies = [await self._remedy(each, determination, found, actor) for each in request.remedies]
        told = ", ".join(f"{each.remedy} {each.licence}" for each in request.remedies) or "no remedy"
        return Plan(
            command=DetermineCase(found.id, determination, reasons, remedies, actor),
            respond=lambda case: pb.DetermineCaseResponse(case=case_message(case)),
            subject=f"case/{found.id}",
            version=lambda tx: case_of(tx, found.id).version,
            seen_version=found.version,
            summary=f"case {found.id} of {found.customer}: {determination.value}, {told}: {reasons}",
            persons=self._policies.casework.persons,
        )

    async def _remedy(self, asked: case_pb2.CaseRemedy, determination: Determination, case: Case, actor: str) -> Remedy:
        known = self._policies.casework.remedies
        if asked.remedy not in known:
            raise Invalid(unknown("remedy", asked.remedy, known), field="remedies.remedy")
        remedy = known[asked.remedy]
        if determination not in remedy.after:
            raise Invalid(f"{asked.remedy} does not follow from {determination}", field="remedies.remedy")
        licence = await self._reader.run(lambda connection: LICENCES.get(connection, asked.licence))
        if licence is None:
            raise NotFound(f"there is no licence {asked.licence}", field="remedies.licence")
        why = f"case {case.id}: {determination}"
        match remedy.action:
            case Action.TERMINATE:
                return Remedy(asked.remedy, TerminateLicence(licence.id, remedy.code, why, actor))
            case Action.TIGHTEN:
                return Remedy(asked.remedy, self._narrowing(licence, remedy.category, why, actor))
            case Action.OBLIGE:
                return Remedy(asked.remedy, await self._obliging(licence, remedy, actor))
            case _:
                assert_never(remedy.action)

    async def _obliging(self, licence: Licence, remedy: RemedyPolicy, actor: str) -> AddCondition:
        """What is owed sooner already stays due as it is."""
        owed = f"{licence.id}/{remedy.obligation}"
        found = await self._reader.run(lambda connection: CONDITIONS.get(connection, owed))
        due_at = self._wall() + remedy.due
        if found is not None and 0 < found.due_at < due_at:
            due_at = 0
        every = self._policies.suspension.obligations[remedy.obligation].every
        return AddCondition(licence.id, remedy.obligation, due_at, "", every, may_replace=False, actor=actor)

    def _narrowing(self, licence: Licence, category: str, why: str, actor: str) -> AmendLicence:
        ceiling = self._policies.categories[category].ceiling
        narrower = licence.terms if ceiling is None else tightened(licence.terms, ceiling, self._wall())
        if narrower == licence.terms:
            raise Invalid(f"{licence.id} is within the ceiling of {category} already", field="remedies.licence")
        return AmendLicence(licence.id, licence.version, narrower, "", why, actor, "amended")


def case_message(case: Case) -> case_pb2.Case:
    """A case without its steps."""
    message = case_pb2.Case(
        case=case.id,
        customer=case.customer,
        licence=case.licence,
        code=case.code,
        summary=case.summary,
        signal=case.signal,
        state=STATES[case.state],
        state_since_ms=case.state_since,
        opened_at_ms=case.opened_at,
        opened_by=case.opened_by,
        acknowledge_by_ms=case.acknowledge_by,
        round=case.round,
        reasons=case.reasons,
        determined_at_ms=case.determined_at,
        remedies=_remedies(case.remedies),
    )
    if case.determination:
        message.determination = DETERMINATIONS[Determination(case.determination)]
    return message


def _remedies(told: str) -> Sequence[case_pb2.CaseRemedy]:
    pairs = [each.partition(":") for each in told.split(",") if each]
    return [case_pb2.CaseRemedy(remedy=remedy, licence=licence) for remedy, _, licence in pairs]


def _step_message(step: CaseStep, description: str) -> case_pb2.CaseStep:
    return case_pb2.CaseStep(
        step=step.step,
        mandatory=step.mandatory,
        state=STEP_STATES[step.state],
        evidence=bytes.fromhex(step.evidence),
        note=step.note,
        actor=step.actor,
        decided_at_ms=step.decided_at,
        description=description,
    )
