"""Leases: granted, renewed, run out, shared, given back; never acted on a millisecond longer than the permit says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.client.answers import Denied, Failed, Granted, Reason, Released, StopCause
from licd.client.notices import LeaseLapsing, LeaseLost
from licd.client.pace import Pace
from licd.client.session.effects import SendFrame
from licd.client.session.events import AcquireAsked, FrameReceived, Rebooted, ReleaseAsked, Stop, Tick
from licd.client.session.hold import HoldState
from licd.client.session.holds import MOST_HOLDS
from licd.v1 import denial_pb2
from tests.client.fake_licd import NOW, SECOND, reply_frame
from tests.client.rig import BOOT, Rig, acquisition, target


def test_a_granted_lease_holds_for_the_permit_length_from_when_its_link_was_sent():
    rig = Rig().start()
    hold = rig.acquire()
    outcome = rig.outcomes[hold.op]
    assert outcome == Granted(101, NOW, "DE", "licd:serious-crime", existing=False)
    assert hold.until == BOOT + 20 * SECOND
    rig.now = BOOT + 20 * SECOND - 1
    assert rig.usable(hold)
    rig.now += 1
    assert not rig.usable(hold)


def test_a_lease_counts_from_the_send_not_from_the_arrival_of_the_reply():
    rig = Rig().start()
    op = rig.ask()
    link = rig.intercept()
    rig.licd.now_ms = NOW + 900  # decided later than sent: the difference is given up
    reply = rig.licd.answer(link)
    rig.now += 2 * SECOND
    rig.feed(FrameReceived(reply_frame(reply)))
    assert rig.holds[op].until == BOOT + 20 * SECOND


@given(sent=st.integers(0, 10**9), travel=st.integers(0, 19_999), decided=st.integers(0, 10**9))
def test_no_lease_is_usable_for_longer_than_was_decided(sent: int, travel: int, decided: int):
    rig = Rig(now=BOOT).start()
    rig.now += sent % 4_000
    op = rig.ask()
    link = rig.intercept()
    rig.licd.now_ms = NOW + rig.now - BOOT + min(travel, decided % (travel + 1))
    decided_at = rig.licd.now_ms
    reply = rig.licd.answer(link)
    sent_at = rig.now
    rig.now += travel
    rig.feed(FrameReceived(reply_frame(reply)))
    assert rig.holds[op].until == sent_at + 20 * SECOND
    # In licd's own time the end is never later than what it decided.
    assert NOW + rig.holds[op].until - BOOT <= decided_at + 20 * SECOND


def test_grace_grows_with_the_age_of_the_lease_and_ends_with_the_figure_in_the_licence():
    rig = Rig().start()
    hold = rig.acquire()
    ages = []
    for _ in range(80):
        rig.advance(5 * SECOND)
        ages.append(hold.until - rig.now)
    assert ages[0] == 20 * SECOND + 5 * SECOND
    assert ages[10] == 20 * SECOND + 55 * SECOND
    assert ages[-1] == 20 * SECOND + 300 * SECOND


def test_a_system_that_hears_nothing_stops_at_its_hard_end():
    rig = Rig().start()
    hold = rig.acquire()
    rig.advance(60 * SECOND)
    until = hold.until
    rig.cut()
    rig.advance(until - rig.now - 1)
    assert rig.usable(hold)
    rig.advance(1)
    assert not rig.usable(hold)
    assert hold.state is HoldState.ENDED
    assert [notice.stopped.cause for notice in rig.told(LeaseLost)] == [StopCause.LAPSED]


def test_a_lapsed_lease_is_left_out_of_the_next_link():
    rig = Rig().start()
    rig.acquire()
    rig.cut()
    rig.advance(60 * SECOND)
    rig.mend()
    rig.advance(6 * SECOND)
    assert list(rig.licd.links[-1].held) == []


def test_a_lease_that_an_authorisation_ends_is_not_stretched_by_renewals():
    rig = Rig().start()
    hold = rig.acquire(ends_at=NOW + 30 * SECOND)
    rig.advance(29 * SECOND)
    assert rig.usable(hold)
    rig.advance(1 * SECOND)
    assert not rig.usable(hold)


def test_says_once_that_a_lease_is_running_out():
    rig = Rig().start()
    hold = rig.acquire()
    rig.advance(30 * SECOND)
    rig.cut()
    rig.advance(hold.until - rig.now - 1)
    [notice] = rig.told(LeaseLapsing)
    assert (notice.op, notice.remaining) == (hold.op, 10 * SECOND)


def test_says_that_a_lease_is_running_out_half_way_when_the_permit_is_short():
    rig = Rig()
    rig.licd.length, rig.licd.grace = 4 * SECOND, 0
    rig.start()
    hold = rig.acquire()
    rig.cut()
    rig.advance(hold.until - rig.now - 1)
    assert [notice.remaining for notice in rig.told(LeaseLapsing)] == [2 * SECOND]


def test_does_not_warn_over_and_over_of_an_end_that_does_not_move():
    rig = Rig().start()
    rig.acquire(ends_at=NOW + 60 * SECOND)
    rig.advance(60 * SECOND)
    assert len(rig.told(LeaseLapsing)) == 1


def test_a_denial_comes_back_with_all_that_licd_said():
    rig = Rig()
    rig.licd.cap = 1
    rig.start()
    rig.acquire("one")
    op = rig.ask("two")
    rig.settle()
    denied = rig.outcomes[op]
    assert isinstance(denied, Denied)
    assert (denied.reason, denied.retry_at, denied.limit) == (Reason.CONCURRENT_CAP, NOW + 30 * SECOND, 1)
    assert [seat.lease for seat in denied.seats] == [101]


def test_a_denial_for_a_reason_of_the_future_is_still_a_denial():
    rig = Rig()
    rig.licd.refused = denial_pb2.Denial(reason=denial_pb2.DenialReason.ValueType(999), detail="new")
    rig.start()
    op = rig.ask()
    rig.settle()
    denied = rig.outcomes[op]
    assert isinstance(denied, Denied)
    assert denied.reason is Reason.CONSTRAINT_NOT_UNDERSTOOD
    assert "999" in denied.detail


def test_outcomes_are_matched_to_their_operations_in_order():
    rig = Rig()
    rig.licd.cap = 2
    rig.start()
    first = rig.ask("first")
    rest = [rig.ask(name) for name in ("second", "third", "first")]
    rig.settle()
    assert isinstance(rig.outcomes[first], Granted)
    kinds = [type(rig.outcomes[op]) for op in rest]
    assert kinds == [Granted, Denied, Granted]
    assert rig.outcomes[rest[2]] == Granted(101, NOW, "DE", "licd:serious-crime", existing=True)


def test_released_leases_stop_at_once_and_are_given_back_in_the_next_link():
    rig = Rig().start()
    hold = rig.acquire()
    rig.feed(ReleaseAsked(hold.op))
    assert not rig.usable(hold)
    assert hold.stopped.cause is StopCause.RELEASED
    rig.settle()
    link = rig.licd.links[-1]
    assert [operation.release.lease for operation in link.operations] == [hold.lease]
    assert list(link.held) == []
    assert rig.outcomes[hold.op] == Released(NOW + 21 * SECOND)


def test_two_holds_on_one_target_share_a_lease_and_the_last_gives_it_back():
    rig = Rig().start()
    first, second = rig.acquire(), rig.acquire()
    assert first.lease == second.lease
    rig.release(first)
    assert not rig.usable(first)
    assert rig.usable(second)
    assert first.lease in rig.licd.seats
    rig.release(second)
    assert rig.licd.seats == {}


def test_a_lease_given_up_while_another_program_asks_for_its_target_is_handed_over():
    rig = Rig().start()
    first = rig.acquire()
    op = rig.ask()
    rig.feed(ReleaseAsked(first.op))
    rig.settle()
    assert rig.usable(rig.holds[op])
    assert rig.holds[op].lease == first.lease
    assert rig.outcomes[first.op] == Released(0)
    rig.advance(10 * SECOND)
    assert rig.usable(rig.holds[op])


def test_a_lease_is_not_given_back_in_the_link_that_asks_for_its_target_again():
    rig = Rig().start()
    first = rig.acquire()
    rig.ask("something else")
    op = rig.ask()
    rig.feed(ReleaseAsked(first.op))
    rig.settle()
    assert rig.usable(rig.holds[op])
    assert rig.holds[op].lease == first.lease
    verbs = [operation.WhichOneof("verb") for operation in rig.licd.links[-1].operations]
    assert verbs == ["acquire"]


def test_a_lease_that_a_permit_lists_for_another_target_is_lost():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.seats[hold.lease].target = target("somebody else")
    rig.advance(5 * SECOND)
    assert not rig.usable(hold)
    assert len(rig.told(LeaseLost)) == 1


def test_a_wish_given_up_before_it_was_sent_is_never_sent():
    rig = Rig().start()
    rig.ask("under way")
    op = rig.ask("never")
    rig.feed(ReleaseAsked(op))
    rig.settle()
    asked = [operation.acquire.target for link in rig.licd.links for operation in link.operations]
    assert asked == [target("under way")]


def test_a_wish_given_up_while_it_was_under_way_is_given_back_when_granted():
    rig = Rig().start()
    op = rig.ask()
    rig.feed(ReleaseAsked(op))
    rig.settle()
    assert not rig.holds
    assert rig.licd.seats == {}
    assert [operation.WhichOneof("verb") for operation in rig.licd.links[-1].operations] == ["release"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (denial_pb2.DENIAL_REASON_CAP_NARROWED, Reason.CAP_NARROWED),
        (denial_pb2.DENIAL_REASON_LEASE_LAPSED, Reason.LEASE_LAPSED),
    ],
)
def test_a_lease_that_licd_ends_is_lost_with_its_reason(reason: denial_pb2.DenialReason.ValueType, expected: Reason):
    rig = Rig().start()
    hold, other = rig.acquire("one"), rig.acquire("two")
    rig.licd.ended[hold.lease] = reason
    rig.advance(5 * SECOND)
    assert not rig.usable(hold)
    assert rig.usable(other)
    [lost] = rig.told(LeaseLost)
    assert lost.op == hold.op
    assert lost.stopped.denied is not None
    assert lost.stopped.denied.reason is expected


def test_a_lease_missing_from_a_newer_permit_is_lost():
    rig = Rig().start()
    hold = rig.acquire()
    op = rig.ask("other")
    del rig.licd.seats[hold.lease]
    rig.licd.names_ended = False
    rig.settle()
    assert not rig.usable(hold)
    assert rig.usable(rig.holds[op])
    assert [lost.stopped.cause for lost in rig.told(LeaseLost)] == [StopCause.ENDED]


def test_a_permit_gives_no_lease_that_nobody_asked_for():
    rig = Rig().start()
    rig.licd.new_seat(acquisition("unasked"))
    rig.licd.keeps_omitted = True
    rig.advance(5 * SECOND)
    assert not rig.holds
    assert list(rig.licd.links[-1].held) == []


def test_closing_stops_every_lease_and_answers_every_wish():
    rig = Rig().start()
    hold = rig.acquire("one")
    waiting = rig.ask("two")
    rig.feed(Stop())
    assert not rig.usable(hold)
    assert hold.stopped.cause is StopCause.CLOSED
    assert isinstance(rig.outcomes[waiting], Failed)
    late = rig.ask("three")
    assert isinstance(rig.outcomes[late], Failed)


def test_a_machine_restored_elsewhere_stops_and_believes_nothing_sent_from_before():
    rig = Rig().start()
    hold = rig.acquire("one")
    op = rig.ask("two")
    link = rig.intercept()
    reply = rig.licd.answer(link)
    rig.now = 500  # the other machine's boot clock
    rig.feed(Rebooted())
    assert not rig.usable(hold)
    assert [lost.stopped.cause for lost in rig.told(LeaseLost)] == [StopCause.REBOOTED]
    rig.feed(FrameReceived(reply_frame(reply)))
    assert op not in rig.outcomes
    rig.licd.now_ms = NOW
    rig.advance(SECOND)
    assert rig.licd.links[-1].HasField("opening") or rig.licd.sessions == 2
    assert rig.usable(rig.holds[op])


def test_the_program_may_wait_for_a_lease_from_before_there_is_contact():
    rig = Rig()
    op = rig.ask()
    assert rig.sent == []
    rig.start()
    assert rig.usable(rig.holds[op])
    assert len(rig.licd.links[0].operations) == 1


def test_no_permit_is_believed_for_more_than_the_longest_there_can_be():
    rig = Rig()
    rig.licd.never_ends = True
    rig.start()
    hold = rig.acquire()
    assert hold.until == BOOT + Pace().longest_permit


def test_a_system_asks_for_no_more_leases_than_a_permit_can_list():
    rig = Rig().start()
    ops = [rig.ask(f"target {number}") for number in range(MOST_HOLDS + 1)]
    assert ops[-2] not in rig.outcomes
    assert isinstance(rig.outcomes[ops[-1]], Failed)


def test_links_stay_small_however_long_the_texts_are():
    rig = Rig().start()
    rig.licd.cap = 1000
    for number in range(250):
        asked = acquisition(f"target {number}")
        asked.purpose = asked.offence = asked.authorisation.reference = "€" * 128
        rig.ops += 1
        rig.feed(AcquireAsked(rig.ops, asked))
    rig.settle()
    assert len(rig.holds) == 250
    assert max(len(effect.frame) for effect in rig.effects if isinstance(effect, SendFrame)) < 256 * 1024
    assert len(rig.licd.links[-1].held) > 0


def test_ticks_that_nobody_asked_for_do_nothing():
    rig = Rig().start()
    rig.acquire()
    before = len(rig.effects)
    for _ in range(100):
        rig.feed(Tick())
    assert rig.effects[before:] == []
