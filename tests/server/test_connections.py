"""Crowds at one door: what they hold there is counted, and the other doors stay open."""

from __future__ import annotations

import json
import resource
import selectors
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from licd.core.errors import Invalid, OverQuota
from licd.core.time import SECOND
from licd.server.caller import Listener
from licd.server.config import Limits
from licd.server.connections import OWN_FILES, budget
from licd.server.health import WATCHES
from licd.server.state_dir import StateDirectory
from licd.v1 import enrolment_service_pb2, status_service_pb2
from tests.daemon import (
    PATIENCE,
    ROOT,
    Daemon,
    Papers,
    call,
    code_of,
    copy_state,
    health_stub,
    open_channel,
    raw_call,
)
from tests.office import Office, Operator
from tests.wired_system import joined

STATUS = "StatusService.GetStatus"


@contextmanager
def crowd(port: int, people: int) -> Iterator[list[socket.socket]]:
    """So many connections that say nothing."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) for _ in range(people)
        ]


def wait_until_shown_out(people: list[socket.socket], staying: int) -> None:
    """Returns when no more than this many are still connected. Fails when nobody leaves for long."""
    with selectors.DefaultSelector() as selector:
        for each in people:
            selector.register(each, selectors.EVENT_READ)
        inside = len(people)
        while inside > staying:
            left = selector.select(PATIENCE)
            assert left, f"{inside} connections are held, {staying} may be"
            for key, _ in left:
                selector.unregister(key.fileobj)
                inside -= 1


def test_one_door_lets_in_no_more_than_its_number_and_the_others_stay_open(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(enrolment_connections=12)
    office = Office(daemon)
    with crowd(daemon.up.port(Listener.ENROLMENT), 60) as people:
        wait_until_shown_out(people, 12)
        office.alice.status()
        assert daemon.channel(Listener.OPERATOR, office.alice.papers)
        Operator.of(daemon, "carol").status()


def test_who_says_nothing_is_shown_out_and_his_place_is_free_again(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(enrolment_connections=5, handshake_seconds=1)
    with crowd(daemon.up.port(Listener.ENROLMENT), 5) as people:
        wait_until_shown_out(people, 0)
        joined(Office(daemon)).open()


def test_who_only_shakes_hands_is_shown_out_too(own_daemon: Callable[..., Daemon]):
    """TLS is done, and then not a byte of HTTP/2."""
    daemon = own_daemon(handshake_seconds=1)
    trust = ssl.create_default_context(cadata=daemon.authority.decode())
    trust.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", daemon.up.port(Listener.ENROLMENT)), timeout=PATIENCE)
    with trust.wrap_socket(raw, server_hostname="localhost") as silent:
        while silent.recv(4096):
            pass


def test_a_stay_at_the_enrolment_door_is_short_whatever_one_does_there(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(enrolment_stay_seconds=1)
    watch = health_stub(daemon.channel(Listener.ENROLMENT)).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    with pytest.raises(grpc.RpcError) as ended:
        list(watch)
    assert code_of(ended.value) is not grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_stranger_may_send_no_more_than_an_enrolment_needs(daemon: Daemon):
    request = enrolment_service_pb2.EnrolRequest(join_secret="x" * 20_000).SerializeToString()
    with pytest.raises(OverQuota) as refused:
        raw_call(daemon.channel(Listener.ENROLMENT), "EnrolmentService.Enrol", request)
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED


# -------------------------------------------------------------------------------------- what is not of the protocol


def health_code(stub: Any) -> grpc.StatusCode:
    try:
        stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    except grpc.RpcError as error:
        return code_of(error)
    return grpc.StatusCode.OK


def test_a_health_check_is_a_request_like_any_other(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(enrolments_per_second=1, enrolments_at_once=3)
    stub = health_stub(daemon.channel(Listener.ENROLMENT))
    codes = [health_code(stub) for _ in range(10)]
    assert codes[:3] == [grpc.StatusCode.OK] * 3
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
    assert daemon.metric("licd_refused_total", listener="enrolment", why="OVER_QUOTA") >= 1
    daemon.clock.passed += 10 * SECOND
    assert health_code(stub) is grpc.StatusCode.OK


def test_one_caller_watches_health_a_few_times_and_a_place_left_is_free_again(daemon: Daemon, office: Office):
    stub = health_stub(office.alice.channel)
    watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE) for _ in range(WATCHES)]
    for each in watches:
        next(each)
    with pytest.raises(grpc.RpcError) as refused:
        next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE))
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    next(health_stub(office.bob.channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE))
    for each in watches:
        each.cancel()
    while True:
        try:
            next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE))
        except grpc.RpcError as error:
            assert code_of(error) is grpc.StatusCode.RESOURCE_EXHAUSTED  # the cancelled ones are still on their way
        else:
            return


def test_each_question_to_reflection_is_a_request(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(requests_per_second=1, requests_at_once=3)
    alice = Operator.of(daemon, "alice")
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(alice.channel)
    questions = [reflection_pb2.ServerReflectionRequest(list_services="")] * 20
    with pytest.raises(grpc.RpcError) as refused:
        list(stub.ServerReflectionInfo(iter(questions), timeout=PATIENCE))
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("listener", list(Listener))
def test_a_method_that_nobody_serves_is_counted(daemon: Daemon, office: Office, listener: Listener):
    system = joined(office)
    papers = {Listener.OPERATOR: office.alice.papers, Listener.CUSTOMER: system.papers, Listener.ENROLMENT: None}
    before = daemon.metric("licd_refused_total", listener=listener.value, why="UNIMPLEMENTED")
    with pytest.raises(grpc.RpcError) as refused:
        unheard: Any = daemon.channel(listener, papers[listener]).unary_unary("/licd.v1.X/DoAll", None, None)
        unheard(b"", timeout=PATIENCE)
    assert code_of(refused.value) is grpc.StatusCode.UNIMPLEMENTED
    assert daemon.metric("licd_refused_total", listener=listener.value, why="UNIMPLEMENTED") == before + 1


# ---------------------------------------------------------------------------------------------------- a whole process


@pytest.fixture
def files() -> Iterator[None]:
    """Lets this process open enough files for a crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def few_files(tmp_path: Path, template: Path) -> Iterator[tuple[StateDirectory, dict[str, int]]]:
    """A licd that may open 640 files, and its ports."""
    state = copy_state(template, tmp_path / "state", drain_seconds=1)
    shell = ["sh", "-c", 'ulimit -n 640 && exec "$@"', "sh"]
    serve = [*shell, sys.executable, "-m", "licd.server", "serve", "--state", str(state.root)]
    with subprocess.Popen(serve, cwd=ROOT, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            up = next(said for said in map(json.loads, process.stderr) if said["event"] == "licd serves")
            yield state, {each.value: up[each.value] for each in Listener}
        finally:
            process.kill()


@pytest.mark.usefixtures("files")
def test_crowds_at_two_doors_of_a_process_with_few_files_do_not_lock_the_operators_out(
    few_files: tuple[StateDirectory, dict[str, int]],
):
    state, ports = few_files
    folder = state.operator("alice")
    papers = Papers((folder / "tls.key").read_bytes(), (folder / "tls.pem").read_bytes())
    authority = state.authority[0].read_bytes()
    with (
        crowd(ports["enrolment"], 400),
        crowd(ports["customer"], 400),
        open_channel(f"localhost:{ports['operator']}", authority, papers) as channel,
    ):
        call(channel, STATUS, status_service_pb2.GetStatusRequest())


def test_operators_and_enrolment_have_their_files_before_customers_get_theirs(monkeypatch: pytest.MonkeyPatch):
    limits = Limits(enrolment_connections=10, operator_connections=20, customer_connections=100)

    def with_files(number: int) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (number, number))
        monkeypatch.setattr(resource, "setrlimit", lambda *_: None)

    with_files(OWN_FILES + 130)
    assert budget(limits)[Listener.CUSTOMER] == 100
    with_files(OWN_FILES + 31)
    assert budget(limits) == {Listener.ENROLMENT: 10, Listener.OPERATOR: 20, Listener.CUSTOMER: 1}
    with_files(OWN_FILES + 30)
    with pytest.raises(Invalid, match="LimitNOFILE"):
        budget(limits)
