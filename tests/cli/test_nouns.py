"""Every noun: what is sent, and what is shown of the answer."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from licd.cli.fork_file import read_fork
from licd.core.time import DAY, HOUR
from licd.v1 import (
    customer_service_pb2,
    deployment_service_pb2,
    key_service_pb2,
    lease_service_pb2,
    log_service_pb2,
    operator_pb2,
    policy_service_pb2,
    status_service_pb2,
    trust_pb2,
)
from licd.v1 import licence_service_pb2 as licences
from licd.v1.fork_pb2 import ForkEvidence
from licd.v1.licence_pb2 import REGION_BASIS_DECLARED
from tests.cli.conftest import NOW, Licctl
from tests.cli.samples import licence

ACME = operator_pb2.Customer(
    customer="acme",
    name="Acme [red]Police[/] \x1b[2J",
    status=operator_pb2.CUSTOMER_STATUS_ACTIVE,
    created_at_ms=NOW - DAY,
    version=1,
)
SITE = operator_pb2.Deployment(
    deployment="site-1",
    licence="acme-1",
    customer="acme",
    status=operator_pb2.DEPLOYMENT_STATUS_ENROLLED,
    connected=True,
)
LEASE = operator_pb2.Lease(
    lease=2**63 + 1,
    licence="acme-1",
    deployment="site-1",
    target=b"\xab" * 32,
    region="DE",
    basis=REGION_BASIS_DECLARED,
    purpose="example:serious-crime",
    granted_at_ms=NOW - HOUR,
    hard_end_ms=NOW + 20_000,
    state=operator_pb2.LEASE_STATE_LIVE,
)


def page(token: str = "") -> operator_pb2.PageInfo:
    return operator_pb2.PageInfo(next_page_token=token)


def test_creates_a_customer(licctl: Licctl) -> None:
    licctl.licd.on("CreateCustomer", customer_service_pb2.CreateCustomerResponse(customer=ACME))
    result = licctl("customer", "create", "acme", "--name", "Acme Police")
    assert result.exit_code == 0
    sent = licctl.licd.asked(customer_service_pb2.CreateCustomerRequest)
    assert (sent.customer, sent.name) == ("acme", "Acme Police")
    assert sent.request_id[14] == "7"


def test_what_licd_says_cannot_steer_the_terminal(licctl: Licctl) -> None:
    licctl.licd.on("GetCustomer", customer_service_pb2.GetCustomerResponse(customer=ACME))
    assert licctl("customer", "get", "acme").stdout.splitlines()[1] == "name      Acme [red]Police[/] \\x1b[2J"


def test_lists_one_page_and_says_that_there_are_more(licctl: Licctl) -> None:
    licctl.licd.on("ListCustomers", customer_service_pb2.ListCustomersResponse(customers=[ACME], page=page("t2")))
    result = licctl("customer", "list", "--status", "active", "--page-size", "1")
    assert result.stdout.splitlines()[0] == "CUSTOMER  NAME                         STATUS  CREATED"
    assert result.stderr == "there are more: --page-token t2, or --all\n"
    sent = licctl.licd.asked(customer_service_pb2.ListCustomersRequest)
    assert (sent.page.page_size, sent.status) == (1, operator_pb2.CUSTOMER_STATUS_ACTIVE)


def test_lists_every_page_when_all_are_wanted(licctl: Licctl) -> None:
    licctl.licd.on(
        "ListCustomers",
        customer_service_pb2.ListCustomersResponse(customers=[ACME], page=page("t2")),
        customer_service_pb2.ListCustomersResponse(customers=[ACME], page=page()),
    )
    shown = licctl.json("customer", "list", "--all")
    assert [len(shown["customers"]), shown["next_page_token"]] == [2, ""]
    tokens = [one.page.page_token for one in licctl.licd.requests]  # type: ignore[attr-defined]
    assert tokens == ["", "t2"]


def test_json_has_field_names_of_the_protocol_and_plain_values(licctl: Licctl) -> None:
    licctl.licd.on("ListLeases", lease_service_pb2.ListLeasesResponse(leases=[LEASE]))
    assert licctl.json("lease", "list") == {
        "leases": [
            {
                "lease": "9223372036854775809",
                "licence": "acme-1",
                "customer": "",
                "deployment": "site-1",
                "target": "ab" * 32,
                "region": "DE",
                "basis": "DECLARED",
                "purpose": "example:serious-crime",
                "offence": "",
                "granted_at_ms": NOW - HOUR,
                "hard_end_ms": NOW + 20_000,
                "ended_at_ms": 0,
                "end_reason": "",
                "free_at_ms": 0,
                "state": "LIVE",
            }
        ],
        "next_page_token": "",
    }


def test_force_releases_a_lease_by_its_decimal_id(licctl: Licctl) -> None:
    licctl.licd.on("ForceReleaseLease", lease_service_pb2.ForceReleaseLeaseResponse(lease=LEASE))
    why = ("--reason", "misuse", "--detail", "d", "--cool-down", "2h")
    assert licctl("lease", "force-release", "9223372036854775809", *why).exit_code == 0
    sent = licctl.licd.asked(lease_service_pb2.ForceReleaseLeaseRequest)
    assert (sent.lease, sent.cool_down_ms) == (2**63 + 1, 2 * HOUR)


@pytest.mark.parametrize("text", ["0", "-1", "ab", "1.5", "18446744073709551616", "²"])
def test_a_lease_id_that_is_none_is_refused(licctl: Licctl, text: str) -> None:
    result = licctl("lease", "force-release", "--reason", "r", "--detail", "d", "--", text)
    assert result.exit_code == 2
    assert licctl.licd.names() == []


def test_shows_a_licence_with_what_it_permits(licctl: Licctl) -> None:
    held = licence(suspended_at_ms=NOW, suspension_code="x", suspension_detail="a report")
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=held))
    shown = licctl("licence", "get", "acme-1").stdout
    assert "status       active, epoch 3, version 7\n" in shown
    assert "suspended    2026-03-01T12:00:00Z, now, x: a report\n" in shown
    assert "permits      at most 2 targets at one time, cooling seats included\n" in shown


def test_exports_a_licence_as_armour(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    printed = licctl("licence", "export", "acme-1").stdout
    assert printed.startswith("-----BEGIN LICD LICENCE-----\n")
    assert licctl("licence", "export", "acme-1", "--save", str(tmp_path / "l")).stdout == ""
    assert (tmp_path / "l").read_text() == printed


def test_does_not_overwrite_a_file_with_an_export(licctl: Licctl, tmp_path: Path) -> None:
    licctl.licd.on("GetLicence", licences.GetLicenceResponse(licence=licence()))
    (tmp_path / "l").write_text("mine")
    assert licctl("licence", "export", "acme-1", "--save", str(tmp_path / "l")).exit_code == 2
    assert (tmp_path / "l").read_text() == "mine"


def test_lists_licences_of_one_state(licctl: Licctl) -> None:
    licctl.licd.on("ListLicences", licences.ListLicencesResponse(licences=[licence()]))
    shown = licctl("licence", "list", "--customer", "acme", "--status", "active-restricted").stdout
    assert shown.splitlines()[1].split() == ["acme-1", "acme", "active", "3", "2", "1", "1", "2026-03-31T12:00:00Z"]
    sent = licctl.licd.asked(licences.ListLicencesRequest)
    assert (sent.customer, sent.status) == ("acme", operator_pb2.LICENCE_STATUS_ACTIVE_RESTRICTED)


def test_invites_a_deployment_and_keeps_the_token_out_of_the_answer_when_it_is_saved(
    licctl: Licctl, tmp_path: Path
) -> None:
    made = deployment_service_pb2.Invitation(join_token="LICD-JOIN-1.abc", expires_at_ms=NOW + DAY, deployment=SITE)
    licctl.licd.on("InviteDeployment", deployment_service_pb2.InviteDeploymentResponse(invitation=made))
    invite = ("deployment", "invite", "site-1", "--licence", "acme-1", "--valid-for", "2h")
    assert "join token   LICD-JOIN-1.abc\n" in licctl(*invite).stdout
    file = tmp_path / "join"
    assert "LICD-JOIN" not in licctl(*invite, "--save", str(file)).output
    assert file.read_text() == "LICD-JOIN-1.abc\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert {one.valid_for_ms for one in licctl.licd.requests} == {2 * HOUR}  # type: ignore[attr-defined]


def test_what_is_not_said_is_left_to_licd(licctl: Licctl) -> None:
    licctl.licd.on("InviteDeployment", deployment_service_pb2.InviteDeploymentResponse())
    licctl.licd.on("ForceReleaseLease", lease_service_pb2.ForceReleaseLeaseResponse(lease=LEASE))
    assert licctl("deployment", "invite", "site-1", "--licence", "acme-1").exit_code == 0
    assert licctl.licd.asked(deployment_service_pb2.InviteDeploymentRequest).valid_for_ms == 0
    assert licctl("lease", "force-release", "1", "--reason", "r", "--detail", "d").exit_code == 0
    assert licctl.licd.asked(lease_service_pb2.ForceReleaseLeaseRequest).cool_down_ms == 0


def test_shows_lists_and_revokes_deployments(licctl: Licctl) -> None:
    licctl.licd.on("GetDeployment", deployment_service_pb2.GetDeploymentResponse(deployment=SITE))
    licctl.licd.on("ListDeployments", deployment_service_pb2.ListDeploymentsResponse(deployments=[SITE]))
    licctl.licd.on("RevokeDeployment", deployment_service_pb2.RevokeDeploymentResponse(deployment=SITE))
    assert "status              enrolled, connected\n" in licctl("deployment", "get", "site-1").stdout
    assert "site-1" in licctl("deployment", "list", "--status", "enrolled").stdout
    assert licctl("deployment", "revoke", "site-1", "--reason", "r", "--detail", "d").exit_code == 0
    assert licctl.licd.asked(deployment_service_pb2.RevokeDeploymentRequest).reason_code == "r"


def test_lists_and_disables_operators(licctl: Licctl) -> None:
    anna = operator_pb2.Operator(operator="anna", roles=["operator"], key_id="ab12", enabled=True, created_at_ms=NOW)
    licctl.licd.on("ListOperators", key_service_pb2.ListOperatorsResponse(operators=[anna]))
    licctl.licd.on("DisableOperator", key_service_pb2.DisableOperatorResponse(operator=anna))
    assert licctl("operator", "list").stdout.splitlines()[1].split()[:4] == ["anna", "operator", "yes", "ab12"]
    assert licctl("operator", "disable", "anna", "--detail", "left").exit_code == 0


def test_lists_keys_and_what_was_withdrawn(licctl: Licctl) -> None:
    key = trust_pb2.Key(
        key_id="aa", purpose=trust_pb2.KEY_PURPOSE_PERMIT_ONLINE, not_before_ms=NOW, not_after_ms=NOW + DAY
    )
    found = key_service_pb2.ListKeysResponse(keys=[key], withdrawn_key_ids=["aa", "bb"])
    licctl.licd.on("ListKeys", found)
    lines = licctl("key", "list").stdout.splitlines()
    assert lines[1].split() == [
        "aa",
        "permit-online",
        "licd",
        "2026-03-01T12:00:00Z",
        "2026-03-02T12:00:00Z",
        "WITHDRAWN",
    ]
    assert lines[2] == "bb  WITHDRAWN"
    assert licctl.json("key", "list")["withdrawn_key_ids"] == ["aa", "bb"]


def test_shows_status(licctl: Licctl) -> None:
    found = status_service_pb2.GetStatusResponse(version="0.1.0", impediments=["clock"], caller="operator/anna")
    licctl.licd.on("GetStatus", found)
    assert "grants                   no: clock\n" in licctl("status").stdout
    assert licctl.json("status")["impediments"] == ["clock"]


@pytest.mark.parametrize(
    ("move", "told"),
    [(0, "stays what it is"), (-1_500, "stays what it is"), (7_200_000, "forward by 2 h"), (-7_200_000, "back by 2 h")],
)
def test_accepts_the_clock_with_the_move_that_licd_has_told_of(licctl: Licctl, move: int, told: str) -> None:
    accepted = status_service_pb2.AcceptedClock(now_ms=NOW, mark_ms=NOW)
    licctl.licd.on("GetStatus", status_service_pb2.GetStatusResponse(clock_move_ms=move))
    licctl.licd.on("AcceptClock", status_service_pb2.AcceptClockResponse(accepted=accepted))
    done = licctl("clock", "accept", "--detail", "ntp was wrong")
    assert (done.exit_code, told in done.stdout) == (0, True)
    asked = licctl.licd.asked(status_service_pb2.AcceptClockRequest)
    assert (asked.detail, asked.move_ms) == ("ntp was wrong", move)
    if abs(move) > 2_000:
        assert f"licd's time {'moves'}" in licctl("status").stdout


def test_shows_the_policy_in_force(licctl: Licctl) -> None:
    file = policy_service_pb2.PolicyFile(path="roles.toml", sha256="ff", text="one\ntwo\n")
    licctl.licd.on("GetPolicy", policy_service_pb2.GetPolicyResponse(version="v", files=[file], templates=["a", "b"]))
    shown = licctl("policy", "show", "--text").stdout
    assert shown == "version    v\ntemplates  a\n           b\nfiles      roles.toml  ff\n\n# roles.toml\none\ntwo\n"


def test_lists_log_entries(licctl: Licctl) -> None:
    fields = [log_service_pb2.LogField(name="kind", value="suspend"), log_service_pb2.LogField(name="who", erased=True)]
    licctl.licd.on(
        "ListEntries", log_service_pb2.ListEntriesResponse(entries=[log_service_pb2.LogEntry(index=4, fields=fields)])
    )
    assert licctl("log", "list", "--newest-first").stdout == "INDEX  FIELDS\n4      kind=suspend  who=(erased)\n"
    assert licctl.licd.asked(log_service_pb2.ListEntriesRequest).descending


@pytest.mark.parametrize(
    ("arguments", "method", "response", "field"),
    [
        (("customer", "list"), "ListCustomers", customer_service_pb2.ListCustomersResponse(), "customers"),
        (("licence", "list"), "ListLicences", licences.ListLicencesResponse(), "licences"),
        (("deployment", "list"), "ListDeployments", deployment_service_pb2.ListDeploymentsResponse(), "deployments"),
        (("lease", "list"), "ListLeases", lease_service_pb2.ListLeasesResponse(), "leases"),
        (("operator", "list"), "ListOperators", key_service_pb2.ListOperatorsResponse(), "operators"),
        (("log", "list"), "ListEntries", log_service_pb2.ListEntriesResponse(), "entries"),
    ],
)
def test_an_empty_list_is_an_empty_list(
    licctl: Licctl, arguments: tuple[str, ...], method: str, response: Message, field: str
) -> None:
    licctl.licd.on(method, response)
    found: Any = licctl.json(*arguments)
    assert found == {field: [], "next_page_token": ""}


def test_writes_the_evidence_of_a_fork_to_a_new_file(licctl: Licctl, tmp_path: Path) -> None:
    evidence = ForkEvidence(system="customer/acme/system/site-1", reply=b"\x00\xff", reply_kind="permit")
    evidence.forked.index = 7
    answer = deployment_service_pb2.GetForkResponse(evidence=evidence, enrolment=2, seen_at_ms=NOW - HOUR)
    licctl.licd.on("GetFork", answer)
    file = tmp_path / "fork.json"
    result = licctl("deployment", "fork", "site-1", "--enrolment", "2", "--save", str(file))
    assert result.exit_code == 0, result.output
    sent = licctl.licd.asked(deployment_service_pb2.GetForkRequest)
    assert (sent.deployment, sent.enrolment) == ("site-1", 2)
    assert read_fork(file) == evidence
    assert "customer/acme/system/site-1, enrolment 2" in result.stdout
    assert licctl("deployment", "fork", "site-1", "--save", str(file)).exit_code != 0
    assert "--save FILE does" in licctl("deployment", "fork", "site-1").stdout
