"""Refusals other than a suspension: for good, for the session's sake, for a time; and what comes after them."""

import pytest

from licd.client.answers import Denied, Granted, Reason
from licd.client.notices import DropReason, LeaseLost, Reinstated, Suspended
from licd.client.session.events import FrameReceived
from licd.client.session.hold import HoldState
from licd.v1 import denial_pb2, session_pb2
from tests.client.fake_licd import SECOND, directive_frame
from tests.client.rig import Rig


def test_revoking_another_system_changes_nothing_here():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.epoch += 1
    other = rig.licd.directive(session_pb2.DIRECTIVE_KIND_REVOKE, system="customer/acme/system/south")
    rig.push(directive_frame(other))
    assert rig.usable(hold)
    assert rig.licd.acknowledgements == []
    rig.advance(5 * SECOND)
    assert rig.licd.links[-1].epoch_seen == 2


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (session_pb2.DIRECTIVE_KIND_TERMINATE, Reason.LICENCE_TERMINATED),
        (session_pb2.DIRECTIVE_KIND_REVOKE, Reason.DEPLOYMENT_REVOKED),
    ],
)
def test_the_end_for_good_loses_every_lease_and_asks_seldom_from_then_on(
    kind: session_pb2.DirectiveKind.ValueType, reason: Reason
):
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.suspend(reason=reason)
    rig.push(directive_frame(rig.licd.directive(kind, system="customer/acme/system/north")))
    assert hold.state is HoldState.ENDED
    [notice] = rig.told(Suspended)
    assert (notice.denied.reason, notice.final) == (reason, True)
    assert len(rig.told(LeaseLost)) == 1
    rig.advance(5 * SECOND)
    links = len(rig.licd.links)
    rig.advance(600 * SECOND)
    assert len(rig.licd.links) - links == 10


def test_an_order_that_is_not_understood_stops_until_licd_has_answered():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.epoch += 1
    unknown = rig.licd.directive(session_pb2.DirectiveKind.ValueType(77))
    rig.feed(FrameReceived(directive_frame(unknown)))
    assert not rig.usable(hold)
    rig.settle()
    assert rig.usable(hold)


def test_a_superseded_session_stops_everything_and_a_new_one_brings_it_back():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.session = "another"
    rig.advance(5 * SECOND)
    assert not rig.usable(hold)
    rig.advance(SECOND)
    assert rig.licd.sessions == 2
    assert rig.usable(hold)
    assert [notice.denied.reason for notice in rig.told(Suspended)] == [Reason.NO_SESSION]
    assert rig.licd.acknowledgements == []
    assert len(rig.told(Reinstated)) == 1


def test_a_wish_under_way_when_the_session_was_superseded_is_asked_again():
    rig = Rig().start()
    rig.licd.session = "another"
    op = rig.ask()
    rig.settle()
    rig.advance(SECOND)
    assert isinstance(rig.outcomes[op], Granted)
    assert rig.usable(rig.holds[op])


def test_sessions_that_are_refused_over_and_over_are_not_asked_for_without_end():
    rig = Rig().start()
    rig.licd.refused = denial_pb2.Denial(reason=denial_pb2.DENIAL_REASON_NO_SESSION)
    rig.licd.header = {"session": ""}
    links = len(rig.licd.links)
    rig.advance(60 * SECOND)
    assert len(rig.licd.links) - links < 20


def test_a_system_that_starts_under_suspension_says_so_and_waits():
    rig = Rig()
    order = rig.licd.suspend()
    rig.start()
    assert len(rig.told(Suspended)) == 1
    rig.push(directive_frame(order))
    op = rig.ask()
    assert isinstance(rig.outcomes[op], Denied)
    rig.licd.reinstate()
    rig.advance(5 * SECOND)
    op = rig.ask()
    rig.settle()
    assert rig.usable(rig.holds[op])


@pytest.mark.parametrize("reason", [Reason.LICENCE_EXPIRED, Reason.OVERDUE, Reason.ADDRESS_NOT_PERMITTED])
def test_a_refusal_that_time_or_place_lifts_is_over_with_the_next_permit_of_the_same_epoch(reason: Reason):
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.refused = denial_pb2.Denial(reason=denial_pb2.DenialReason.ValueType(reason))
    rig.advance(5 * SECOND)
    assert not rig.usable(hold)
    rig.licd.refused = None
    rig.advance(5 * SECOND)
    assert rig.usable(hold)


def test_a_refusal_for_another_reason_is_news():
    rig = Rig().start()
    rig.licd.refused = denial_pb2.Denial(reason=denial_pb2.DENIAL_REASON_OVERDUE)
    rig.advance(5 * SECOND)
    rig.licd.suspend()
    rig.advance(5 * SECOND)
    assert [notice.denied.reason for notice in rig.told(Suspended)] == [Reason.OVERDUE, Reason.LICENCE_SUSPENDED]
    assert len(rig.licd.acknowledgements) == 2


def test_a_lease_had_again_while_a_second_suspension_is_on_its_way_stops_again():
    rig = Rig().start()
    hold = rig.acquire()
    rig.push(directive_frame(rig.licd.suspend()))
    rig.push(directive_frame(rig.licd.reinstate()))
    rig.push(directive_frame(rig.licd.suspend()))
    assert not rig.usable(hold)
    rig.push(directive_frame(rig.licd.reinstate()))
    assert rig.usable(hold)
    assert len(rig.told(Suspended)) == len(rig.told(Reinstated)) == 2


def test_a_refusal_with_no_number_stops_a_system_whose_chain_licd_has_given_up():
    rig = Rig().start()
    hold = rig.acquire()
    rig.licd.suspend(reason=Reason.DEPLOYMENT_REVOKED)
    rig.licd.header = {"sequence": 0}
    rig.advance(5 * SECOND)
    assert not rig.usable(hold)
    [notice] = rig.told(Suspended)
    assert (notice.denied.reason, notice.final) == (Reason.DEPLOYMENT_REVOKED, True)


def test_a_permit_with_no_number_is_dropped():
    rig = Rig().start()
    rig.licd.header = {"sequence": 0}
    rig.ask()
    rig.advance(SECOND)
    assert set(rig.dropped) == {DropReason.LATE}
