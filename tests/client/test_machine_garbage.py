"""No bytes make the machine raise, and what it cannot believe changes nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from licd.client.notices import FrameDropped
from licd.client.session.chain_record import ChainRecord, RecordUnreadable
from licd.client.session.events import CallAnswered, FrameReceived, LicenceFetched, TrustFetched, UnaryAnswered
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import session_pb2
from licd.v1.session_service_pb2 import AcquireLeaseResponse, OpenSessionResponse, SessionResponse
from tests.client.fake_licd import ONLINE, SECOND, directive_frame, reply_frame
from tests.client.rig import BOOT, Rig, acquisition, first_record


def received(rig: Rig, data: bytes):
    rig.feed(FrameReceived(data))
    rig.feed(CallAnswered(rig.machine.view.line.number, data))
    rig.feed(TrustFetched(data))
    rig.feed(LicenceFetched(data))
    rig.feed(UnaryAnswered(999, acquisition(), "id", rig.now, data))


def works(rig: Rig):
    """After all that, it still gets a lease."""
    rig.sent.clear()
    rig.advance(10 * SECOND)
    return rig.usable(rig.acquire("afterwards"))


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_are_dropped(frames: list[bytes]):
    rig = Rig().start()
    hold = rig.acquire()
    until = hold.until
    for frame in frames:
        received(rig, frame)
    assert hold.until == until
    assert works(rig)


@given(st.data())
def test_a_good_frame_with_any_byte_changed_changes_nothing(data: st.DataObject):
    rig = Rig().start()
    hold = rig.acquire()
    until = hold.until
    rig.ask("under way")
    link = rig.intercept()
    good = data.draw(st.sampled_from([reply_frame(rig.licd.answer(link)), directive_frame(rig.licd.suspend())]))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytes([*good[:at], good[at] ^ data.draw(st.integers(1, 255)), *good[at + 1 :]])
    rig.feed(FrameReceived(bad))
    if rig.told(FrameDropped):
        assert hold.until == until
    else:  # a byte that is not signed: a longer way to write the same envelope
        assert SessionResponse.FromString(bad).ByteSize()


@given(st.data())
def test_a_good_frame_cut_short_or_followed_by_anything_does_no_harm(data: st.DataObject):
    rig = Rig().start()
    rig.ask("under way")
    link = rig.intercept()
    good = reply_frame(rig.licd.answer(link))
    cut = data.draw(st.integers(0, len(good)))
    rig.feed(FrameReceived(good[:cut] + data.draw(st.binary(max_size=40))))


payloads = st.builds(
    lambda fill: fill,
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda sequence, leases, targets, ends: session_pb2.Permit(
                header=session_pb2.ReplyHeader(sequence=sequence), leases=leases, targets=targets, hard_ends_ms=ends
            ).SerializeToString(),
            st.integers(-(2**63), 2**63 - 1),
            st.lists(st.integers(0, 2**64 - 1), max_size=3),
            st.binary(max_size=100),
            st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        ),
        st.builds(
            lambda epoch, kind, decided, leases: session_pb2.Directive(
                issuer="licd.example",
                licence="lic-1",
                epoch=epoch,
                kind=session_pb2.DirectiveKind.ValueType(kind),
                decided_ms=decided,
                leases=leases,
            ).SerializeToString(),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**31), 2**31 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.lists(st.integers(0, 2**64 - 1), max_size=3),
        ),
    ),
)


@given(st.sampled_from([Kind.PERMIT, Kind.DENIAL, Kind.DIRECTIVE]), payloads)
@settings(max_examples=200)
def test_even_what_licd_itself_has_sealed_may_be_nonsense(kind: Kind, payload: bytes):
    rig = Rig().start()
    rig.acquire()
    envelope = seal(kind, payload, ONLINE)
    for frame in (
        SessionResponse(reply=envelope),
        SessionResponse(directive=envelope),
        SessionResponse(licence=envelope),
        OpenSessionResponse(reply=envelope, licence=envelope, directives=[envelope]),
        AcquireLeaseResponse(permit=envelope),
        AcquireLeaseResponse(denial=envelope),
    ):
        received(rig, frame.SerializeToString())
        rig.advance(0)


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31), 2**31 - 1),
)
def test_no_figures_in_a_right_reply_make_it_fail(decided: int, hard_end: int, heartbeat: int, revision: int):
    rig = Rig().start()
    op = rig.ask("under way")
    link = rig.intercept()
    permit = session_pb2.Permit.FromString(rig.licd.answer(link).payload)
    permit.header.decided_ms = decided
    permit.hard_ends_ms[0] = hard_end
    permit.heartbeat_ms = heartbeat
    permit.revision = revision
    rig.feed(FrameReceived(reply_frame(seal(Kind.PERMIT, permit.SerializeToString(), ONLINE))))
    if op in rig.holds:
        assert rig.holds[op].until <= BOOT + rig.machine.view.pace.longest_permit


@given(st.binary(max_size=400))
def test_a_record_that_is_none_is_refused_and_nothing_else(data: bytes):
    try:
        ChainRecord.from_bytes(data)
    except RecordUnreadable:
        return
    assert data[0] == 1


def test_a_record_reads_back_as_it_was_written():
    rig = Rig().start()
    rig.ask("under way")
    record = ChainRecord.from_bytes(rig.writes[-1])
    assert ChainRecord.from_bytes(record.to_bytes()) == record
    assert (record.sequence, bool(record.link), bool(record.last_reply)) == (2, True, True)
    assert ChainRecord.from_bytes(first_record().to_bytes()) == first_record()
