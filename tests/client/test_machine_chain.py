"""The chain: one outstanding link, written down before it is sent, sent again until it is answered."""

from licd.client.session.chain_record import ChainRecord
from licd.client.session.effects import Persist, SendFrame, SendOpen
from licd.client.session.events import FrameReceived, Start, Stop, Tick
from licd.v1.session_service_pb2 import SessionRequest
from tests.client.fake_licd import DAY, NOW, SECOND, FakeLicd, reply_frame
from tests.client.rig import BOOT, Rig, link_in


def test_opens_a_session_with_its_first_link_and_then_a_stream():
    rig = Rig().start()
    link = rig.licd.links[0]
    assert (link.sequence, link.session, link.HasField("opening")) == (1, "", True)
    assert (link.opening.deployment_region, link.opening.software) == ("DE", "test 1")
    assert rig.stream
    assert rig.machine.view.chain.session == "session-1"


def test_persists_every_link_before_it_sends_it():
    rig = Rig()
    effects = rig.feed(Start(NOW, NOW - DAY, NOW + DAY))
    assert [type(effect) for effect in effects if isinstance(effect, Persist | SendOpen)] == [Persist, SendOpen]
    rig.settle()
    before = len(rig.effects)
    rig.advance(5 * SECOND)
    later = [type(effect) for effect in rig.effects[before:] if isinstance(effect, Persist | SendFrame)]
    assert later == [Persist, SendFrame]


def test_sends_a_link_at_each_heartbeat_and_no_more():
    rig = Rig().start()
    rig.advance(60 * SECOND)
    assert len(rig.licd.links) == 1 + 12
    assert rig.licd.received == len(rig.licd.links)


def test_takes_the_heartbeat_that_the_permit_names():
    rig = Rig()
    rig.licd.heartbeat = 2 * SECOND
    rig.start()
    rig.advance(60 * SECOND)
    assert len(rig.licd.links) == 1 + 30


def test_each_link_says_what_the_system_has_seen():
    rig = Rig().start()
    rig.advance(5 * SECOND)
    first, second = rig.licd.links
    assert first.latest_decided_ms == 0
    assert second.latest_decided_ms == NOW
    assert second.boot_time_ms == BOOT + 5 * SECOND
    assert first.boot_nonce == second.boot_nonce
    assert first.nonce != second.nonce


def test_operations_that_come_while_a_link_is_outstanding_go_together_into_the_next():
    rig = Rig().start()
    ops = [rig.ask(f"target {number}") for number in range(10)]
    rig.settle()
    sizes = [len(link.operations) for link in rig.licd.links]
    assert sizes == [0, 1, 9]
    assert all(rig.holds[op].until > rig.now for op in ops)


def test_a_link_carries_at_most_256_operations_and_the_rest_follow_at_once():
    rig = Rig().start()
    rig.licd.cap = 1000
    ops = [rig.ask(f"target {number}") for number in range(600)]
    rig.settle()
    assert [len(link.operations) for link in rig.licd.links] == [0, 1, 256, 256, 87]
    assert len(rig.holds) == len(ops)
    assert rig.now == BOOT


def test_sends_the_very_same_payload_again_when_the_reply_is_lost():
    rig = Rig().start()
    rig.lose_replies = True
    op = rig.ask()
    rig.settle()
    rig.advance(10 * SECOND)
    assert op not in rig.outcomes
    rig.lose_replies = False
    rig.advance(9 * SECOND)
    sent = [link.payload for effect in rig.effects if isinstance(effect, SendFrame) and (link := link_in(effect))]
    assert len(sent) >= 3
    assert sent[0] == sent[1] == sent[2]
    assert len(rig.licd.links[1].operations) == 1
    assert len(rig.licd.seats) == 1
    assert rig.usable(rig.holds[op])


def test_the_permit_of_a_link_sent_again_counts_from_its_first_send():
    rig = Rig().start()
    rig.lose_replies = True
    op = rig.ask()
    rig.settle()
    rig.advance(9 * SECOND)
    rig.lose_replies = False
    while op not in rig.outcomes:
        rig.now = rig.wake_at
        rig.feed(Tick())
        while op not in rig.outcomes and (rig.dialling or rig.sent):
            rig.step()
    assert rig.now > BOOT + 9 * SECOND
    assert rig.holds[op].until == BOOT + 20 * SECOND


def test_asks_again_when_the_answer_took_longer_than_the_lease():
    rig = Rig().start()
    rig.lose_replies = True
    op = rig.ask()
    rig.settle()
    rig.advance(25 * SECOND)
    rig.lose_replies = False
    rig.advance(9 * SECOND)
    assert [len(link.operations) for link in rig.licd.links][1:3] == [1, 1]
    assert list(rig.licd.links[2].held) == []
    assert rig.usable(rig.holds[op])


def test_calls_again_with_the_same_link_when_opening_gets_no_answer():
    rig = Rig()
    rig.lose_replies = True
    rig.start()
    rig.advance(4 * SECOND)
    assert rig.licd.received == 2
    assert len(rig.licd.links) == 1
    rig.lose_replies = False
    rig.advance(6 * SECOND)
    assert rig.stream
    assert rig.licd.sessions == 1


def test_a_broken_stream_is_opened_again_without_a_new_session():
    rig = Rig().start()
    hold = rig.acquire()
    rig.cut()
    rig.advance(3 * SECOND)
    rig.mend()
    rig.advance(5 * SECOND)
    assert rig.stream
    assert rig.licd.sessions == 1
    assert rig.usable(hold)


def test_a_stream_that_comes_back_is_used_at_once_to_ask_what_was_missed():
    rig = Rig().start()
    links = len(rig.licd.links)
    rig.cut()
    rig.mend()
    rig.advance(SECOND)
    assert len(rig.licd.links) == links + 1


def test_the_first_link_on_a_stream_brings_the_last_reply_along_and_the_next_does_not():
    rig = Rig().start()
    rig.advance(5 * SECOND)
    rig.advance(5 * SECOND)
    frames = [effect.frame for effect in rig.effects if isinstance(effect, SendFrame)]
    brought = [b"last" if request_has_last_reply(frame) else b"" for frame in frames]
    assert brought == [b"last", b""]


def request_has_last_reply(frame: bytes):
    return SessionRequest.FromString(frame).HasField("last_reply")


def test_a_last_reply_too_large_to_be_brought_along_is_left_behind():
    rig = Rig()
    rig.licd.cap = 10_000
    rig.licd.pads_permits_with = 5_200
    rig.start()
    rig.advance(5 * SECOND)
    frames = [effect.frame for effect in rig.effects if isinstance(effect, SendFrame)]
    assert not request_has_last_reply(frames[0])
    assert rig.licd.received == 2


def test_waits_longer_after_each_failure_but_never_longer_than_a_heartbeat():
    rig = Rig().start()
    rig.cut()
    waits, last = [], rig.now
    for _ in range(12):
        rig.now = max(rig.now, rig.wake_at)
        waits.append(rig.now - last)
        last = rig.now
        rig.advance(0)
    assert 100 <= waits[0] <= 200
    assert all(wait <= 5 * SECOND for wait in waits)
    assert max(waits) >= 2500
    assert waits[:4] == sorted(waits[:4])


def test_a_reply_that_comes_twice_is_dropped_the_second_time():
    rig = Rig().start()
    op = rig.ask()
    link = rig.intercept()
    reply = reply_frame(rig.licd.answer(link))
    rig.feed(FrameReceived(reply))
    until = rig.holds[op].until
    rig.now += 100
    rig.feed(FrameReceived(reply))
    assert rig.dropped == ["LATE"]
    assert rig.holds[op].until == until


def test_a_late_reply_to_an_earlier_link_is_dropped():
    rig = Rig().start()
    rig.ask("first")
    link = rig.intercept()
    late = reply_frame(rig.licd.answer(link))
    rig.feed(FrameReceived(late))
    rig.ask("second")
    rig.feed(FrameReceived(late))
    assert rig.dropped == ["LATE"]
    assert rig.machine.view.chain.outstanding is not None


def test_after_a_restart_the_outstanding_opening_link_is_called_again_and_then_a_session_opened():
    rig = Rig()
    rig.lose_replies = True
    rig.start()
    again = rig.restart().start()
    assert [link.HasField("opening") for link in again.licd.links] == [True, True]
    assert again.licd.links[0].boot_nonce != again.licd.links[1].boot_nonce
    assert again.licd.received == 3
    assert again.stream


def test_after_a_restart_the_outstanding_heartbeat_is_sent_again_on_a_stream_and_then_a_session_opened():
    rig = Rig().start()
    rig.lose_replies = True
    rig.ask()
    rig.settle()
    again = rig.restart().start()
    assert [link.HasField("opening") for link in again.licd.links] == [True, False, True]
    kinds = [type(effect) for effect in again.effects if isinstance(effect, SendFrame | SendOpen)]
    assert kinds == [SendFrame, SendOpen]
    assert again.licd.received == 4
    assert again.stream


def test_a_link_that_licd_never_saw_is_accepted_after_the_restart():
    rig = Rig().start()
    rig.ask()
    rig.sent.clear()  # written down, and lost with the process
    again = rig.restart().start()
    assert [link.sequence for link in again.licd.links] == [1, 2, 3]


def test_no_lease_outlives_the_process_and_what_its_last_link_won_is_left_to_cool():
    rig = Rig().start()
    rig.acquire("one")
    rig.lose_replies = True
    rig.ask("two")
    rig.settle()
    again = rig.restart().start()
    assert not again.holds
    assert list(again.licd.links[-1].held) == []
    assert again.licd.seats == {}


def test_a_thousand_restarts_at_any_write_never_look_like_a_fork():
    licd = FakeLicd()
    licd.cap = 100
    rig = Rig(licd).start()
    for turn in range(200):
        rig.ask(f"target {turn}")
        if turn % 3 == 0:
            rig.settle()
        elif turn % 3 == 1:
            rig.sent.clear()
        rig = rig.restart(now=rig.now + 10, seed=turn)
        rig.start()
    assert licd.links[-1].sequence == len(licd.links)


def test_after_a_clean_stop_nothing_is_outstanding():
    rig = Rig().start()
    rig.acquire()
    rig.feed(Stop())
    rig.settle()
    assert rig.finished
    assert ChainRecord.from_bytes(rig.writes[-1]).link == b""
    assert rig.licd.seats == {}
    again = rig.restart().start()
    assert again.licd.received == len(again.licd.links)


def test_stopping_without_contact_does_not_wait():
    rig = Rig().start()
    hold = rig.acquire()
    rig.cut()
    rig.feed(Stop())
    assert rig.finished
    assert not rig.usable(hold)


def test_stopping_waits_no_longer_than_it_may():
    rig = Rig().start()
    rig.acquire()
    rig.lose_replies = True
    rig.feed(Stop())
    rig.settle()
    finished = [rig.finished]
    rig.advance(3 * SECOND)
    assert [*finished, rig.finished] == [False, True]
    assert rig.machine.handle(Start(0, 0, 0), rig.now) == []
