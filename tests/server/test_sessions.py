"""Sessions over real gRPC: a chain of links, across streams, copies and late frames."""

import grpc
import pytest

from licd.core.errors import Forked, Invalid, SealRefused
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import deployment_service_pb2, operator_pb2, session_pb2
from licd.v1.session_service_pb2 import SessionRequest
from tests.daemon import Daemon, fresh
from tests.office import Office, Operator
from tests.wired_system import System, acquire, joined, reason, release, target


def test_a_session_is_opened_and_leases_are_acquired_and_renewed_in_links(office: Office):
    system = joined(office)
    permit = system.open(acquire(1))
    assert isinstance(permit, session_pb2.Permit)
    grant = permit.outcomes[0].grant
    assert (grant.target, grant.region, grant.existing) == (target(1), "NO", False)
    assert list(permit.leases) == [grant.lease]
    assert permit.targets == target(1)
    assert permit.hard_ends_ms[0] - permit.header.decided_ms == 20_000
    with system.stream() as stream:
        second = stream.beat(acquire(2))
        assert isinstance(second, session_pb2.Permit)
        assert len(second.leases) == 2
        assert second.heartbeat_ms == 5_000
        third = stream.beat(acquire(1), release(grant.lease))
        assert isinstance(third, session_pb2.Permit)
        assert third.outcomes[1].HasField("released")


def test_denials_of_operations_come_in_the_order_of_operations(system: System):
    with system.stream() as stream:
        permit = stream.beat(acquire(1), acquire(2, region="DE"), acquire(3), release(7))
    assert [each.WhichOneof("result") for each in permit.outcomes] == ["grant", "denial", "grant", "denial"]
    assert reason(permit.outcomes[1]) == "REGION_NOT_PERMITTED"
    assert reason(permit.outcomes[3]) == "LEASE_NOT_FOUND"


def test_the_stored_reply_comes_again_on_a_new_stream(system: System):
    link = system.link(acquire(1))
    with system.stream() as lost:
        lost.send(link)
        first = lost.reply()
    with system.stream() as stream:
        stream.send(link, system.last_reply)
        again = stream.reply()
        assert again.payload == first.payload
        permit = system.take(link, again)
        assert isinstance(permit, session_pb2.Permit)
        stream.beat()


def test_the_stored_reply_to_an_opening_comes_again(office: Office):
    system = joined(office)
    link = system.link(opens=True)
    first, again = system.send_open(link), system.send_open(link)
    assert first.reply.payload == again.reply.payload
    assert first.licence.payload == again.licence.payload
    system.take(link, again.reply)


def test_a_late_frame_of_an_earlier_connection_is_dropped_and_counted(daemon: Daemon, system: System):
    old = system.stream()
    first = system.link()
    old.send(first)
    system.take(first, old.reply())
    with system.stream() as stream:
        stream.beat()
        before = daemon.metric("licd_frames_dropped_total", why="stale")
        stream.send(first)
        stream.beat()
        assert daemon.metric("licd_frames_dropped_total", why="stale") == before + 1


def test_a_newer_stream_closes_the_older_one(system: System):
    older = system.stream()
    older.beat()
    with system.stream() as newer:
        newer.beat()
        assert list(older.rest()) == []
        newer.beat()


def test_opening_a_session_closes_the_stream_of_the_earlier_one(system: System):
    older = system.stream()
    older.beat()
    system.open()
    assert list(older.rest()) == []


def test_opening_fences_the_earlier_session_and_leases_carry_over(system: System):
    system.open(acquire(1))
    held, earlier = list(system.held), system.session
    permit = system.open()
    assert isinstance(permit, session_pb2.Permit)
    assert list(permit.leases) == held
    assert system.session != earlier
    with system.stream() as stream:
        refused = stream.beat(session=earlier)
        assert reason(refused) == "NO_SESSION"


def test_two_copies_are_fenced_the_evidence_is_kept_and_both_are_told(daemon: Daemon, office: Office, system: System):
    system.open(acquire(1))
    copied = (system.sequence, system.previous, system.session, list(system.held))
    with system.stream() as first:
        first.beat()
        system.sequence, system.previous, system.session, system.held = copied
        second = system.stream(system.connect())
        second.send(system.link())
        with pytest.raises(Forked):
            second.reply()
        assert second.directives or first.directive().kind == session_pb2.DIRECTIVE_KIND_REVOKE
    request = deployment_service_pb2.GetDeploymentRequest(deployment=system.deployment)
    found = office.alice.call("DeploymentService.GetDeployment", request).deployment
    assert found.status == operator_pb2.DEPLOYMENT_STATUS_FENCED
    link = system.link(opens=True)
    refused = system.read(system.send_open(link).reply)
    assert reason(refused) == "SYSTEM_FENCED"
    assert reason(system.read(system.acquire(2).denial)) == "SYSTEM_FENCED"
    assert daemon.metric("licd_forks_total") >= 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"system": "customer/other/system/other"}, Invalid),
        ({"nonce": b"n" * 65}, Invalid),
        ({"held": list(range(1, 10_002))}, Invalid),
        ({"operations": [acquire(1)] * 257}, Invalid),
        ({"operations": [session_pb2.Operation()]}, Invalid),
        ({"opens": True}, Invalid),
    ],
)
def test_a_link_that_is_wrong_in_itself_is_refused_and_the_chain_stays(
    system: System, changes: dict[str, object], error: type[Exception]
):
    with system.stream() as stream:
        stream.send(system.link(**changes))
        with pytest.raises(error):
            stream.reply()
    with system.stream() as stream:
        stream.beat()


def test_what_is_not_sealed_by_the_system_itself_is_refused(office: Office, system: System):
    other = joined(office)
    good = system.link()
    flipped = type(good).FromString(good.SerializeToString().replace(good.payload, good.payload[:-1] + b"\x00"))
    shown_as = type(good)(
        payload=good.payload, payload_type=Kind.ACKNOWLEDGEMENT.payload_type, signatures=good.signatures
    )
    unknown = system.link()
    unknown.payload += b"\xfa\x7f\x01x"
    strange = seal(Kind.LINK, unknown.payload, system.signer)
    for wrong in (other.link(), flipped, shown_as, type(good)(), strange):
        with system.stream() as stream:
            stream.send(wrong)
            with pytest.raises(SealRefused) as refused:
                stream.reply()
            assert str(refused.value).count(": ") >= 1
    with system.stream() as stream:
        stream.beat()


def test_a_frame_with_nothing_in_it_is_refused(system: System):
    with system.stream() as stream:
        stream.send_frame(SessionRequest())
        with pytest.raises(Invalid):
            stream.reply()


def test_a_stream_that_the_system_finishes_ends_cleanly(system: System):
    stream = system.stream()
    stream.beat()
    stream.finish()
    assert list(stream.rest()) == []


def test_the_deployment_shows_whether_its_system_is_connected(office: Office, system: System, alice: Operator):
    request = deployment_service_pb2.GetDeploymentRequest(deployment=system.deployment)
    with system.stream() as stream:
        stream.beat()
        found = alice.call("DeploymentService.GetDeployment", request).deployment
        assert (found.connected, found.sequence, found.software) == (True, 2, "wired")
        stream.finish()
        stream.rest()
    assert not alice.call("DeploymentService.GetDeployment", request).deployment.connected


def test_a_stream_is_ended_when_it_is_old_and_the_next_one_goes_on(own_daemon: object):
    daemon = own_daemon(stream_age_seconds=1)  # type: ignore[operator]
    system = joined(Office(daemon), name=fresh("system"))
    system.open(acquire(1))
    with system.stream() as stream:
        stream.beat()
        assert list(stream.rest()) == []
        assert stream.call.code() is grpc.StatusCode.OK
    with system.stream() as stream:
        assert isinstance(stream.beat(), session_pb2.Permit)
