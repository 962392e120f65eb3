"""Leases outside of links: unary acquire and release, an operator's force-release, and the reaping of lapsed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from licd.core.acquire_lease import Granted, acquire_lease
from licd.core.deployment import system_of
from licd.core.errors import Invalid, NotFound
from licd.core.force_release import force_release_lease
from licd.core.link import Permit, Renewed
from licd.core.model import Lease
from licd.core.narrowing import named
from licd.core.overlay import Narrowing, narrowings
from licd.core.reasons import Denied, Reason
from licd.core.release_lease import Released, release_lease
from licd.core.scope import Acquisition, Place, place_denial
from licd.core.standing import NOT_FOUND, standing
from licd.core.state import LicenceState
from licd.core.time import DAY, Millis
from licd.keys.kinds import Kind
from licd.ledger.records import DenialTally
from licd.ledger.rows import LEASES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.answer_link import REPLY_KINDS, Reply
from licd.ledger.verbs.denials import close_tallies, log_denial
from licd.ledger.verbs.once import Once
from licd.v1 import session_pb2
from licd.wire.session import Header, permit_payload, refusal_payload

COOL_DOWN_LIMIT: Millis = 60 * DAY
LEASE_IDS = 1 << 63


@dataclass(frozen=True, slots=True)
class AcquireLease:
    """One lease by a unary call: for the permit length only, in an open session, extending nothing."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    deployment: str
    acquisition: Acquisition
    address: str
    request_id: str

    @property
    def within(self) -> str:
        return self.deployment

    def run(self, tx: Transaction) -> Reply:
        state = tx.state_of(self.deployment)
        outcome = self._decide(tx, state)
        if isinstance(outcome, Denied):
            return self.refuse(tx, state, outcome)
        return self._reply(tx, state, outcome)

    def refuse(self, tx: Transaction, state: LicenceState, denied: Denied) -> Reply:
        """The refusal, accounted for in the log."""
        log_denial(tx, state.licence.id, self.deployment, denied, self.acquisition.target)
        return self._reply(tx, state, tx.installation.advise(denied, tx.now))

    def _reply(self, tx: Transaction, state: LicenceState, outcome: Granted | Denied) -> Reply:
        kind, payload = self._payload(tx, state, outcome)
        session = state.sessions[self.deployment].session
        return Reply(kind, payload, session, state.licence.epoch, state.licence.id, (), (outcome,))

    def _decide(self, tx: Transaction, state: LicenceState) -> Granted | Denied:
        denied = standing(state, self.deployment, tx.now)
        if denied is not None:
            return denied
        if not state.sessions[self.deployment].session:
            return Denied(Reason.NO_SESSION, "open a session first")
        place = Place(state.deployments[self.deployment].region, self.address)
        denied = place_denial(state.rights, place)
        if denied is not None:
            return named(state, denied, lambda rights: place_denial(rights, place))
        return acquire_lease(state, self.deployment, self.acquisition, tx.now, lease_id=tx.random_id(), attached=False)

    def _payload(self, tx: Transaction, state: LicenceState, outcome: Granted | Denied) -> tuple[Kind, bytes]:
        header = Header(
            issuer=tx.installation.trust_domain,
            system=system_of(state.deployments[self.deployment]),
            session=state.sessions[self.deployment].session,
            sequence=0,
            link=b"",
            nonce=b"",
            request_id=self.request_id,
            decided=tx.now,
            licence=state.licence.id,
            epoch=state.licence.epoch,
            bundle_version=tx.installation.bundle_version(),
            enrolment=state.deployments[self.deployment].enrolment,
        )
        if isinstance(outcome, Denied):
            return Kind.DENIAL, refusal_payload(header, outcome)
        lease = outcome.lease
        until = min(outcome.hard_end, tx.now + state.rights.length) if outcome.existing else outcome.hard_end
        permit = Permit((Renewed(lease.id, lease.target, until),), (outcome,), (), state.licence.terms.revision)
        return Kind.PERMIT, permit_payload(header, permit, tx.installation.timing.heartbeat)


def acquire_once(ask: AcquireLease, caller: str, fingerprint: bytes, keep: Millis) -> Once[Reply]:
    """The call, done once. Only a new lease's permit is kept: what changed nothing can be decided again."""

    def pack(reply: Reply) -> tuple[str, bytes] | None:
        is_new = any(isinstance(each, Granted) and not each.existing for each in reply.outcomes)
        return (reply.kind.value, reply.payload) if is_new else None

    return Once(
        inner=ask,
        caller=caller,
        request_id=ask.request_id,
        fingerprint=fingerprint,
        keep=keep,
        pack=pack,
        unpack=lambda tx, kind, payload: answer_again(tx, ask, kind, payload),
    )


def answer_again(tx: Transaction, ask: AcquireLease, kind: str, payload: bytes) -> Reply:
    """The stored answer to a repeated request; a permit only while the licence is as it was, else a refusal."""
    state = tx.state_of(ask.deployment)
    if kind == Kind.PERMIT.value:
        denied = standing(state, ask.deployment, tx.now) or _outdated(state, payload)
        if denied is not None:
            return ask.refuse(tx, state, denied)
    session = state.sessions[ask.deployment].session
    return Reply(REPLY_KINDS[kind], payload, session, state.licence.epoch, state.licence.id, (), ())


def _outdated(state: LicenceState, payload: bytes) -> Denied | None:
    if session_pb2.Permit.FromString(payload).header.epoch == state.licence.epoch:
        return None
    return Denied(Reason.LEASE_LAPSED, "the licence has changed since this was granted; ask with a new request id")


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Gives one lease back by a unary call. Works while suspended: it only narrows."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    deployment: str
    lease: int

    @property
    def within(self) -> str:
        return self.deployment

    def run(self, tx: Transaction) -> Released | Denied:
        tx.refuse_full()
        state = tx.state_of(self.deployment)
        outcome = release_lease(state, self.deployment, self.lease, tx.now)
        if isinstance(outcome, Denied):
            log_denial(tx, state.licence.id, self.deployment, outcome)
        return outcome


@dataclass(frozen=True, slots=True)
class ForceReleaseLease:
    """An operator ends one lease; its target cools down."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    lease: int
    cool_down: Millis
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Lease:
        if not 0 <= self.cool_down <= COOL_DOWN_LIMIT:
            raise Invalid(f"from 0 to {COOL_DOWN_LIMIT} ms", field="cool_down_ms")
        found = tx.get(LEASES, self.lease) if self.lease < LEASE_IDS else None
        if found is None:
            raise NotFound(f"there is no lease {self.lease}", field="lease")
        return force_release_lease(
            tx.state(found.licence),
            self.lease,
            tx.now,
            cool_down=self.cool_down or tx.installation.force_release_cool_down,
            code=self.code,
            detail=self.detail,
            actor=self.actor,
        )


@dataclass(frozen=True, slots=True)
class ReapLeases:
    """Ends lapsed leases of the named licences and logs denials that were only counted."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    licences: tuple[str, ...]
    tallies: tuple[DenialTally, ...]

    def run(self, tx: Transaction) -> int:
        close_tallies(tx, list(self.tallies))
        return sum(tx.state(licence).reap(tx.now) for licence in self.licences)


@dataclass(frozen=True, slots=True)
class Checked:
    """A licence as it stands for one caller. token is empty when there is none for him."""

    standing: Denied | None
    token: bytes
    epoch: int
    decided: int
    live: int
    cooling: int
    limit: int
    not_after: int
    narrowed: tuple[Narrowing, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckLicence:
    """Looks; changes nothing."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    deployment: str
    licence: str

    @property
    def within(self) -> str:
        return self.deployment

    def run(self, tx: Transaction) -> Checked:
        state = tx.state_of(self.deployment)
        if self.licence and self.licence != state.licence.id:
            return Checked(NOT_FOUND, b"", 0, tx.now, 0, 0, 0, 0)
        seats = state.seats
        seats.settle(tx.now)
        return Checked(
            standing=standing(state, self.deployment, tx.now),
            token=state.licence.token,
            epoch=state.licence.epoch,
            decided=tx.now,
            live=len(seats.live),
            cooling=len(seats.cooling),
            limit=state.rights.cap,
            not_after=state.rights.not_after,
            narrowed=narrowings(state.licence.terms, state.overlays.values()),
        )
