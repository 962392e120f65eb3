"""The daemon as a process: held, stopped, killed, started twice, and with its disk full."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from grpc_health.v1 import health_pb2

from licd.core.errors import DatabaseFailed, DiskFull, Held, LicdError
from licd.ledger.database import SqliteConnection
from licd.ledger.rows import CUSTOMERS, LEASES, SUSPENSIONS
from licd.server.caller import Listener
from licd.server.reserve import MEBIBYTE, FileReserve
from licd.server.state_dir import DirectoryInUse, StateDirectory
from licd.v1 import customer_service_pb2, licence_service_pb2, operator_pb2, session_pb2, session_service_pb2
from tests.daemon import (
    PATIENCE,
    Daemon,
    Papers,
    call,
    code_of,
    copy_state,
    fresh,
    health_stub,
    lets_licd_fail,
    new_id,
    serving,
)
from tests.gate.parent import Parent
from tests.office import Office, Operator
from tests.process import Process
from tests.wired_system import System, acquire, acquisition, joined

SUSPENDED = operator_pb2.LICENCE_STATUS_SUSPENDED


# ---------------------------------------------------------------------------------------------------------------- hold


def signed(daemon: Daemon) -> float:
    """How many payloads were signed online."""
    kinds = ("permit", "denial", "directive")
    return sum(daemon.metric("licd_sign_seconds_count", kind=kind) for kind in kinds)


def test_a_held_machine_signs_nothing_and_still_suspends(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    licence = office.licence()
    system, beating = joined(office, licence), joined(office, licence)
    system.open(acquire(1))
    beating.open()
    other = office.licence()
    daemon.state.hold.touch()
    before = signed(daemon)
    assert any(each.startswith("hold") for each in office.alice.status().impediments)
    link = system.link(opens=True)
    for attempt in (lambda: system.send_open(link), lambda: system.acquire(2), office.licence):
        with pytest.raises(Held):
            attempt()
    with beating.stream() as stream:
        stream.send(beating.link())
        with pytest.raises(Held):
            stream.reply()
    assert office.alice.suspend(other).licences[0].status == SUSPENDED
    assert signed(daemon) == before
    daemon.state.hold.unlink()
    assert list(office.alice.status().impediments) == []
    system.take(link, system.send_open(link).reply)
    office.licence()


# ---------------------------------------------------------------------------------------------------------------- stop


def test_a_daemon_that_stops_ends_streams_without_an_error_and_finishes_calls(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(drain_seconds=60)
    office = Office(daemon)
    system = joined(office)
    system.open(acquire(1))
    with system.stream() as stream, ThreadPoolExecutor(4) as pool:
        stream.beat()
        calls = [pool.submit(office.alice.customer) for _ in range(20)]
        made = [each.result() for each in calls[:5]]
        daemon.begin_stop()
        assert list(stream.rest()) == []
        outcomes = [each.exception() for each in calls]
    daemon.stop()
    assert all(error is None or isinstance(error, LicdError | grpc.RpcError) for error in outcomes)
    rows = SqliteConnection(daemon.state.database, readonly=True)
    names = {each.id for each in CUSTOMERS.where(rows)}
    rows.close()
    answered = {each.result() for each in calls if each.exception() is None}
    assert {*made, *answered} <= names


def test_a_call_made_while_it_stops_is_answered_or_turned_away_undecided(own_daemon: Callable[..., Daemon]):
    """Never cancelled: whoever is cancelled does not know whether it was done."""
    daemon = own_daemon(drain_seconds=60)
    operators = [Operator.of(daemon, "alice") for _ in range(12)]
    enough = threading.Event()

    def go_on(operator: Operator) -> tuple[str, BaseException]:
        for turn in range(100_000):
            name = fresh("customer")
            try:
                operator.unassessed(name)
            except (grpc.RpcError, LicdError) as error:
                return name, error
            if turn == 4:
                enough.set()
        raise AssertionError("it did not stop")

    with ThreadPoolExecutor(len(operators)) as pool:
        callers = [pool.submit(go_on, each) for each in operators]
        assert enough.wait(PATIENCE)
        daemon.begin_stop()
        ends = [each.result() for each in callers]
    daemon.stop()
    assert {code_of(error) for _, error in ends} == {grpc.StatusCode.UNAVAILABLE}
    rows = SqliteConnection(daemon.state.database, readonly=True)
    made = {each.id for each in CUSTOMERS.where(rows)}
    rows.close()
    assert made.isdisjoint(name for name, _ in ends)


def test_health_says_no_when_it_stops(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon(drain_seconds=60)
    alice = Operator.of(daemon, "alice")
    watching = health_stub(alice.channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
    daemon.begin_stop()
    assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watching.cancel()
    daemon.stop()


def test_leases_and_chains_survive_a_restart(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    system = joined(office)
    system.open(acquire(1), acquire(2))
    lost = system.link(acquire(3))
    with system.stream() as stream:
        stream.send(lost)
        first = stream.reply()
    daemon.stop()
    system.daemon = own_daemon()
    system.channel = system.connect()
    with system.stream() as stream:
        stream.send(lost, system.last_reply)
        again = stream.reply()
        assert again.payload == first.payload
        permit = system.take(lost, again)
        assert len(permit.leases) == 3
        stream.beat()


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    with pytest.raises(DirectoryInUse):
        Daemon(StateDirectory(daemon.state.root)).start()
    Operator.of(daemon, "alice").status()


# ---------------------------------------------------------------------------------------------------------------- disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("a full disk needs root, to mount a small tmpfs")
    mounted = tmp_path / "disk"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "licd-test", str(mounted)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"a full disk needs a tmpfs, and mounting one was refused: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room there is."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def until_full(system: System) -> int:
    """Asks for leases until the disk is full. Returns how many were answered."""
    for count in range(4_000):
        try:
            system.acquire(count)
        except DiskFull:
            return count
    raise AssertionError("the disk was never full")


@lets_licd_fail
def test_a_full_disk_is_told_grants_are_refused_and_a_suspension_is_still_written(small_disk: Path, template: Path):
    state = copy_state(template, small_disk / "state", reserve_mebibytes=4, drain_seconds=1)
    with serving(state) as daemon:
        office = Office(daemon)
        licence = office.licence()
        system = joined(office, licence)
        system.open(acquire(1))
        filler = fill(small_disk)
        until_full(system)
        assert "disk: full, running on the reserve" in office.alice.status().impediments
        for _ in range(3):
            with pytest.raises(DiskFull):
                system.acquire(5_000)
        with pytest.raises(DiskFull):
            system.open()
        assert daemon.metric("licd_batches_failed_total", why="disk_full") >= 1
        assert not daemon.up.daemon.jobs._reserve.held()
        suspended = office.alice.suspend(licence)
        assert suspended.licences[0].status == SUSPENDED
        high = daemon.state.root.joinpath("ratchet").read_text()
        assert f" {licence} 2\n" in high
        assert "disk: full, running on the reserve" in office.alice.status().impediments
        filler.unlink()
        office.reinstate(licence)
        system.open(acquire(1))
        assert list(office.alice.status().impediments) == []
        assert daemon.up.daemon.jobs._reserve.held()
    with serving(state) as daemon:
        assert Operator.of(daemon, "alice").licence_of(licence).epoch == 3


def test_the_reserve_is_not_taken_from_the_room_it_has_just_given_back(small_disk: Path):
    """Else licd would believe the disk to have room, and find out with every grant that it has none."""
    reserve = FileReserve(small_disk / "reserve", 4 * MEBIBYTE)
    assert reserve.restore()
    filler = fill(small_disk)
    assert reserve.held()
    reserve.release()
    assert not reserve.restore()
    assert not reserve.held()
    filler.unlink()
    assert reserve.restore()


# ---------------------------------------------------------------------------------------------------------------- kill


@dataclass
class Acknowledged:
    """What licd has said that it did."""

    customers: set[str] = field(default_factory=set)
    leases: set[int] = field(default_factory=set)
    suspensions: set[str] = field(default_factory=set)


class Load:
    """Three callers who go on until nobody answers."""

    def __init__(self, process: Process, alice: Papers, system: System, licence: str, told: Acknowledged) -> None:
        self.told = told
        self.enough = threading.Event()
        self.system, self.licence = system, licence
        self.desk = process.channel(Listener.OPERATOR, alice)
        self.line = process.channel(Listener.CUSTOMER, system.papers)
        self.threads = [threading.Thread(target=self._go, args=(each,)) for each in (self.make, self.lease, self.stop)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join(PATIENCE)
        self.desk.close()
        self.line.close()

    def _go(self, work: Callable[[int], None]) -> None:
        for turn in range(100_000):
            try:
                work(turn)
            except (grpc.RpcError, LicdError):
                return
            if turn == 12:
                self.enough.set()

    def make(self, _: int) -> None:
        name = fresh("customer")
        request = customer_service_pb2.CreateCustomerRequest(request_id=new_id(), customer=name, name=name)
        call(self.desk, "CustomerService.CreateCustomer", request, 3)
        self.told.customers.add(name)

    def lease(self, turn: int) -> None:
        request = session_service_pb2.AcquireLeaseRequest(request_id=new_id(), acquisition=acquisition(turn % 3))
        answer = call(self.line, "SessionService.AcquireLease", request, 3)
        if answer.HasField("permit"):
            self.told.leases |= set(session_pb2.Permit.FromString(answer.permit.payload).leases)

    def stop(self, _: int) -> None:
        scope = licence_service_pb2.SuspensionScope(licence=self.licence)
        request = licence_service_pb2.SuspendLicenceRequest(
            request_id=new_id(), scope=scope, reason_code="manual", detail="again"
        )
        self.told.suspensions.add(call(self.desk, "LicenceService.SuspendLicence", request, 3).suspension)


def prepared(template: Path, root: Path) -> tuple[StateDirectory, System, str]:
    """A state directory with a system that has a session, and another licence to suspend."""
    state = copy_state(template, root)
    with serving(state) as daemon:
        office = Office(daemon)
        system = joined(office)
        system.open()
        return state, system, office.licence()


def missing(state: StateDirectory, told: Acknowledged) -> dict[str, Any]:
    rows = SqliteConnection(state.database, readonly=True)
    found = {
        "customers": told.customers - {each.id for each in CUSTOMERS.where(rows)},
        "leases": told.leases - {each.id for each in LEASES.where(rows)},
        "suspensions": told.suspensions - {each.id for each in SUSPENSIONS.where(rows)},
    }
    rows.close()
    return {name: lost for name, lost in found.items() if lost}


KILLS = 6


@pytest.mark.timeout(120)
def test_what_was_acknowledged_is_there_after_any_kill(tmp_path: Path, template: Path):
    state, system, licence = prepared(template, tmp_path / "state")
    folder = state.operator("alice")
    alice = Papers((folder / "tls.key").read_bytes(), (folder / "tls.pem").read_bytes())
    told = Acknowledged()
    with closing(Parent()) as parent:
        for _ in range(KILLS):
            process = Process(state, parent=parent).start()
            assert missing(state, told) == {}
            try:
                with Load(process, alice, system, licence, told) as load:
                    assert load.enough.wait(PATIENCE)
                    process.kill()
            finally:
                process.kill()
    assert len(told.customers) >= KILLS
    assert len(told.suspensions) >= KILLS
    assert told.leases
    with serving(state):
        assert missing(state, told) == {}


def test_a_call_that_only_reads_says_that_the_database_failed_it(own_daemon: Callable[..., Daemon]):
    daemon = own_daemon()
    office = Office(daemon)
    with closing(sqlite3.connect(daemon.state.database, isolation_level=None)) as meddler:
        meddler.execute("ALTER TABLE customer RENAME TO gone")
    with pytest.raises(DatabaseFailed, match="can be asked again"):
        office.alice.call("CustomerService.ListCustomers", customer_service_pb2.ListCustomersRequest())
