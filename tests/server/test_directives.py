"""What licd orders is pushed at once, comes again in order to who missed it, and is acknowledged."""

import time
from hashlib import sha256
from typing import Any

import pytest

from licd.core.errors import Forbidden
from licd.keys.kinds import Kind
from licd.v1 import (
    deployment_service_pb2,
    lease_service_pb2,
    licence_service_pb2,
    log_service_pb2,
    operator_pb2,
    session_pb2,
)
from tests.daemon import Daemon
from tests.office import Office, draft
from tests.wired_system import System, acquire, licence_of, reason

PROMPT = 1.0  # a push is a matter of milliseconds; the bound is for a busy machine


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


@pytest.mark.parametrize(
    "changes", [{"directive": b"another directive"}, {"active_leases": 2}], ids=["another directive", "it goes on"]
)
def test_an_acknowledgement_of_something_else_settles_nothing(office: Office, system: System, changes: dict[str, Any]):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat(acquire(1), acquire(2))
        suspension = office.alice.suspend(licence).suspension
        directive = stream.directive()
        word = {"directive": stream.payloads[-1], "licence": licence} | changes
        stream.acknowledge(system.acknowledgement(directive.epoch, **word))
        stream.acknowledge(system.acknowledgement(directive.epoch, **word))
        stream.beat(held=[])
        ask = licence_service_pb2.GetSuspensionRequest(suspension=suspension)
        found = office.alice.call("LicenceService.GetSuspension", ask)
        assert (found.live_leases, found.settled) == (2, False)
        kinds = log_service_pb2.ListEntriesRequest(licence=licence, kind="directive.acknowledged")
        kept = office.alice.call("LogService.ListEntries", kinds).entries
        assert len(kept) == ("active_leases" in changes)
        stream.acknowledge(system.acknowledgement(directive.epoch, stream.payloads[-1], licence=licence))
        stream.beat(held=[])
        found = office.alice.call("LicenceService.GetSuspension", ask)
        assert (found.live_leases, found.settled) == (0, True)


def test_an_acknowledgement_in_anothers_name_is_refused(office: Office, system: System):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat(acquire(1))
        office.alice.suspend(licence)
        directive = stream.directive()
        word = session_pb2.Acknowledgement(
            system="customer/other/system/other",
            licence=licence,
            epoch=directive.epoch,
            directive=sha256(stream.payloads[-1]).digest(),
        )
        stream.acknowledge(system.seal(Kind.ACKNOWLEDGEMENT, word))
        with pytest.raises(Forbidden):
            stream.beat(held=[])


def test_the_refusal_that_a_chain_ends_in_is_acknowledged_as_well(office: Office, system: System):
    licence = licence_of(office, system)
    with system.stream() as stream:
        stream.beat(acquire(1))
        suspension = office.alice.suspend(licence).suspension
        refused = stream.beat(held=[])
        assert system.last_reply is not None
        stream.acknowledge(system.acknowledgement(refused.header.epoch, system.last_reply.payload, licence=licence))
        stream.beat(held=[])
        ask = licence_service_pb2.GetSuspensionRequest(suspension=suspension)
        assert office.alice.call("LicenceService.GetSuspension", ask).settled


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
