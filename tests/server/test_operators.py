"""What operators do with licences, customers and leases, over the wire."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from licd.core.bounds import stop_bounds
from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.time import DAY, MINUTE, SECOND
from licd.evidence.export import verify_export
from licd.evidence.merkle import verify_consistency, verify_inclusion
from licd.keys.kinds import KeyPurpose
from licd.policy import load
from licd.server.rows_check import log_checker
from licd.v1 import (
    customer_service_pb2,
    deployment_service_pb2,
    key_service_pb2,
    lease_service_pb2,
    licence_pb2,
    licence_service_pb2,
    log_service_pb2,
    operator_pb2,
    policy_service_pb2,
    status_service_pb2,
)
from tests.daemon import ROOT, VERBS, Daemon, Office, Operator, draft, fresh, new_id
from tests.wired_system import System, acquire, joined, reason

pb = licence_service_pb2
ACTIVE, SUSPENDED = operator_pb2.LICENCE_STATUS_ACTIVE, operator_pb2.LICENCE_STATUS_SUSPENDED


def holding(office: Office, licence: str, *numbers: int) -> System:
    """A system of the licence that holds leases."""
    system = joined(office, licence)
    system.open(*[acquire(number) for number in numbers])
    return system


# --------------------------------------------------------------------------------------------------- amend, renew


def amend(office: Office, licence: str, **limits: Any) -> Any:
    found = office.alice.licence_of(licence)
    terms = draft(found.terms.not_before_ms, **limits)
    return office.alice.call(
        "LicenceService.AmendLicence",
        pb.AmendLicenceRequest(licence=licence, version=found.version, terms=terms, detail="as agreed"),
    )


def test_what_only_narrows_takes_effect_at_once(office: Office):
    licence = office.licence()
    done = amend(office, licence, cap=2, grace_ms=0).licence
    assert (done.epoch, done.version, done.terms.revision) == (2, 2, 2)
    assert office.alice.licence_of(licence).terms.constraints[0].concurrent_targets.limit == 2


@pytest.mark.parametrize(
    "limits",
    [{"cap": 5}, {"grace_ms": 61_000}, {"permit_ms": 21_000}, {"regions": ("NO", "SE", "FI")}, {"days": 31}, {"systems": 5}],
    ids=lambda limits: next(iter(limits)),
)
def test_what_widens_anything_waits_for_a_second_person(office: Office, limits: dict[str, Any]):
    licence = office.licence(systems=3 if "systems" in limits else 4)
    asked = amend(office, licence, **({"systems": 4} if "systems" in limits else limits))
    assert asked.HasField("approval")
    assert office.alice.licence_of(licence).version == 1


def test_narrowing_one_thing_does_not_pay_for_widening_another(office: Office):
    licence = office.licence()
    assert amend(office, licence, cap=1, regions=("NO", "SE", "FI")).HasField("approval")


def test_an_amendment_of_what_has_changed_since_is_a_conflict(office: Office):
    licence = office.licence()
    amend(office, licence, cap=3)
    found = office.alice.licence_of(licence)
    with pytest.raises(Conflict):
        office.alice.call(
            "LicenceService.AmendLicence",
            pb.AmendLicenceRequest(licence=licence, version=1, terms=draft(found.terms.not_before_ms, cap=2)),
        )


def test_a_renewal_lengthens_the_term_and_keeps_the_rest(office: Office):
    licence = office.licence()
    found = office.alice.licence_of(licence)
    end = found.terms.not_after_ms + 30 * DAY
    request = pb.RenewLicenceRequest(licence=licence, version=1, not_after_ms=end)
    renewed = office.agree("LicenceService.RenewLicence", request).licence
    assert (renewed.terms.not_after_ms, renewed.terms.lineage) == (end, found.terms.lineage)
    assert renewed.terms.constraints == found.terms.constraints
    with pytest.raises(Invalid) as refused:
        office.alice.call(
            "LicenceService.RenewLicence", pb.RenewLicenceRequest(licence=licence, version=2, not_after_ms=end)
        )
    assert refused.value.field == "not_after_ms"


def test_a_licence_beyond_policy_is_not_even_asked_for(office: Office):
    with pytest.raises(Invalid):
        office.licence(cap=100_000)


ODD = licence_pb2.Constraint
WRONG_TERMS: list[Callable[[pb.TermsDraft], object]] = [
    lambda terms: terms.ClearField("constraints"),
    lambda terms: terms.constraints.append(ODD()),
    lambda terms: terms.constraints.pop(),
    lambda terms: setattr(terms, "category", "none-such"),
    lambda terms: setattr(terms, "product", ""),
    lambda terms: setattr(terms, "not_after_ms", terms.not_before_ms),
    lambda terms: setattr(terms, "not_after_ms", 0),
    lambda terms: setattr(terms, "not_before_ms", -(1 << 62)),
    lambda terms: setattr(terms, "not_after_ms", (1 << 63) - 1),
    lambda terms: terms.constraints[0].concurrent_targets.__setattr__("limit", -1),
    lambda terms: terms.constraints[1].distinct_targets.__setattr__("period_ms", (1 << 63) - 1),
    lambda terms: terms.constraints[3].target_regions.regions.append("XX"),
    lambda terms: terms.constraints[3].target_regions.bases.append(0),  # type: ignore[arg-type]
    lambda terms: terms.constraints[3].target_regions.bases.append(77),  # type: ignore[arg-type]
    lambda terms: terms.constraints[4].purposes.purposes.append("licd:journalism"),
    lambda terms: terms.constraints[5].permit_length.__setattr__("length_ms", 0),
    lambda terms: terms.constraints.append(ODD(deployment_addresses=licence_pb2.DeploymentAddresses(ranges=["10.0.0.0/40"]))),
    lambda terms: terms.MergeFromString(b"\xfa\x7f\x01x"),
    lambda terms: terms.constraints[0].concurrent_targets.MergeFromString(b"\xf8\x7f\x01"),
]


@pytest.mark.parametrize("spoil", WRONG_TERMS)
def test_terms_that_are_wrong_or_not_understood_are_refused(office: Office, spoil: Callable[[pb.TermsDraft], object]):
    terms = draft(office.daemon.clock.wall())
    spoil(terms)
    request = pb.IssueLicenceRequest(customer=office.alice.customer(), licence=fresh("licence"), terms=terms)
    with pytest.raises(Invalid):
        office.alice.call("LicenceService.IssueLicence", request)


@pytest.mark.parametrize("start", [-1, 1, -(1 << 63), (1 << 63) - 1, 1 << 60])
def test_a_start_that_no_calendar_has_is_refused(office: Office, start: int):
    request = pb.IssueLicenceRequest(
        customer=office.alice.customer(), template="coastal-rescue", not_before_ms=start
    )
    with pytest.raises(Invalid) as refused:
        office.agree("LicenceService.IssueLicence", request)
    assert "not_before" in refused.value.field


@pytest.mark.parametrize("name", ["", "ab", "A-licence", "1licence", "a" * 41, "licence/1", "lic ence", "licenceä", "licence\n"])
def test_names_are_plain(office: Office, name: str):
    with pytest.raises(Invalid) as refused:
        office.alice.call(
            "CustomerService.CreateCustomer", customer_service_pb2.CreateCustomerRequest(customer=name, name="n")
        )
    assert refused.value.field == "customer"


# --------------------------------------------------------------------------------------------------- suspend and back


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
def test_what_is_not_there_cannot_be_suspended(alice: Operator, scope: dict[str, str]):
    with pytest.raises(NotFound):
        alice.suspend("", scope=pb.SuspensionScope(**scope))
    with pytest.raises(NotFound):
        preview(alice, **scope)


@pytest.mark.parametrize("changes", [{"reason_code": "because"}, {"reason_code": ""}, {"detail": " "}, {"detail": "d" * 2001}])
def test_a_suspension_names_a_reason_of_the_policy(office: Office, changes: dict[str, str]):
    with pytest.raises(Invalid) as refused:
        office.alice.suspend(office.licence(), **changes)
    assert refused.value.field == next(iter(changes))


def test_suspending_twice_keeps_the_first_and_answers(office: Office):
    licence = office.licence()
    first, second = office.alice.suspend(licence), office.alice.suspend(licence, detail="another")
    assert first.suspension != second.suspension
    found = office.alice.licence_of(licence)
    assert (found.epoch, found.suspension_detail) == (2, "to be looked at")


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
        ("LicenceService.TerminateLicence", pb.TerminateLicenceRequest(licence=licence, reason_code="misuse", detail="d")),
        ("LicenceService.SuspendLicence", pb.SuspendLicenceRequest(
            scope=pb.SuspensionScope(licence=licence), reason_code="manual", detail="d")),
        ("DeploymentService.InviteDeployment", deployment_service_pb2.InviteDeploymentRequest(
            licence=licence, deployment=fresh("system"))),
    ):
        with pytest.raises(IllegalTransition):
            office.alice.call(verb, other)
    assert reason(system.open()) == "LICENCE_TERMINATED"
    assert office.alice.licence_of(licence).status == operator_pb2.LICENCE_STATUS_TERMINATED


# --------------------------------------------------------------------------------------------------- customers, leases


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


# --------------------------------------------------------------------------------------------------- log, policy, status


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
    request = status_service_pb2.AcceptClockRequest(request_id=new_id(), detail="the time server was wrong")
    office.alice.call("StatusService.AcceptClock", request)
    assert list(office.alice.status().impediments) == []


def test_the_last_operators_stay(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    alice = daemon.operator("alice")
    for name in ("bob", "carol"):
        alice.call("KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator=name, detail="left"))
    with pytest.raises(Conflict):
        alice.call("KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator="alice", detail="d"))
    with pytest.raises(IllegalTransition):
        alice.call("KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator="bob", detail="d"))


def test_a_customer_is_made_once(office: Office):
    name = office.alice.customer()
    with pytest.raises(AlreadyExists):
        office.alice.customer(name)
    with pytest.raises(Forbidden):
        office.admit(fresh("clerk"), "auditor").customer()
