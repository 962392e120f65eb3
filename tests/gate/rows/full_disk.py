"""A disk that errs (EIO, ENOSPC by strace) and one that is full (tmpfs)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from licd.core.errors import DatabaseFailed, DiskFull, LicdError
from licd.v1 import operator_pb2
from tests.daemon import PATIENCE, fresh
from tests.eventually import eventually
from tests.gate.history import now
from tests.gate.judge import Judge, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.row import MOUNT, ROOT_RIGHTS, STRACE, Row, Trial
from tests.gate.stage import copied, made_state, wide_licence
from tests.gate.told import Told
from tests.office import Office
from tests.process import DidNotStart, Process
from tests.wired_system import System, joined

SUSPENDED = operator_pb2.LICENCE_STATUS_SUSPENDED
CALLS = ("fdatasync", "pwrite64", "fsync", "ftruncate")
LEFT = 1 << 20
"""Room that is left, for some answers before the disk is full."""
ERRORS = ("EIO", "ENOSPC")
FIRST = {"fdatasync": 60, "pwrite64": 800, "fsync": 8, "ftruncate": 3}
ERRING = ("strace", "-f", "-qq", "-o", "/dev/null")


def injected(trial: Trial) -> None:
    """From the n-th call of a kind some fail: nothing that is answered is lost, and licd goes on or ends cleanly."""
    state = made_state(trial.folder)
    process = trial.daemon(state, parent=trial.parent()).start()
    told = Told()
    crowd = Crowd.gather(process, told, trial.chance)
    judge = Judge(crowd.caps, verifier_of(state))
    process.kill()
    for cycle in trial.each():
        call, error = CALLS[cycle % len(CALLS)], ERRORS[cycle // len(CALLS) % len(ERRORS)]
        first = trial.chance.randrange(1, FIRST[call] + 1)
        which = f"{call} {error} from {first}"
        inject = ("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={first}..{first + 2}")
        try:
            process.start(*ERRING, *inject)
        except DidNotStart:
            trial.count("did not start on the error")
            process.start()
        with Load(told, crowd.callers(), allowed=lambda error: isinstance(error, DatabaseFailed | DiskFull)) as load:
            load.until(250)
            recovered(trial, f"cycle {cycle}, {which}", process, told)
            process.kill()
        trial.violated(
            *(f"cycle {cycle}, {which}: {each}" for each in judge.look(state, told, trial.folder / "judged"))
        )
    trial.figures |= {"answers": told.answers, "log": judge.entries}


def recovered(trial: Trial, when: str, process: Process, told: Told) -> None:
    """The errors are over: licd decides again without a restart."""
    office = Office(process)

    def decides() -> bool:
        try:
            told.customers.add(office.alice.customer(fresh("afterwards")))
        except (LicdError, grpc.RpcError):
            trial.count("calls that met an error afterwards")
            return False
        return True

    try:
        eventually(decides, PATIENCE, "licd decides again")
    except AssertionError as error:
        trial.violated(f"{when}: {error}")


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A tmpfs of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "licd-gate", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full(trial: Trial) -> None:
    """Grants are refused, a suspension is written from the reserve and outlives kill -9; with room again all works."""
    made, parent = made_state(trial.folder, reserve_mebibytes=4), trial.parent()
    for cycle in trial.each():
        with small_disk(trial.folder / f"disk-{cycle}", 28) as disk:
            state = copied(made, disk / "state")
            process = trial.daemon(state, log=trial.folder / f"full-{cycle}.log", parent=parent)
            _fill_and_recover(trial, cycle, process, disk)


def _fill_and_recover(trial: Trial, cycle: int, process: Process, disk: Path) -> None:
    state = process.start().state
    told = Told()
    office = Office(process)
    licence = wide_licence(office, cap=3)
    told.licences.add(licence)
    system = joined(office, licence)
    system.open()
    judge = Judge({licence: 3}, verifier_of(state))
    filler = disk / "filler"
    _fill(filler)
    trial.count("answers until full", _until_full(system, told))
    trial.need(
        any("full" in each for each in office.alice.status().impediments), f"cycle {cycle}: a full disk is not told"
    )
    answer = office.alice.suspend(licence)
    told.suspensions.add(answer.suspension)
    told.epoch(licence, answer.licences[0].epoch)
    process.kill()
    trial.violated(*(f"cycle {cycle}: {each}" for each in judge.look(state, told, trial.folder / "judged")))
    filler.unlink()
    process.start()
    office = Office(process)
    found = office.alice.licence_of(licence)
    trial.need(found.status == SUSPENDED, f"cycle {cycle}: a suspension answered on a full disk is lost")
    told.epoch(licence, office.reinstate(licence).epoch)
    system.channel = system.connect()
    system.open()
    trial.need(not office.alice.status().impediments, f"cycle {cycle}: licd does not recover with room")
    process.kill()
    trial.violated(*(f"cycle {cycle}: {each}" for each in judge.look(state, told, trial.folder / "judged")))


def _fill(filler: Path) -> None:
    """Takes all the room there is."""
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
        file.truncate(file.tell() - LEFT)


def _until_full(system: System, told: Told) -> int:
    for count in range(20_000):
        asked = now()
        try:
            answer = system.acquire(count)
        except DiskFull:
            return count
        if answer.HasField("permit"):
            told.permit(system.read(answer.permit), asked)
        else:
            told.refusal(system.read(answer.denial))
    raise AssertionError("the disk was never full")


NEEDS = (ROOT_RIGHTS, MOUNT)
ROWS = (
    Row(
        "ioerror",
        "S6 S7",
        "EIO, ENOSPC in fdatasync, pwrite64, fsync (strace inject)",
        24,
        2,
        (STRACE,),
        injected,
        takes=110,
    ),
    Row(
        "fulldisk",
        "S2 S6 S7",
        "tmpfs full: grants refused, suspension from the reserve",
        5,
        1,
        (ROOT_RIGHTS, MOUNT),
        full,
        takes=25,
    ),
)
