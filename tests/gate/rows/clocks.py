"""Clocks that jump under licd and under systems; a boot clock that begins anew."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from licd.cli.failure import Exit
from licd.core.errors import ClockDoubted
from licd.core.time import HOUR
from licd.server.state_dir import StateDirectory
from licd.v1 import operator_pb2
from tests.daemon import ROOT, ShiftedClock
from tests.eventually import boot_ms, eventually, let_pass
from tests.gate.fleet import Fleet, enrolled
from tests.gate.row import FAKETIME, MOUNT, ROOT_RIGHTS, UNSHARE, Row, Tool, Trial
from tests.gate.stage import made_state, wide_licence
from tests.office import Office
from tests.process import Process
from tests.wired_system import System, acquire, joined

SUSPENDED = operator_pb2.LICENCE_STATUS_SUSPENDED
LENGTH, GRACE = 3_000, 4_000
ACT = 50
JUMPS = (-50, -20, -5, 5, 60, 1_200)
"""Seconds. Certificates here are new and backdated by a minute: set back by more, licd takes none of them."""
SLIGHT = 5
"""Set back by no more, licd is let go on so: its keys count from when they were made, and that was just now."""
LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime")
LIBRARY = next((f"{each}/libfaketimeMT.so.1" for each in LIBRARIES if Path(each).is_dir()), "libfaketimeMT.so.1")
PRELOADED = Tool(LIBRARY, "apt-get install libfaketime")


class FakeTime:
    """A file that says by how much a process's wall clock is off, read at every look at the clock."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """From now on. By rename: half a file is a clock nobody can read."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """For the process. The monotonic and boot clocks stay the machine's."""
        return {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def mark_of(state: StateDirectory) -> int:
    """The high-water mark as it is kept."""
    with closing(sqlite3.connect(f"file:{state.database}?mode=ro", uri=True)) as rows:
        return int(rows.execute("SELECT clock_mark FROM log_head").fetchone()[0])


def accept(state: StateDirectory) -> None:
    """`licctl clock accept`, by a second person too where it moves licd's time."""
    asked = licctl(state, "alice", "clock", "accept", "--detail", "gate")
    if asked.returncode == Exit.PENDING:
        [waiting] = re.findall(r"^approval (\S+) needs 1 more person", asked.stdout, re.MULTILINE)
        asked = licctl(state, "bob", "approval", "sign", waiting, "--yes")
    assert asked.returncode == Exit.OK, f"licctl clock accept: {asked.returncode}: {asked.stdout}{asked.stderr}"


def licctl(state: StateDirectory, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As it is typed."""
    command = [sys.executable, "-c", "from licd.cli.main import main; main()", "--state", str(state.root), "--as", name]
    return subprocess.run([*command, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)


def under_licd(trial: Trial) -> None:
    """The wall clock jumps while licd runs, or while it is down."""
    state = made_state(trial.folder)
    fake, clock = FakeTime(trial.folder / "faketime"), ShiftedClock()
    process = trial.daemon(state, environment=fake.environment, clock=clock).start()
    office = Office(process)
    licence = wide_licence(office, cap=1_000, length=LENGTH, grace=GRACE, begun=HOUR)
    system = joined(office, licence)
    system.open(acquire(0))
    for cycle in trial.each():
        jump = JUMPS[cycle % len(JUMPS)]
        system.acquire(10 * cycle)
        mark = mark_of(state)
        down = jump == JUMPS[0] and cycle % 4 == 0  # by less, the time that it is down would make up for it
        if down:
            process.stop()
        fake.set(jump)
        clock.set_off = jump * 1_000
        if down:
            process.start()
            office = Office(process)
            system.channel = system.connect()
        _doubted(
            trial, f"cycle {cycle}, {jump:+} s{', down' if down else ''}", office, system, licence, mark, 10 * cycle + 1
        )
        if not -SLIGHT <= jump < 0 or trial.chance.random() < 0.5:
            fake.set(0)
            clock.set_off = 0
        accept(state)
        _grants(trial, f"cycle {cycle}, {jump:+} s", process, office, system, licence, 10 * cycle + 2)
        if clock.set_off:
            fake.set(0)
            clock.set_off = 0
            accept(state)


def _doubted(trial: Trial, when: str, office: Office, system: System, licence: str, mark: int, number: int) -> None:
    state = office.daemon.state
    eventually(lambda: any("clock" in each for each in office.alice.status().impediments), 10, f"{when}: doubt")
    try:
        answer = system.acquire(number)
    except ClockDoubted:
        trial.count("grants refused in doubt")
    else:
        trial.need(not answer.HasField("permit"), f"{when}: a lease was granted on a clock in doubt")
    stopped = office.alice.suspend(licence)
    trial.need(stopped.licences[0].status == SUSPENDED, f"{when}: no suspension while the clock is in doubt")
    trial.need(mark_of(state) <= mark + 10_000, f"{when}: the mark moved by {mark_of(state) - mark} ms while in doubt")


def _grants(
    trial: Trial, when: str, process: Process, office: Office, system: System, licence: str, number: int
) -> None:
    office.reinstate(licence)
    system.open()
    answer = system.acquire(number)
    if not answer.HasField("permit"):
        denied = system.read(answer.denial)
        trial.violated(f"{when}: nothing is granted after `licctl clock accept`: {denied}")
        return
    permit = system.read(answer.permit)
    latest = max(permit.hard_ends_ms)
    now = process.clock.wall()
    trial.need(latest <= now + LENGTH + GRACE + 1_000, f"{when}: a permit ends {latest - now} ms from now")


def under_systems(trial: Trial) -> None:
    """licd falls silent; the wall clock of the systems jumps: they stop by the boot clock all the same."""
    state = made_state(trial.folder)
    process = trial.daemon(state).start()
    office = Office(process)
    directories = enrolled(office, wide_licence(office, cap=50, length=LENGTH, grace=GRACE), trial.folder, 3)
    for cycle in trial.each():
        fake = FakeTime(trial.folder / "faketime")
        with Fleet(directories, targets=2, environment=fake.environment) as fleet:
            fleet.all_act(60)
            let_pass(trial.chance.uniform(0, 5))
            process.send(signal.SIGSTOP)
            silent = boot_ms()
            for _ in range(4):
                fake.set(trial.chance.choice((-3_600, -600, -3, 3, 600, 7_200)))
                let_pass(trial.chance.uniform(0, 1))
            last = fleet.none_acts(30)
            trial.need(last <= silent + LENGTH + GRACE, f"cycle {cycle}: acted {last - silent} ms into the silence")
            trial.need(set(fleet.causes) == {"LAPSED"}, f"cycle {cycle}: stopped by {set(fleet.causes)}")
            trial.peak("longest ms acted in silence", last - silent)
            process.send(signal.SIGCONT)
            fleet.all_act(60)
            trial.need(not fleet.refusals, f"cycle {cycle}: refused: {fleet.refusals[:3]}")
    trial.figures["bound ms L+G"] = LENGTH + GRACE


def rebooted(trial: Trial) -> None:
    """Another boot: another boot_id, and a boot clock that is ahead or behind. No old permit counts on it."""
    state = made_state(trial.folder)
    process = trial.daemon(state).start()
    office = Office(process)
    directories = enrolled(office, wide_licence(office, cap=50, length=20_000, grace=600_000), trial.folder, 2)
    boot = trial.folder / "boot_id"
    for cycle in trial.each():
        boot.write_text(_boot_id(trial))
        with Fleet(directories, before=_machine(boot, trial.chance.randrange(100_000, 900_000))) as fleet:
            fleet.all_act(60)
            process.send(signal.SIGSTOP)
            if cycle % 2:
                boot.write_text(_boot_id(trial))  # as a machine that was frozen and goes on elsewhere
                fleet.none_acts(20)
                trial.need(set(fleet.causes) <= {"REBOOTED"}, f"cycle {cycle}: stopped by {set(fleet.causes)}")
            fleet.kill()
        boot.write_text(_boot_id(trial))
        with Fleet(directories, before=_machine(boot, trial.chance.randrange(1_000, 900_000))) as fleet:
            eventually(lambda: len(fleet.events) >= len(directories), 30, "the systems are open")
            let_pass(1.5)
            trial.need(not fleet.acting, f"cycle {cycle}: acted after a reboot, before licd was heard")
            process.send(signal.SIGCONT)
            fleet.all_act(90)


def _boot_id(trial: Trial) -> str:
    digits = f"{trial.chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])) + "\n"


def _machine(boot: Path, ahead: int) -> tuple[str, ...]:
    """A time namespace whose boot clock is so many seconds ahead, and a boot_id of its own."""
    script = f'mount --bind {boot} /proc/sys/kernel/random/boot_id && exec "$@"'
    return ("unshare", "--time", "--boottime", str(ahead), "--mount", "--fork", "--kill-child", "sh", "-c", script, "-")


NEEDS = (ROOT_RIGHTS, UNSHARE, MOUNT)
ROWS = (
    Row(
        "clock",
        "S3 S2",
        "licd's wall clock jumps (libfaketime), clock accept",
        12,
        2,
        (FAKETIME, PRELOADED),
        under_licd,
        takes=95,
    ),
    Row(
        "sdkclock",
        "S9",
        "systems' wall clocks jump (libfaketime), licd silent",
        5,
        1,
        (FAKETIME, PRELOADED),
        under_systems,
        takes=85,
    ),
    Row(
        "reboot",
        "S9",
        "boot clock ahead or behind, new boot_id (time namespace)",
        6,
        1,
        (ROOT_RIGHTS, UNSHARE, MOUNT),
        rebooted,
        takes=65,
    ),
)
