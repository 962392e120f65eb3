"""Leases had by unary calls: for the permit's length only, beside the chain."""

from typing import Any

import pytest

from licd.client.answers import Denied, Failed, Granted, Reason, StopCause
from licd.client.notices import LeaseLost
from licd.client.session.effects import GiveBack
from licd.client.session.events import ReleaseAsked, UnaryAnswered
from licd.client.session.hold import HoldState
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import denial_pb2, session_pb2
from licd.v1.session_service_pb2 import AcquireLeaseResponse
from tests.client.fake_licd import DOMAIN, LICENCE, NOW, ONLINE, SECOND, SYSTEM, directive_frame
from tests.client.rig import BOOT, Rig, acquisition, target

OP = 50


def header(rig: Rig, **changes: Any):
    fields: dict[str, Any] = {
        "issuer": DOMAIN,
        "system": SYSTEM,
        "request_id": "request-1",
        "decided_ms": NOW + rig.now - BOOT,
        "licence": LICENCE,
        "epoch": rig.licd.epoch,
    }
    return session_pb2.ReplyHeader(**(fields | changes))


def answered(rig: Rig, *, sent_at: int = BOOT, lease: int = 900, granted_target: bytes | None = None, **changes: Any):
    ends = NOW + rig.now - BOOT + 20 * SECOND
    granted_target = granted_target or target("unary")
    grant = session_pb2.Grant(lease=lease, target=granted_target, hard_end_ms=ends)
    permit = session_pb2.Permit(
        header=header(rig, **changes),
        leases=[lease],
        targets=granted_target,
        hard_ends_ms=[ends],
        outcomes=[session_pb2.Outcome(grant=grant)],
    )
    response = AcquireLeaseResponse(permit=seal(Kind.PERMIT, permit.SerializeToString(), ONLINE))
    rig.feed(UnaryAnswered(OP, acquisition("unary"), "request-1", sent_at, response.SerializeToString()))
    rig.settle()
    return rig.holds.get(OP)


def test_holds_for_the_permit_length_from_the_first_send_and_no_link_renews_it():
    rig = Rig().start()
    hold = answered(rig)
    assert hold.until == BOOT + 20 * SECOND
    rig.advance(20 * SECOND - 1)
    assert rig.usable(hold)
    assert all(not link.held for link in rig.licd.links)
    rig.advance(1)
    assert hold.state is HoldState.ENDED
    assert [lost.stopped.cause for lost in rig.told(LeaseLost)] == [StopCause.LAPSED]


def test_links_that_do_not_list_it_do_not_end_it():
    rig = Rig().start()
    hold = answered(rig)
    rig.acquire("other")
    rig.advance(10 * SECOND)
    assert rig.usable(hold)


def test_a_suspension_ends_it_for_good():
    rig = Rig().start()
    hold = answered(rig)
    rig.push(directive_frame(rig.licd.suspend()))
    rig.push(directive_frame(rig.licd.reinstate()))
    assert not rig.usable(hold)
    assert rig.licd.links[-1].operations == []


def test_force_release_ends_it():
    rig = Rig().start()
    hold = answered(rig)
    rig.push(directive_frame(rig.licd.force_release(hold.lease)))
    assert hold.stopped.cause is StopCause.FORCE_RELEASED


def test_is_given_back_by_a_unary_call():
    rig = Rig().start()
    hold = answered(rig)
    assert GiveBack(900) in rig.feed(ReleaseAsked(OP))
    assert not rig.usable(hold)


def test_is_not_given_back_while_a_renewed_hold_stands_on_the_same_lease():
    rig = Rig().start()
    shared = rig.acquire("unary")
    answered(rig, lease=shared.lease)
    assert GiveBack(shared.lease) not in rig.feed(ReleaseAsked(OP))
    assert rig.usable(shared)


def test_a_denial_is_the_answer():
    rig = Rig().start()
    refusal = session_pb2.Refusal(
        header=header(rig), denial=denial_pb2.Denial(reason=denial_pb2.DENIAL_REASON_REGION_NOT_PERMITTED)
    )
    response = AcquireLeaseResponse(denial=seal(Kind.DENIAL, refusal.SerializeToString(), ONLINE))
    held = rig.acquire("other")
    rig.feed(UnaryAnswered(OP, acquisition("unary"), "request-1", BOOT, response.SerializeToString()))
    outcome = rig.outcomes[OP]
    assert isinstance(outcome, Denied)
    assert outcome.reason is Reason.REGION_NOT_PERMITTED
    assert rig.usable(held)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "other.example"},
        {"system": "customer/acme/system/south"},
        {"request_id": "request-2"},
        {"sequence": 3},
        {"granted_target": target("another")},
    ],
)
def test_a_permit_for_anything_else_is_no_answer(changes: dict[str, Any]):
    rig = Rig().start()
    assert answered(rig, **changes) is None
    assert isinstance(rig.outcomes[OP], Failed)


def test_a_permit_from_before_a_suspension_gives_nothing():
    rig = Rig().start()
    rig.push(directive_frame(rig.licd.suspend()))
    assert answered(rig, epoch=1) is None
    assert isinstance(rig.outcomes[OP], Denied)


def test_a_recorded_permit_of_an_earlier_epoch_gives_nothing_after_the_reinstatement():
    rig = Rig().start()
    rig.push(directive_frame(rig.licd.suspend()))
    rig.push(directive_frame(rig.licd.reinstate()))
    assert answered(rig, epoch=1) is None
    assert isinstance(rig.outcomes[OP], Failed)


def test_a_permit_of_the_chain_cannot_be_shown_as_the_answer_to_a_unary_call():
    rig = Rig().start()
    rig.acquire("unary")
    response = AcquireLeaseResponse(permit=seal(*rig.licd.last_reply, ONLINE))
    rig.feed(UnaryAnswered(OP, acquisition("unary"), "request-1", BOOT, response.SerializeToString()))
    assert isinstance(rig.outcomes[OP], Failed)


def test_two_on_one_target_are_granted_alike():
    rig = Rig().start()
    rig.acquire("one")
    assert isinstance(rig.outcomes[answered(rig).op], Granted)
