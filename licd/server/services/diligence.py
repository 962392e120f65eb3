"""DiligenceService, the assessments: assess, override, work the checklist off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from licd.core.diligence import judge
from licd.core.errors import IllegalTransition, Invalid, NotFound
from licd.core.gate import Assessment, Standing, obstacles_of
from licd.core.terms import TERM_CEILING
from licd.core.time import DAY, Instant
from licd.ledger import tables
from licd.ledger.queries import Page, listed
from licd.ledger.rows import ASSESSMENTS, CUSTOMERS
from licd.ledger.standing import channels_of, items_of
from licd.ledger.verbs.diligence import (
    AssessCustomer,
    AssessedItem,
    CompleteItem,
    OverrideAssessment,
    RefuseItem,
    in_force,
)
from licd.policy import Policies
from licd.policy.diligence import DURATION, PRODUCT, is_country
from licd.policy.indicators.sources import SOURCES
from licd.policy.problems import unknown
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.country import Snapshot, snapshot
from licd.server.reader import Reader
from licd.server.services.ceilings import ceiling_message
from licd.v1 import diligence_pb2, operator_pb2
from licd.v1 import diligence_service_pb2 as pb
from licd.wire.diligence import assessment_message, facts_message, item_message, judgement_message

OVERRIDE: Final = "DiligenceService.OverrideAssessment"
HASH_BYTES: Final = 32


class Assessments:
    """Due-diligence records and what becomes of them."""

    def __init__(self, reader: Reader, changes: Changes, policies: Policies, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._policies: Final = policies
        self._wall: Final = wall
        factors = {factor.name: factor.question for factor in policies.diligence.rules.factors}
        self._words: Final = {name: text for one in SOURCES.values() for name, text in one.dimensions.items()} | factors
        changes.plan_with(OVERRIDE, self._plan_override)

    # reading

    async def get_assessment(self, request: pb.GetAssessmentRequest, caller: Caller) -> pb.GetAssessmentResponse:
        """With what stands between it and a licence now. Raises NotFound."""
        return pb.GetAssessmentResponse(assessment=await self._shown(request.assessment))

    async def list_assessments(self, request: pb.ListAssessmentsRequest, caller: Caller) -> pb.ListAssessmentsResponse:
        """Newest first."""
        page = Page.of(request.page.page_size, request.page.page_token)
        column = tables.assessment.c
        wanted = [column.customer == request.customer] if request.customer else []
        if not request.superseded:
            wanted.append(column.superseded_by == "")
        found, token = await self._reader.run(
            lambda connection: listed(connection, ASSESSMENTS, page, wanted, descending=True)
        )
        return pb.ListAssessmentsResponse(
            assessments=[assessment_message(each, ()) for each in found],
            page=operator_pb2.PageInfo(next_page_token=token),
        )

    async def _found(self, identifier: str) -> Assessment:
        found = await self._reader.run(lambda connection: ASSESSMENTS.get(connection, identifier))
        if found is None:
            raise NotFound(f"there is no assessment {identifier}", field="assessment")
        return found

    async def _shown(self, identifier: str) -> diligence_pb2.Assessment:
        found, now = await self._found(identifier), self._wall()
        items, channels = await self._reader.run(
            lambda connection: (items_of(connection, found.id), channels_of(connection, found.customer))
        )
        known = self._policies.diligence.items
        messages = [item_message(each, known[each.item].description if each.item in known else "") for each in items]
        shown = assessment_message(found, messages, whole=True)
        shown.ladder.extend(self._policies.diligence.rules.ladder)
        category = self._policies.categories.get(found.category)
        if category is not None and category.ceiling is not None:
            shown.ceiling.CopyFrom(ceiling_message(category.ceiling))
            shown.approvals = category.approvals
            shown.obstacles.extend(obstacles_of(self._policies.diligence.gate, Standing(found, items, channels), now))
        else:
            shown.obstacles.append(f"nothing is licensed in category {found.category}")
        return shown

    # assessing

    async def assess_customer(self, request: pb.AssessCustomerRequest, caller: Caller) -> pb.AssessCustomerResponse:
        """Judges by the policy in force and the newest indicators. One person may: it gives no right."""
        if not self._policies.diligence.assesses:
            raise IllegalTransition("the policy in force says assess = false", field="policy")
        await self._refuse_unknown(request.customer)
        if not is_country(request.country):
            raise Invalid(f"want two letters of ISO 3166-1, got {request.country[:60]!r}", field="country")
        if not DAY <= request.term_ms <= TERM_CEILING:
            raise Invalid("from a day to ten years", field="term_ms")
        product = checked_text(request.product, "product", limit=128)
        given = self._answers(request.answers)
        policy, now = self._policies.diligence, self._wall()
        taken: Snapshot = await self._reader.run(lambda connection: snapshot(connection, policy))
        readings = taken.readings(policy, request.country, now)
        answers = policy.answered(given, product, request.term_ms)
        judgement = judge(policy.rules, readings, answers)
        command = AssessCustomer(
            customer=request.customer,
            product=product,
            country=request.country,
            category=judgement.category,
            term=request.term_ms,
            policy_version=self._policies.version,
            review_interval=self._policies.categories[judgement.category].review_interval,
            facts=facts_message(readings, taken.files, answers, product, request.term_ms).SerializeToString(),
            judgement=judgement_message(judgement, self._words).SerializeToString(),
            checklist=self._checklist(judgement.category, request.evidence),
            actor=caller.operator().operator,
        )
        response = await self._changes.once(
            request, caller, command, lambda made: pb.AssessCustomerResponse(assessment=assessment_message(made, ()))
        )
        response.assessment.CopyFrom(await self._shown(response.assessment.assessment))
        return response

    async def _refuse_unknown(self, customer: str) -> None:
        if await self._reader.run(lambda connection: CUSTOMERS.get(connection, customer)) is None:
            raise NotFound(f"there is no customer {customer}", field="customer")

    def _answers(self, given: Iterable[diligence_pb2.FactorAnswer]) -> dict[str, str]:
        """Refuses what no policy asks: a misspelt answer must not count in silence as the worst."""
        factors = {factor.name: factor for factor in self._policies.diligence.rules.factors}
        answers: dict[str, str] = {}
        for each in given:
            if each.factor in {PRODUCT, DURATION}:
                raise Invalid(f"{each.factor} is answered by policy, not by a person", field="answers")
            if each.factor not in factors:
                raise Invalid(unknown("factor", each.factor, factors), field="answers")
            if each.option not in factors[each.factor].options:
                known = ", ".join(factors[each.factor].options)
                raise Invalid(f"{each.factor}: {each.option!r} is none of {known}", field="answers")
            if each.factor in answers:
                raise Invalid(f"{each.factor} is answered twice", field="answers")
            answers[each.factor] = each.option
        return answers

    def _checklist(self, category: str, evidence: Iterable[pb.ItemEvidence]) -> list[AssessedItem]:
        """What the category asks for, and what came along without being asked for."""
        shown: dict[str, pb.ItemEvidence] = {}
        for each in evidence:
            self._refuse_unfit(each)
            if each.item in shown:
                raise Invalid(f"{each.item} comes with two files", field="evidence")
            shown[each.item] = each
        asked = self._policies.diligence.checklists[category]
        return [self._item(name, shown) for name in (*asked, *(name for name in shown if name not in asked))]

    def _item(self, name: str, evidence: Mapping[str, pb.ItemEvidence]) -> AssessedItem:
        accepts = self._policies.diligence.items[name].accepts
        found = evidence.get(name)
        return AssessedItem(name, accepts, found.sha256.hex(), found.note) if found else AssessedItem(name, accepts)

    def _refuse_unfit(self, evidence: pb.ItemEvidence) -> None:
        if evidence.item not in self._policies.diligence.items:
            raise Invalid(unknown("item", evidence.item, self._policies.diligence.items), field="evidence.item")
        if len(evidence.sha256) != HASH_BYTES:
            raise Invalid("the SHA-256 of the file that shows it, 32 bytes", field="evidence.sha256")
        checked_text(evidence.note, "evidence.note", required=False)

    # what becomes of it

    async def complete_item(self, request: pb.CompleteItemRequest, caller: Caller) -> pb.CompleteItemResponse:
        """Done, with the hash of what shows it."""
        self._refuse_unfit(request.evidence)
        command = CompleteItem(
            request.assessment,
            request.evidence.item,
            request.evidence.sha256.hex(),
            request.evidence.note,
            caller.operator().operator,
        )
        await self._changes.once(request, caller, command, lambda _: pb.CompleteItemResponse())
        return pb.CompleteItemResponse(assessment=await self._shown(request.assessment))

    async def refuse_item(self, request: pb.RefuseItemRequest, caller: Caller) -> pb.RefuseItemResponse:
        """Will not be done, with a reason."""
        reason = checked_text(request.reason, "reason")
        command = RefuseItem(request.assessment, request.item, reason, caller.operator().operator)
        await self._changes.once(request, caller, command, lambda _: pb.RefuseItemResponse())
        return pb.RefuseItemResponse(assessment=await self._shown(request.assessment))

    async def override_assessment(
        self, request: pb.OverrideAssessmentRequest, caller: Caller
    ) -> pb.OverrideAssessmentResponse:
        """Needs a second person, and a reason."""
        response: pb.OverrideAssessmentResponse = await self._changes.widen(OVERRIDE, request, caller)
        return response

    async def _plan_override(self, request: pb.OverrideAssessmentRequest, actor: str) -> Plan:
        found = await self._found(request.assessment)
        reason = checked_text(request.reason, "reason")
        policy = self._policies.diligence
        if request.category == found.category:
            raise Invalid(f"it is {found.category} already", field="category")
        if not policy.may_override(found.judged, request.category):
            raise Invalid(
                f"judged was {found.judged}; policy lets two persons go down by {policy.override_steps} at most, never "
                f"out of {policy.rules.ladder[-1]}, to one of {', '.join(policy.rules.ladder)}",
                field="category",
            )
        interval = self._policies.categories[request.category].review_interval
        command = OverrideAssessment(
            found.id, request.category, interval, self._checklist(request.category, ()), reason, actor
        )
        return Plan(
            command=command,
            respond=lambda made: pb.OverrideAssessmentResponse(assessment=assessment_message(made, ())),
            subject=f"assessment/{found.id}",
            version=lambda tx: in_force(tx, found.id).overridden_at,
            seen_version=found.overridden_at,
            summary=f"assessment {found.id} of {found.customer} ({found.product}, {found.country}) found "
            f"{found.judged}: take {request.category} in its place: {reason}",
        )
