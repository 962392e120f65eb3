"""The oracle's notebook: takes what goes over the wire, believes only what licd has sealed, and judges nothing yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
    Violation,
    ask_of,
)
from simulator.oracle.seal import NotSealed, opened, payload_type
from simulator.oracle.terms import Terms, read_terms
from simulator.oracle.trust import TrustedKeys

TARGET_BYTES = 32


class Record:
    """Everything seen in one run."""

    def __init__(self, keys: TrustedKeys) -> None:
        self.keys = keys
        self.members: dict[str, Member] = {}
        self.terms: dict[str, dict[int, Terms]] = defaultdict(dict)
        self.permits: dict[bytes, Permit] = {}
        self.orders: dict[str, dict[int, Order]] = defaultdict(dict)
        self.stops: list[Stop] = []
        self.attempts: list[Attempt] = []
        self.acts: list[Act] = []
        self.faults: list[Violation] = []
        self.places: dict[str, str] = {}
        self.sent_before: dict[bytes, tuple[int, int]] = {}
        self._answered: set[bytes] = set()

    def join(self, member: Member) -> None:
        """A system takes part."""
        self.members[member.system] = member

    def act(self, act: Act) -> None:
        """A system worked on a target."""
        self.acts.append(act)

    # ------------------------------------------------------------------------------------ what is signed
    def licence(self, envelope: Envelope) -> None:
        """A licence came by."""
        payload = self._opened(envelope, "licence", "")
        if payload is not None:
            terms = read_terms(payload)
            self.terms[terms.licence][terms.revision] = terms

    def order(self, system: str, envelope: Envelope, heard: int) -> None:
        """A directive reached a system at this boot instant."""
        payload = self._opened(envelope, "directive", system)
        if payload is None:
            return
        message = session_pb2.Directive.FromString(payload)
        order = Order(
            message.licence,
            message.epoch,
            int(message.kind),
            message.decided_ms,
            message.system,
            frozenset(message.leases),
        )
        known = self.orders[order.licence].setdefault(order.epoch, order)
        if known != order:
            self._fault(Rule.CONTRADICTORY, system, f"epoch {order.epoch} says {known} and {order}", order.licence)
        if _stops(order, system):
            self.stops.append(Stop(system, order.epoch, heard, order.leases))

    # ------------------------------------------------------------------------------------------- answers
    def exchange(self, system: str, link: Envelope, first_sent: int, sent_at: int, reply: Envelope, heard: int) -> None:
        """A link, first sent at first_sent (boot; sent_at on the wall clock), was answered at heard (boot)."""
        asked = session_pb2.Link.FromString(link.payload)
        header, payload = self._reply(system, reply)
        if header is None:
            return
        digest = sha256(link.payload).digest()
        if (header.link, header.sequence, header.system) != (digest, asked.sequence, system):
            self._fault(Rule.MISMATCHED, system, f"link {asked.sequence} was answered by a reply to {header.sequence}")
            return
        if asked.HasField("opening"):
            self.places[system] = asked.opening.deployment_region
        asks = [ask_of(each.acquire) if each.HasField("acquire") else None for each in asked.operations]
        self._answer(system, asks, payload, reply, first_sent, sent_at, heard)

    def call(
        self,
        system: str,
        request: session_service_pb2.AcquireLeaseRequest,
        first_sent: int,
        sent_at: int,
        response: session_service_pb2.AcquireLeaseResponse,
        heard: int,
    ) -> None:
        """A unary acquire was answered."""
        reply = response.permit if response.HasField("permit") else response.denial
        header, payload = self._reply(system, reply)
        if header is None:
            return
        if (header.request_id, header.system) != (request.request_id, system):
            self._fault(Rule.MISMATCHED, system, f"request {request.request_id} was answered by {header.request_id}")
            return
        self._answer(system, [ask_of(request.acquisition)], payload, reply, first_sent, sent_at, heard)

    def _reply(self, system: str, reply: Envelope) -> tuple[session_pb2.ReplyHeader | None, bytes]:
        kind = "denial" if reply.payload_type == payload_type("denial") else "permit"
        payload = self._opened(reply, kind, system)
        if payload is None:
            return None, b""
        message = session_pb2.Refusal if kind == "denial" else session_pb2.Permit
        return message.FromString(payload).header, payload

    def _answer(
        self,
        system: str,
        asks: Sequence[Ask | None],
        payload: bytes,
        reply: Envelope,
        first_sent: int,
        sent_at: int,
        heard: int,
    ) -> None:
        digest = sha256(payload).digest()
        if digest in self._answered:
            return
        self._answered.add(digest)
        if reply.payload_type == payload_type("denial"):
            self._refused(system, asks, session_pb2.Refusal.FromString(payload), heard, unary=not reply_to_link(payload))
        else:
            self._permitted(system, asks, session_pb2.Permit.FromString(payload), digest, first_sent)
            self.sent_before[digest] = (first_sent, sent_at)

    def _refused(
        self, system: str, asks: Sequence[Ask | None], refusal: session_pb2.Refusal, heard: int, *, unary: bool
    ) -> None:
        header = refusal.header
        reason = _reason(refusal.denial)
        acquisitions = [ask for ask in asks if ask is not None] or [None]
        self.attempts += [Attempt(system, header.licence, header.decided_ms, ask, reason) for ask in acquisitions]
        if not unary:
            self.stops.append(Stop(system, header.epoch, heard, frozenset()))

    def _permitted(
        self, system: str, asks: Sequence[Ask | None], permit: session_pb2.Permit, digest: bytes, first_sent: int
    ) -> None:
        header = permit.header
        grants: list[Grant] = []
        for ask, outcome in zip(asks, permit.outcomes, strict=False):
            if ask is None:
                continue
            granted = outcome.HasField("grant")
            reason = "" if granted else _reason(outcome.denial)
            existing = outcome.grant.existing
            self.attempts.append(Attempt(system, header.licence, header.decided_ms, ask, reason, existing))
            if granted:
                grants.append(_grant(outcome.grant, ask))
        if len(permit.outcomes) != len(asks):
            self._fault(Rule.MISMATCHED, system, f"{len(asks)} operations, {len(permit.outcomes)} answers")
        self.permits[digest] = Permit(
            digest=digest,
            system=system,
            licence=header.licence,
            decided=header.decided_ms,
            epoch=header.epoch,
            revision=permit.revision,
            first_sent=first_sent,
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


def reply_to_link(payload: bytes) -> bool:
    """Whether a refusal answers a link, and not a unary call."""
    return bool(session_pb2.Refusal.FromString(payload).header.link)


def _stops(order: Order, system: str) -> bool:
    if order.kind in STOPPING:
        return True
    if order.kind == session_pb2.DIRECTIVE_KIND_REVOKE:
        return order.system == system
    return order.kind == session_pb2.DIRECTIVE_KIND_FORCE_RELEASE


def _reason(denial: denial_pb2.Denial) -> str:
    return denial_pb2.DenialReason.Name(denial.reason).removeprefix("DENIAL_REASON_")


def _grant(grant: session_pb2.Grant, ask: Ask) -> Grant:
    return Grant(
        grant.lease, grant.target, grant.granted_at_ms, grant.existing, grant.region, grant.purpose, ask
    )


def _listed(permit: session_pb2.Permit) -> Iterable[Listed]:
    for index, hard_end in enumerate(permit.hard_ends_ms):
        yield Listed(permit.targets[index * TARGET_BYTES : (index + 1) * TARGET_BYTES], hard_end)
