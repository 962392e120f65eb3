"""Replicas on one PostgreSQL database decide as one: what is granted, stopped, withdrawn at one holds at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from licd.client import sync as sdk
from licd.core.errors import Unauthenticated
from licd.core.terms import Basis
from licd.server import jobs
from licd.server.caller import Listener
from licd.server.config import read_config
from licd.server.store import Store
from licd.server.transfer import export_rows
from licd.v1 import customer_service_pb2, key_service_pb2, session_pb2, status_service_pb2
from tests.daemon import PATIENCE, Daemon, fresh, make_state, new_id
from tests.eventually import eventually
from tests.office import Office
from tests.postgres import Server, serving_postgres
from tests.replicas import replicas, shared_states
from tests.wired_system import PURPOSE, System, acquire, joined, reason, target


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving_postgres() as made:
        yield made


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[list[Daemon]]:
    state = make_state(tmp_path_factory.mktemp("replicas") / "licd")
    with replicas(shared_states(state, server.new_database(), 2)) as running:
        yield running


def at(daemon: Daemon, system: System) -> System:
    """The same system, which now calls another replica."""
    return replace(system, daemon=daemon)


@dataclass
class Two:
    """Alice and Bob at each of two replicas."""

    daemons: list[Daemon]
    first: Office = field(init=False)
    second: Office = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = (Office(each) for each in self.daemons)


@pytest.fixture
def two(daemons: list[Daemon]) -> Two:
    return Two(daemons)


def test_a_cap_is_one_cap_whichever_replica_is_asked(two: Two):
    licence = two.first.licence(cap=2)
    alpha = joined(two.first, licence)
    beta = at(two.daemons[1], joined(two.first, licence))
    alpha.open(acquire(1))
    beta.open(acquire(2))
    assert len(alpha.held) == len(beta.held) == 1
    for system in (alpha, beta, alpha, beta):
        with system.stream() as stream:
            answer = stream.beat(acquire(3))
        assert [reason(each) for each in answer.outcomes] == ["CONCURRENT_CAP"]


def test_a_chain_goes_on_at_another_replica_and_back(two: Two):
    system = joined(two.first, two.first.licence())
    system.open(acquire(1))
    for daemon in (two.daemons[1], two.daemons[0], two.daemons[1]):
        moved = at(daemon, system)
        with moved.stream() as stream:
            link = moved.link()
            stream.send(link, moved.last_reply)
            assert isinstance(moved.take(link, stream.reply()), session_pb2.Permit)
        system = moved
    assert len(system.held) == 1


def test_a_suspension_at_one_replica_reaches_the_streams_of_the_other(two: Two):
    licence = two.first.licence()
    system = at(two.daemons[1], joined(two.first, licence))
    system.open(acquire(1))
    with system.stream() as stream:
        stream.beat()
        answer = two.first.alice.suspend(licence)
        assert stream.directive().epoch == answer.licences[0].epoch
        refused = stream.beat()
    assert reason(refused) == "LICENCE_SUSPENDED"


def test_no_permit_is_decided_at_the_other_replica_once_a_suspension_is_answered(two: Two):
    licence = two.first.licence()
    system = at(two.daemons[1], joined(two.first, licence))
    system.open(acquire(1))
    for _ in range(5):
        two.first.alice.suspend(licence)
        with system.stream() as stream:
            assert reason(stream.beat()) == "LICENCE_SUSPENDED"
        two.second.reinstate(licence)
        system.open(acquire(1))


def test_an_operator_who_is_disabled_at_one_replica_is_nobody_at_the_other(two: Two):
    carol = two.first.admit(fresh("carol"), "operator")
    there = replace(carol, daemon=two.daemons[1])

    def answered() -> bool:
        try:
            there.call("StatusService.GetStatus", status_service_pb2.GetStatusRequest())
        except Unauthenticated:
            return False
        return True

    assert answered()
    two.first.alice.call(
        "KeyService.DisableOperator", key_service_pb2.DisableOperatorRequest(operator=carol.name, detail="left")
    )
    eventually(lambda: not answered(), PATIENCE, "she is nobody")


def test_a_request_id_is_answered_once_whichever_replica_is_asked(two: Two):
    request = customer_service_pb2.CreateCustomerRequest(customer=fresh("once"), name="Once", request_id=new_id())
    assert two.first.alice.call("CustomerService.CreateCustomer", request) == two.second.alice.call(
        "CustomerService.CreateCustomer", request
    )


def test_the_log_of_both_is_one_log_that_holds(two: Two, tmp_path: Path):
    for office in (two.first, two.second, two.first):
        office.licence()
    state = two.daemons[0].state
    config = read_config(state.root)
    made = export_rows(Store.of(state, config), config, tmp_path / "all.db")
    assert made.log_size > 3


def test_a_system_goes_on_at_another_replica_when_its_own_is_gone(tmp_path: Path, server: Server):
    states = shared_states(make_state(tmp_path / "licd"), server.new_database(), 2)
    with replicas(states) as running:
        addresses = ",".join(each.address(Listener.CUSTOMER) for each in running)
        for each in running:
            each.up.daemon.addresses.customer = addresses
        office = Office(running[0])
        sdk.System.enrol(office.alice.invite(office.licence()), tmp_path / "system")
        with sdk.System.open(tmp_path / "system") as system:
            lease = system.acquire(
                target=target(1), purpose=PURPOSE, claims=[("NO", Basis.NUMBER_PLAN)], limit=PATIENCE
            )
            [its_own] = [each for each in running if each.up.daemon.push.streams]
            [other] = [each for each in running if each is not its_own]
            its_own.stop()
            eventually(lambda: other.up.daemon.push.streams == 1, PATIENCE, "it is at the other one")
            assert lease.check() > 0
            again = system.acquire(
                target=target(2), purpose=PURPOSE, claims=[("NO", Basis.NUMBER_PLAN)], limit=PATIENCE
            )
            assert again.check() > 0
            assert lease.check() > 0


def test_a_suspension_is_told_to_the_other_replica_and_not_found_by_looking(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    """Also after the session that listens was lost: whoever listens anew looks first."""
    monkeypatch.setattr(jobs, "FOLLOW_SECONDS", 3_600)
    url = server.new_database()
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN %' AND datname = current_database()"
    )
    with replicas(shared_states(make_state(tmp_path / "licd"), url, 2)) as running:
        office = Office(running[0])
        licence = office.licence()
        system = at(running[1], joined(office, licence))
        system.open(acquire(1))
        with system.stream() as stream:
            stream.beat()
            for _ in range(2):
                answer = office.alice.suspend(licence)
                assert stream.directive().epoch == answer.licences[0].epoch
                lifted = office.reinstate(licence)
                assert stream.directive().epoch == lifted.epoch
                assert len(server.execute(ended, url.rpartition("/")[2])) == 2
