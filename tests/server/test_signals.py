"""Misuse rules on a daemon that serves: a system misbehaves over TLS, a rule stops it, operators see it and undo it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from licd.core.errors import Conflict, Forbidden, Invalid, NotFound
from licd.core.misuse import TICK
from licd.core.time import MINUTE, SECOND
from licd.policy import load
from licd.v1 import licence_service_pb2, log_service_pb2, operator_pb2, signal_pb2
from licd.v1 import signal_service_pb2 as pb
from tests.daemon import Daemon, new_id
from tests.office import Office, Operator
from tests.wired_system import System, acquire, joined, licence_of, reason

SUSPENDED, ACTIVE = operator_pb2.LICENCE_STATUS_SUSPENDED, operator_pb2.LICENCE_STATUS_ACTIVE


@pytest.fixture
def own(own_daemon: Callable[..., Daemon]) -> Office:
    """An office of a daemon of its own, whose rules have been asked once."""
    office = Office(own_daemon())
    asked(office, 0)
    return office


def asked(office: Office, after: int = TICK + 20 * SECOND) -> None:
    """Rules are asked, so much later."""
    assert isinstance(office.daemon, Daemon)
    office.daemon.clock.passed += after
    office.daemon.on_loop(office.daemon.up.daemon.jobs.ask_rules)


def signals(operator: Operator, **more: Any) -> list[signal_pb2.Signal]:
    return list(operator.call("SignalService.ListSignals", pb.ListSignalsRequest(**more)).signals)


def shown(operator: Operator, signal: str) -> signal_pb2.Signal:
    found: signal_pb2.Signal = operator.call("SignalService.GetSignal", pb.GetSignalRequest(signal=signal)).signal
    return found


def status_of(office: Office, licence: str) -> operator_pb2.Licence:
    return office.alice.licence_of(licence)


def outside(system: System, times: int) -> None:
    """Asks for targets outside the licence's regions, in links of ten."""
    system.open()
    with system.stream() as stream:
        for first in range(0, times, 10):
            reply = stream.beat(*[acquire(first + number, region="BR") for number in range(10)])
            assert {reason(each) for each in reply.outcomes} == {"REGION_NOT_PERMITTED"}


def misbehaved(office: Office) -> tuple[str, signal_pb2.Signal]:
    """A licence that a rule has suspended, and the signal."""
    system = joined(office)
    licence = licence_of(office, system)
    outside(system, 40)
    assert isinstance(office.daemon, Daemon)
    office.daemon.clock.passed += MINUTE
    office.daemon.on_loop(office.daemon.up.daemon.jobs.reap)  # logs how many were only counted in the minute before
    asked(office)
    [signal] = signals(office.alice, rule="region-attempts")
    return licence, shown(office.alice, signal.signal)


def test_forty_targets_outside_the_regions_suspend_the_licence_and_the_signal_says_the_way_back(own: Office):
    licence, signal = misbehaved(own)
    found = status_of(own, licence)
    assert (found.status, found.suspension_code) == (SUSPENDED, "rule_region")
    assert (signal.done, signal.subject, signal.licence, signal.code) == ("suspended", licence, licence, "rule_region")
    assert {each.name: each.value for each in signal.facts}["denied_region_not_permitted"] == 40
    assert 0 < len(signal.evidence) <= 32
    request = licence_service_pb2.GetSuspensionRequest(suspension=signal.suspension)
    suspension = own.alice.call("LicenceService.GetSuspension", request)
    assert suspension.suspension == signal.suspension
    policy = load(own.daemon.state.root / "policies").suspension.suspend["rule_region"]
    assert [each.partition(":")[0] for each in signal.way_back[: len(policy.conditions)]] == list(policy.conditions)
    assert signal.way_back[-1] == f"licctl licence reinstate {licence} --reason comfort_full --detail WHY"
    own.reinstate(licence)
    assert status_of(own, licence).status == ACTIVE
    asked(own)
    assert status_of(own, licence).status == ACTIVE
    assert len(signals(own.alice, rule="region-attempts")) == 1


def test_every_entry_that_counted_is_in_the_log_under_its_leaf(own: Office):
    _, signal = misbehaved(own)
    for each in signal.evidence[:3]:
        found = own.alice.call("LogService.GetEntry", log_service_pb2.GetEntryRequest(index=each.index))
        assert found.entry.leaf_hash == each.leaf_hash
        assert {one.name: one.value for one in found.entry.fields}["reason"] == "REGION_NOT_PERMITTED"


def test_a_signal_is_acknowledged_by_one_person_once(own: Office):
    licence, signal = misbehaved(own)
    assert [each.signal for each in signals(own.bob, licence=licence)] == [signal.signal]
    request_id = new_id(own.daemon.clock.wall())
    request = pb.AcknowledgeSignalRequest(request_id=request_id, signal=signal.signal, note="called the customer")
    seen = own.alice.call("SignalService.AcknowledgeSignal", request).signal
    assert (seen.acknowledged_by, seen.note) == ("alice", "called the customer")
    assert own.alice.call("SignalService.AcknowledgeSignal", request).signal == seen
    assert signals(own.alice, licence=licence) == []
    [kept] = signals(own.alice, licence=licence, acknowledged=True)
    assert (kept.acknowledged_by, len(kept.evidence)) == ("alice", 0)
    with pytest.raises(Conflict, match="was acknowledged by alice"):
        acknowledge(own.alice, signal.signal, "again")
    assert status_of(own, licence).status == SUSPENDED


def acknowledge(operator: Operator, signal: str, note: str) -> None:
    operator.call("SignalService.AcknowledgeSignal", pb.AcknowledgeSignalRequest(signal=signal, note=note))


def test_what_cannot_be_acknowledged_is_refused(own: Office):
    with pytest.raises(NotFound):
        acknowledge(own.alice, "G-0", "what")
    with pytest.raises(Invalid, match="note"):
        acknowledge(own.alice, "G-0", " ")
    with pytest.raises(NotFound):
        shown(own.alice, "G-0")
    auditor = own.admit("vera", "auditor")
    assert signals(auditor) == []
    with pytest.raises(Forbidden):
        acknowledge(auditor, "G-0", "what")


def test_signals_age_in_the_metrics(own: Office):
    misbehaved(own)
    daemon = own.daemon
    assert isinstance(daemon, Daemon)
    daemon.clock.passed += 10 * MINUTE
    daemon.on_loop(daemon.up.daemon.jobs.observe)
    assert daemon.metric("licd_signals_unacknowledged") >= 1
    assert daemon.metric("licd_oldest_signal_age_seconds") >= 600
    assert daemon.metric("licd_signals_total", done="suspended") == 1
    until = daemon.metric("licd_rules_asked_timestamp_seconds")
    assert 0 <= daemon.clock.wall() / SECOND - until < 20 * 60


def test_an_honest_licence_raises_nothing(own: Office):
    system = joined(own)
    system.open(*[acquire(number) for number in range(4)])
    asked(own)
    asked(own)
    assert signals(own.alice, licence=licence_of(own, system)) == []
