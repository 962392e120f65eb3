"""The authoritative no: it stops at once, is acknowledged, and is lifted only by what is newer."""

import hashlib

from licd.client.answers import Denied, Reason, StopCause
from licd.client.notices import LeaseLost, LeaseRegained, Reinstated, Suspended
from licd.client.session.events import FrameReceived, StreamBroken
from licd.client.session.hold import HoldState
from licd.v1 import session_pb2
from tests.client.fake_licd import (
    ISSUER,
    NOW,
    ONLINE,
    SECOND,
    bundle,
    bundle_envelope,
    directive_frame,
    key,
    reply_frame,
)
from tests.client.rig import BOOT, Rig, target


def sha256(data: bytes):
    return hashlib.sha256(data).digest()


def test_a_pushed_suspension_stops_every_lease_at_once_and_is_acknowledged():
    rig = Rig().start()
    holds = [rig.acquire(name) for name in ("one", "two", "three")]
    rig.advance(60 * SECOND)
    order = rig.licd.suspend()
    rig.feed(FrameReceived(directive_frame(order)))
    assert not any(rig.usable(hold) for hold in holds)
    assert {hold.state for hold in holds} == {HoldState.PARKED}
    rig.settle()
    [acknowledgement] = rig.licd.acknowledgements
    assert acknowledgement.directive == sha256(order.payload)
    assert (acknowledgement.epoch, acknowledgement.stopped_leases, acknowledgement.active_leases) == (2, 3, 0)
    assert acknowledgement.stopped_boot_ms == rig.now
    assert acknowledgement.stopped_at_ms == NOW + rig.now - BOOT
    [notice] = rig.told(Suspended)
    assert notice.denied == Denied(Reason.LICENCE_SUSPENDED, "suspected misuse", suspension_code="misuse")
    assert (notice.epoch, notice.stopped_leases, notice.final) == (2, 3, False)


def test_a_suspension_that_is_signed_by_a_key_younger_than_it_is_carried_out():
    """It is signed when it is said: to a system that was away, when keys have changed since it was decided."""
    young = bundle(bundle_envelope(keys=[key(ONLINE, start=NOW + 50 * SECOND), key(ISSUER)]))
    rig = Rig(wall=NOW + 60 * SECOND, held_bundle=young)
    rig.licd.header = {"decided_ms": NOW + 60 * SECOND}
    rig.start()
    order = rig.licd.suspend()
    assert session_pb2.Directive.FromString(order.payload).decided_ms < NOW + 50 * SECOND
    rig.feed(FrameReceived(directive_frame(order)))
    rig.settle()
    assert [each.directive for each in rig.licd.acknowledgements] == [sha256(order.payload)]


def test_a_refusal_stops_just_the_same_when_the_push_was_lost():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.suspend()
    rig.advance(5 * SECOND)
    assert not rig.usable(hold)
    [acknowledgement] = rig.licd.acknowledgements
    assert acknowledgement.directive == sha256(rig.licd.last_reply[1])
    assert acknowledgement.epoch == 2
    assert len(rig.told(Suspended)) == 1


def test_there_is_no_grace_after_an_authoritative_no():
    rig = Rig().start()
    hold = rig.acquire()
    rig.advance(400 * SECOND)
    assert hold.until - rig.now > 300 * SECOND
    rig.push(directive_frame(rig.licd.suspend()))
    assert hold.until == 0


def test_a_suspended_system_goes_on_asking_holding_nothing():
    rig = Rig().start()
    rig.acquire()
    rig.push(directive_frame(rig.licd.suspend()))
    links = len(rig.licd.links)
    rig.advance(30 * SECOND)
    asked = rig.licd.links[links:]
    assert len(asked) == 6
    assert all(not link.held and not link.operations for link in asked)
    assert len(rig.told(Suspended)) == 1
    assert len(rig.licd.acknowledgements) == 1


def test_a_refusal_after_the_directive_is_no_news():
    rig = Rig().start()
    rig.acquire()
    rig.push(directive_frame(rig.licd.suspend()))
    rig.advance(10 * SECOND)
    assert len(rig.told(Suspended)) == 1


def test_a_directive_that_comes_after_the_refusal_is_acknowledged_by_its_own_name():
    rig = Rig().start()
    rig.acquire()
    order = rig.licd.suspend()
    rig.advance(5 * SECOND)
    stopped_at = rig.licd.acknowledgements[0].stopped_boot_ms
    rig.advance(SECOND)
    rig.push(directive_frame(order))
    assert rig.licd.acknowledgements[1].directive == sha256(order.payload)
    assert rig.licd.acknowledgements[1].stopped_boot_ms == stopped_at
    assert len(rig.told(Suspended)) == 1


def test_a_directive_that_comes_twice_is_acknowledged_twice_and_done_once():
    rig = Rig().start()
    rig.acquire()
    order = directive_frame(rig.licd.suspend())
    rig.push(order)
    rig.advance(SECOND)
    rig.push(order)
    first, second = rig.licd.acknowledgements
    assert first == second
    assert len(rig.told(Suspended)) == 1


def test_the_acknowledgement_is_said_again_on_every_new_stream():
    rig = Rig().start()
    rig.acquire()
    rig.reachable = False  # the acknowledgement is lost with the stream
    rig.push(directive_frame(rig.licd.suspend()))
    assert rig.licd.acknowledgements == []
    rig.feed(StreamBroken(rig.stream, "cut"))
    rig.mend()
    rig.advance(SECOND)
    assert len(rig.licd.acknowledgements) == 1


def test_a_refusal_on_a_new_stream_is_acknowledged_by_its_own_name():
    """licd knows what it said by the end of the chain: who acknowledged an earlier refusal may not have been heard."""
    rig = Rig().start()
    rig.acquire()
    rig.licd.suspend()
    rig.advance(5 * SECOND)
    [first] = rig.licd.acknowledgements
    rig.feed(StreamBroken(rig.stream, "cut"))
    rig.advance(10 * SECOND)
    carriers = [each.directive for each in rig.licd.acknowledgements]
    assert carriers[0] == first.directive
    assert len(set(carriers)) == 2
    said = len(carriers)
    rig.advance(60 * SECOND)
    assert len(rig.licd.acknowledgements) == said


def test_wishes_of_a_suspended_system_are_denied_with_the_reason_of_the_suspension():
    rig = Rig().start()
    under_way, queued = rig.ask("under way"), rig.ask("queued")
    rig.push(directive_frame(rig.licd.suspend("because")))
    later = rig.ask("later")
    for op in (under_way, queued, later):
        outcome = rig.outcomes[op]
        assert isinstance(outcome, Denied)
        assert (outcome.reason, outcome.detail) == (Reason.LICENCE_SUSPENDED, "because")


def test_a_permit_decided_before_the_suspension_and_delivered_after_it_gives_nothing():
    rig = Rig().start()
    hold = rig.acquire("one")
    op = rig.ask("two")
    link = rig.intercept()
    permit = reply_frame(rig.licd.answer(link))
    rig.feed(FrameReceived(directive_frame(rig.licd.suspend())))
    rig.feed(FrameReceived(permit))
    assert not rig.usable(hold)
    assert isinstance(rig.outcomes[op], Denied)
    assert op not in rig.holds
    rig.advance(5 * SECOND)
    assert rig.licd.links[-1].sequence == 4  # chain-wise it was the reply


def test_a_permit_of_the_suspensions_own_epoch_gives_nothing():
    rig = Rig().start()
    hold = rig.acquire()
    rig.push(directive_frame(rig.licd.suspend()))
    rig.licd.refused = None  # a replica that does not know of the suspension, though it counts its epoch
    rig.advance(10 * SECOND)
    assert not rig.usable(hold)
    rig.licd.epoch += 1
    rig.advance(5 * SECOND)
    assert rig.usable(hold)


def test_history_of_before_a_refusal_does_not_take_its_place():
    rig = Rig()
    old = [directive_frame(each) for each in (rig.licd.suspend("long ago"), rig.licd.reinstate())]
    rig.licd.suspend(reason=Reason.LICENCE_TERMINATED)
    rig.start()
    for frame in old:
        rig.push(frame)
    [notice] = rig.told(Suspended)
    assert notice.final
    refused = rig.machine.view.standing.refused
    assert refused is not None
    assert refused.denied.reason is Reason.LICENCE_TERMINATED
    assert [each.epoch for each in rig.licd.acknowledgements] == [4]


def test_a_reinstatement_has_every_open_lease_acquired_again():
    rig = Rig().start()
    holds = [rig.acquire(name) for name in ("one", "two")]
    rig.push(directive_frame(rig.licd.suspend()))
    rig.advance(20 * SECOND)
    rig.push(directive_frame(rig.licd.reinstate()))
    assert all(rig.usable(hold) for hold in holds)
    assert [notice.epoch for notice in rig.told(Reinstated)] == [3]
    assert {notice.op for notice in rig.told(LeaseRegained)} == {hold.op for hold in holds}
    assert [operation.acquire.target for operation in rig.licd.links[-1].operations] == [target("one"), target("two")]


def test_a_permit_of_a_newer_epoch_reinstates_when_the_push_was_lost():
    rig = Rig().start()
    hold = rig.acquire()
    rig.push(directive_frame(rig.licd.suspend()))
    rig.advance(10 * SECOND)
    rig.licd.reinstate()
    rig.advance(5 * SECOND)
    assert rig.usable(hold)
    assert len(rig.told(Reinstated)) == 1


def test_a_lease_closed_while_suspended_is_not_asked_for_again():
    rig = Rig().start()
    kept, closed = rig.acquire("kept"), rig.acquire("closed")
    rig.push(directive_frame(rig.licd.suspend()))
    rig.release(closed)
    rig.push(directive_frame(rig.licd.reinstate()))
    assert rig.usable(kept)
    assert not rig.usable(closed)
    assert [seat.target for seat in rig.licd.seats.values()] == [target("kept")]


def test_a_lease_that_cannot_be_had_again_is_lost_with_the_denial():
    rig = Rig().start()
    holds = [rig.acquire(name) for name in ("one", "two")]
    rig.push(directive_frame(rig.licd.suspend()))
    rig.licd.cap = 1
    rig.advance(6 * SECOND)
    rig.licd.seats.clear()
    rig.push(directive_frame(rig.licd.reinstate()))
    assert [rig.usable(hold) for hold in holds] == [True, False]
    [lost] = rig.told(LeaseLost)
    assert lost.stopped.denied is not None
    assert lost.stopped.denied.reason is Reason.CONCURRENT_CAP


def test_an_old_reinstatement_lifts_nothing():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.suspend()
    old = directive_frame(rig.licd.reinstate())
    rig.push(directive_frame(rig.licd.suspend()))
    rig.push(old)
    assert not rig.usable(hold)
    assert rig.told(Reinstated) == []


def test_an_old_suspension_stops_nothing_after_a_reinstatement():
    rig = Rig().start()
    hold = rig.acquire()
    old = directive_frame(rig.licd.suspend())
    rig.push(directive_frame(rig.licd.reinstate()))
    rig.push(old)
    assert rig.usable(hold)
    assert rig.told(Suspended) == []


def test_a_suspension_that_a_reinstatement_overtook_stops_nothing():
    rig = Rig().start()
    hold = rig.acquire()
    late = directive_frame(rig.licd.suspend())
    rig.feed(FrameReceived(directive_frame(rig.licd.reinstate())))
    rig.feed(FrameReceived(late))
    assert rig.usable(hold)
    assert rig.told(Suspended) == []


def test_a_recorded_suspension_of_an_earlier_epoch_stops_nothing():
    rig = Rig().start()
    old = directive_frame(rig.licd.suspend())
    rig.licd.reinstate()
    hold = rig.acquire()
    rig.push(old)
    assert rig.usable(hold)


def test_the_floor_outlives_the_process():
    rig = Rig().start()
    rig.acquire()
    op = rig.ask("under way")
    link = rig.intercept()
    rig.licd.answer(link)
    rig.feed(FrameReceived(directive_frame(rig.licd.suspend())))
    rig.licd.epoch, rig.licd.refused = 1, None  # restored from a backup of before the suspension
    again = rig.restart().start()
    wish = again.ask()
    again.settle()
    assert op not in rig.holds
    assert isinstance(again.outcomes[wish], Denied)
    assert not again.holds


def test_epoch_seen_moves_on_with_what_was_acted_on():
    rig = Rig().start()
    rig.push(directive_frame(rig.licd.suspend()))
    rig.push(directive_frame(rig.licd.reinstate()))
    rig.advance(5 * SECOND)
    assert rig.licd.links[-1].epoch_seen == 3
    again = rig.restart().start()
    assert again.licd.links[-1].epoch_seen == 3


def test_a_gap_in_the_epochs_is_acted_on_and_asked_about_at_once():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.directive(session_pb2.DIRECTIVE_KIND_AMEND)
    rig.licd.epoch += 3
    links = len(rig.licd.links)
    rig.push(directive_frame(rig.licd.suspend()))
    assert not rig.usable(hold)
    assert len(rig.licd.links) == links + 1
    assert rig.licd.links[-1].epoch_seen == 1


def test_no_gap_no_extra_link():
    rig = Rig().start()
    links = len(rig.licd.links)
    rig.push(directive_frame(rig.licd.suspend()))
    assert len(rig.licd.links) == links


def test_an_amendment_sends_a_link_at_once():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.epoch += 1
    rig.licd.grace = 0
    links = len(rig.licd.links)
    rig.advance(4 * SECOND)
    rig.push(directive_frame(rig.licd.directive(session_pb2.DIRECTIVE_KIND_AMEND)))
    assert len(rig.licd.links) == links + 1
    assert hold.until == rig.now + 20 * SECOND


def test_a_force_released_lease_stops_and_the_others_go_on():
    rig = Rig().start()
    taken, kept = rig.acquire("taken"), rig.acquire("kept")
    order = rig.licd.force_release(taken.lease)
    rig.push(directive_frame(order))
    assert not rig.usable(taken)
    assert rig.usable(kept)
    assert taken.stopped.cause is StopCause.FORCE_RELEASED
    [acknowledgement] = rig.licd.acknowledgements
    assert (acknowledgement.directive, acknowledgement.stopped_leases) == (sha256(order.payload), 1)
    assert acknowledgement.active_leases == 1
    rig.advance(5 * SECOND)
    assert list(rig.licd.links[-1].held) == [kept.lease]
    assert rig.told(Suspended) == []


def test_a_permit_under_way_does_not_bring_a_force_released_lease_back():
    rig = Rig().start()
    taken = rig.acquire("taken")
    rig.ask("other")
    link = rig.intercept()
    permit = reply_frame(rig.licd.answer(link))
    rig.feed(FrameReceived(directive_frame(rig.licd.force_release(taken.lease))))
    rig.feed(FrameReceived(permit))
    assert not rig.usable(taken)
    rig.advance(5 * SECOND)
    assert taken.lease not in rig.licd.links[-1].held
