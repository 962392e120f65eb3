"""What operators do with customers, leases, the log, and licd itself."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.time import MINUTE, SECOND
from licd.evidence.export import verify_export
from licd.evidence.merkle import verify_consistency, verify_inclusion
from licd.keys.kinds import KeyPurpose
from licd.server.rows_check import log_checker
from licd.v1 import (
    customer_service_pb2,
    key_service_pb2,
    lease_service_pb2,
    licence_service_pb2,
    log_service_pb2,
    operator_pb2,
    policy_service_pb2,
    status_service_pb2,
)
from tests.daemon import ROOT, VERBS, Daemon, fresh, new_id
from tests.office import Office, Operator
from tests.wired_system import acquire, holding, reason

pb = licence_service_pb2


ACTIVE, SUSPENDED = operator_pb2.LICENCE_STATUS_ACTIVE, operator_pb2.LICENCE_STATUS_SUSPENDED


@pytest.mark.parametrize(
    "name", ["", "ab", "A-licence", "1licence", "a" * 41, "licence/1", "lic ence", "licenceä", "licence\n"]
)
def test_names_are_plain(office: Office, name: str):
    with pytest.raises(Invalid) as refused:
        office.alice.call(
            "CustomerService.CreateCustomer", customer_service_pb2.CreateCustomerRequest(customer=name, name="n")
        )
    assert refused.value.field == "customer"


def test_a_ban_suspends_every_licence_and_an_unban_gives_none_back(office: Office):
    customer = office.alice.customer()
    licence = office.licence(customer)
    system = holding(office, licence, 1)
    ban = customer_service_pb2.BanCustomerRequest(customer=customer, reason_code="manual", detail="misuse")
    banned = office.alice.call("CustomerService.BanCustomer", ban)
    assert list(banned.licences) == [licence]
    assert banned.customer.status == operator_pb2.CUSTOMER_STATUS_BANNED
    assert reason(system.open()) == "CUSTOMER_BANNED"
    with pytest.raises((Conflict, IllegalTransition)):
        office.reinstate(licence)
    unban = customer_service_pb2.UnbanCustomerRequest(customer=customer, reason_code="unfounded", detail="cleared")
    office.agree("CustomerService.UnbanCustomer", unban)
    assert reason(system.open()) == "LICENCE_SUSPENDED"
    office.reinstate(licence)
    assert system.open(acquire(1)).outcomes[0].HasField("grant")


def test_leases_are_listed_as_pseudonyms_and_force_released_once(office: Office):
    licence = office.licence()
    system = holding(office, licence, 1, 2)
    listed = office.alice.call("LeaseService.ListLeases", lease_service_pb2.ListLeasesRequest(licence=licence)).leases
    assert sorted(each.lease for each in listed) == sorted(system.held)
    assert {each.state for each in listed} == {operator_pb2.LEASE_STATE_LIVE}
    assert all(each.hard_end_ms > each.granted_at_ms for each in listed)
    request = lease_service_pb2.ForceReleaseLeaseRequest(
        lease=system.held[0], reason_code="manual", detail="d", cool_down_ms=MINUTE
    )
    assert office.alice.call("LeaseService.ForceReleaseLease", request).lease.free_at_ms > 0
    request.request_id = ""
    with pytest.raises(NotFound):
        office.alice.call("LeaseService.ForceReleaseLease", request)


@pytest.mark.parametrize("lease", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_lease_that_is_not_there_is_not_released(alice: Operator, lease: int):
    request = lease_service_pb2.ForceReleaseLeaseRequest(lease=lease, reason_code="manual", detail="d")
    with pytest.raises(NotFound):
        alice.call("LeaseService.ForceReleaseLease", request)


LISTS = [
    ("ApprovalService.ListApprovals", "approvals", "approval"),
    ("CustomerService.ListCustomers", "customers", "customer"),
    ("DeploymentService.ListDeployments", "deployments", "deployment"),
    ("KeyService.ListKeys", "keys", "key_id"),
    ("KeyService.ListOperators", "operators", "operator"),
    ("LeaseService.ListLeases", "leases", "lease"),
    ("LicenceService.ListLicences", "licences", "licence"),
    ("LogService.ListEntries", "entries", "index"),
]


def listed(alice: Operator, verb: str, field: str, **page: Any) -> tuple[list[Any], str]:
    request = VERBS[verb].request(page=operator_pb2.PageRequest(**page))
    answer = alice.call(verb, request)
    return list(getattr(answer, field)), answer.page.next_page_token


@pytest.mark.parametrize(("verb", "field", "key"), LISTS)
def test_a_list_comes_in_pages_without_gaps_or_repeats(office: Office, verb: str, field: str, key: str):
    holding(office, office.licence(), 1, 2, 3)
    whole: list[Any] = []
    token = ""
    for _ in range(200):
        page, token = listed(office.alice, verb, field, page_size=7, page_token=token)
        whole += [getattr(each, key) for each in page]
        assert len(page) <= 7
        if not token:
            break
    full, _ = listed(office.alice, verb, field, page_size=500)
    expected = [getattr(each, key) for each in full]
    assert whole[: len(expected)] == expected
    assert len(set(whole)) == len(whole)


@pytest.mark.parametrize(("verb", "field", "key"), LISTS)
@pytest.mark.parametrize(
    "page",
    [
        {"page_size": -1},
        {"page_size": 501},
        {"page_token": "9" * 40},
        {"page_token": "-" + "9" * 40},
        {"page_token": "x" * 2000},
        {"page_token": "\x00"},
    ],
)
def test_a_page_that_was_never_given_out_is_refused_or_empty(
    alice: Operator, verb: str, field: str, key: str, page: dict[str, Any]
):
    try:
        listed(alice, verb, field, **page)
    except Invalid as error:
        assert error.field.startswith("page.")


def test_the_log_is_exported_and_verifies_offline(daemon: Daemon, office: Office):
    office.licence()
    answers = office.alice.call("LogService.ExportLog", log_service_pb2.ExportLogRequest())
    lines = [line for answer in answers for line in answer.lines]
    keys = office.alice.call("KeyService.ListKeys", key_service_pb2.ListKeysRequest()).keys
    evidence = [key.public_key for key in keys if key.purpose == KeyPurpose.EVIDENCE]
    report = verify_export(lines, log_checker("licd.example", evidence).verifier)
    assert report.final.size >= 10


def test_an_entry_comes_with_the_proof_that_it_is_in_the_log(office: Office):
    size = office.alice.status().log_size
    found = office.alice.call("LogService.GetEntry", log_service_pb2.GetEntryRequest(index=size - 1))
    lines = found.checkpoint.split("\n")
    root, covered = base64.b64decode(lines[2]), int(lines[1])
    verify_inclusion(found.entry.leaf_hash, size - 1, covered, found.inclusion_proof, root)
    older = office.alice.call("LogService.GetCheckpoint", log_service_pb2.GetCheckpointRequest())
    office.licence()
    newer = office.alice.call("LogService.GetCheckpoint", log_service_pb2.GetCheckpointRequest(old_size=covered))
    new_lines = newer.checkpoint.split("\n")
    verify_consistency(covered, int(new_lines[1]), root, base64.b64decode(new_lines[2]), newer.consistency_proof)
    assert older.checkpoint


@pytest.mark.parametrize("index", [-1, 1 << 40, (1 << 63) - 1, -(1 << 63)])
def test_an_entry_that_is_not_there_is_missing(alice: Operator, index: int):
    with pytest.raises(NotFound):
        alice.call("LogService.GetEntry", log_service_pb2.GetEntryRequest(index=index))
    with pytest.raises(Invalid):
        alice.call("LogService.GetCheckpoint", log_service_pb2.GetCheckpointRequest(old_size=index))


def test_entries_are_found_by_kind_and_licence(office: Office):
    licence = office.licence()
    office.alice.suspend(licence)
    request = log_service_pb2.ListEntriesRequest(licence=licence, descending=True)
    entries = office.alice.call("LogService.ListEntries", request).entries
    shown = [{field.name: field.value for field in entry.fields} for entry in entries]
    assert [each["kind"] for each in shown] == ["licence.suspended", "licence.issued"]
    assert (shown[0]["actor"], shown[0]["code"]) == ("alice", "manual")


def test_the_policy_is_the_one_that_was_read(alice: Operator):
    answer = alice.call("PolicyService.GetPolicy", policy_service_pb2.GetPolicyRequest(with_text=True))
    assert answer.version == alice.status().policy_version
    assert "coastal-rescue" in answer.templates
    texts = {each.path: each.text for each in answer.files}
    assert texts["roles.toml"] == (ROOT / "policies" / "roles.toml").read_text()


def test_a_clock_that_jumped_is_told_and_accepted(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence()
    system = holding(office, licence, 1)
    daemon.clock.set_off += 3600 * SECOND
    assert any(each.startswith("clock") for each in office.alice.status().impediments)
    with pytest.raises(LicdError) as refused:
        system.open()
    assert (refused.value.code, refused.value.retry_after > 0) == ("CLOCK_DOUBTED", True)
    assert office.alice.suspend(licence, request_id=new_id()).licences[0].status == SUSPENDED
    assert reason(system.open()) == "LICENCE_SUSPENDED"
    daemon.clock.set_off -= 3600 * SECOND
    request = status_service_pb2.AcceptClockRequest(request_id=new_id(), detail="the time server was wrong")
    assert office.alice.call("StatusService.AcceptClock", request).HasField("accepted")
    assert list(office.alice.status().impediments) == []


@pytest.mark.parametrize("hours", [-49, -1, 1, 49])
def test_a_clock_that_moves_deciding_time_takes_two_persons_who_date_by_it(
    own_daemon: Callable[..., Daemon], hours: int
):
    daemon = own_daemon()
    office = Office(daemon)
    office.licence()
    daemon.clock.set_off += hours * 3600 * SECOND
    move = office.alice.status().clock_move_ms
    assert abs(move - hours * 3600 * SECOND) < 60 * SECOND
    wrong = status_service_pb2.AcceptClockRequest(detail="it is right")
    with pytest.raises(Conflict):
        office.alice.call("StatusService.AcceptClock", wrong)
    request = status_service_pb2.AcceptClockRequest(detail="it is right", move_ms=move)
    asked = office.alice.call("StatusService.AcceptClock", request)
    assert "forward" in asked.approval.summary or "back" in asked.approval.summary
    office.alice.sign(asked.approval)
    assert office.alice.status().impediments
    assert office.bob.sign(asked.approval).status == operator_pb2.APPROVAL_STATUS_EXECUTED
    assert list(office.alice.status().impediments) == []
    assert office.licence()


def test_a_silent_system_is_not_said_to_have_run_out_by_a_clock_in_doubt(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence()
    holding(office, licence, 1)
    daemon.clock.set_off += 3600 * SECOND
    ask = licence_service_pb2.GetSuspensionRequest(suspension=office.alice.suspend(licence).suspension)
    found = office.alice.call("LicenceService.GetSuspension", ask)
    assert (found.settled, found.systems[0].state) == (False, licence_service_pb2.STOP_STATE_UNCONFIRMED)


def test_the_last_operators_stay(own_daemon: Callable[..., Daemon]):
    """Two who can admit a third: with one alone nothing could ever be agreed on again."""
    office = Office(own_daemon())
    alice = office.alice

    def disable(name: str) -> None:
        alice.call("KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator=name, detail="left"))

    disable("bob")
    for name, left in (("carol", "would leave alice ("), ("alice", "would leave carol (")):
        with pytest.raises(Conflict) as refused:
            disable(name)
        assert left in str(refused.value)
    with pytest.raises(IllegalTransition):
        disable("bob")
    Office(office.daemon, "alice", "carol").admit("dora", "viewer")
    with pytest.raises(Conflict):
        disable("carol")


def test_the_last_who_approves_is_not_made_a_viewer(own_daemon: Callable[..., Daemon]):
    office = Office(own_daemon())
    office.alice.call(
        "KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator="carol", detail="d")
    )
    with pytest.raises(Conflict, match="would leave alice"):
        office.admit("bob", "viewer")
    assert office.licence()


def test_a_customer_is_made_once(office: Office):
    name = office.alice.customer()
    with pytest.raises(AlreadyExists):
        office.alice.customer(name)
    with pytest.raises(Forbidden):
        office.admit(fresh("clerk"), "auditor").customer()
