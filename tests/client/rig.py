"""A machine on a virtual clock, with a network that does as it is told, talking to the fake licd."""

import random  # noqa: TID251 -- seeded
from collections.abc import Sequence
from typing import TypeVar

from licd.client.answers import Granted, Outcome
from licd.client.notices import FrameDropped, Notice
from licd.client.pace import Pace
from licd.client.session.chain_record import ChainRecord
from licd.client.session.effects import (
    CloseStream,
    Effect,
    FetchLicence,
    FetchTrust,
    Finished,
    GiveBack,
    Notify,
    OpenStream,
    Persist,
    Record,
    RenewCertificate,
    Resolve,
    SendFrame,
    SendOpen,
    WakeAt,
)
from licd.client.session.events import (
    AcquireAsked,
    CallAnswered,
    CallFailed,
    Event,
    FrameReceived,
    ReleaseAsked,
    Start,
    StreamBroken,
    StreamOpened,
    Tick,
)
from licd.client.session.hold import Hold
from licd.client.session.machine import Machine
from licd.client.session.state import Identity, Outfit
from licd.keys.bundle import Bundle
from licd.keys.signer import Signer
from licd.v1 import session_pb2, session_service_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.client.fake_licd import DAY, DOMAIN, LICENCE, NOW, OF_SYSTEM, SYSTEM, FakeLicd, bundle, receipt, reply_frame

N = TypeVar("N", bound=Notice)
BOOT = 1_000_000
"""Boot clock at which the tests begin; licd's clock then shows NOW."""


def target(name: str = "somebody") -> bytes:
    return name.encode().ljust(32, b".")


def acquisition(name: str = "somebody", ends_at: int = 0) -> session_pb2.Acquisition:
    asked = session_pb2.Acquisition(target=target(name), purpose="licd:serious-crime")
    if ends_at:
        asked.authorisation.expires_at_ms = ends_at
    return asked


def first_record() -> ChainRecord:
    return ChainRecord.first(receipt())


class Rig:
    """Feeds the machine and carries out its effects. Unless told otherwise the network is perfect and takes no time."""

    def __init__(
        self,
        licd: FakeLicd | None = None,
        *,
        record: ChainRecord | None = None,
        now: int = BOOT,
        held_bundle: Bundle | None = None,
        signer: Signer = OF_SYSTEM,
        wall: int = NOW,
        pace: Pace | None = None,
        seed: int = 0,
    ) -> None:
        self.licd = licd or FakeLicd()
        self.now = now
        self.wall = wall
        self.randomness = random.Random(seed).randbytes
        outfit = Outfit(Identity(SYSTEM, DOMAIN, LICENCE), signer, self.randomness, pace or Pace(), "DE", "test 1")
        self.machine = Machine(outfit, record or first_record(), held_bundle or bundle(), 1)
        self.persisted: dict[Record, bytes] = {Record.CHAIN: (record or first_record()).to_bytes()}
        self.writes: list[bytes] = []
        self.effects: list[Effect] = []
        self.sent: list[SendOpen | SendFrame] = []
        """What the network has not delivered yet."""
        self.notices: list[Notice] = []
        self.outcomes: dict[int, Outcome] = {}
        self.wake_at = 0
        self.stream = 0
        self.dialling = 0
        self.finished = False
        self.reachable = True
        self.lose_replies = False
        self.answers_calls = True
        self.ops = 0
        self.holds: dict[int, Hold] = {}

    # ----------------------------------------------------------------------------------------- driving
    def feed(self, event: Event) -> list[Effect]:
        """One event; effects are noted, and checked as a shell would carry them out."""
        self.licd.now_ms = NOW + self.now - BOOT
        effects = self.machine.handle(event, self.now)
        for effect in effects:
            self._carry_out(effect)
        self.effects += effects
        return effects

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Persist(record, data):
                self.persisted[record] = data
                self.writes.append(data)
            case SendOpen() | SendFrame():
                self._check_persisted(effect)
                self.sent.append(effect)
            case OpenStream(number):
                self.dialling = number
            case CloseStream():
                self.stream = self.dialling = 0
            case Resolve(op, outcome):
                self.outcomes[op] = outcome
                if isinstance(outcome, Granted):
                    hold = self.machine.hold(op)
                    assert hold is not None
                    self.holds[op] = hold
            case Notify(notice):
                self.notices.append(notice)
            case WakeAt(at):
                self.wake_at = at
            case Finished():
                self.finished = True
            case FetchTrust() | FetchLicence() | RenewCertificate() | GiveBack():
                pass

    def _check_persisted(self, effect: SendOpen | SendFrame) -> None:
        """No link leaves that is not the outstanding one on the disk."""
        link = link_in(effect)
        if link is not None:
            on_disk = Envelope.FromString(ChainRecord.from_bytes(self.persisted[Record.CHAIN]).link)
            assert on_disk.payload == link.payload, "a link was sent that was not persisted"

    def start(self) -> "Rig":
        self.feed(Start(self.wall, NOW - DAY, NOW + 6 * DAY))
        self.settle()
        return self

    def settle(self) -> None:
        """Let the network do what it has to do, at this instant."""
        while self.dialling or self.sent:
            self.step()

    def step(self) -> None:
        """Let the network do one thing, if there is one to do."""
        if self.dialling:
            self._dial()
        elif self.sent:
            self.deliver(self.sent.pop(0))

    def _dial(self) -> None:
        number, self.dialling = self.dialling, 0
        if self.reachable:
            self.stream = number
            self.feed(StreamOpened(number))
        else:
            self.feed(StreamBroken(number, "unreachable"))

    def deliver(self, effect: SendOpen | SendFrame) -> None:
        """Bring one message to licd and its answer back, as far as the network lets it."""
        if isinstance(effect, SendOpen):
            self._deliver_call(effect)
            return
        if not self.reachable or effect.number != self.stream:
            return
        request = session_service_pb2.SessionRequest.FromString(effect.frame)
        if request.WhichOneof("frame") == "acknowledgement":
            self.licd.acknowledge(request.acknowledgement)
            return
        reply = self.licd.answer(request.link)
        if not self.lose_replies:
            self.feed(FrameReceived(reply_frame(reply)))

    def _deliver_call(self, effect: SendOpen) -> None:
        if not self.reachable or not self.answers_calls:
            self.feed(CallFailed(effect.number, "unreachable"))
            return
        request = session_service_pb2.OpenSessionRequest.FromString(effect.request)
        reply = self.licd.answer(request.link)
        if not self.lose_replies:
            response = session_service_pb2.OpenSessionResponse(reply=reply)
            self.feed(CallAnswered(effect.number, response.SerializeToString()))

    def advance(self, duration: int) -> None:
        """Let time pass, waking the machine whenever it asked to be woken."""
        until = self.now + duration
        ticks = 0
        while self.wake_at and self.wake_at <= until and not self.finished:
            self.now = max(self.now, self.wake_at)
            self.feed(Tick())
            self.settle()
            ticks += 1
            assert ticks < 10_000, "the machine asks to be woken without end"
        self.now = until
        self.feed(Tick())
        self.settle()

    def intercept(self) -> Envelope:
        """Take the one message that is under way off the network. Returns the link it carries."""
        [effect] = self.sent
        self.sent.clear()
        link = link_in(effect)
        assert link is not None
        return link

    def cut(self) -> None:
        """The stream breaks and nothing gets through."""
        self.reachable = False
        if self.stream:
            number, self.stream = self.stream, 0
            self.feed(StreamBroken(number, "cut"))
            self.settle()

    def mend(self) -> None:
        self.reachable = True

    def push(self, frame: bytes) -> None:
        self.feed(FrameReceived(frame))
        self.settle()

    # ----------------------------------------------------------------------------------------- asking
    def ask(self, name: str = "somebody", ends_at: int = 0) -> int:
        """Ask for a lease; nothing is delivered yet."""
        self.ops += 1
        self.feed(AcquireAsked(self.ops, acquisition(name, ends_at)))
        return self.ops

    def acquire(self, name: str = "somebody", ends_at: int = 0) -> Hold:
        """Ask for a lease and get it."""
        op = self.ask(name, ends_at)
        self.settle()
        assert isinstance(self.outcomes.get(op), Granted), self.outcomes.get(op)
        return self.holds[op]

    def release(self, hold: Hold) -> None:
        self.feed(ReleaseAsked(hold.op))
        self.settle()

    def restart(self, *, now: int | None = None, seed: int = 1) -> "Rig":
        """Another process of the same system, from what is on the disk."""
        record = ChainRecord.from_bytes(self.persisted[Record.CHAIN])
        rig = Rig(self.licd, record=record, now=self.now if now is None else now, seed=seed)
        rig.ops = 1000
        return rig

    # -------------------------------------------------------------------------------------- looking
    def usable(self, hold: Hold) -> bool:
        return self.now < hold.until

    def told(self, kind: type[N]) -> list[N]:
        return [notice for notice in self.notices if isinstance(notice, kind)]

    @property
    def dropped(self) -> Sequence[str]:
        return [notice.reason for notice in self.told(FrameDropped)]


def link_in(effect: SendOpen | SendFrame) -> Envelope | None:
    """The link that a message carries, if it carries one."""
    if isinstance(effect, SendOpen):
        return session_service_pb2.OpenSessionRequest.FromString(effect.request).link
    request = session_service_pb2.SessionRequest.FromString(effect.frame)
    return request.link if request.WhichOneof("frame") == "link" else None
