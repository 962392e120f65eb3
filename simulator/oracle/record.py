"""The oracle's notebook: takes what goes over the wire, believes only what licd has sealed, and judges nothing yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from licd.v1 import denial_pb2, session_pb2, session_service_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.oracle.facts import (
    STOPPING,
    Act,
    Ask,
    Attempt,
    Grant,
    Listed,
    Member,
    Order,
    Permit,
    Rule,
    Stop,
    Suspension,
    Violation,
    ask_of,
)
from simulator.oracle.seal import NotSealed, opened, payload_type
from simulator.oracle.terms import Terms, read_terms
from simulator.oracle.trust import TrustedKeys

TARGET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sending:
    """When a request first left its system, and when its answer came. sent_at is on the wall clock, the rest boot."""

    first_sent: int
    sent_at: int
    heard: int


class Record:
    """Everything seen in one run."""

    def __init__(self, keys: TrustedKeys) -> None:
        self.keys = keys
        self.members: dict[str, Member] = {}
        self.terms: dict[str, dict[int, Terms]] = defaultdict(dict)
        self.permits: dict[bytes, Permit] = {}
        self.orders: dict[str, dict[int, Order]] = defaultdict(dict)
        self.suspensions: list[Suspension] = []
        self.stops: list[Stop] = []
        self.attempts: list[Attempt] = []
        self.acts: list[Act] = []
        self.faults: list[Violation] = []
        self._places: dict[str, str] = {}
        self._answered: set[bytes] = set()

    def join(self, member: Member) -> None:
        """A system takes part."""
        self.members[member.system] = member

    def act(self, act: Act) -> None:
        """A system worked on a target."""
        self.acts.append(act)

    # ------------------------------------------------------------------------------------ licences and orders
    def licence(self, envelope: Envelope) -> None:
        """A licence came by."""
        payload = self._opened(envelope, "licence", "")
        if payload is not None:
            terms = read_terms(payload)
            self.terms[terms.licence][terms.revision] = terms

    def suspended(self, suspension: Suspension) -> None:
        """The operator was told that a licence is suspended: a fact, whether or not its directive is ever seen."""
        self.suspensions.append(suspension)
        kind = int(session_pb2.DIRECTIVE_KIND_SUSPEND)
        self._take_order(Order(suspension.licence, suspension.epoch, kind, suspension.decided, "", frozenset()), "")

    def order(self, system: str, envelope: Envelope, heard: int) -> None:
        """A directive reached a system at this boot instant."""
        payload = self._opened(envelope, "directive", system)
        if payload is None:
            return
        message = session_pb2.Directive.FromString(payload)
        leases = frozenset(message.leases)
        order = Order(message.licence, message.epoch, int(message.kind), message.decided_ms, message.system, leases)
        self._take_order(order, system)
        if _stops(order, system):
            self.stops.append(Stop(system, order.epoch, heard, order.leases))

    def _take_order(self, order: Order, system: str) -> None:
        known = self.orders[order.licence].setdefault(order.epoch, order)
        if known != order:
            self._fault(Rule.CONTRADICTORY, system, f"epoch {order.epoch} says {known} and {order}", order.licence)

    # ------------------------------------------------------------------------------------------- answers
    def exchange(self, system: str, link: Envelope, reply: Envelope, sending: Sending) -> None:
        """A link was answered."""
        asked = session_pb2.Link.FromString(link.payload)
        answer = self._reply(system, reply)
        if answer is None:
            return
        header = answer.header
        numbers = {asked.sequence, 0} if isinstance(answer, session_pb2.Refusal) else {asked.sequence}
        is_answer = header.sequence in numbers and header.link == sha256(link.payload).digest()
        if not is_answer or header.system != system:
            self._fault(Rule.MISMATCHED, system, f"link {asked.sequence} was answered by a reply to {header.sequence}")
            return
        if asked.HasField("opening"):
            self._places[system] = asked.opening.deployment_region
        asks = [ask_of(each.acquire) if each.HasField("acquire") else None for each in asked.operations]
        self._answer(system, asks, answer, reply.payload, sending)

    def call(
        self,
        system: str,
        request: session_service_pb2.AcquireLeaseRequest,
        response: session_service_pb2.AcquireLeaseResponse,
        sending: Sending,
    ) -> None:
        """A unary acquire was answered."""
        reply = response.permit if response.HasField("permit") else response.denial
        answer = self._reply(system, reply)
        if answer is None:
            return
        header = answer.header
        if (header.request_id, header.system) != (request.request_id, system):
            self._fault(Rule.MISMATCHED, system, f"request {request.request_id} was answered by {header.request_id}")
            return
        self._answer(system, [ask_of(request.acquisition)], answer, reply.payload, sending)

    def _reply(self, system: str, reply: Envelope) -> session_pb2.Permit | session_pb2.Refusal | None:
        kind = "denial" if reply.payload_type == payload_type("denial") else "permit"
        payload = self._opened(reply, kind, system)
        if payload is None:
            return None
        return session_pb2.Refusal.FromString(payload) if kind == "denial" else session_pb2.Permit.FromString(payload)

    def _answer(
        self,
        system: str,
        asks: Sequence[Ask | None],
        answer: session_pb2.Permit | session_pb2.Refusal,
        payload: bytes,
        sending: Sending,
    ) -> None:
        digest = sha256(payload).digest()
        if digest in self._answered:
            return
        self._answered.add(digest)
        if isinstance(answer, session_pb2.Refusal):
            self._refused(system, asks, answer, sending.heard)
        else:
            self._permitted(system, asks, answer, digest, sending)

    def _refused(self, system: str, asks: Sequence[Ask | None], refusal: session_pb2.Refusal, heard: int) -> None:
        header, reason = refusal.header, _reason(refusal.denial)
        acquisitions: list[Ask | None] = [ask for ask in asks if ask is not None]
        for ask in acquisitions or [None]:
            self.attempts.append(Attempt(system, header.licence, header.decided_ms, ask, reason))
        if header.link:
            self.stops.append(Stop(system, header.epoch, heard, frozenset()))

    def _permitted(
        self, system: str, asks: Sequence[Ask | None], permit: session_pb2.Permit, digest: bytes, sending: Sending
    ) -> None:
        header = permit.header
        if len(permit.outcomes) != len(asks):
            self._fault(Rule.MISMATCHED, system, f"{len(asks)} operations, {len(permit.outcomes)} answers")
        grants: list[Grant] = []
        for ask, outcome in zip(asks, permit.outcomes, strict=False):
            if ask is None:
                continue
            granted = outcome.HasField("grant")
            reason = "" if granted else _reason(outcome.denial)
            self.attempts.append(Attempt(system, header.licence, header.decided_ms, ask, reason, digest))
            if granted:
                grants.append(_grant(outcome.grant, ask))
        self.permits[digest] = Permit(
            digest=digest,
            system=system,
            licence=header.licence,
            decided=header.decided_ms,
            epoch=header.epoch,
            revision=permit.revision,
            first_sent=sending.first_sent,
            sent_at=sending.sent_at,
            unary=not header.link,
            place=self._places.get(system, ""),
            leases=dict(zip(permit.leases, _listed(permit), strict=True)),
            grants=tuple(grants),
        )

    # ------------------------------------------------------------------------------------------- the rest
    def _opened(self, envelope: Envelope, kind: str, system: str) -> bytes | None:
        keys = self.keys.licence if kind == "licence" else self.keys.permit
        try:
            return opened(envelope, kind, keys)[0]
        except NotSealed as error:
            self._fault(Rule.UNSEALED, system, str(error))
            return None

    def _fault(self, rule: Rule, system: str, detail: str, licence: str = "") -> None:
        member = self.members.get(system)
        self.faults.append(Violation(rule, licence or (member.licence if member else ""), system, detail))


def _stops(order: Order, system: str) -> bool:
    if order.kind in STOPPING:
        return True
    if order.kind == session_pb2.DIRECTIVE_KIND_REVOKE:
        return order.system == system
    return order.kind == session_pb2.DIRECTIVE_KIND_FORCE_RELEASE


def _reason(denial: denial_pb2.Denial) -> str:
    return denial_pb2.DenialReason.Name(denial.reason).removeprefix("DENIAL_REASON_")


def _grant(grant: session_pb2.Grant, ask: Ask) -> Grant:
    return Grant(grant.lease, grant.target, grant.granted_at_ms, grant.existing, grant.region, grant.purpose, ask)


def _listed(permit: session_pb2.Permit) -> Iterable[Listed]:
    for index, hard_end in enumerate(permit.hard_ends_ms):
        yield Listed(permit.targets[index * TARGET_BYTES : (index + 1) * TARGET_BYTES], hard_end)
