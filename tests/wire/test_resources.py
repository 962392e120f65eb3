"""Rows → what an operator reads."""

from dataclasses import replace

import pytest

from licd.core.model import Customer, DeploymentStatus, LicenceStatus
from licd.v1 import operator_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from licd.wire.resources import (
    DEPLOYMENT_STATUS,
    LICENCE_STATUS,
    customer_message,
    deployment_message,
    lease_message,
    lease_state,
    licence_message,
    licence_status,
)
from licd.wire.terms import terms_from_message
from tests.builders import NOW, TERM, make_deployment, make_licence, make_session
from tests.core.rig import Rig

TOKEN = Envelope(payload=b"payload").SerializeToString()


@pytest.mark.parametrize("banned", [True, False])
def test_a_customer_is_active_or_banned(banned: bool):
    message = customer_message(Customer("c1", "name", banned, "why", NOW, 3))
    assert message.status == (pb.CUSTOMER_STATUS_BANNED if banned else pb.CUSTOMER_STATUS_ACTIVE)
    assert (message.customer, message.name, message.ban_reason, message.version) == ("c1", "name", "why", 3)


def test_every_status_has_its_number():
    assert set(LICENCE_STATUS) == set(LicenceStatus)
    assert set(DEPLOYMENT_STATUS) == set(DeploymentStatus)
    for status, number in LICENCE_STATUS.items():
        assert pb.LicenceStatus.Name(number) == f"LICENCE_STATUS_{status.name}"
    for place, value in DEPLOYMENT_STATUS.items():
        assert pb.DeploymentStatus.Name(value) == f"DEPLOYMENT_STATUS_{place.name}"


@pytest.mark.parametrize("status", LicenceStatus)
def test_a_licence_past_its_term_is_expired_unless_it_was_terminated(status: LicenceStatus):
    licence = make_licence(status=status)
    end = NOW + TERM
    assert licence_status(licence, end - 1) == LICENCE_STATUS[status]
    final = status is LicenceStatus.TERMINATED
    assert licence_status(licence, end) == (LICENCE_STATUS[status] if final else pb.LICENCE_STATUS_EXPIRED)


def test_a_licence_is_told_with_the_terms_that_were_signed():
    licence = replace(make_licence(), token=TOKEN, suspension_code="code", suspended_at=NOW)
    message = licence_message(licence, NOW, live=1, cooling=2, deployments=3)
    assert terms_from_message(message.terms) == licence.terms
    assert message.token.SerializeToString() == TOKEN
    assert (message.live, message.cooling, message.deployments) == (1, 2, 3)
    assert (message.suspension_code, message.suspended_at_ms, message.epoch) == ("code", NOW, 1)


def test_a_deployment_is_told_with_the_head_of_its_chain_if_it_has_one():
    bare = deployment_message(make_deployment("a"))
    assert (bare.session, bare.sequence, bare.last_contact_ms, bare.connected) == ("", 0, 0, False)
    session = make_session("a", session="s1", sequence=9, accepted_at=NOW + 5)
    message = deployment_message(make_deployment("a"), session, connected=True)
    assert (message.session, message.sequence, message.last_contact_ms) == ("s1", 9, NOW + 5)
    assert message.connected


def test_a_lease_is_live_then_cooling_then_ended_and_only_then_says_when_its_seat_is_free():
    rig = Rig()
    lease = rig.grant()
    live = lease_message(lease, "c1", rig.state.bound(lease), rig.now)
    assert (live.state, live.free_at_ms, live.hard_end_ms) == (pb.LEASE_STATE_LIVE, 0, rig.state.bound(lease))
    rig.release(lease.id)
    ended = rig.state.seats.by_id[lease.id]
    message = lease_message(ended, "c1", ended.seat_until, rig.now)
    assert (message.state, message.free_at_ms) == (pb.LEASE_STATE_COOLING, ended.free_at)
    assert (message.end_reason, message.ended_at_ms) == ("released", rig.now)
    assert lease_state(ended, ended.free_at - 1) == pb.LEASE_STATE_COOLING
    assert lease_state(ended, ended.free_at) == pb.LEASE_STATE_ENDED
