"""A system while it is open: the machine, its shell, and what the program holds of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, assert_never

from google.protobuf.message import DecodeError

from licd.client.answers import Denied, Failed, Granted, Outcome
from licd.client.callbacks import Callbacks, Caller
from licd.client.clock import Clock
from licd.client.disk import Disk
from licd.client.driver import Driver
from licd.client.errands import Errands, validity_of
from licd.client.errors import LeaseDenied, NoAnswer, StateDamaged, SystemClosed
from licd.client.lease import Lease
from licd.client.notices import (
    ContactLost,
    ContactMade,
    ContinuityBegun,
    DropReason,
    FrameDropped,
    LeaseLapsing,
    LeaseLost,
    LeaseRegained,
    LicenceChanged,
    Notice,
    Reinstated,
    SigningFailed,
    Suspended,
    TrustChanged,
)
from licd.client.pace import Pace
from licd.client.request_id import CHANCE_BYTES, make_request_id
from licd.client.saving import Saving
from licd.client.session.events import Start
from licd.client.session.hold import Hold
from licd.client.session.machine import Machine
from licd.client.session.state import Identity, Outfit
from licd.client.session.trust import read_terms
from licd.client.state_file import Enrolled, StateDirectory
from licd.client.status import Status
from licd.client.transport import Network
from licd.core.terms import Terms
from licd.keys.kinds import KeyPurpose
from licd.keys.pki import CertificateError
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.signer import MemorySigner, Randomness
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.licence_pb2 import LicenceTerms
from licd.wire.terms import terms_from_message


@dataclass(frozen=True, slots=True)
class Settings:
    """What a program decides about an open system."""

    region: str
    software: str
    callbacks: Callbacks
    overrides: Mapping[str, str]
    pace: Pace
    clock: Clock
    randomness: Randomness


class Running:
    """Made from a locked directory. `begin` starts it; its driver ends it."""

    def __init__(self, disk: Disk, network: Network, settings: Settings) -> None:
        """Read the directory. Raises NotEnrolled, StateDamaged, OSError."""
        self._settings: Final = settings
        self._clock: Final = settings.clock
        directory = StateDirectory(disk)
        enrolled = directory.load()
        self.system: Final = enrolled.identity.system
        self.pseudonym_key: Final = enrolled.pseudonym_key
        self.terms, believed = _terms(enrolled)
        self.machine: Final = _machine(enrolled, settings, self.terms.revision if believed else 0)
        self._validity: Final = _validity(enrolled)
        authorities = enrolled.bundle.tls_authorities_pem
        self.errands: Final = Errands(
            network, enrolled.identity, enrolled.channel, directory, self.request_id, authorities
        )
        self.driver: Final = Driver(self.machine, Saving(directory), self.errands, settings.clock, self._tell)
        self._caller: Final = Caller()
        self._leases: Final[dict[int, Lease]] = {}
        self._dropped: Final[Counter[DropReason]] = Counter()
        self._last_decided = 0
        self._detail = ""

    def begin(self) -> None:
        """Start to talk to licd."""
        self.driver.feed(Start(self._clock.wall_ms(), *self._validity))

    def request_id(self) -> str:
        """A new request id, dated by licd's clock as far as it is known."""
        now = self.machine.view.trust.anchor.estimate(self._clock.boot_ms())
        return make_request_id(now, self._settings.randomness(CHANCE_BYTES))

    # ---------------------------------------------------------------------------------------- leases
    async def acquire(self, acquisition: session_pb2.Acquisition) -> Lease:
        """Ask for a lease in the next link. Raises LeaseDenied, SystemClosed, NoAnswer."""
        return self._lease(*await self.driver.acquire(acquisition))

    async def take_unary(
        self, acquisition: session_pb2.Acquisition, request_id: str, sent_at: int, response: bytes
    ) -> Lease:
        """Take the answer to a unary AcquireLease. Raises LeaseDenied, SystemClosed, NoAnswer."""
        return self._lease(*await self.driver.take_unary(acquisition, request_id, sent_at, response))

    def _lease(self, outcome: Outcome, hold: Hold | None) -> Lease:
        match outcome:
            case Denied():
                raise LeaseDenied(outcome)
            case Granted() if hold is not None:
                lease = self._leases[hold.op] = Lease(hold, self._clock.boot_ms, self.driver.release)
                return lease
            case Failed(detail) if self.driver.is_finished:
                raise SystemClosed(detail)
            case _:
                raise NoAnswer(outcome.detail if isinstance(outcome, Failed) else "no lease came of it")

    def let_go(self, lease: Lease) -> None:
        """The program is done with a lease: it stops at once, and is given back with the next link."""
        self._leases.pop(lease.op, None)
        self.driver.release_soon(lease.op)

    # --------------------------------------------------------------------------------------- notices
    def _tell(self, notice: Notice) -> None:
        callbacks, call = self._settings.callbacks, self._caller.call
        match notice:
            case Suspended():
                call(callbacks.on_suspended, notice)
            case Reinstated():
                call(callbacks.on_reinstated, notice)
            case LeaseLapsing(op, remaining):
                if (lease := self._leases.get(op)) is not None:
                    call(callbacks.on_lapsing, lease, remaining)
            case LeaseLost(op):
                if (lease := self._leases.pop(op, None)) is not None:
                    call(callbacks.on_lost, lease, notice)
            case FrameDropped(reason):
                self._dropped[reason] += 1
            case ContactMade(decided):
                self._last_decided = decided
                self._detail = ""
            case ContactLost(detail) | SigningFailed(detail):
                self._detail = detail
            case LicenceChanged(_, terms):
                self.terms = terms
            case TrustChanged():
                self.driver.accept(self.machine.view.trust.bundle.tls_authorities_pem)
            case ContinuityBegun():
                call(callbacks.on_continuity, notice)
            case LeaseRegained():
                pass
            case _:
                assert_never(notice)

    def status(self) -> Status:
        """How the system is doing now."""
        view = self.machine.view
        now = self._clock.boot_ms()
        refused = view.standing.refused
        return Status(
            system=self.system,
            session=view.chain.session,
            connected=view.line.is_up and bool(view.chain.session) and not view.line.is_overdue(now),
            refused=None if refused is None else refused.denied,
            epoch_seen=view.standing.epoch_seen,
            leases=view.acted_on(now),
            continuity="" if view.continuity is None else view.continuity.id,
            links=view.chain.sequence,
            last_decided=self._last_decided,
            bundle_version=view.trust.bundle.version,
            licence_revision=view.licence_revision,
            contact_detail=self._detail,
            dropped=dict(self._dropped),
            failure=self.driver.failure,
        )


class Block:
    """A lease for as long as a block runs."""

    __slots__ = ("_acquisition", "_lease", "_running")

    def __init__(self, running: Running, acquisition: session_pb2.Acquisition) -> None:
        self._running: Final = running
        self._acquisition: Final = acquisition
        self._lease: Lease | None = None

    async def __aenter__(self) -> Lease:
        self._lease = await self._running.acquire(self._acquisition)
        return self._lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lease is not None:
            self._running.let_go(self._lease)


def _terms(enrolled: Enrolled) -> tuple[Terms, bool]:
    """The terms, and whether they are still believed: their key may have been withdrawn since they were written.

    Then they are shown until the licence comes anew, under another key. Rights come from permits alone.
    """
    try:
        envelope = Envelope.FromString(enrolled.licence)
    except DecodeError as error:
        raise StateDamaged(f"the licence in the directory cannot be believed: {error}") from error
    try:
        return read_terms(envelope, enrolled.bundle), True
    except SealInvalid as error:
        if error.reason not in {SealReason.KEY_WITHDRAWN, SealReason.KEY_UNKNOWN}:
            raise StateDamaged(f"the licence in the directory cannot be believed: {error}") from error
        return _former_terms(envelope), False


def _former_terms(envelope: Envelope) -> Terms:
    try:
        return terms_from_message(LicenceTerms.FromString(envelope.payload))
    except (DecodeError, SealInvalid) as error:
        raise StateDamaged(f"the licence in the directory cannot be believed: {error}") from error


def _machine(enrolled: Enrolled, settings: Settings, revision: int) -> Machine:
    identity = enrolled.identity
    outfit = Outfit(
        identity=Identity(identity.system, identity.trust_domain, identity.licence),
        signer=MemorySigner(KeyPurpose.SYSTEM, identity.system_seed),
        randomness=settings.randomness,
        pace=settings.pace,
        region=settings.region,
        software=settings.software,
    )
    try:
        return Machine(outfit, enrolled.record, enrolled.bundle, revision)
    except DecodeError as error:
        raise StateDamaged("the chain in the directory is damaged; the system has to be enrolled anew") from error


def _validity(enrolled: Enrolled) -> tuple[int, int]:
    try:
        return validity_of(enrolled.channel)
    except CertificateError as error:
        raise StateDamaged(f"the certificate in the directory is damaged: {error}") from error
