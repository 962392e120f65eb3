"""A link of a system's chain: judged, decided, answered; its reply is stored for when it has to be said again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar, Final

from sqlalchemy import Select, asc, bindparam

from licd.core.chain import LinkClaim, Verdict, judge, recall
from licd.core.continuity import take_word
from licd.core.deployment import fence_deployment, system_of
from licd.core.errors import Behind, ClockDoubted, Forbidden, Forked, StaleFrame
from licd.core.link import Link, Opening, Operation, Permit, answer_link
from licd.core.model import AcceptedLink, DeploymentStatus, Session
from licd.core.reasons import Denied, Reason
from licd.core.scope import Acquisition
from licd.core.standing import NOT_FOUND, standing
from licd.core.state import LicenceState
from licd.core.time import HOUR
from licd.keys.kinds import Kind
from licd.ledger import tables
from licd.ledger.records import Fork, IssuedDirective
from licd.ledger.rows import DIRECTIVES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.continuity import deliverable
from licd.ledger.verbs.denials import log_denial
from licd.v1 import session_pb2
from licd.wire.session import Header, permit_payload, refusal_payload

SESSION_ID_BYTES: Final = 12
DIRECTIVES_AT_ONCE: Final = 64
OUTSIDE: Final = 0
"""The number of a reply that is no step of the chain: no link follows it, and it shows nothing about the chain."""
TIMELESS: Final = frozenset(
    {
        Reason.CUSTOMER_BANNED,
        Reason.LICENCE_TERMINATED,
        Reason.LICENCE_SUSPENDED,
        Reason.DEPLOYMENT_REVOKED,
        Reason.SYSTEM_FENCED,
    }
)
REPLY_KINDS: Final = {kind.value: kind for kind in (Kind.PERMIT, Kind.DENIAL)}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is signed and sent. directives are those after the link's epoch_seen, oldest first.

    continuity is the payload of a continuity permit that goes after it, if there is one.
    """

    kind: Kind
    payload: bytes
    session: str
    epoch: int
    licence: str
    directives: tuple[IssuedDirective, ...]
    outcomes: tuple[object, ...] = ()
    continuity: bytes = b""


@dataclass(frozen=True, slots=True)
class ForkSeen:
    """Two copies: the system is fenced, the evidence kept. Committed, then told as an error."""

    deployment: str

    def error(self) -> Forked:
        return Forked(f"two copies of system {self.deployment} were seen; it must be enrolled anew")


@dataclass(frozen=True, slots=True)
class AnswerLink:
    """A link whose signature verified under the key of the given enrolment. frame is the envelope as it came."""

    grants: ClassVar[bool] = False  # refused in run() instead, where a no that time has no part in is still said
    urgent: ClassVar[bool] = False

    deployment: str
    enrolment: int
    claim: LinkClaim
    nonce: bytes
    boot_nonce: bytes
    session: str
    held: Sequence[int]
    operations: Sequence[Operation]
    opens: bool
    region: str
    software: str
    address: str
    epoch_seen: int
    frame: bytes
    continuity: str = ""
    continuity_used: bool = False

    @property
    def within(self) -> str:
        return self.deployment

    def run(self, tx: Transaction) -> Reply | ForkSeen:
        state = tx.state_of(self.deployment)
        session = self._session(state)
        self._refuse_impeded(tx, state)
        if state.deployments[self.deployment].status is not DeploymentStatus.ENROLLED:
            return self._stopped(tx, state, session)
        match judge(session, sha256(session.reply).digest(), self.claim, tx.installation.reconciled_at):
            case Verdict.REPEAT:
                return self._repeat(tx, state, session)
            case Verdict.ACCEPT:
                return self._accept(tx, state, session)
            case Verdict.LATE:
                raise StaleFrame("a late frame of an earlier connection; the chain has gone on")
            case Verdict.BEHIND:
                raise Behind(f"system {self.deployment} holds a reply that licd signed and does not know")
            case Verdict.TAKE_UP:
                return self._accept(tx, state, self._taken_up(state, session))
            case Verdict.FORK:
                return self._fork(tx, state, session)

    def _taken_up(self, state: LicenceState, session: Session) -> Session:
        """The chain's head after what is lost: no permit ever given reaches further than this row now says."""
        decided = self.claim.backed.decided if self.claim.backed else 0
        rights = state.rights
        taken = replace(
            session,
            sequence=self.claim.sequence - 1,
            renewed_at=max(session.renewed_at, decided),
            length=max(session.length, rights.length),
            grace=max(session.grace, rights.grace),
            licence_end=max(session.licence_end, rights.not_after),
        )
        state.put(taken)
        head = (("sequence", taken.sequence), ("reply", self.claim.previous))
        state.record("chain.taken-up", ("system", self.deployment), *head)
        return taken

    def _session(self, state: LicenceState) -> Session:
        found = state.deployments[self.deployment]
        session = state.sessions.get(self.deployment)
        if session is None or found.enrolment != self.enrolment:
            raise Forbidden("the system was enrolled anew; these keys are no longer its own")
        return session

    def _refuse_impeded(self, tx: Transaction, state: LicenceState) -> None:
        """A suspended system hears its refusal even while licd's clock is in doubt; nobody hears anything else then."""
        impediment = tx.impediment()
        if impediment is None:
            return
        denied = standing(state, self.deployment, tx.now)
        if not isinstance(impediment, ClockDoubted) or denied is None or denied.reason not in TIMELESS:
            raise impediment

    def _stopped(self, tx: Transaction, state: LicenceState, session: Session) -> Reply:
        """A chain that was fenced or revoked has no next link; what comes gets a signed no: an error is only silence.

        Nothing is judged, and the no does not carry the number that the caller chose: it would look like a step.
        """
        denied = tx.installation.advise(standing(state, self.deployment, tx.now) or NOT_FOUND, tx.now)
        log_denial(tx, state.licence.id, self.deployment, denied)
        header = self._header(tx, state, session.session, OUTSIDE)
        payload = refusal_payload(header, denied)
        return self._reply(tx, state, Kind.DENIAL, payload, session.session, (denied,))

    def _accept(self, tx: Transaction, state: LicenceState, session: Session) -> Reply:
        link = Link(
            sequence=self.claim.sequence,
            payload_hash=self.claim.payload_hash,
            nonce=self.nonce,
            boot_nonce=self.boot_nonce,
            session=self.session,
            held=self.held,
            operations=self.operations,
            opening=self._opening(tx) if self.opens else None,
            address=self.address,
        )
        decided, answer = answer_link(state, self.deployment, link, tx.now, tx.random_id)
        answer = _advised(tx, answer)
        kind, payload = self._payload(tx, state, decided.session, answer)
        told = take_word(state, decided, self.continuity, used=self.continuity_used)
        accepted = AcceptedLink(link.sequence, link.payload_hash, self.frame, recall(session, self.claim))
        advanced = told.advanced(tx.now, accepted, payload, kind.value, state.licence.epoch)
        state.put(advanced)
        if session.accepted_at // HOUR != tx.now // HOUR:
            self._log_head(state)
        self._log_denials(tx, state, answer)
        if isinstance(answer, Denied):
            return self._reply(tx, state, kind, payload, decided.session, (answer,))
        continuity = deliverable(state, advanced, tx.now)
        return self._reply(tx, state, kind, payload, decided.session, answer.outcomes, continuity)

    def _log_head(self, state: LicenceState) -> None:
        """Renewals are not logged one by one; the head of the chain they make is, every hour."""
        head = ("head", self.claim.payload_hash)
        state.record("chain.head", ("system", self.deployment), ("sequence", self.claim.sequence), head)

    def _opening(self, tx: Transaction) -> Opening:
        return Opening(tx.random(SESSION_ID_BYTES).hex(), self.region, self.software)

    def _payload(
        self, tx: Transaction, state: LicenceState, session: str, answer: Permit | Denied
    ) -> tuple[Kind, bytes]:
        header = self._header(tx, state, session, self.claim.sequence)
        if isinstance(answer, Permit):
            return Kind.PERMIT, permit_payload(header, answer, tx.installation.timing.heartbeat)
        return Kind.DENIAL, refusal_payload(header, answer)

    def _header(self, tx: Transaction, state: LicenceState, session: str, sequence: int) -> Header:
        return Header(
            issuer=tx.installation.trust_domain,
            system=system_of(state.deployments[self.deployment]),
            session=session,
            sequence=sequence,
            link=self.claim.payload_hash,
            nonce=self.nonce,
            request_id="",
            decided=tx.now,
            licence=state.licence.id,
            epoch=state.licence.epoch,
            bundle_version=tx.installation.bundle_version(),
            enrolment=self.enrolment,
        )

    def _log_denials(self, tx: Transaction, state: LicenceState, answer: Permit | Denied) -> None:
        if isinstance(answer, Denied):
            log_denial(tx, state.licence.id, self.deployment, answer)
            return
        for operation, outcome in zip(self.operations, answer.outcomes, strict=True):
            if isinstance(outcome, Denied):
                target = operation.target if isinstance(operation, Acquisition) else b""
                log_denial(tx, state.licence.id, self.deployment, outcome, target)

    def _repeat(self, tx: Transaction, state: LicenceState, session: Session) -> Reply:
        """Says the stored reply again.

        A refusal takes a permit's place where the licence has changed since, and the place of any reply whose date no
        system would take from the key that signs now: said again as it is, it would end the chain.
        """
        kind = REPLY_KINDS[session.reply_kind]
        recent = recall(session, self.claim)
        if recent != session.recent:
            session = replace(session, recent=recent)
            state.put(session)
        denied = standing(state, self.deployment, tx.now) or _outdated(state, session)
        if _cannot_be_dated(tx, kind, session):
            denied = denied or Denied(Reason.NO_SESSION, "no key signs what was decided then any more; open a session")
        elif kind is Kind.DENIAL:
            denied = None
        if denied is not None:
            denied = tx.installation.advise(denied, tx.now)
            log_denial(tx, state.licence.id, self.deployment, denied)
            kind, payload = self._payload(tx, state, session.session, denied)
            replaced = replace(
                session,
                reply=payload,
                reply_kind=kind.value,
                reply_epoch=state.licence.epoch,
                replaced_reply=session.replaced_reply + sha256(session.reply).digest(),
            )
            state.put(replaced)
            return self._reply(tx, state, kind, payload, session.session, (denied,))
        return self._reply(tx, state, kind, session.reply, session.session, ())

    def _fork(self, tx: Transaction, state: LicenceState, session: Session) -> ForkSeen:
        tx.refuse_impeded()  # before or after is told by the clock
        reply, second = sha256(session.reply).digest(), self.claim.payload_hash
        fence_deployment(state, self.deployment, tx.now, first=session.link_hash, reply=reply, second=second)
        tx.put(
            Fork(
                deployment=self.deployment,
                seen_at=tx.now,
                accepted_hash=session.link_hash,
                reply=session.reply,
                frame=self.frame,
                enrolment=self.enrolment,
                accepted=session.frame,
                reply_kind=session.reply_kind,
            )
        )
        return ForkSeen(self.deployment)

    def _reply(
        self,
        tx: Transaction,
        state: LicenceState,
        kind: Kind,
        payload: bytes,
        session: str,
        outcomes: tuple[object, ...],
        continuity: bytes = b"",
    ) -> Reply:
        epoch = state.licence.epoch
        missed = _directives_after(tx, state.licence.id, self.epoch_seen) if self.epoch_seen < epoch else ()
        return Reply(kind, payload, session, epoch, state.licence.id, missed, outcomes, continuity)


def _cannot_be_dated(tx: Transaction, kind: Kind, session: Session) -> bool:
    """Whether the key that signs now is good for what is decided now, and not for what was decided then."""
    signs = tx.installation.signs
    message = session_pb2.Permit if kind is Kind.PERMIT else session_pb2.Refusal
    return not signs(message.FromString(session.reply).header.decided_ms) and signs(tx.now)


def _outdated(state: LicenceState, session: Session) -> Denied | None:
    """A permit of an earlier epoch is not signed again: what it permits may have been taken back since."""
    if session.reply_epoch == state.licence.epoch:
        return None
    detail = f"the licence has changed since this was decided, from epoch {session.reply_epoch}; open a session"
    return Denied(Reason.NO_SESSION, detail)


def _advised(tx: Transaction, answer: Permit | Denied) -> Permit | Denied:
    """The answer with what policy says about asking again."""
    if isinstance(answer, Denied):
        return tx.installation.advise(answer, tx.now)
    if not any(isinstance(each, Denied) for each in answer.outcomes):
        return answer
    advise, now = tx.installation.advise, tx.now
    outcomes = tuple(advise(each, now) if isinstance(each, Denied) else each for each in answer.outcomes)
    return replace(answer, outcomes=outcomes)


def _directives_after(tx: Transaction, licence: str, epoch: int) -> tuple[IssuedDirective, ...]:
    tx.flush()
    return tuple(DIRECTIVES.find(tx.connection, "after", _after, licence=licence, epoch=epoch))


def _after() -> Select[tuple[object, ...]]:
    column = tables.directive.c
    same = column.licence == bindparam("licence")
    return (
        DIRECTIVES.select(same, column.epoch > bindparam("epoch")).order_by(asc(column.epoch)).limit(DIRECTIVES_AT_ONCE)
    )
