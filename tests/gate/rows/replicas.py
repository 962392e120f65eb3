"""Three replicas on one PostgreSQL: one dies, stands still or loses its session; the server's standby is promoted."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from licd.core.errors import DatabaseFailed, LicdError
from licd.server.config import read_config
from licd.server.replica import add_replica
from licd.server.state_dir import StateDirectory
from licd.server.store import Store
from licd.server.transfer import export_rows, import_rows
from licd.v1 import session_pb2
from tests.daemon import PATIENCE, fresh
from tests.eventually import eventually, let_pass
from tests.gate.judge import Judge, verifier_of
from tests.gate.load import Asker, Caller, Crowd, Load
from tests.gate.row import Row, Trial
from tests.gate.stage import made_state, steady_ports, wide_licence
from tests.gate.told import Told
from tests.office import Office
from tests.postgres import Server, folder_of_servers, free_port, make_cluster, serving_postgres, standby_of, start
from tests.process import Process
from tests.wired_system import System, acquire

REPLICAS = 3
CAP = 50
STANDS_STILL = 3.0
RENEWALS = 1_000
RENEWALS_A_STREAM = 20


def shared_directories(folder: Path, url: str) -> list[StateDirectory]:
    """State directories of replicas that share a database, the first one's rows in it."""
    first = made_state(folder)
    store = Store.of(first, read_config(first.root)).at(url)
    import_rows(store, read_config(first.root), first.database)
    first.database.unlink()
    with (first.root / "licd.toml").open("a") as file:
        file.write(f'[database]\nurl = "{url}"\n')
    found = [first]
    for number in range(2, REPLICAS + 1):
        root = folder / f"replica-{number}"
        add_replica(store, root, f"replica-{number}", steady_ports())
        shutil.copytree(first.root / "operators", root / "operators")
        found.append(StateDirectory(root))
    return found


class Ground:
    """Replicas, callers who choose one of them anew in each cycle, and the judge."""

    def __init__(self, trial: Trial, url: str) -> None:
        self.trial = trial
        self.states = shared_directories(trial.folder, url)
        parent = trial.parent()
        self.processes = [
            trial.daemon(each, log=trial.folder / f"{each.root.name}.log", parent=parent) for each in self.states
        ]
        for process in self.processes:
            process.start()
        self.told = Told()
        self.crowd = Crowd.gather(self.processes[0], self.told, trial.chance)
        self._hammer()
        self.judge = Judge(self.crowd.caps, verifier_of(self.states[0]))
        self.looks = 0

    def _hammer(self) -> None:
        """One licence that every replica is asked for, by more systems than it has seats."""
        office = Office(self.processes[0])
        licence = wide_licence(office, cap=CAP)
        self.told.licences.add(licence)
        self.crowd.caps[licence] = CAP
        for process in self.processes:
            system = System.enrol(self.processes[0], office.alice.invite(licence, fresh("system")))
            system.open()
            system.daemon = process
            self.crowd.askers.append(Asker(process, system, self.told, self.trial.chance))

    def callers(self, among: Sequence[Process]) -> list[Caller]:
        """Everybody, each at a replica of chance."""
        self.crowd.desk.process = self.trial.chance.choice(among)
        for holder in self.crowd.holders:
            holder.process = holder.system.daemon = self.trial.chance.choice(among)
        for asker in self.crowd.askers:
            asker.process = asker.system.daemon = self.trial.chance.choice(among)
        return self.crowd.callers()

    def look(self, when: str) -> None:
        """Judges the rows as they are on the server."""
        self.looks += 1
        folder = self.trial.folder / f"exported-{self.looks}"
        folder.mkdir()
        config = read_config(self.states[0].root)
        export_rows(Store.of(self.states[0], config), config, folder / "licd.db")
        state = StateDirectory(folder)
        self.trial.violated(*(f"{when}: {e}" for e in self.judge.look(state, self.told, self.trial.folder / "judged")))
        shutil.rmtree(folder)

    def figures(self) -> None:
        """What it came to."""
        self.trial.figures |= {
            "answers": self.told.answers,
            "log": self.judge.entries,
            "leases": len(self.told.seats),
            "intervals": len(self.told.history),
            "repeats": sum(each.repeats for each in self.crowd.holders),
        }


def unknown(error: LicdError | OSError) -> bool:
    """What a caller may hear whose replica, or whose replica's database, goes away."""
    return isinstance(error, DatabaseFailed)


def one_fails(trial: Trial) -> None:
    """Under load on all three, one is killed, stopped for longer than its locks, or loses its database session."""
    with serving_postgres() as server:
        ground = Ground(trial, server.new_database())
        harms: tuple[Callable[[Ground, Server, Process], None], ...] = (_killed, _stopped, _cut_off)
        for cycle in trial.each():
            victim, harm = trial.chance.choice(ground.processes), harms[cycle % len(harms)]
            with Load(ground.told, ground.callers(ground.processes), allowed=unknown) as load:
                load.until(trial.chance.randrange(20, 200))
                harm(ground, server, victim)
                trial.count(harm.__name__.strip("_"))
                others = [each for each in ground.processes if each is not victim]
                _suspend_and_lift(Office(others[0]), ground)
                for process in ground.processes:
                    process.kill()
            ground.look(f"cycle {cycle}, {harm.__name__}")
            for process in ground.processes:
                process.start()
        ground.figures()


def _killed(ground: Ground, server: Server, victim: Process) -> None:
    victim.kill()


def _stopped(ground: Ground, server: Server, victim: Process) -> None:
    victim.send(signal.SIGSTOP)
    let_pass(STANDS_STILL)
    before = ground.told.answers
    eventually(lambda: ground.told.answers > before, PATIENCE, "the others are answered")
    victim.send(signal.SIGCONT)


def _cut_off(ground: Ground, server: Server, victim: Process) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'licd' ORDER BY pid LIMIT 2"
    )


def _suspend_and_lift(office: Office, ground: Ground) -> None:
    """Operators are heard at another replica, whatever has become of one."""
    licence = wide_licence(office, cap=2)
    ground.crowd.caps[licence] = 2
    ground.told.licences.add(licence)
    answer = office.alice.suspend(licence)
    ground.told.suspensions.add(answer.suspension)
    ground.told.epoch(licence, answer.licences[0].epoch)


def suspended_among_renewals(trial: Trial) -> None:
    """Renewals of one licence through all replicas, and a suspension through one of them among these."""
    with serving_postgres() as server:
        ground = Ground(trial, server.new_database())
        for cycle in trial.each():
            _suspend_among_renewals(trial, ground, f"cycle {cycle}")
        ground.look("at the end")


def _suspend_among_renewals(trial: Trial, ground: Ground, when: str) -> None:
    office = Office(ground.processes[0])
    licence = wide_licence(office, cap=REPLICAS * 2)
    systems = [_holding(office, licence, number) for number in range(REPLICAS * 2)]
    for number, system in enumerate(systems):
        system.daemon = ground.processes[number % REPLICAS]
        system.channel = system.connect()
    at, made = trial.chance.randrange(RENEWALS // 4, RENEWALS), list[int]()
    with ThreadPoolExecutor(len(systems)) as pool:
        renewals = [pool.submit(_renew, each, made) for each in systems]
        eventually(lambda: len(made) >= at, 10 * PATIENCE, f"{at} renewals", every=0.001)
        epoch = office.alice.suspend(licence).licences[0].epoch
        last = [each.result(10 * PATIENCE) for each in renewals]
    trial.count("renewals", len(made))
    trial.need(max(last) < epoch, f"{when}: a permit of the suspended epoch {epoch}")
    refused = [system for system in systems if isinstance(system.open(), session_pb2.Refusal)]
    trial.need(len(refused) == len(systems), f"{when}: a system of the suspended licence got a permit")


def _holding(office: Office, licence: str, number: int) -> System:
    system = System.enrol(office.daemon, office.alice.invite(licence, fresh("system")))
    system.open(acquire(number))
    return system


def _renew(system: System, made: list[int]) -> int:
    """Renews until it is refused. The epoch of the last permit."""
    epoch = 0
    while True:
        with system.stream() as stream:
            for _ in range(RENEWALS_A_STREAM):
                answer = stream.beat()
                if not isinstance(answer, session_pb2.Permit):
                    return epoch
                epoch = answer.header.epoch
                made.append(epoch)


@contextmanager
def primary_and_standby() -> Iterator[tuple[Server, Server]]:
    """Two servers; what the first answers is on the second's disk."""
    with folder_of_servers() as folder, ExitStack() as stack:
        make_cluster(folder / "first", "synchronous_standby_names = '*'")
        first = start(folder / "first", free_port())
        stack.callback(first.end)
        second = standby_of(first, folder / "second", free_port())
        stack.callback(second.end)
        yield first, second


def promoted(trial: Trial) -> None:
    """Under load the primary dies and its synchronous standby takes over: nothing that was answered is lost."""
    for cycle in trial.each():
        folder = trial.folder / f"cycle-{cycle}"
        folder.mkdir()
        with primary_and_standby() as servers:
            _promote(trial, folder, *servers)


def _promote(trial: Trial, folder: Path, first: Server, second: Server) -> None:
    first.execute("CREATE DATABASE licd")
    hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
    url = f"postgresql://licd@{hosts}/licd?target_session_attrs=read-write"
    ground = Ground(replace(trial, folder=folder), url)
    with Load(ground.told, ground.callers(ground.processes), allowed=unknown) as load:
        load.until(trial.chance.randrange(50, 200))
        first.end()
        second.promote()
        eventually(lambda: _answers(ground), 3 * PATIENCE, "the replicas have found the new primary")
        for process in ground.processes:
            process.kill()
    for process in ground.processes:
        process.start()
    with Load(ground.told, ground.callers(ground.processes)) as load:
        load.until(100)
        for process in ground.processes:
            process.kill()
    ground.look(folder.name)
    trial.violated(*ground.trial.told)
    trial.count("answers", ground.told.answers)


def _answers(ground: Ground) -> bool:
    try:
        ground.told.customers.add(Office(ground.processes[0]).alice.customer())
    except DatabaseFailed:
        return False
    return True


ROWS = (
    Row(
        "replicas",
        "S1 S2 S6 S7",
        "3 replicas on PostgreSQL; one killed, stopped, cut off",
        9,
        3,
        (),
        one_fails,
        takes=120,
    ),
    Row(
        "renewals",
        "S2",
        "a suspension among 1 000 renewals on 3 replicas",
        3,
        1,
        (),
        suspended_among_renewals,
        takes=60,
    ),
    Row(
        "promote",
        "S1 S2 S6 S7",
        "PostgreSQL's primary dies under load, standby promoted",
        3,
        1,
        (),
        promoted,
        takes=90,
    ),
)
