"""Sessions over real gRPC: links up, replies and directives down."""

import time  # noqa: TID251 - how long a push took is what is asked
from hashlib import sha256

import grpc
import pytest

from licd.core.errors import Forbidden, Forked, Invalid, RequestIdReused, SealRefused, Unauthenticated
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import deployment_service_pb2, lease_service_pb2, licence_service_pb2, operator_pb2, session_pb2
from licd.v1.session_service_pb2 import SessionRequest
from tests.daemon import Daemon, Office, Operator, draft, fresh, new_id
from tests.wired_system import System, acquire, joined, reason, release, target

PROMPT = 1.0  # a push is a matter of milliseconds; the bound is for a busy machine


@pytest.fixture
def system(office: Office) -> System:
    made = joined(office)
    made.open()
    return made


def licence_of(office: Office, system: System) -> str:
    request = deployment_service_pb2.GetDeploymentRequest(deployment=system.deployment)
    return str(office.alice.call("DeploymentService.GetDeployment", request).deployment.licence)


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


def test_a_suspension_is_pushed_within_milliseconds(office: Office, system: System):
    with system.stream() as stream:
        stream.beat(acquire(1))
        started = time.perf_counter()
        licence = licence_of(office, system)
        office.alice.suspend(licence)
        directive = stream.directive()
        assert time.perf_counter() - started < PROMPT
        assert directive.kind == session_pb2.DIRECTIVE_KIND_SUSPEND
        assert (directive.licence, directive.epoch, directive.reason_code) == (licence, 2, "manual")
        refused = stream.beat(held=[])
        assert reason(refused) == "LICENCE_SUSPENDED"
        assert refused.denial.suspension_reason == "manual"
        assert refused.header.epoch == 2


def test_an_acknowledgement_ends_leases_and_settles_the_suspension(daemon: Daemon, office: Office, system: System):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat(acquire(1), acquire(2))
        suspension = office.alice.suspend(licence).suspension
        ask = licence_service_pb2.GetSuspensionRequest(suspension=suspension)
        before = office.alice.call("LicenceService.GetSuspension", ask)
        assert (before.live_leases, before.settled) == (2, False)
        assert before.systems[0].state == licence_service_pb2.STOP_STATE_UNCONFIRMED
        assert before.systems[0].bounded_until_ms > before.decided_ms
        directive = stream.directive()
        counted = daemon.metric("licd_suspension_acknowledged_seconds_count")
        word = system.acknowledgement(directive.epoch, stream.payloads[-1], licence=licence, stopped_leases=2)
        stream.acknowledge(word)
        stream.beat(held=[])
        after = office.alice.call("LicenceService.GetSuspension", ask)
        assert (after.live_leases, after.settled) == (0, True)
        assert after.systems[0].state == licence_service_pb2.STOP_STATE_ACKNOWLEDGED
        stream.acknowledge(word)
        stream.beat(held=[])
        assert daemon.metric("licd_suspension_acknowledged_seconds_count") == counted + 1


def test_after_the_reinstatement_leases_are_asked_for_again(office: Office, system: System):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat(acquire(1))
        office.alice.suspend(licence)
        stream.directive()
        stream.acknowledge(system.acknowledgement(2, stream.payloads[-1], licence=licence))
        stream.beat(held=[])
        assert office.reinstate(licence).status == operator_pb2.LICENCE_STATUS_ACTIVE
        assert stream.directive().kind == session_pb2.DIRECTIVE_KIND_REINSTATE
        permit = stream.beat(acquire(1))
        assert permit.outcomes[0].HasField("grant")
        assert permit.header.epoch == 3


def test_directives_missed_come_after_a_reconnect_in_order_without_a_gap(office: Office, system: System):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat()
    for _ in range(3):
        office.alice.suspend(licence)
        office.reinstate(licence)
    with system.stream() as stream:
        stream.beat(epoch_seen=1)
        system.epoch_seen = 7
        stream.beat()
        assert [each.epoch for each in stream.directives] == [2, 3, 4, 5, 6, 7]
        assert len(stream.licences) == 1


def test_an_amendment_is_pushed_and_the_licence_comes_with_the_next_reply(office: Office, system: System):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat(acquire(1), acquire(2))
        found = office.alice.licence_of(licence)
        terms = draft(found.terms.not_before_ms, cap=1)
        request = licence_service_pb2.AmendLicenceRequest(licence=licence, version=found.version, terms=terms)
        assert office.alice.call("LicenceService.AmendLicence", request).HasField("licence")
        assert stream.directive().kind == session_pb2.DIRECTIVE_KIND_AMEND
        permit = stream.beat(epoch_seen=1)
        assert (permit.revision, len(permit.leases), len(permit.ended)) == (2, 1, 1)
        stream.beat()
        assert stream.licences[0].payload == office.alice.licence_of(licence).token.payload


def test_a_unary_lease_needs_a_session_and_lasts_for_the_permit_length_only(office: Office):
    system = joined(office)
    assert reason(system.read(system.acquire(1).denial)) == "NO_SESSION"
    system.open()
    permit = system.read(system.acquire(1).permit)
    assert isinstance(permit, session_pb2.Permit)
    assert permit.hard_ends_ms[0] - permit.header.decided_ms == 20_000
    assert (permit.header.sequence, permit.header.link) == (0, b"")


def test_asking_again_by_unary_call_extends_nothing(system: System):
    first = system.read(system.acquire(1).permit)
    again = system.read(system.acquire(1).permit)
    assert list(again.hard_ends_ms) == list(first.hard_ends_ms)
    assert again.outcomes[0].grant.existing


def test_the_same_unary_request_gets_the_same_permit(system: System):
    request_id = new_id()
    first, again = system.acquire(1, request_id), system.acquire(1, request_id)
    assert again.permit.payload == first.permit.payload
    assert system.read(first.permit).header.request_id == request_id
    with pytest.raises(RequestIdReused):
        system.acquire(2, request_id)


def test_a_lease_can_be_given_back_while_suspended(office: Office, system: System):
    system.open(acquire(1))
    office.alice.suspend(licence_of(office, system))
    released = system.release(system.held[0]).released
    assert released.free_at_ms > 0
    assert reason(system.release(1 << 63).denial) == "LEASE_NOT_FOUND"


def test_a_licence_is_checked_and_others_answer_as_missing(office: Office, system: System):
    standing = system.check().standing
    assert (standing.live, standing.limit) == (0, 4)
    assert reason(system.check(office.licence()).denial) == "LICENCE_NOT_FOUND"
    office.alice.suspend(licence_of(office, system))
    checked = system.check()
    assert reason(checked.denial) == "LICENCE_SUSPENDED"
    assert checked.HasField("licence")


def test_a_certificate_is_renewed_while_suspended_and_for_the_same_key_only(office: Office, system: System):
    office.alice.suspend(licence_of(office, system))
    system.papers = system.renew()
    system.channel = system.connect()
    assert reason(system.check().denial) == "LICENCE_SUSPENDED"
    with pytest.raises(Forbidden):
        system.renew(make_request(make_private_key()))


def test_a_force_released_lease_is_pushed_and_its_target_stays_barred(office: Office, system: System):
    with system.stream() as stream:
        stream.beat(acquire(1))
        lease = system.held[0]
        request = lease_service_pb2.ForceReleaseLeaseRequest(lease=lease, reason_code="manual", detail="misused")
        ended = office.alice.call("LeaseService.ForceReleaseLease", request).lease
        assert (ended.end_reason, ended.state) == ("force-released", operator_pb2.LEASE_STATE_COOLING)
        directive = stream.directive()
        assert (directive.kind, list(directive.leases)) == (session_pb2.DIRECTIVE_KIND_FORCE_RELEASE, [lease])
        permit = stream.beat(acquire(1))
        assert list(permit.leases) == []
        assert reason(permit.outcomes[0]) == "FORCE_RELEASED"
        assert permit.outcomes[0].denial.retry_at_ms > permit.header.decided_ms


def test_a_revoked_system_is_told_and_its_stream_ended(office: Office, system: System):
    with system.stream() as stream:
        stream.beat(acquire(1))
        request = deployment_service_pb2.RevokeDeploymentRequest(
            deployment=system.deployment, reason_code="manual", detail="returned"
        )
        office.alice.call("DeploymentService.RevokeDeployment", request)
        directive = stream.directive()
        assert (directive.kind, directive.system) == (session_pb2.DIRECTIVE_KIND_REVOKE, system.name)
        assert reason(stream.beat(held=[])) == "DEPLOYMENT_REVOKED"
        stream.rest()


def reenrol(office: Office, system: System) -> System:
    """The deployment enrolled anew, by somebody with new keys."""
    request = deployment_service_pb2.ReenrolDeploymentRequest(deployment=system.deployment, detail="disk lost")
    office.agree("DeploymentService.ReenrolDeployment", request)
    token = office.alice.invite(licence_of(office, system), system.deployment)
    return System.enrol(office.daemon, token)


def test_after_a_new_enrolment_the_old_papers_are_worth_nothing(daemon: Daemon, office: Office, system: System):
    with system.stream() as stream:
        stream.beat(acquire(1))
        anew = reenrol(office, system)
        before = daemon.metric("licd_refused_total", listener="customer", why="UNAUTHENTICATED")
        stream.send(system.link())
        with pytest.raises(Unauthenticated):
            stream.reply()
    with pytest.raises(Unauthenticated):
        system.check()
    with pytest.raises(Unauthenticated):
        system.stream().frame()
    assert daemon.metric("licd_refused_total", listener="customer", why="UNAUTHENTICATED") == before + 3
    assert isinstance(anew.open(), session_pb2.Permit)


def test_a_reply_from_an_earlier_enrolment_does_not_show_licd_to_be_behind(daemon: Daemon, office: Office, system: System):
    """Its owner could make licd read-only for everybody."""
    for _ in range(3):
        system.open()
    old_reply, old_sequence = system.last_reply, system.sequence
    assert old_reply is not None
    anew = reenrol(office, system)
    anew.open()
    link = anew.link(sequence=old_sequence + 1, previous=sha256(old_reply.payload).digest(), opens=True)
    anew.last_reply = old_reply
    with pytest.raises(Forked):
        anew.send_open(link)
    assert daemon.up.daemon.impediments() == ()


def test_a_unary_permit_does_not_show_licd_to_be_behind(daemon: Daemon, office: Office, system: System):
    permit = system.acquire(1).permit
    anew = reenrol(office, system)
    anew.last_reply = permit
    link = anew.link(previous=sha256(permit.payload).digest(), opens=True)
    with pytest.raises(Forked):
        anew.send_open(link)
    assert daemon.up.daemon.impediments() == ()


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
    shown_as = type(good)(payload=good.payload, payload_type=Kind.ACKNOWLEDGEMENT.payload_type, signatures=good.signatures)
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
