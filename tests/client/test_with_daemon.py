"""The SDK against the real daemon: real TLS, real files, the machine's own clock."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from licd.client import LeaseDenied, LeaseStopped, Reason
from licd.client.answers import StopCause
from licd.client.errors import SystemClosed
from licd.client.notices import LeaseLost, Reinstated, Suspended
from licd.client.status import InForce
from licd.client.sync import Lease, System
from licd.core.errors import IllegalTransition
from licd.core.terms import ConcurrentTargets, Constraint
from licd.v1 import (
    deployment_service_pb2,
    lease_service_pb2,
    licence_service_pb2,
    operator_pb2,
    overlay_pb2,
    overlay_service_pb2,
)
from tests.client.notices import LIMIT, Told
from tests.daemon import Daemon, make_state, serving
from tests.office import Office
from tests.overlays import EXPORT, saying, signed
from tests.wired_system import PURPOSE, target

NORWAY = [("NO", 1)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with capture_logs(), serving(make_state(tmp_path_factory.mktemp("daemon") / "state", drain_seconds=1)) as made:
        yield made


@pytest.fixture
def office(daemon: Daemon) -> Office:
    return Office(daemon)


def enrolled(office: Office, licence: str, directory: Path) -> str:
    return System.enrol(office.alice.invite(licence), directory)


def opened(directory: Path, told: Told | None = None, **settings: Any) -> System:
    return System.open(directory, callbacks=(told or Told()).callbacks(), **settings)


def asked(number: int) -> dict[str, Any]:
    return {"target": target(number), "purpose": PURPOSE, "claims": NORWAY, "limit": LIMIT}


def usable(lease: Lease) -> bool:
    return lease.usable


def eventually(condition: Callable[[], bool], system: System) -> None:
    """Wait for what no callback tells; each look is a round trip through the system's own thread."""
    for _ in range(20_000):
        if condition():
            return
        assert system.status.failure is None
    pytest.fail("it never came to pass")


def test_a_drill_is_acknowledged_takes_nothing_back_and_opens_the_gate(office: Office, tmp_path: Path) -> None:
    customer = office.alice.customer()
    licence = office.licence(customer)
    name = enrolled(office, licence, tmp_path).rpartition("/")[2]
    with opened(tmp_path) as system, system.lease(**asked(1)) as lease:
        with pytest.raises(IllegalTransition, match=f"{name} has acknowledged no order within 30 days"):
            office.licence(customer)
        drill = licence_service_pb2.DrillLicenceRequest(licence=licence)
        epoch = office.alice.call("LicenceService.DrillLicence", drill).licence.epoch
        request = deployment_service_pb2.GetDeploymentRequest(deployment=name)

        def has_acknowledged() -> bool:
            found = office.alice.call("DeploymentService.GetDeployment", request).deployment
            return bool(found.epoch_acknowledged == epoch)

        eventually(has_acknowledged, system)
        assert lease.usable
        assert office.licence(customer)


def test_a_lease_is_held_suspended_and_reinstated(office: Office, tmp_path: Path) -> None:
    licence = office.licence()
    enrolled(office, licence, tmp_path)
    told = Told()
    with opened(tmp_path, told) as system:
        with system.lease(**asked(1)) as lease:
            assert 0 < lease.check() <= 20_000
            assert lease.region == "NO"
            office.alice.suspend(licence)
            suspended = told.wait(Suspended)
            assert (suspended.denied.reason, suspended.stopped_leases) == (Reason.LICENCE_SUSPENDED, 1)
            with pytest.raises(LeaseStopped, match="to be looked at"):
                lease.check()
            with pytest.raises(LeaseDenied, match="LICENCE_SUSPENDED"):
                system.acquire(**asked(2))
            office.reinstate(licence)
            assert told.wait(Reinstated).epoch == office.alice.licence_of(licence).epoch
            eventually(lambda: lease.usable, system)
        check = system.check_licence()
        assert isinstance(check.standing, InForce)
        assert check.terms == system.licence
        assert system.status.dropped == {}


def test_a_withdrawn_overlay_stops_all_at_once_and_the_authoritys_next_word_brings_it_back(
    office: Office, tmp_path: Path
) -> None:
    customer = office.alice.customer()
    enrolled(office, office.licence(customer), tmp_path)
    now = office.daemon.clock.wall()
    key = overlay_service_pb2.RegisterAuthorityRequest(
        authority="export-no",
        name="Office of Exports",
        kind=overlay_pb2.AUTHORITY_KIND_EXPORT,
        jurisdiction="NO",
        public_key=EXPORT.public_key,
    )
    office.agree("OverlayService.RegisterAuthority", key)

    def lodge(*limits: Constraint, revision: int) -> None:
        said = saying(customer, now, "licd.example", *limits, authority="export-no", revision=revision)
        request = overlay_service_pb2.LodgeOverlayRequest(overlay=signed(said))
        office.agree("OverlayService.LodgeOverlay", request)

    lodge(ConcurrentTargets(1), revision=1)
    told = Told()
    with opened(tmp_path, told) as system, system.lease(**asked(1)) as lease:
        with pytest.raises(LeaseDenied, match="narrowed by overlay export-no/EX-1") as refused:
            system.acquire(**asked(2))
        assert refused.value.denied.overlays == ("export-no/EX-1",)
        withdraw = overlay_service_pb2.WithdrawOverlayRequest(
            overlay="export-no/EX-1", reason_code="export_authority", detail="by letter"
        )
        office.alice.call("OverlayService.WithdrawOverlay", withdraw)
        stopped = told.wait(Suspended)
        assert stopped.stopped_leases == 1
        assert stopped.denied.detail == "overlay export-no/EX-1 was withdrawn"
        with pytest.raises(LeaseStopped, match="export-no/EX-1 was withdrawn"):
            lease.check()
        with pytest.raises(LeaseDenied, match="export-no/EX-1 was withdrawn"):
            system.acquire(**asked(2))
        lodge(revision=2)
        eventually(lambda: lease.usable, system)
        assert usable(system.acquire(**asked(2)))


def test_a_full_cap_names_the_callers_own_seats(office: Office, tmp_path: Path) -> None:
    enrolled(office, office.licence(cap=1), tmp_path)
    with opened(tmp_path) as system:
        held = system.acquire(**asked(1))
        with pytest.raises(LeaseDenied, match="CONCURRENT_CAP") as error:
            system.acquire(**asked(2))
        assert [seat.lease for seat in error.value.denied.seats] == [held.number]
        assert held.release().free_at > 0
        with pytest.raises(LeaseDenied, match="CONCURRENT_CAP"):
            system.acquire(**asked(2))
        assert usable(system.acquire(**asked(1)))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_acts_on_nothing_and_its_parent_goes_on(office: Office, tmp_path: Path) -> None:
    """Nobody tells the child of a suspension: there is no thread in it that could hear."""
    licence = office.licence(grace_ms=60_000)
    enrolled(office, licence, tmp_path)
    told = Told()
    with opened(tmp_path, told) as system:
        lease = system.acquire(**asked(1))
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            said = b"it acts"
            try:
                lease.check()
            except LeaseStopped as stopped:
                said = str(stopped.stopped.cause).encode()
            try:
                lease.release()
            except SystemClosed:
                said += b", closed"
            os.write(theirs, said)
            os._exit(0)
        assert os.read(ours, 200) == b"FORKED, closed"
        os.waitpid(child, 0)
        assert lease.check() > 0
        office.alice.suspend(licence)
        told.wait(Suspended)
        assert not usable(lease)


def test_a_force_released_lease_is_lost_at_once(office: Office, tmp_path: Path) -> None:
    licence = office.licence()
    enrolled(office, licence, tmp_path)
    told = Told()
    with opened(tmp_path, told) as system:
        taken, kept = system.acquire(**asked(1)), system.acquire(**asked(2))
        office.alice.call(
            "LeaseService.ForceReleaseLease",
            lease_service_pb2.ForceReleaseLeaseRequest(lease=taken.number, reason_code="manual", detail="taken back"),
        )
        assert told.wait(LeaseLost).stopped.cause is StopCause.FORCE_RELEASED
        assert not usable(taken)
        assert usable(kept)
        with pytest.raises(LeaseDenied, match="FORCE_RELEASED"):
            system.acquire(**asked(1))


def test_unary_leases_and_a_new_certificate(office: Office, tmp_path: Path) -> None:
    enrolled(office, office.licence(), tmp_path)
    with opened(tmp_path) as system:
        eventually(lambda: system.status.connected, system)
        unary = {name: value for name, value in asked(1).items() if name != "limit"}
        lease = system.acquire_unary(**unary)
        assert lease.check() <= 20_000
        lease.release()
        assert system.renew_certificate()
        assert usable(system.acquire(**asked(2)))
        assert system.status.failure is None


def test_crashes_and_restarts_never_look_like_a_copy(office: Office, tmp_path: Path) -> None:
    name = enrolled(office, office.licence(), tmp_path)
    for turn in range(6):
        system = opened(tmp_path)
        system.start()
        lease = system.acquire(**asked(turn % 2))
        if turn % 3:
            system.close()
        else:
            system.wait(system._inner.abandon())
            system._end_thread()
        assert not usable(lease)
    assert status_of(office, name) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED


def test_two_copies_of_one_directory_are_found_out_and_both_stop(office: Office, tmp_path: Path) -> None:
    name = enrolled(office, office.licence(), tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    told = Told()
    with opened(tmp_path / "one", told) as one:
        lease = one.acquire(**asked(1))
        with opened(tmp_path / "two") as two:
            with pytest.raises((LeaseDenied, TimeoutError)):
                two.acquire(**(asked(2) | {"limit": 3}))
            assert told.wait(Suspended).denied.reason in {Reason.SYSTEM_FENCED, Reason.DEPLOYMENT_REVOKED}
            assert not usable(lease)
    assert status_of(office, name) == operator_pb2.DEPLOYMENT_STATUS_FENCED


def status_of(office: Office, name: str) -> operator_pb2.DeploymentStatus.ValueType:
    request = deployment_service_pb2.GetDeploymentRequest(deployment=name.rpartition("/")[2])
    answer = office.alice.call("DeploymentService.GetDeployment", request)
    found: operator_pb2.DeploymentStatus.ValueType = answer.deployment.status
    return found
