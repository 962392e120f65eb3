"""LicenceService, the rights: issue, get, list, amend, renew, terminate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, TypeVar

from licd.core.errors import AlreadyExists, Conflict, Invalid, NotFound
from licd.core.gate import refuse_obstacles
from licd.core.model import Licence
from licd.core.terms import TERM_CEILING, Terms, TermsInvalid, check_terms, rights_of, widened_terms
from licd.core.time import DAY, SECOND, Instant
from licd.ledger import tables
from licd.ledger.counts import enrolled_systems, licence_seats
from licd.ledger.database import Connection
from licd.ledger.queries import Page, listed
from licd.ledger.rows import CUSTOMERS, LICENCES
from licd.ledger.standing import standing_of
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.licences import AmendLicence, IssueLicence, TerminateLicence
from licd.policy import Policies, beyond_policy
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.names import checked_name
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import licence_service_pb2 as pb
from licd.v1 import operator_pb2
from licd.wire.resources import LICENCE_STATUS, licence_message
from licd.wire.terms import constraints_from_messages

ISSUE: Final = "LicenceService.IssueLicence"
AMEND: Final = "LicenceService.AmendLicence"
RENEW: Final = "LicenceService.RenewLicence"
ID_DIGITS: Final = 10

R = TypeVar("R", bound=Any)


class Licences:
    """Contracts and what becomes of them."""

    def __init__(
        self,
        *,
        reader: Reader,
        changes: Changes,
        codes: ReasonCodes,
        policies: Policies,
        wall: Callable[[], Instant],
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._codes: Final = codes
        self._policies: Final = policies
        self._wall: Final = wall
        changes.plan_with(ISSUE, self._plan_issue)
        changes.plan_with(AMEND, self._plan_amend)
        changes.plan_with(RENEW, self._plan_renew)

    # reading

    async def get_licence(self, request: pb.GetLicenceRequest, caller: Caller) -> pb.GetLicenceResponse:
        """Raises NotFound."""
        found = await self._found(request.licence)
        now = self._wall()
        counted = await self._reader.run(lambda connection: _counted(connection, found, now))
        return pb.GetLicenceResponse(licence=counted)

    async def list_licences(self, request: pb.ListLicencesRequest, caller: Caller) -> pb.ListLicencesResponse:
        """In the order of their identifiers."""
        page = Page.of(request.page.page_size, request.page.page_token)
        now = self._wall()
        column = tables.licence.c
        wanted = [column.customer == request.customer] if request.customer else []
        if request.status:
            wanted.append(column.status == _stored_status(request.status))

        def query(connection: Connection) -> pb.ListLicencesResponse:
            found, token = listed(connection, LICENCES, page, wanted)
            return pb.ListLicencesResponse(
                licences=[_counted(connection, each, now) for each in found],
                page=operator_pb2.PageInfo(next_page_token=token),
            )

        return await self._reader.run(query)

    async def _found(self, identifier: str) -> Licence:
        found = await self._reader.run(lambda connection: LICENCES.get(connection, identifier))
        if found is None:
            raise NotFound(f"there is no licence {identifier}", field="licence")
        return found

    async def _recounted(self, response: R) -> R:
        return await recounted(self._reader, self._wall(), response)

    # what widens

    async def issue_licence(self, request: pb.IssueLicenceRequest, caller: Caller) -> pb.IssueLicenceResponse:
        """Creates a right: needs a second person, by policy."""
        response: pb.IssueLicenceResponse = await self._changes.widen(ISSUE, request, caller)
        return await self._recounted(response)

    async def _plan_issue(self, request: pb.IssueLicenceRequest, actor: str) -> Plan:
        terms = self._checked(self._issued_terms(request))
        self._refuse_over(terms)
        await self._refuse_taken(terms.licence)
        await self._refuse_at_gate("issued", terms)
        return Plan(
            command=IssueLicence(terms, actor),
            respond=lambda licence: pb.IssueLicenceResponse(licence=licence_message(licence, licence.issued_at)),
            subject=f"licence/{terms.licence}",
            version=lambda tx: tx.customer(terms.customer).version,
            seen_version=await self._customer_version(terms.customer),
            summary=f"issue licence {terms.licence} to {terms.customer}, "
            f"{_term(terms, from_issue=not request.not_before_ms)}: {_described(terms)}",
            persons=self._policies.categories[terms.category].approvals,
        )

    async def _refuse_at_gate(self, verb: str, terms: Terms, licence: str = "") -> None:
        """Before a second person is asked; it is looked at again in the transaction that decides."""
        gate = self._policies.diligence.gate
        if gate.stands(verb):
            standing = await self._reader.run(
                lambda connection: standing_of(connection, terms.customer, terms.product, licence)
            )
            refuse_obstacles(gate, terms, standing, self._wall())

    async def _refuse_taken(self, identifier: str) -> None:
        """Before a second person is asked, and again when he signs: another may have been issued meanwhile."""
        if await self._reader.run(lambda connection: LICENCES.get(connection, identifier)) is not None:
            raise AlreadyExists(f"there is a licence {identifier} already", field="licence")

    def _refuse_over(self, terms: Terms) -> None:
        if terms.not_after <= self._wall():
            raise Invalid(f"its term is over since {_utc(terms.not_after)}", field="terms.not_after_ms")

    async def _customer_version(self, customer: str) -> int:
        found = await self._reader.run(lambda connection: CUSTOMERS.get(connection, customer))
        if found is None:
            raise NotFound(f"there is no customer {customer}", field="customer")
        return found.version

    def _issued_terms(self, request: pb.IssueLicenceRequest) -> Terms:
        """The terms a request comes to now; the same request has the same identifier whenever it is planned."""
        named = request.licence or f"lic-{sha256(request.request_id.encode()).hexdigest()[:ID_DIGITS]}"
        identifier = checked_name(named, "licence")
        match request.WhichOneof("source"):
            case "template":
                return self._from_template(request, identifier)
            case "terms":
                return self._from_draft(request.terms, identifier, request.customer)
            case _:
                raise Invalid("name a template, or give terms", field="source")

    def _from_template(self, request: pb.IssueLicenceRequest, identifier: str) -> Terms:
        template = self._policies.templates.get(request.template)
        if template is None:
            known = ", ".join(sorted(self._policies.templates))
            raise Invalid(f"{request.template!r} is none of the policy's templates: {known}", field="template")
        not_before = request.not_before_ms or self._wall()
        return Terms(
            licence=identifier,
            customer=request.customer,
            issuer="",
            revision=0,
            issued_at=0,
            not_before=not_before,
            not_after=not_before + template.term,
            product=template.product,
            category=template.category,
            policy_version=self._policies.version,
            lineage=identifier,
            constraints=template.constraints(),
            conditions=template.conditions,
        )

    def _from_draft(self, draft: pb.TermsDraft, identifier: str, customer: str) -> Terms:
        try:
            constraints = constraints_from_messages(draft.constraints)
        except TermsInvalid as error:
            raise Invalid(error.problem, field=f"terms.{error.field}") from error
        return Terms(
            licence=identifier,
            customer=customer,
            issuer="",
            revision=0,
            issued_at=0,
            not_before=draft.not_before_ms or self._wall(),
            not_after=draft.not_after_ms,
            product=checked_text(draft.product, "terms.product", limit=128),
            category=draft.category,
            policy_version=self._policies.version,
            lineage=identifier,
            constraints=constraints,
        )

    def _checked(self, terms: Terms) -> Terms:
        if abs(terms.not_before - self._wall()) > TERM_CEILING:
            raise Invalid("unix milliseconds, within ten years of now", field="not_before_ms")
        try:
            check_terms(terms)
            beyond = beyond_policy(self._policies, terms)
        except TermsInvalid as error:
            raise Invalid(error.problem, field=f"terms.{error.field}") from error
        if beyond:
            raise Invalid("; ".join(beyond), field="terms")
        return terms

    async def amend_licence(self, request: pb.AmendLicenceRequest, caller: Caller) -> pb.AmendLicenceResponse:
        """What only narrows takes effect at once; what widens anything needs a second person."""
        response: pb.AmendLicenceResponse = await self._changes.widen(AMEND, request, caller)
        return await self._recounted(response)

    async def _plan_amend(self, request: pb.AmendLicenceRequest, actor: str) -> Plan:
        found = await self._found(request.licence)
        _refuse_other_version(found, request.version)
        terms = self._checked(self._from_draft(request.terms, found.id, found.customer))
        terms = replace(terms, conditions=found.terms.conditions)
        wider = widened_terms(found.terms, terms)
        if wider:
            await self._refuse_at_gate("widened", terms, found.id)
        command = AmendLicence(
            licence=found.id,
            version=request.version,
            terms=terms,
            code=checked_text(request.reason_code, "reason_code", limit=64, required=False),
            detail=checked_text(request.detail, "detail", required=False),
            actor=actor,
            verb="amended",
        )
        return Plan(
            command=command,
            respond=lambda licence: pb.AmendLicenceResponse(licence=licence_message(licence, self._wall())),
            subject=f"licence/{found.id}",
            version=version_of(found.id),
            seen_version=request.version,
            summary=f"amend licence {found.id}, widening {', '.join(wider) or 'nothing'}, "
            f"{_term(terms, from_issue=False)}: {_described(terms)}",
            widens=bool(wider),
            persons=self._policies.categories[terms.category].approvals,
        )

    async def renew_licence(self, request: pb.RenewLicenceRequest, caller: Caller) -> pb.RenewLicenceResponse:
        """A longer term, under today's policy."""
        response: pb.RenewLicenceResponse = await self._changes.widen(RENEW, request, caller)
        return await self._recounted(response)

    async def _plan_renew(self, request: pb.RenewLicenceRequest, actor: str) -> Plan:
        found = await self._found(request.licence)
        _refuse_other_version(found, request.version)
        if request.not_after_ms <= found.terms.not_after:
            raise Invalid(f"must be later than the present end, {_utc(found.terms.not_after)}", field="not_after_ms")
        not_before = max(self._wall(), found.terms.not_before)
        longer = replace(
            found.terms,
            not_before=not_before,
            not_after=request.not_after_ms,
            policy_version=self._policies.version,
        )
        terms = self._checked(longer)
        await self._refuse_at_gate("renewed", terms, found.id)
        command = AmendLicence(found.id, request.version, terms, "", "", actor, "renewed")
        return Plan(
            command=command,
            respond=lambda licence: pb.RenewLicenceResponse(licence=licence_message(licence, self._wall())),
            subject=f"licence/{found.id}",
            version=version_of(found.id),
            seen_version=request.version,
            summary=f"renew licence {found.id}, {_term(terms, from_issue=False)}: {_described(terms)}",
            persons=self._policies.categories[terms.category].approvals,
        )

    # what narrows

    async def terminate_licence(
        self, request: pb.TerminateLicenceRequest, caller: Caller
    ) -> pb.TerminateLicenceResponse:
        """Final. One person is enough: it stops."""
        command = TerminateLicence(
            request.licence,
            self._codes.terminate(request.reason_code),
            checked_text(request.detail, "detail"),
            caller.operator().operator,
        )
        response = await self._changes.once(
            request,
            caller,
            command,
            lambda licence: pb.TerminateLicenceResponse(licence=licence_message(licence, self._wall())),
        )
        return await self._recounted(response)


async def recounted(reader: Reader, now: Instant, response: R) -> R:
    """The answer to a change with the seats and systems of now: they are no part of what was decided."""
    message: operator_pb2.Licence = response.licence

    def query(connection: Connection) -> operator_pb2.Licence | None:
        found = LICENCES.get(connection, message.licence)
        return _counted(connection, found, now) if found is not None else None

    counted = await reader.run(query) if message.licence else None
    if counted is not None:
        message.live, message.cooling, message.deployments = counted.live, counted.cooling, counted.deployments
    return response


def _refuse_other_version(found: Licence, version: int) -> None:
    """Before a second person is asked: what cannot be done need not be agreed to."""
    if found.version != version:
        raise Conflict(f"the licence is at version {found.version}, not {version}", field="version")


def version_of(licence: str) -> Callable[[Transaction], int]:
    """The licence's version, as whoever signs for a change of it saw it."""
    return lambda tx: tx.state(licence).licence.version


def _counted(connection: Connection, licence: Licence, now: Instant) -> operator_pb2.Licence:
    live, cooling = licence_seats(connection, licence.lineage, now)
    enrolled = enrolled_systems(connection, licence.id)
    return licence_message(licence, now, live=live, cooling=cooling, deployments=enrolled)


def _stored_status(number: int) -> str:
    for status, known in LICENCE_STATUS.items():
        if known == number:
            return status.value
    raise Invalid("expired is derived from time and cannot be listed by", field="status")


def _term(terms: Terms, *, from_issue: bool) -> str:
    """The term in words: what is not fixed by the request is counted from when it takes effect."""
    if from_issue:
        return f"for {(terms.not_after - terms.not_before) / DAY:g} days from its issue"
    return f"from {_utc(terms.not_before)} to {_utc(terms.not_after)}"


def _utc(instant: Instant) -> str:
    return datetime.fromtimestamp(instant / SECOND, UTC).isoformat(timespec="seconds")


def _described(terms: Terms) -> str:
    rights = rights_of(terms)
    return (
        f"category {terms.category}, {rights.cap} concurrent targets, {rights.deployments} systems, "
        f"permits of {rights.length / SECOND:g} s, grace of {rights.grace / SECOND:g} s"
    )
