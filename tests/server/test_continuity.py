"""Continuity permits on the wire: two persons, sent until confirmed, seats held, bounds shown, log entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.time import DAY, HOUR, SECOND
from licd.keys.envelope import verify
from licd.keys.kinds import Kind
from licd.v1 import licence_service_pb2, log_service_pb2, operator_pb2, session_pb2
from tests.daemon import Daemon
from tests.office import Office
from tests.wired_system import Stream, System, acquire, holding, joined, reason

pb = licence_service_pb2
ISSUE = "LicenceService.IssueContinuityPermit"
PENDING = operator_pb2.APPROVAL_STATUS_PENDING


def wanted(office: Office, licence: str, length: int = HOUR, **more: Any) -> pb.IssueContinuityPermitRequest:
    until = office.daemon.clock.wall() + length
    return pb.IssueContinuityPermitRequest(licence=licence, until_ms=until, detail="the hall moves", **more)


def read(system: System, stream: Stream) -> session_pb2.ContinuityPermit:
    """The one that came last, under licd's own key."""
    envelope = stream.continuities[-1]
    verify(envelope, Kind.CONTINUITY_PERMIT, system.keyring, system.daemon.clock.wall())
    return session_pb2.ContinuityPermit.FromString(envelope.payload)


def delivered(system: System, stream: Stream) -> session_pb2.ContinuityPermit:
    """With the answer to the next link; another link brings what stands behind it."""
    stream.beat()
    stream.beat()
    return read(system, stream)


def told(office: Office, kind: str, system: System) -> list[dict[str, str]]:
    entries = office.alice.call("LogService.ListEntries", log_service_pb2.ListEntriesRequest(descending=True)).entries
    found = [{field.name: field.value for field in entry.fields} for entry in entries]
    return [each for each in found if each["kind"] == kind and each.get("system") == system.deployment]


def test_one_person_alone_gives_nothing(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1)
    asked = office.alice.call(ISSUE, wanted(office, licence))
    assert asked.WhichOneof("outcome") == "approval"
    assert "all its systems" in asked.approval.summary
    assert office.alice.sign(asked.approval).status == PENDING
    with pytest.raises(Conflict):
        office.alice.sign(asked.approval)
    with system.stream() as stream:
        stream.beat()
        stream.beat()
        assert stream.continuities == []
    assert told(office, "continuity.issued", system) == []


def test_two_persons_give_it_and_it_names_system_session_process_epoch_and_leases(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1, 2)
    with system.stream() as stream:
        permit = stream.beat()
        issued = office.continuity(licence, HOUR)
        [given] = issued.permits
        found = delivered(system, stream)
        assert (found.issuer, found.system, found.licence) == ("licd.example", system.name, licence)
        assert (found.session, found.boot_nonce, found.epoch) == (system.session, system.boot_nonce, system.epoch_seen)
        assert list(found.leases) == list(permit.leases)
        assert found.targets == permit.targets
        assert set(found.hard_ends_ms) == {found.until_ms} == {given.latest_hard_end_ms}
        assert (given.continuity, given.leases) == (found.continuity, 2)
        assert found.decided_ms == issued.decided_ms
    [entry] = told(office, "continuity.issued", system)
    assert (entry["actor"], entry["detail"], entry["continuity"]) == ("alice", "the hall moves", found.continuity)


def test_it_is_sent_until_a_link_names_it_and_its_use_is_written_down(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1)
    with system.stream() as stream:
        office.continuity(licence, HOUR)
        first = delivered(system, stream)
        assert read(system, stream).continuity == first.continuity
        stream.beat(continuity=first.continuity)
        before = len(stream.continuities)
        stream.beat(continuity=first.continuity)
        stream.beat(continuity=first.continuity, continuity_used=True)
        stream.beat()
        stream.beat()
        assert len(stream.continuities) == before
    for kind in ("continuity.delivered", "continuity.used"):
        [entry] = told(office, kind, system)
        assert entry["continuity"] == first.continuity


def test_its_seats_stay_held_until_its_end_and_rest_beyond_it(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence(cap=1)
    system = holding(office, licence, 1)
    until = office.continuity(licence, HOUR).permits[0].latest_hard_end_ms
    other = joined(office, licence)
    daemon.clock.passed += until - daemon.clock.wall()
    [outcome] = other.open(acquire(2)).outcomes
    assert reason(outcome) == "CONCURRENT_CAP"
    daemon.clock.passed += 10 * SECOND
    with other.stream() as stream:
        [outcome] = stream.beat(acquire(2)).outcomes
        assert outcome.WhichOneof("result") == "grant"
    assert system.held


def test_the_lease_goes_on_after_the_outage(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence()
    system = holding(office, licence, 1)
    held = list(system.held)
    office.continuity(licence, HOUR)
    daemon.clock.passed += HOUR - 60 * SECOND
    with system.stream() as stream:
        assert list(stream.beat().leases) == held


def test_a_suspension_after_it_shows_the_bound_that_it_adds_and_sends_nothing_more(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1)
    until = office.continuity(licence, HOUR).permits[0].latest_hard_end_ms
    request = pb.PreviewSuspensionRequest(scope=pb.SuspensionScope(licence=licence))
    bounds = office.alice.call("LicenceService.PreviewSuspension", request).bounds
    assert (bounds.continuity_until_ms, bounds.latest_hard_end_ms) == (until, until)
    suspended = office.alice.suspend(licence)
    assert suspended.bounds.continuity_until_ms == until
    ask = pb.GetSuspensionRequest(suspension=suspended.suspension)
    [stop] = office.alice.call("LicenceService.GetSuspension", ask).systems
    assert stop.state == pb.STOP_STATE_UNCONFIRMED
    assert stop.continuity_until_ms == until < stop.bounded_until_ms
    with system.stream() as stream:
        assert reason(stream.beat()) == "LICENCE_SUSPENDED"
        assert reason(stream.beat()) == "LICENCE_SUSPENDED"
        assert stream.continuities == []


def test_without_one_a_suspension_shows_none(office: Office):
    licence = office.licence()
    holding(office, licence, 1)
    suspended = office.alice.suspend(licence)
    assert suspended.bounds.continuity_until_ms == 0
    ask = pb.GetSuspensionRequest(suspension=suspended.suspension)
    assert office.alice.call("LicenceService.GetSuspension", ask).systems[0].continuity_until_ms == 0


def test_what_cannot_be_given_is_not_asked_of_a_second_person(office: Office):
    licence = office.licence()
    with pytest.raises(NotFound):
        office.alice.call(ISSUE, wanted(office, "none-there"))
    for length in (0, DAY + HOUR, 1 << 60):
        with pytest.raises(Invalid, match="24 hours"):
            office.alice.call(ISSUE, wanted(office, licence, length))
    with pytest.raises(Invalid, match="detail"):
        office.alice.call(
            ISSUE, pb.IssueContinuityPermitRequest(licence=licence, until_ms=office.daemon.clock.wall() + HOUR)
        )


def test_a_licence_that_is_suspended_before_the_second_person_signs_gets_none(office: Office):
    licence = office.licence()
    holding(office, licence, 1)
    asked = office.alice.call(ISSUE, wanted(office, licence)).approval
    office.alice.sign(asked)
    office.alice.suspend(licence)
    with pytest.raises((Conflict, IllegalTransition)):
        office.bob.sign(asked)
