"""How an operator's change is made: once for its request id, and by two persons where it widens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar, cast

from google.protobuf.message import Message

from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.time import DAY, Instant, Millis
from licd.keys.envelope import verify
from licd.keys.errors import KeysError
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.verification_key import VerificationKey
from licd.ledger.records import Approval
from licd.ledger.transaction import Command, Transaction
from licd.ledger.verbs.approvals import EndOutdated, RequestApproval, SignApproval, refuse_ended
from licd.ledger.verbs.once import Once, Recall
from licd.policy.policies import Policies
from licd.server.caller import Caller
from licd.server.directory import FOREVER, Directory
from licd.server.methods import METHODS
from licd.server.writer import Writer
from licd.v1 import operator_pb2 as pb
from licd.v1.envelope_pb2 import Envelope

M = TypeVar("M", bound=Message)

ANSWERS_KEPT: Final[Millis] = DAY
PERSONS: Final = 2
TEXT_LIMIT: Final = 2000
APPROVE: Final = "ApprovalService.SignApproval"


@dataclass(frozen=True, slots=True)
class Answering(Generic[M]):
    """A command whose result is made into its response where it is decided, so that both are kept together."""

    inner: Command[Any]
    respond: Callable[[Any], M]

    @property
    def grants(self) -> bool:
        """As the command inside."""
        return self.inner.grants

    @property
    def urgent(self) -> bool:
        """As the command inside."""
        return self.inner.urgent

    def run(self, tx: Transaction) -> M:
        """Decides, and packs what was decided."""
        return self.respond(self.inner.run(tx))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request comes to: the command, how its result is answered, and what signers agree to.

    persons counts those who must sign, the one who asks included.
    """

    command: Command[Any]
    respond: Callable[[Any], Message]
    subject: str
    version: Callable[[Transaction], int]
    seen_version: int
    summary: str
    widens: bool = True
    persons: int = PERSONS


Planner = Callable[[Any, str], Awaitable[Plan]]


class Changes:
    """Makes changes for operators."""

    def __init__(self, writer: Writer, directory: Directory, policies: Policies, wall: Callable[[], Instant]) -> None:
        self._writer: Final = writer
        self._directory: Final = directory
        self._policies: Final = policies
        self._wall: Final = wall
        self._planners: dict[str, Planner] = {}

    def plan_with(self, verb: str, planner: Planner) -> None:
        """Registers how requests of a method that may need a second person are planned."""
        self._planners[verb] = planner

    async def once(
        self,
        request: Any,
        caller: Caller,
        command: Command[Any],
        respond: Callable[[Any], M],
        kept: Callable[[M], M] = lambda response: response,
    ) -> M:
        """Makes a change that one person may make. kept is what is left of the response for when it is asked again."""
        kind = type(respond_type(request))
        once: Once[Any] = Once(
            inner=Answering(command, respond),
            caller=caller.name,
            request_id=request.request_id,
            fingerprint=fingerprint(request),
            keep=ANSWERS_KEPT,
            pack=lambda response: ("", kept(response).SerializeToString()),
            unpack=lambda _tx, _kind, answer: kind.FromString(answer),
        )
        return cast("M", await self._writer.execute(once))

    async def widen(self, verb: str, request: Any, caller: Caller) -> Any:
        """Makes a change at once where policy lets one person, else asks for a second one's approval."""
        actor = caller.operator().operator
        try:
            plan = await self._planners[verb](request, actor)
        except LicdError as error:
            return await self._answered_before(request, caller, error)
        if not self._policies.roles.needs_second_person(verb, widens=plan.widens):
            return await self.once(request, caller, plan.command, plan.respond)
        ask = RequestApproval(
            method=_path(verb),
            request=request.SerializeToString(),
            actor=actor,
            subject=plan.subject,
            subject_version=plan.seen_version,
            summary=plan.summary,
            needed=plan.persons,
            life=self._policies.roles.approval_life,
            urgent=plan.command.urgent,
        )
        response = type(respond_type(request))
        return await self.once(request, caller, ask, lambda approval: response(approval=approval_message(approval)))

    async def sign(self, request: Any, caller: Caller, found: Approval, respond: Callable[[Approval], M]) -> M:
        """Adds the caller's signature to what waits; executes it when that completes it."""
        try:
            command = await self._signing(request, caller, found)
        except (LicdError, KeysError) as error:
            return cast("M", await self._answered_before(request, caller, error))
        try:
            return await self.once(request, caller, command, respond)
        except Conflict as error:
            await self._writer.execute(EndOutdated(found.id, command.subject_version, error.detail))
            raise

    async def _answered_before(self, request: Any, caller: Caller, error: Exception) -> Any:
        """The stored answer to a request that can be made no more because it was made; else raises the error."""
        known = await self._writer.execute(Recall(caller.name, request.request_id, fingerprint(request)))
        if known is None:
            raise error
        return type(respond_type(request)).FromString(known)

    async def _signing(self, request: Any, caller: Caller, found: Approval) -> SignApproval:
        method = METHODS[found.method]
        operator = self._directory.operator(caller)
        if operator.id != found.requested_by and not self._policies.roles.may_call(operator.role_set, APPROVE):
            raise Forbidden(f"operator {operator.id} has no role that approves")
        self._refuse_former(found)
        refuse_ended(found)
        envelope = self._verified(request.command, operator.id, operator.public_key)
        asked = method.request.FromString(found.request_bytes())
        try:
            plan = await self._planners[method.verb](asked, found.requested_by)
        except (AlreadyExists, Conflict, IllegalTransition, NotFound) as error:
            # It could be planned when it was asked for: what it is about has changed for good.
            await self._writer.execute(EndOutdated(found.id, None, error.detail))
            raise
        return SignApproval(
            approval=found.id,
            signer=operator.id,
            envelope=envelope,
            inner=plan.command,
            subject_version=plan.version,
            pack=lambda result: plan.respond(result).SerializeToString(),
        )

    def _refuse_former(self, found: Approval) -> None:
        """What somebody asked for, or agreed to, falls with his right to it."""
        if not self._may(found.requested_by, METHODS[found.method].verb):
            raise Forbidden(f"operator {found.requested_by}, who asked for this, may no longer ask for it")
        for name in found.signers:
            if name != found.requested_by and not self._may(name, APPROVE):
                raise Forbidden(f"operator {name}, who signed this, may no longer approve; request it again")

    def _may(self, name: str, verb: str) -> bool:
        operator = self._directory.operator_named(name)
        return operator is not None and operator.enabled and self._policies.roles.may_call(operator.role_set, verb)

    def _verified(self, envelope: Envelope, operator: str, public_key: bytes) -> Envelope:
        key = VerificationKey.of(
            KeyPurpose.OPERATOR, public_key, not_before_ms=0, not_after_ms=FOREVER, owner=f"operator/{operator}"
        )
        verify(envelope, Kind.OPERATOR_COMMAND, Keyring([key]), self._wall())
        if len(envelope.signatures) != 1:
            raise Invalid("exactly the caller's own signature", field="command.signatures")
        return envelope


def fingerprint(request: Any) -> bytes:
    """What a request asks for, whatever its id."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    return sha256(bare.DESCRIPTOR.full_name.encode() + bare.SerializeToString(deterministic=True)).digest()


_RESPONSES: Final = {method.request.DESCRIPTOR.full_name: method.response for method in METHODS.values()}


def respond_type(request: Any) -> Any:
    """An empty response of the method that a request belongs to."""
    return _RESPONSES[request.DESCRIPTOR.full_name]()


def _path(verb: str) -> str:
    service, _, name = verb.partition(".")
    return f"/licd.v1.{service}/{name}"


_STATUS: Final = {
    "pending": pb.APPROVAL_STATUS_PENDING,
    "executed": pb.APPROVAL_STATUS_EXECUTED,
    "rejected": pb.APPROVAL_STATUS_REJECTED,
}


def approval_message(approval: Approval, now: Instant = 0) -> pb.Approval:
    """An approval as operators read it; expired is derived from time."""
    status = _STATUS[approval.status.value]
    if approval.status.value == "pending" and now >= approval.expires_at:
        status = pb.APPROVAL_STATUS_EXPIRED
    return pb.Approval(
        approval=approval.id,
        status=status,
        command=Envelope.FromString(approval.command),
        signed_by=approval.signers,
        needed=approval.needed,
        method=approval.method,
        summary=approval.summary,
        requested_by=approval.requested_by,
        requested_at_ms=approval.requested_at,
        expires_at_ms=approval.expires_at,
        subject=approval.subject,
        result=approval.result,
        rejected_by=approval.rejected_by,
        rejection=approval.rejection,
    )


def checked_text(value: str, field: str, *, limit: int = TEXT_LIMIT, required: bool = True) -> str:
    """A text an operator gives. Raises Invalid naming the field."""
    if required and not value.strip():
        raise Invalid("must be given", field=field)
    if len(value) > limit:
        raise Invalid(f"at most {limit} characters", field=field)
    if "\x00" in value:
        raise Invalid("has a NUL character in it, which is no text", field=field)
    return value
