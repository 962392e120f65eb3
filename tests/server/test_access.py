"""Who may call what by the policy in force, and with which papers. The whole table is test_access_table.py's."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from os import urandom  # noqa: TID251 - serial numbers of certificates
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import licd.v1
from licd.core.errors import Forbidden, Invalid, LicdError, Unauthenticated
from licd.core.time import DAY, MINUTE
from licd.keys.certificate_request import make_private_key
from licd.keys.identity import (
    ContactIdentity,
    Identity,
    OperatorIdentity,
    OverseerIdentity,
    ServerIdentity,
    SystemIdentity,
)
from licd.keys.pem_files import certificates_to_pem, load_authority, private_key_to_pem
from licd.keys.pki import Authority, issue_leaf, make_authority
from licd.server.caller import Listener
from licd.server.methods import METHODS, SERVED
from licd.v1 import key_service_pb2, status_service_pb2
from tests.daemon import (
    ROOT,
    TRUST_DOMAIN,
    VERBS,
    Daemon,
    Papers,
    call,
    code_of,
    fresh,
    health_stub,
    open_channel,
    raw_call,
)
from tests.office import Office, Operator
from tests.wired_system import System, joined

ROLES = ("viewer", "operator", "approver", "head-of-compliance", "auditor", "keymaster")
OPERATOR_VERBS = sorted(verb for verb, method in VERBS.items() if method.listener is Listener.OPERATOR)
EVERYBODY = {"ApprovalService.SignApproval"}  # whoever asked may sign; what it counts for is decided elsewhere


def allowed_by_file() -> dict[str, set[str]]:
    """policies/roles.toml, read without licd."""
    roles = tomllib.loads((ROOT / "policies" / "roles.toml").read_text())["role"]
    own = {name: set(role["verbs"]) for name, role in roles.items()}
    return {name: own[name].union(*(own[other] for other in role.get("includes", []))) for name, role in roles.items()}


ALLOWED = allowed_by_file()


@pytest.fixture(scope="module")
def staff(daemon: Daemon) -> dict[str, Operator]:
    """One operator of each role, who has no other."""
    office = Office(daemon)
    return {role: office.admit(fresh("clerk"), role) for role in ROLES}


@pytest.fixture(scope="module")
def system(daemon: Daemon) -> System:
    return joined(Office(daemon))


def refusal_of(channel: grpc.Channel, verb: str) -> LicdError | None:
    """What an empty request is refused with; None when it is answered."""
    try:
        call(channel, verb, VERBS[verb].request())
    except LicdError as error:
        return error
    return None


def test_every_service_of_the_protocol_is_served_at_exactly_one_door():
    described = set()
    for module in iter_modules(licd.v1.__path__):
        if module.name.endswith("_service_pb2"):
            described |= {
                each.full_name for each in import_module(f"licd.v1.{module.name}").DESCRIPTOR.services_by_name.values()
            }
    served = [service.full_name for services in SERVED.values() for service in services]
    assert sorted(served) == sorted(described)


def test_every_operator_verb_is_named_by_a_role_or_refused_to_all():
    named = set().union(*ALLOWED.values())
    assert named <= set(OPERATOR_VERBS)
    assert set(OPERATOR_VERBS) == named
    assert set(ALLOWED) == set(ROLES)


@pytest.mark.parametrize("verb", OPERATOR_VERBS)
def test_each_role_may_call_what_the_policy_says_and_nothing_else(staff: dict[str, Operator], verb: str):
    for role, clerk in staff.items():
        refused = refusal_of(clerk.channel, verb)
        may = verb in ALLOWED[role] | EVERYBODY
        assert not isinstance(refused, Unauthenticated), role
        assert isinstance(refused, Forbidden) is not may, (role, refused)


def test_a_person_with_two_roles_may_call_what_either_may(office: Office):
    both = office.admit(fresh("clerk"), "auditor", "keymaster")
    for verb in OPERATOR_VERBS:
        may = verb in ALLOWED["auditor"] | ALLOWED["keymaster"] | EVERYBODY
        assert isinstance(refusal_of(both.channel, verb), Forbidden) is not may


def test_a_person_may_be_told_what_he_may_call(staff: dict[str, Operator]):
    for role, clerk in staff.items():
        status = clerk.status()
        assert list(status.caller_roles) == [role]
        assert set(status.caller_methods) == ALLOWED[role]


def metric_of_refusals(daemon: Daemon, listener: Listener) -> float:
    names = ("FORBIDDEN", "UNAUTHENTICATED")
    return sum(daemon.metric("licd_refused_total", listener=listener.value, why=why) for why in names)


def test_a_method_that_nobody_serves_is_unimplemented(daemon: Daemon, office: Office):
    with pytest.raises(grpc.RpcError) as refused:
        gone: Any = office.alice.channel.unary_unary("/licd.v1.LicenceService/DeleteLicence", None, None)
        gone(b"", timeout=10)
    assert code_of(refused.value) is grpc.StatusCode.UNIMPLEMENTED


# ------------------------------------------------------------------------------------------------- papers


def authority_of(daemon: Daemon) -> Authority:
    return load_authority(TRUST_DOMAIN, *daemon.state.authority)


def papers_for(authority: Authority, identity: Identity, now: int, *, life: int = DAY, **names: Any) -> Papers:
    """A certificate as only the authority itself could make it."""
    key = make_private_key()
    leaf = issue_leaf(authority, key.public_key(), identity, now_ms=now, life_ms=life, randomness=urandom, **names)
    return Papers(private_key_to_pem(key), certificates_to_pem([leaf, authority.certificate]))


LOOKS = ["StatusService.GetStatus", "SessionService.CheckLicence"]


@pytest.mark.parametrize("verb", LOOKS)
def test_without_a_certificate_there_is_no_connection(daemon: Daemon, verb: str):
    with pytest.raises(grpc.RpcError) as refused:
        call(daemon.channel(VERBS[verb].listener), verb, VERBS[verb].request())
    assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("verb", LOOKS)
def test_a_certificate_of_another_authority_gets_no_connection(daemon: Daemon, verb: str):
    now = daemon.clock.wall()
    stranger = make_authority(TRUST_DOMAIN, "stranger", now_ms=now, life_ms=DAY, randomness=urandom)
    papers = papers_for(stranger, OperatorIdentity("alice"), now)
    with pytest.raises(grpc.RpcError) as refused:
        call(daemon.channel(VERBS[verb].listener, papers), verb, VERBS[verb].request())
    assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE


def test_an_ended_certificate_gets_no_connection(daemon: Daemon):
    papers = papers_for(authority_of(daemon), OperatorIdentity("alice"), daemon.clock.wall() - DAY, life=MINUTE)
    with pytest.raises(grpc.RpcError) as refused:
        call(daemon.channel(Listener.OPERATOR, papers), LOOKS[0], status_service_pb2.GetStatusRequest())
    assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("listener", list(Listener))
def test_a_caller_who_believes_another_authority_gets_no_connection(daemon: Daemon, office: Office, listener: Listener):
    now = daemon.clock.wall()
    stranger = make_authority(TRUST_DOMAIN, "stranger", now_ms=now, life_ms=DAY, randomness=urandom)
    channel = open_channel(daemon.address(listener), certificates_to_pem([stranger.certificate]), office.alice.papers)
    with channel, pytest.raises(grpc.RpcError) as refused:
        raw_call(channel, "EnrolmentService.GetTrustBundle", b"")
    assert code_of(refused.value) is grpc.StatusCode.UNAVAILABLE


STRANGERS: list[tuple[Listener, Identity, type[LicdError]]] = [
    (Listener.OPERATOR, OperatorIdentity("mallory"), Unauthenticated),
    (Listener.OPERATOR, OperatorIdentity("alice"), Unauthenticated),
    (Listener.OPERATOR, OverseerIdentity("ministry"), Forbidden),
    (Listener.OPERATOR, ContactIdentity("north", "desk"), Forbidden),
    (Listener.CUSTOMER, SystemIdentity("north", "nobody"), Unauthenticated),
    (Listener.CUSTOMER, ContactIdentity("north", "desk"), Forbidden),
    (Listener.CUSTOMER, OverseerIdentity("ministry"), Forbidden),
]


@pytest.mark.parametrize(("listener", "identity", "error"), STRANGERS)
def test_a_good_certificate_of_somebody_unknown_is_refused_and_counted(
    daemon: Daemon, listener: Listener, identity: Identity, error: type[LicdError]
):
    papers = papers_for(authority_of(daemon), identity, daemon.clock.wall())
    verb = LOOKS[0] if listener is Listener.OPERATOR else LOOKS[1]
    before = metric_of_refusals(daemon, listener)
    assert type(refusal_of(daemon.channel(listener, papers), verb)) is error
    assert metric_of_refusals(daemon, listener) == before + 1


def test_a_system_of_another_customer_is_refused(daemon: Daemon, system: System):
    papers = papers_for(authority_of(daemon), SystemIdentity("other", system.deployment), daemon.clock.wall())
    assert isinstance(refusal_of(daemon.channel(Listener.CUSTOMER, papers), LOOKS[1]), Unauthenticated)


def test_a_server_is_nobody_to_call(daemon: Daemon):
    names: dict[str, Any] = {"dns_names": ["localhost"]}
    papers = papers_for(authority_of(daemon), ServerIdentity("replica-1"), daemon.clock.wall(), **names)
    channel = daemon.channel(Listener.OPERATOR, papers)
    with pytest.raises((LicdError, grpc.RpcError)) as refused:
        call(channel, LOOKS[0], status_service_pb2.GetStatusRequest())
    assert code_of(refused.value) in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }


def test_a_name_of_another_trust_domain_is_refused_and_counted(daemon: Daemon):
    elsewhere = replace(authority_of(daemon), trust_domain="elsewhere.example")
    papers = papers_for(elsewhere, OperatorIdentity("alice"), daemon.clock.wall())
    before = metric_of_refusals(daemon, Listener.OPERATOR)
    assert isinstance(refusal_of(daemon.channel(Listener.OPERATOR, papers), LOOKS[0]), Unauthenticated)
    assert metric_of_refusals(daemon, Listener.OPERATOR) == before + 1


def test_a_disabled_operator_is_refused_at_once_on_his_open_connection(daemon: Daemon, office: Office):
    clerk = office.admit(fresh("clerk"), "operator")
    clerk.status()
    request = key_service_pb2.DisableOperatorRequest(operator=clerk.name, detail="left")
    office.alice.call("KeyService.DisableOperator", request)
    before = metric_of_refusals(daemon, Listener.OPERATOR)
    with pytest.raises(Unauthenticated):
        clerk.status()
    assert metric_of_refusals(daemon, Listener.OPERATOR) == before + 1


def test_an_operator_who_got_new_keys_is_refused_with_the_old_ones(office: Office):
    old = office.admit(fresh("clerk"), "operator")
    new = office.admit(old.name, "viewer")
    assert list(new.status().caller_roles) == ["viewer"]
    with pytest.raises(Unauthenticated):
        old.status()


def test_a_certificate_that_ends_while_the_connection_stays_is_refused(own_daemon: Any):
    daemon: Daemon = own_daemon()
    alice = Operator.of(daemon, "alice")
    alice.status()
    daemon.clock.passed += 91 * DAY
    with pytest.raises(Unauthenticated, match="ended"):
        alice.status()


def test_the_listeners_take_a_renewed_certificate_without_a_restart(own_daemon: Any):
    daemon: Daemon = own_daemon()
    chain, key = daemon.state.server
    before = served_certificate(daemon)
    names: dict[str, Any] = {"dns_names": ["localhost"]}
    papers = papers_for(authority_of(daemon), ServerIdentity("replica-1"), daemon.clock.wall(), **names)
    chain.write_bytes(papers.chain)
    assert served_certificate(daemon) == before, "a chain without its key is not taken"
    key.write_bytes(papers.key)
    assert served_certificate(daemon) != before
    assert Operator.of(daemon, "alice").status().trust_domain == TRUST_DOMAIN


def served_certificate(daemon: Daemon) -> str:
    """The certificate that the enrolment listener shows in a handshake."""
    host, _, port = daemon.address(Listener.ENROLMENT).rpartition(":")
    return ssl.get_server_certificate((host, int(port)))


# ------------------------------------------------------------------------------------- health, reflection


@pytest.fixture
def doors(daemon: Daemon, office: Office, system: System) -> dict[Listener, grpc.Channel]:
    return {
        Listener.ENROLMENT: daemon.channel(Listener.ENROLMENT),
        Listener.CUSTOMER: system.channel,
        Listener.OPERATOR: office.alice.channel,
    }


def test_every_listener_says_that_it_serves_each_of_its_services(doors: dict[Listener, grpc.Channel]):
    for listener, channel in doors.items():
        stub = health_stub(channel)
        for name in ("", *(service.full_name for service in SERVED[listener])):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_shows_what_the_operator_listener_serves(doors: dict[Listener, grpc.Channel]):
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(doors[Listener.OPERATOR])
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = list(stub.ServerReflectionInfo(iter([ask]), timeout=10))
    names = {each.name for each in answers[0].list_services_response.service}
    assert names >= {service.full_name for service in SERVED[Listener.OPERATOR]}
    assert {name for name in names if name.startswith("licd.")} == {
        method.path.split("/")[1] for method in METHODS.values() if method.listener is Listener.OPERATOR
    }


@pytest.mark.parametrize("listener", [Listener.CUSTOMER, Listener.ENROLMENT])
def test_customers_are_shown_nothing(doors: dict[Listener, grpc.Channel], listener: Listener):
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(doors[listener])
    with pytest.raises(grpc.RpcError) as refused:
        list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10))
    assert code_of(refused.value) is grpc.StatusCode.UNIMPLEMENTED


def messages() -> Iterator[tuple[str, type[Message]]]:
    yield from ((verb, method.request) for verb, method in VERBS.items())


def test_an_empty_request_is_answered_or_refused_by_name_of_a_field(doors: dict[Listener, grpc.Channel]):
    for verb, request in messages():
        try:
            call(doors[VERBS[verb].listener], verb, request())
        except Invalid as error:
            assert error.field or "these bytes" in str(error), verb
        except LicdError as error:
            assert error.code.value in {"NOT_FOUND", "SEAL_INVALID", "FORBIDDEN"}, (verb, error)


def test_the_policy_in_force_is_the_one_of_the_state_directory(daemon: Daemon):
    assert (Path(daemon.state.root) / "policies" / "roles.toml").read_bytes() == (
        ROOT / "policies" / "roles.toml"
    ).read_bytes()
