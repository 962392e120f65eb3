"""The reference for high availability under load: its primary is killed, switched over, or its Patroni stands still.

Only `make nightly` runs it: it waits for leases of etcd to run out. The third harm is the one that a watchdog is for:
two servers take writes, and what licd acknowledges at either must be true of the one that stays.
"""

from __future__ import annotations

import http
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from licd.core.errors import DatabaseFailed
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.daemon import fresh
from tests.eventually import boot_ms, eventually
from tests.gate.load import Asker, Caller, Desk, Holder, Load
from tests.gate.row import Row, Tool, Trial
from tests.gate.rows.replicas import REPLICAS, Ground, unknown
from tests.gate.stage import wide_licence
from tests.office import Office
from tests.patroni import COMES_WITHIN, LICD, Cluster, Node, patroni_cluster
from tests.process import Process
from tests.wired_system import Reply, System, acquire

PATRONI = Tool("/usr/bin/patroni", ".ci/nightly, or apt-get install patroni python3-etcd")
ETCD = Tool("/usr/bin/etcd", ".ci/nightly, or apt-get install etcd-server")
CALLS_AGAIN_AFTER = 0.2
CLOSED = "closed channel"


@dataclass
class Steady:
    """Callers who go to another replica when one does not answer, as the SDK does, until it is over."""

    ground: Ground
    chance: random.Random
    over: threading.Event

    def callers(self) -> list[Caller]:
        """Everybody."""
        crowd = self.ground.crowd
        everybody: list[Desk | Holder | Asker] = [crowd.desk, *crowd.holders, *crowd.askers]
        return [self._on(each) for each in everybody]

    def _on(self, who: Desk | Holder | Asker) -> Caller:
        chance = random.Random(self.chance.random())

        def live() -> None:
            while not self.over.is_set():
                who.process = chance.choice(self.ground.processes)
                if not isinstance(who, Desk):
                    who.system.daemon = who.process
                try:
                    who.live()
                except (DatabaseFailed, grpc.RpcError, StopIteration):
                    pass
                except ValueError as error:  # gRPC's word for a channel that was closed with its licd
                    if CLOSED not in str(error):
                        raise
                self.over.wait(CALLS_AGAIN_AFTER)

        return live


@dataclass
class Stage:
    """The cluster, the replicas of licd on it, and one licence that is suspended while the harm is done."""

    trial: Trial
    cluster: Cluster
    ground: Ground
    passfile: Path

    @classmethod
    def of(cls, trial: Trial, cluster: Cluster) -> Stage:
        """licd on all three, each beginning with its own machine's PostgreSQL."""
        passfile = trial.folder / "passfile"
        passfile.write_text(f"*:*:*:{LICD[0]}:{LICD[1]}\n")
        passfile.chmod(0o600)
        ground = Ground(trial, cluster.url(passfile, 0))
        for number in range(1, REPLICAS):
            file = ground.states[number].root / "licd.toml"
            text, old = file.read_text(), cluster.url(passfile, 0)
            assert old in text
            file.write_text(text.replace(old, cluster.url(passfile, number)))
            ground.processes[number].kill()
            ground.processes[number].start()
        return cls(trial, cluster, ground, passfile)

    def beside(self, node: Node) -> Process:
        """The licd of a node's machine."""
        return self.ground.processes[self.cluster.nodes.index(node)]

    def answers(self, process: Process) -> bool:
        """Whether something is done there."""
        try:
            self.ground.told.customers.add(Office(process).alice.customer())
        except (DatabaseFailed, grpc.RpcError):
            return False
        return True

    def until_all_answer(self) -> None:
        """Every replica has found the primary."""
        for process in self.ground.processes:
            eventually(lambda process=process: self.answers(process), COMES_WITHIN, "a replica has found the primary")  # type: ignore[misc]

    def suspended(self, process: Process, licence: str) -> int:
        """Suspends until it is answered. Its epoch."""
        answers = []

        def done() -> bool:
            try:
                answers.append(Office(process).alice.suspend(licence))
            except (DatabaseFailed, grpc.RpcError):
                return False
            return True

        eventually(done, COMES_WITHIN, "a suspension is answered")
        epoch: int = answers[0].licences[0].epoch
        self.ground.told.suspensions.add(answers[0].suspension)
        self.ground.told.epoch(licence, epoch)
        return epoch


def failed_over(trial: Trial) -> None:
    """Cycles of the three harms, each followed by a restart of licd, more load, and judgement."""
    with patroni_cluster() as cluster:
        try:
            _cycles(trial, cluster)
        finally:
            for node in cluster.nodes:
                text = (node.folder / "patroni.log").read_bytes()
                (trial.folder / f"{node.name}-patroni.log").write_bytes(text)


def _cycles(trial: Trial, cluster: Cluster) -> None:
    stage = Stage.of(trial, cluster)
    harms = (_killed, _switched_over, _stood_still)
    for cycle in trial.each():
        harm = harms[cycle % len(harms)]
        _cycle(stage, harm)
        trial.count(harm.__name__.strip("_"))
        stage.ground.look(f"cycle {cycle}, {harm.__name__}")
        for process in stage.ground.processes:
            process.start()
    stage.ground.figures()


def _cycle(stage: Stage, harm: Callable[[Stage, Watched], None]) -> None:
    ground, over = stage.ground, threading.Event()
    watched = Watched.of(stage)
    with Load(ground.told, Steady(ground, stage.trial.chance, over).callers(), allowed=unknown) as load:
        try:
            load.until(stage.trial.chance.randrange(50, 200), COMES_WITHIN)
            harm(stage, watched)
            stage.cluster.until_whole()
            stage.until_all_answer()
            load.until(100, COMES_WITHIN)
            watched.stays_suspended(stage)
        finally:
            over.set()
            for process in ground.processes:
                process.kill()


@dataclass
class Watched:
    """A licence with a system on each replica, which hold a lease."""

    licence: str
    systems: list[System]
    outstanding: dict[str, Envelope] = field(default_factory=dict)
    """What a system has sent and heard no answer to: it goes out again, byte for byte."""

    @classmethod
    def of(cls, stage: Stage) -> Watched:
        """Everybody has a permit."""
        office = Office(stage.ground.processes[0])
        licence = wide_licence(office, cap=REPLICAS)
        stage.ground.crowd.caps[licence] = REPLICAS
        stage.ground.told.licences.add(licence)
        systems = []
        for number, process in enumerate(stage.ground.processes):
            system = System.enrol(office.daemon, office.alice.invite(licence, fresh("system")))
            system.open(acquire(number))
            system.daemon = process
            system.channel = system.connect()
            systems.append(system)
        return cls(licence, systems)

    def permitted(self) -> list[str]:
        """Whose replica gives it a permit now. One that does not answer gives none."""
        with ThreadPoolExecutor(len(self.systems)) as pool:
            return [name for name in pool.map(self._permitted, self.systems) if name]

    def _permitted(self, system: System) -> str:
        system.channel = system.connect()
        with suppress(DatabaseFailed, grpc.RpcError):
            if isinstance(self._opened(system), session_pb2.Permit):
                return system.name
        return ""

    def _opened(self, system: System) -> Reply:
        link = self.outstanding.get(system.name) or system.link(opens=True)
        self.outstanding[system.name] = link
        reply = system.send_open(link).reply
        del self.outstanding[system.name]
        return system.take(link, reply)

    def stays_suspended(self, stage: Stage) -> None:
        """All replicas answer, and each refuses."""
        for system in self.systems:
            system.channel = system.connect()
        refused: set[str] = set()

        def all_refuse() -> bool:
            for system in self.systems:
                with suppress(DatabaseFailed, grpc.RpcError):
                    answer = self._opened(system)
                    stage.trial.need(isinstance(answer, session_pb2.Refusal), f"{self.licence} lives again")
                    refused.add(system.name)
            return len(refused) == len(self.systems)

        eventually(all_refuse, COMES_WITHIN, "each replica refuses the suspended licence")


def _killed(stage: Stage, watched: Watched) -> None:
    """kill -9 of the leader's Patroni and of its PostgreSQL; it comes back as a standby."""
    old, begun = stage.cluster.named("leader"), boot_ms()
    stage.suspended(stage.ground.processes[0], watched.licence)
    old.kill()
    new = stage.cluster.until_another_leads(old)
    eventually(lambda: stage.answers(stage.beside(new)), COMES_WITHIN, "licd has found the new primary")
    stage.trial.peak("gap_s", (boot_ms() - begun) / 1_000)
    old.start()


def _switched_over(stage: Stage, watched: Watched) -> None:
    """A switchover, as an operator does before he takes a machine away."""
    old, new = stage.cluster.named("leader"), stage.cluster.named("sync_standby")
    status, said = old.ask("POST", "/switchover", {"leader": old.name, "candidate": new.name})
    assert status == http.HTTPStatus.OK, said
    stage.cluster.until_another_leads(old)
    stage.suspended(stage.ground.processes[0], watched.licence)


def _stood_still(stage: Stage, watched: Watched) -> None:
    """The leader's Patroni does nothing for longer than its lease, its PostgreSQL goes on: there are two primaries."""
    old = stage.cluster.named("leader")
    assert old.patroni is not None
    old.patroni.send_signal(signal.SIGSTOP)
    try:
        new = stage.cluster.until_another_leads(old)
        eventually(lambda: new.takes_writes, COMES_WITHIN, "the new leader is promoted")
        stage.trial.count("two_primaries", old.takes_writes)
        _among_two_primaries(stage, watched, old, new)
        stage.trial.need(old.takes_writes, "the old primary did not stay one: the row does not try what it says")
    finally:
        old.patroni.send_signal(signal.SIGCONT)


def _among_two_primaries(stage: Stage, watched: Watched, old: Node, new: Node) -> None:
    """One licd finds the new primary and suspends there. Whoever is still at the old one permits nothing any more."""
    beside = stage.beside(new)
    beside.kill()
    beside.start()
    stage.suspended(beside, watched.licence)
    permitted = watched.permitted()
    stage.trial.need(not permitted, f"permits for a suspended licence, at the old primary or the new one: {permitted}")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    stage.trial.peak("waiting_commits", old.execute(waiting)[0][0])


ROWS = (
    Row(
        "patroni",
        "S1 S2 S6 S7",
        "Patroni's leader killed, switched over, its Patroni stopped",
        3,
        1,
        (PATRONI, ETCD),
        failed_over,
        takes=360,
    ),
)
