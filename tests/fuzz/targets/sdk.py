"""What the SDK takes from the network: nothing makes it raise, and nothing but licd's own words prolongs a lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from google.protobuf.message import DecodeError, Message

from licd.client.session.events import CallAnswered, FrameReceived, LicenceFetched, TrustFetched, UnaryAnswered
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_service_pb2 import AcquireLeaseResponse, OpenSessionResponse, SessionResponse
from licd.v1.trust_pb2 import TrustBundleChain
from tests.client.fake_licd import ONLINE, bundle_envelope, directive_frame, licence_envelope, reply_frame
from tests.client.rig import BOOT, Rig, acquisition
from tests.fuzz.mutation import of_message
from tests.fuzz.target import Part, Target, promise
from tests.fuzz.targets.seals import payload_inside


def waiting() -> tuple[Rig, Envelope]:
    """A system that holds a lease and waits for the answer to a link; the same to the last bit every time."""
    rig = Rig().start()
    rig.acquire()
    rig.ask("under way")
    return rig, rig.intercept()


def genuine() -> Envelope:
    """What licd answers to that link."""
    rig, link = waiting()
    return rig.licd.answer(link)


REPLY: Final = genuine()
KINDS: Final[tuple[tuple[Kind, type[Message]], ...]] = (
    (Kind.PERMIT, session_pb2.Permit),
    (Kind.DIRECTIVE, session_pb2.Directive),
    (Kind.DENIAL, session_pb2.Refusal),
)


def frames() -> tuple[bytes, ...]:
    rig, _ = waiting()
    suspended = rig.licd.suspend()
    return (
        reply_frame(REPLY),
        directive_frame(suspended),
        directive_frame(rig.licd.reinstate()),
        SessionResponse(licence=licence_envelope()).SerializeToString(),
        SessionResponse(trust=TrustBundleChain(bundles=[bundle_envelope(2)])).SerializeToString(),
    )


def answers() -> tuple[bytes, ...]:
    chain = TrustBundleChain(bundles=[bundle_envelope(2)])
    made = OpenSessionResponse(reply=REPLY, licence=licence_envelope(), trust=chain)
    return (made.SerializeToString(),)


def check_frame(data: bytes) -> None:
    """A frame, whatever became of it."""
    rig, _ = waiting()
    before = {op: hold.until for op, hold in rig.holds.items()}
    rig.feed(FrameReceived(data))
    _check_no_gain(rig, before, _replies(SessionResponse, data))
    rig.feed(LicenceFetched(data))
    rig.feed(TrustFetched(data))
    rig.feed(UnaryAnswered(999, acquisition(), "id", rig.now, data))
    _check_no_gain(rig, before, _replies(SessionResponse, data))


def check_answer(data: bytes) -> None:
    """An answer to OpenSession."""
    rig, _ = waiting()
    before = {op: hold.until for op, hold in rig.holds.items()}
    rig.feed(CallAnswered(rig.machine.view.line.number, data))
    _check_no_gain(rig, before, _replies(OpenSessionResponse, data))


def _replies(kind: type[SessionResponse | OpenSessionResponse], data: bytes) -> bytes:
    try:
        return kind.FromString(data).reply.payload
    except DecodeError:
        return b""


def _check_no_gain(rig: Rig, before: dict[int, int], payload: bytes) -> None:
    if payload == REPLY.payload:
        return
    promise(rig.holds.keys() <= before.keys(), "a lease was granted on a changed reply")
    for op, hold in rig.holds.items():
        promise(hold.until <= before[op], "a lease was prolonged on a changed reply")


def check_sealed(data: bytes) -> None:
    """Even what licd's own key has sealed: bounded in time, and never a crash."""
    if not data:
        return
    kind, _ = KINDS[data[0] % len(KINDS)]
    try:
        envelope = seal(kind, data[1:], ONLINE)
    except SealInvalid:
        return
    rig, _ = waiting()
    for frame in (
        SessionResponse(reply=envelope),
        SessionResponse(directive=envelope),
        AcquireLeaseResponse(permit=envelope),
        AcquireLeaseResponse(denial=envelope),
    ):
        rig.feed(FrameReceived(frame.SerializeToString()))
        rig.feed(UnaryAnswered(999, acquisition(), "id", rig.now, frame.SerializeToString()))
        rig.advance(0)
    for hold in rig.holds.values():
        promise(hold.until <= BOOT + rig.machine.view.pace.longest_permit, "a lease without an end")


def payloads() -> tuple[bytes, ...]:
    rig, _ = waiting()
    suspended = rig.licd.suspend()
    refusal = session_pb2.Refusal(header=session_pb2.Permit.FromString(REPLY.payload).header)
    return (b"\0" + REPLY.payload, b"\1" + suspended.payload, b"\2" + refusal.SerializeToString())


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    by_kind = [of_message(message) for _, message in KINDS]
    yield Target(
        "sdk",
        (
            Part("frame", frames(), check_frame, of_message(SessionResponse, payload_inside)),
            Part("answer", answers(), check_answer, of_message(OpenSessionResponse, payload_inside)),
            Part(
                "sealed",
                payloads(),
                check_sealed,
                lambda data, chance, _: (
                    data[:1] + by_kind[data[0] % len(KINDS) if data else 0](data[1:], chance, [data[1:]])
                ),
            ),
        ),
        covers=("licd/client/session",),
    )
