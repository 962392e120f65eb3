"""Suspension by one person at once, proof of its effect, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from licd.core.bounds import stop_bounds
from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.time import SECOND
from licd.policy import load
from licd.v1 import (
    deployment_service_pb2,
    licence_service_pb2,
    log_service_pb2,
    operator_pb2,
)
from tests.daemon import ROOT, Daemon, fresh, new_id
from tests.office import Office, Operator, draft
from tests.wired_system import holding, joined, reason

pb = licence_service_pb2
ACTIVE, SUSPENDED = operator_pb2.LICENCE_STATUS_ACTIVE, operator_pb2.LICENCE_STATUS_SUSPENDED


def preview(alice: Operator, **scope: Any) -> Any:
    request = pb.PreviewSuspensionRequest(scope=pb.SuspensionScope(**scope))
    return alice.call("LicenceService.PreviewSuspension", request)


def test_a_preview_shows_what_would_be_hit_and_changes_nothing(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1, 2)
    silent = joined(office, licence)
    with system.stream() as stream:
        stream.beat()
        shown = preview(office.alice, licence=licence)
        assert list(shown.licences) == [licence]
        assert shown.live_leases == 2
        by_name = {each.deployment: each for each in shown.systems}
        assert (by_name[system.deployment].connected, by_name[system.deployment].live_leases) == (True, 2)
        assert (by_name[silent.deployment].connected, by_name[silent.deployment].latest_hard_end_ms) == (False, 0)
        assert shown.bounds.latest_hard_end_ms == by_name[system.deployment].latest_hard_end_ms
        assert office.alice.licence_of(licence).status == ACTIVE


def test_a_preview_refuses_a_reason_that_the_suspension_would_be_refused_for(office: Office):
    scope = pb.SuspensionScope(licence=office.licence())
    with pytest.raises(Invalid, match="'because' is no reason code; one of ") as refused:
        office.alice.call(
            "LicenceService.PreviewSuspension", pb.PreviewSuspensionRequest(scope=scope, reason_code="because")
        )
    assert refused.value.field == "reason_code"
    request = pb.PreviewSuspensionRequest(scope=scope, reason_code="manual")
    assert office.alice.call("LicenceService.PreviewSuspension", request).licences == [scope.licence]


def test_w_is_the_formula_of_the_protocol(office: Office):
    licence = office.licence(permit_ms=20_000, grace_ms=60_000)
    joined(office, licence)
    bounds = preview(office.alice, licence=licence).bounds
    timing = load(ROOT / "policies").defaults.timing
    expected = stop_bounds(20_000, 60_000, 1, timing)
    assert (bounds.push_ms, bounds.pull_ms, bounds.unreachable_ms) == (
        expected.push,
        expected.pull,
        expected.unreachable,
    )
    assert bounds.unreachable_ms == -(-80_000 * 1_000_000 // (1_000_000 - 200)) + 1_000
    suspended = office.alice.suspend(licence)
    assert suspended.bounds == bounds


def test_a_silent_system_is_unconfirmed_until_its_last_permit_has_run_out(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence()
    holding(office, licence, 1)
    suspended = office.alice.suspend(licence)
    ask = pb.GetSuspensionRequest(suspension=suspended.suspension)
    before = office.alice.call("LicenceService.GetSuspension", ask)
    assert (before.systems[0].state, before.settled) == (pb.STOP_STATE_UNCONFIRMED, False)
    bounded = before.systems[0].bounded_until_ms
    assert suspended.bounds.latest_hard_end_ms < bounded <= before.decided_ms + suspended.bounds.unreachable_ms + SECOND
    assert office.alice.status().unconfirmed_suspensions == 1
    daemon.clock.passed += bounded - daemon.clock.wall() + 1
    after = office.alice.call("LicenceService.GetSuspension", ask)
    assert (after.systems[0].state, after.settled) == (pb.STOP_STATE_RUN_OUT, True)
    assert office.alice.status().unconfirmed_suspensions == 0


def test_a_customer_is_suspended_as_a_whole(office: Office):
    customer = office.alice.customer()
    licences = [office.licence(customer) for _ in range(3)]
    other = office.licence()
    suspended = office.alice.suspend("", scope=pb.SuspensionScope(customer=customer))
    assert sorted(each.licence for each in suspended.licences) == sorted(licences)
    assert {each.status for each in suspended.licences} == {SUSPENDED}
    assert office.alice.licence_of(other).status == ACTIVE


def test_everything_is_suspended_at_once(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    with pytest.raises(NotFound):
        office.alice.suspend("", scope=pb.SuspensionScope(all=True))
    licences = [office.licence() for _ in range(3)]
    system = holding(office, licences[0], 1)
    with system.stream() as stream:
        stream.beat()
        suspended = office.alice.suspend("", scope=pb.SuspensionScope(all=True))
        assert len(suspended.licences) == 3
        stream.directive()
    assert {office.alice.licence_of(each).status for each in licences} == {SUSPENDED}


@pytest.mark.parametrize("scope", [pb.SuspensionScope(), pb.SuspensionScope(all=False), None])
def test_a_suspension_must_say_of_what(office: Office, scope: Any):
    with pytest.raises(Invalid) as refused:
        office.alice.suspend("", scope=scope)
    assert refused.value.field == "scope"


@pytest.mark.parametrize("scope", [{"licence": "no-such"}, {"customer": "no-such"}])
def test_what_is_not_there_cannot_be_suspended(alice: Operator, scope: dict[str, Any]):
    with pytest.raises(NotFound):
        alice.suspend("", scope=pb.SuspensionScope(**scope))
    with pytest.raises(NotFound):
        preview(alice, **scope)


@pytest.mark.parametrize(
    "changes", [{"reason_code": "because"}, {"reason_code": ""}, {"detail": " "}, {"detail": "d" * 2001}]
)
def test_a_suspension_names_a_reason_of_the_policy(office: Office, changes: dict[str, str]):
    with pytest.raises(Invalid) as refused:
        office.alice.suspend(office.licence(), **changes)
    assert refused.value.field == next(iter(changes))


def test_a_second_suspension_is_a_step_of_its_own_in_the_log(office: Office):
    licence = office.licence()
    first, second = office.alice.suspend(licence), office.bob.suspend(licence, detail="another cause")
    assert first.suspension != second.suspension
    found = office.alice.licence_of(licence)
    assert (found.epoch, found.suspension_detail) == (3, "another cause")
    request = log_service_pb2.ListEntriesRequest(licence=licence, kind="licence.suspended")
    entries = office.alice.call("LogService.ListEntries", request).entries
    told = [field.value for entry in entries for field in entry.fields if field.name == "detail"]
    assert told == ["to be looked at", "another cause"]


def test_a_reinstatement_asked_for_before_a_second_suspension_does_not_lift_it(office: Office):
    licence = office.licence()
    office.alice.suspend(licence, detail="papers are missing")
    epoch = office.alice.licence_of(licence).epoch
    request = pb.ReinstateLicenceRequest(licence=licence, epoch=epoch, reason_code="unfounded", detail="they came")
    approval = office.alice.call("LicenceService.ReinstateLicence", request).approval
    office.alice.sign(approval)
    office.bob.suspend(licence, detail="stop at once")
    with pytest.raises(Conflict):
        office.bob.sign(approval)
    assert office.alice.licence_of(licence).status == SUSPENDED


@pytest.mark.parametrize("everything", [False, True])
def test_a_licence_asked_for_before_its_customer_was_suspended_is_not_issued_after(
    own_daemon: Callable[..., Daemon], everything: bool
):
    office = Office(own_daemon())
    customer = office.alice.customer()
    office.licence(customer)
    wanted = fresh("licence")
    request = pb.IssueLicenceRequest(customer=customer, licence=wanted, terms=draft(office.daemon.clock.wall()))
    approval = office.alice.call("LicenceService.IssueLicence", request).approval
    office.alice.sign(approval)
    scope = pb.SuspensionScope(all=True) if everything else pb.SuspensionScope(customer=customer)
    stop = pb.SuspendLicenceRequest(scope=scope, reason_code="manual", detail="stop all of it")
    office.bob.call("LicenceService.SuspendLicence", stop)
    with pytest.raises(Conflict):
        office.bob.sign(approval)
    with pytest.raises(NotFound):
        office.alice.licence_of(wanted)


def test_the_same_suspension_request_is_one_suspension(office: Office):
    licence = office.licence()
    request_id = new_id()
    first = office.alice.suspend(licence, request_id=request_id)
    office.reinstate(licence)
    again = office.alice.suspend(licence, request_id=request_id)
    assert again.suspension == first.suspension
    assert office.alice.licence_of(licence).status == ACTIVE


def test_a_reinstatement_names_the_epoch_it_lifts(office: Office):
    licence = office.licence()
    office.alice.suspend(licence)
    office.reinstate(licence)
    office.alice.suspend(licence)
    request = pb.ReinstateLicenceRequest(licence=licence, epoch=2, reason_code="unfounded", detail="d")
    with pytest.raises(Conflict):
        office.agree("LicenceService.ReinstateLicence", request)
    assert office.alice.licence_of(licence).status == SUSPENDED
    assert office.reinstate(licence).epoch == 5


def test_an_active_licence_is_not_reinstated(office: Office):
    licence = office.licence()
    request = pb.ReinstateLicenceRequest(licence=licence, epoch=1, reason_code="unfounded", detail="d")
    with pytest.raises(IllegalTransition):
        office.agree("LicenceService.ReinstateLicence", request)


def test_termination_is_final_and_leaves_a_tombstone(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1)
    request = pb.TerminateLicenceRequest(licence=licence, reason_code="misuse", detail="as determined")
    done = office.alice.call("LicenceService.TerminateLicence", request).licence
    assert done.status == operator_pb2.LICENCE_STATUS_TERMINATED
    for verb, other in (
        (
            "LicenceService.TerminateLicence",
            pb.TerminateLicenceRequest(licence=licence, reason_code="misuse", detail="d"),
        ),
        (
            "LicenceService.SuspendLicence",
            pb.SuspendLicenceRequest(scope=pb.SuspensionScope(licence=licence), reason_code="manual", detail="d"),
        ),
        (
            "DeploymentService.InviteDeployment",
            deployment_service_pb2.InviteDeploymentRequest(licence=licence, deployment=fresh("system")),
        ),
    ):
        with pytest.raises(IllegalTransition):
            office.alice.call(verb, other)
    assert reason(system.open()) == "LICENCE_TERMINATED"
    assert office.alice.licence_of(licence).status == operator_pb2.LICENCE_STATUS_TERMINATED
