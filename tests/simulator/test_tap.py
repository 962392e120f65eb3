"""The tap hears what a system sends and hears, counts permits from the first send, and knows the newest one."""

from collections.abc import Mapping
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.v1 import denial_pb2, session_pb2
from licd.v1 import session_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from simulator.chance import stream
from simulator.oracle.record import Record
from simulator.oracle.seal import Key, sealed
from simulator.oracle.trust import TrustedKeys
from simulator.tap import KEPT, Ending, Tap
from simulator.wire import Wire
from tests.simulator.set_clock import SetClock
from tests.simulator.world import target

SYSTEM = "customer/north/system/alpha"
DECIDED = 50_000


class Line:
    """A tapped system, and licd at the other end."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.secret = Ed25519PrivateKey.generate()
        key = Key(self.secret.public_key(), 0, 1 << 60)
        self.record = Record(TrustedKeys("licd.example", (key,), (key,)))
        self.tap = Tap(SYSTEM, self.record, self.clock)
        self.heard: list[Mapping[bytes, Ending]] = []
        self.tap.on_permit = self.heard.append

    def send(self, sequence: int, now: int) -> Envelope:
        self.clock.now = now
        link = Envelope(payload=session_pb2.Link(system=SYSTEM, sequence=sequence).SerializeToString())
        self.tap.sends(link)
        return link

    def reply(self, link: Envelope, now: int, *targets: int, lasts: int = 10_000) -> bytes:
        """Let a permit for these targets come. Returns its digest."""
        header = self.header(link)
        permit = session_pb2.Permit(
            header=header,
            leases=targets,
            targets=b"".join(target(number) for number in targets),
            hard_ends_ms=[DECIDED + lasts] * len(targets),
        )
        self.receive(sealed("permit", permit.SerializeToString(), self.secret, "k"), now)
        return sha256(permit.SerializeToString()).digest()

    def refuse(self, link: Envelope, now: int) -> None:
        refusal = session_pb2.Refusal(header=self.header(link))
        refusal.denial.reason = denial_pb2.DENIAL_REASON_LICENCE_SUSPENDED
        self.receive(sealed("denial", refusal.SerializeToString(), self.secret, "k"), now)

    def header(self, link: Envelope) -> session_pb2.ReplyHeader:
        return session_pb2.ReplyHeader(
            system=SYSTEM,
            sequence=session_pb2.Link.FromString(link.payload).sequence,
            link=sha256(link.payload).digest(),
            decided_ms=DECIDED,
        )

    def receive(self, reply: Envelope, now: int) -> None:
        self.clock.now = now
        self.tap.received(pb.SessionResponse(reply=reply))


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_permit_counts_from_the_first_send_of_its_link(line: Line) -> None:
    link = line.send(1, 1_000)
    line.send(1, 2_500)
    permit = line.reply(link, 3_000, 1, 2)
    assert line.tap.permit_for(target(1)) == Ending(permit, 11_000)
    assert line.tap.permit_for(target(2)) == Ending(permit, 11_000)
    assert line.tap.permit_for(target(3)) is None
    assert line.record.permits[permit].first_sent == 1_000
    assert line.heard == [{target(1): Ending(permit, 11_000), target(2): Ending(permit, 11_000)}]


def test_the_newest_permit_replaces_the_ones_before(line: Line) -> None:
    line.reply(line.send(1, 1_000), 1_100, 1, 2)
    newer = line.reply(line.send(2, 2_000), 2_100, 2)
    assert line.tap.permit_for(target(1)) is None
    assert line.tap.permit_for(target(2)) == Ending(newer, 12_000)
    assert line.tap.running(11_999) == {target(2)}
    assert line.tap.running(12_000) == set()


def test_a_refusal_leaves_no_permit(line: Line) -> None:
    line.reply(line.send(1, 1_000), 1_100, 1)
    line.refuse(line.send(2, 2_000), 2_100)
    assert line.tap.permit_for(target(1)) is None
    assert [attempt.reason for attempt in line.record.attempts] == ["LICENCE_SUSPENDED"]


def test_a_reply_to_nothing_it_sent_is_passed_over(line: Line) -> None:
    stranger = Envelope(payload=session_pb2.Link(system=SYSTEM, sequence=9).SerializeToString())
    line.reply(stranger, 1_000, 1)
    assert line.tap.permit_for(target(1)) is None
    assert line.record.permits == {}


def test_keeps_no_more_links_than_it_needs(line: Line) -> None:
    links = [line.send(sequence, sequence) for sequence in range(1, KEPT + 2)]
    line.reply(links[0], 5_000, 1)
    assert line.record.permits == {}
    line.reply(links[1], 5_000, 1)
    assert len(line.record.permits) == 1


def test_a_unary_permit_stands_beside_those_of_links(line: Line) -> None:
    by_link = line.reply(line.send(1, 1_000), 1_100, 1)
    request = pb.AcquireLeaseRequest(request_id="r", acquisition=session_pb2.Acquisition(target=target(2)))
    header = session_pb2.ReplyHeader(system=SYSTEM, request_id="r", decided_ms=DECIDED)
    outcome = session_pb2.Outcome(grant=session_pb2.Grant(lease=2, target=target(2)))
    permit = session_pb2.Permit(
        header=header, leases=[2], targets=target(2), hard_ends_ms=[DECIDED + 5_000], outcomes=[outcome]
    )
    envelope = sealed("permit", permit.SerializeToString(), line.secret, "k")
    line.tap.called(request, pb.AcquireLeaseResponse(permit=envelope), 2_000, 2_000)
    assert line.tap.permit_for(target(2)) == Ending(sha256(envelope.payload).digest(), 7_000)
    assert line.tap.permit_for(target(1)) == Ending(by_link, 11_000)
    assert line.record.permits[sha256(envelope.payload).digest()].unary


def test_hears_directives_and_licences(line: Line) -> None:
    directive = session_pb2.Directive(licence="north-1", epoch=2, kind=session_pb2.DIRECTIVE_KIND_SUSPEND)
    line.tap.received(
        pb.SessionResponse(directive=sealed("directive", directive.SerializeToString(), line.secret, "k"))
    )
    assert list(line.record.orders["north-1"]) == [2]
    assert [(stop.system, stop.heard) for stop in line.record.stops] == [(SYSTEM, 1_000)]


async def test_a_cut_wire_carries_nothing_and_a_slow_one_late() -> None:
    clock = SetClock()
    wire = Wire(clock, stream(1, "wire"), delay=300)
    assert await wire.carry()
    assert clock.now == 1_300
    wire.cut = True
    assert not await wire.carry()


async def test_a_lossy_wire_loses_its_share() -> None:
    wire = Wire(SetClock(), stream(1, "wire"), loss=0.25)
    assert 200 < [await wire.carry() for _ in range(1_000)].count(False) < 300
