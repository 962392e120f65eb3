"""Two copies of one system: found on the first divergent link and proved; no honest system is taken for one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random  # noqa: TID251 - seeded

import pytest

from licd.client import LeaseDenied
from licd.client.answers import Reason
from licd.client.sync import System
from licd.core.errors import Behind, Forked, LicdError
from licd.server.state_dir import StateDirectory
from licd.v1 import deployment_service_pb2, operator_pb2, session_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_service_pb2 import OpenSessionRequest
from tests.attacks.wire import Honest, asked, crash, eventually
from tests.daemon import Daemon, call, serving
from tests.office import Office
from tests.server.test_fork_evidence import Outsider, evidence_of
from tests.wired_system import System as WiredSystem
from tests.wired_system import acquire, enrolled_anew, joined, reason, release

STOPPED = {Reason.SYSTEM_FENCED, Reason.DEPLOYMENT_REVOKED}


def status_of(office: Office, deployment: str) -> operator_pb2.DeploymentStatus.ValueType:
    request = deployment_service_pb2.GetDeploymentRequest(deployment=deployment)
    answer = office.alice.call("DeploymentService.GetDeployment", request)
    found: operator_pb2.DeploymentStatus.ValueType = answer.deployment.status
    return found


def deployment_of(system: System) -> str:
    return system.name.rpartition("/")[2]


def work_once(directory: Path, number: int, limit: float = 5) -> str:
    """A process on a directory: opens a session, gets a lease, gives it back, ends. Returns the deployment's name."""
    with Honest(directory).opened() as system:
        system.acquire(**asked(number, limit)).release()
        return deployment_of(system)


def test_state_directory_copied_two_processes_alternating_open_session(office: Office, tmp_path: Path):
    """Each by turns is the only one that runs, so that neither is ever seen beside the other."""
    one, two = tmp_path / "one", tmp_path / "two"
    Honest.enrolled(office, one)
    shutil.copytree(one, two)
    name = work_once(one, 1)
    with pytest.raises((LeaseDenied, TimeoutError)):
        work_once(two, 2)
    assert status_of(office, name) == operator_pb2.DEPLOYMENT_STATUS_FENCED
    with pytest.raises(LeaseDenied) as denied:
        work_once(one, 1)
    assert denied.value.denied.reason in STOPPED


def test_copied_machine_both_at_work_is_proved_to_an_outsider(office: Office, tmp_path: Path):
    """The whole machine was copied, memory too: both go on with the same session, boot nonce and leases."""
    system = joined(office)
    system.open(acquire(1))
    copied = (system.sequence, system.previous, system.session, list(system.held), system.last_reply)
    with system.stream() as first:
        first.beat()
        system.sequence, system.previous, system.session, system.held, system.last_reply = copied
        with system.stream(system.connect()) as second:
            second.send(system.link(), system.last_reply)
            with pytest.raises(Forked):
                second.reply()
    finding = Outsider(office, tmp_path).finding(evidence_of(office, system))
    assert (finding["ground"], finding["system"]) == ("two-links", system.name)


def test_snapshot_restored(office: Office, tmp_path: Path):
    """A directory is put back as it was: what it says next does not follow, and re-enrolment is the way back."""
    place, kept = tmp_path / "system", tmp_path / "kept"
    licence = office.licence()
    Honest.enrolled(office, place, licence)
    work_once(place, 1)
    shutil.copytree(place, kept)
    name = work_once(place, 1)
    shutil.rmtree(place)
    kept.rename(place)
    with pytest.raises((LeaseDenied, TimeoutError)):
        work_once(place, 1)
    assert status_of(office, name) == operator_pb2.DEPLOYMENT_STATUS_FENCED
    request = deployment_service_pb2.GetForkRequest(deployment=name)
    evidence = office.alice.call("DeploymentService.GetFork", request).evidence
    assert Outsider(office, tmp_path).finding(evidence)["system"].endswith(name)
    office.agree(
        "DeploymentService.ReenrolDeployment",
        deployment_service_pb2.ReenrolDeploymentRequest(deployment=name, detail="a snapshot was put back"),
    )
    System.enrol(office.alice.invite(licence, name), place)
    with Honest(place).opened() as system:
        assert system.acquire(**asked(2)).check() > 0
    assert status_of(office, name) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED


def test_a_copy_that_can_only_repeat_an_old_link_gets_nothing_and_is_no_fork(
    daemon: Daemon, office: Office, tmp_path: Path
):
    """Copied while it ran, and started after the original went on: what it has to say is byte for byte an old link.

    It says nothing that diverges, so nobody is fenced; and it never gets a reply that it could go on from.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    honest = Honest.enrolled(office, one)
    with honest.opened() as system:
        lease = system.acquire(**asked(1))
        shutil.copytree(one, two)
        for _ in range(2):
            links = system.status.links
            honest.clock.advance(5_000)
            eventually(lambda: system.status.links > links, system)  # noqa: B023 -- looked at before it changes
        dropped = daemon.metric("licd_frames_dropped_total", why="stale")
        with pytest.raises(TimeoutError):
            work_once(two, 2, limit=2)
        assert daemon.metric("licd_frames_dropped_total", why="stale") > dropped
        assert lease.usable
        assert status_of(office, deployment_of(system)) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED


@pytest.mark.parametrize("seed", range(3))
def test_crash_loops_lost_replies_and_late_frames_of_an_honest_system_are_no_fork(
    office: Office, tmp_path: Path, daemon: Daemon, seed: int
):
    chance = Random(seed)
    honest = Honest.enrolled(office, tmp_path)
    wire = honest.wire
    before = daemon.metric("licd_forks_total")
    name = ""
    for turn in range(8):
        wire.drops_up = lambda _: chance.random() < 0.3
        wire.drops_down = lambda frame: frame.HasField("reply") and chance.random() < 0.4
        wire.loses_request = lambda _: chance.random() < 0.2
        wire.loses_answer = lambda _: chance.random() < 0.4
        system = honest.opened()
        system.start()
        name = deployment_of(system)
        with suppress(TimeoutError):
            system.acquire(**asked(turn % 3, 0.3))
        honest.clock.advance(chance.choice((0, 5_000, 40_000)))
        if chance.random() < 0.3:
            system.close()
        else:
            crash(system)
    wire.mend()
    assert wire.lost > 5
    with honest.opened() as system:
        assert system.acquire(**asked(1)).check() > 0
    assert status_of(office, name) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED
    assert daemon.metric("licd_forks_total") == before


def test_late_frame_after_reconnect_is_no_fork(system: WiredSystem, office: Office):
    """Every frame that was ever sent comes once more, late, over a connection that is younger than it."""
    frames: list[Envelope] = []
    for turn in range(3):
        opening = system.link(acquire(turn), opens=True)
        frames.append(opening)
        system.take(opening, system.send_open(opening).reply)
        with system.stream() as stream:
            for _ in range(2):
                link = system.link()
                frames.append(link)
                stream.send(link)
                system.take(link, stream.reply())
    for late in frames[:-1]:
        if session_pb2.Link.FromString(late.payload).HasField("opening"):
            with pytest.raises(LicdError, match="late"):
                call(system.connect(), "SessionService.OpenSession", OpenSessionRequest(link=late))
        else:
            with system.stream(system.connect()) as stream:
                stream.send(late)
                stream.finish()
                assert list(stream.rest()) == []
    assert status_of(office, system.deployment) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED
    with system.stream() as stream:
        assert isinstance(stream.beat(), session_pb2.Permit)


def test_replay_of_any_recorded_frame(daemon: Daemon, office: Office):
    """Whoever recorded everything, with the system's papers in hand, changes nothing by saying it again."""
    system = joined(office)
    recorded = [system.link(acquire(1), acquire(2), opens=True)]
    system.take(recorded[0], system.send_open(recorded[0]).reply)
    with system.stream() as stream:
        for operation in (acquire(3), release(system.held[0]), acquire(1)):
            link = system.link(operation)
            recorded.append(link)
            stream.send(link)
            system.take(link, stream.reply())
    before = look(office, system)
    size = daemon.up.daemon.ledger.log_size
    for link in recorded * 2:
        with suppress(LicdError):
            call(system.connect(), "SessionService.OpenSession", OpenSessionRequest(link=link))
        with system.stream(system.connect()) as stream:
            stream.send(link)
            stream.finish()
            with suppress(LicdError, StopIteration):
                while True:
                    stream.frame()
    assert look(office, system) == before
    assert daemon.up.daemon.ledger.log_size == size
    with system.stream() as stream:
        assert isinstance(stream.beat(), session_pb2.Permit)


def look(office: Office, system: WiredSystem) -> tuple[object, ...]:
    request = deployment_service_pb2.GetDeploymentRequest(deployment=system.deployment)
    found = office.alice.call("DeploymentService.GetDeployment", request).deployment
    return found.status, found.sequence, found.session, list(system.held)


def test_old_server_backup(own_daemon: Callable[..., Daemon], tmp_path: Path):
    """licd is put back to an older state and meets a system that has gone on: licd is the one behind, and says so.

    The ratchet is put back too, so that nothing but the system's last reply can show it.
    """
    daemon = own_daemon()
    office = Office(daemon)
    system = joined(office)
    system.open(acquire(1))
    root = daemon.state.root
    daemon.stop()
    kept = tmp_path / "kept"
    shutil.copytree(root, kept)
    with serving(StateDirectory(root)) as later:
        system.daemon, system.channel = later, None  # type: ignore[assignment]
        system.channel = system.connect()
        with system.stream() as stream:
            for _ in range(3):
                stream.beat()
        lost = system.link()
    with serving(StateDirectory(kept)) as restored:
        system.daemon = restored
        with system.stream(system.connect()) as stream:
            stream.send(lost, system.last_reply)
            with pytest.raises(Behind):
                stream.reply()
        again = Office(restored)
        assert status_of(again, system.deployment) == operator_pb2.DEPLOYMENT_STATUS_ENROLLED
        assert any("behind" in each for each in restored.up.daemon.impediments())
        assert restored.metric("licd_forks_total") == 0
        with pytest.raises(Behind):
            again.alice.invite("licence-of-nobody")


def test_fenced_system_comes_back_by_four_eyes_only(office: Office):
    system = joined(office)
    system.open()
    copied = (system.sequence, system.previous, system.session, list(system.held), system.last_reply)
    with system.stream() as stream:
        stream.beat()
    system.sequence, system.previous, system.session, system.held, system.last_reply = copied
    with system.stream(system.connect()) as stream:
        stream.send(system.link(nonce=b"copy"))
        with pytest.raises(Forked):
            stream.reply()
    request = deployment_service_pb2.ReenrolDeploymentRequest(deployment=system.deployment, detail="a copy")
    answer = office.alice.call("DeploymentService.ReenrolDeployment", request)
    assert answer.WhichOneof("outcome") == "approval"
    assert status_of(office, system.deployment) == operator_pb2.DEPLOYMENT_STATUS_FENCED
    refused = system.read(system.send_open(system.link(opens=True)).reply)
    assert reason(refused) == "SYSTEM_FENCED"
    anew = enrolled_anew(office, system)
    assert isinstance(anew.open(acquire(1)), session_pb2.Permit)
