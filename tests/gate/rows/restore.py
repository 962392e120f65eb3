"""An old backup is put back: the ratchet knows, licd grants nothing, and what was suspended stays suspended."""

from __future__ import annotations

import subprocess
import sys

from licd.core.errors import Behind, LicdError
from licd.v1 import operator_pb2
from tests.daemon import ROOT
from tests.gate.row import Row, Trial
from tests.gate.stage import made_state, wide_licence
from tests.office import Office
from tests.wired_system import System, acquire, joined

SUSPENDED = operator_pb2.LICENCE_STATUS_SUSPENDED


def licd(*arguments: object) -> str:
    """Runs `licd`; what it printed. Raises CalledProcessError."""
    command = [sys.executable, "-m", "licd.server", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def old_backup(trial: Trial) -> None:
    """Backup under a running daemon, suspend, crash or stop, restore, reconcile."""
    state = made_state(trial.folder)
    process = trial.daemon(state, parent=trial.parent()).start()
    office = Office(process)
    for cycle in trial.each():
        kept, stopped = wide_licence(office), wide_licence(office)
        system, honest = joined(office, stopped, f"gate-s-{cycle}"), joined(office, kept, f"gate-k-{cycle}")
        system.open(acquire(1))
        honest.open(acquire(2))
        backup = trial.folder / f"backup-{cycle}"
        licd("backup", "--state", state.root, "--to", backup)
        for turn in range(trial.chance.randrange(1, 4)):
            if turn:
                office.reinstate(stopped)
            office.alice.suspend(stopped)
        epoch = office.alice.licence_of(stopped).epoch
        if trial.chance.random() < 0.5:
            process.kill()
        else:
            process.stop()
        licd("restore", "--state", state.root, backup)
        process.start()
        office = Office(process)
        _read_only(trial, cycle, office, honest)
        process.stop()
        licd("reconcile", "--state", state.root, "--yes")
        process.start()
        office = Office(process)
        now = office.alice.licence_of(stopped)
        trial.need(now.status == SUSPENDED, f"cycle {cycle}: a suspension was undone by a restore")
        trial.need(now.epoch > epoch, f"cycle {cycle}: epoch {now.epoch} after {epoch} was answered")
        trial.need(not office.alice.status().impediments, f"cycle {cycle}: licd grants nothing after reconciling")
        _grants_again(trial, cycle, office, kept)
    process.kill()


def _read_only(trial: Trial, cycle: int, office: Office, honest: System) -> None:
    behind = [each for each in office.alice.status().impediments if each.startswith("behind: ")]
    trial.need(bool(behind), f"cycle {cycle}: licd does not see that its rows are older than its answers")
    honest.channel = honest.connect()
    try:
        answer = honest.acquire(3)
    except Behind:
        trial.count("refused while behind")
    except LicdError as error:
        trial.violated(f"cycle {cycle}: refused for another reason while behind: {error!r}")
    else:
        trial.need(not answer.HasField("permit"), f"cycle {cycle}: a lease was granted while licd was behind")


def _grants_again(trial: Trial, cycle: int, office: Office, kept: str) -> None:
    """Those in step may be suspended for doubt; two persons lift that, and licd grants."""
    if office.alice.licence_of(kept).status == SUSPENDED:
        office.reinstate(kept)
        trial.count("suspended in doubt, reinstated")
    fresh = joined(office, kept, f"gate-n-{cycle}")
    permit = fresh.open(acquire(4))
    trial.need(len(permit.leases) == 1, f"cycle {cycle}: nothing is granted after reconciling")


ROWS = (
    Row(
        "restore",
        "S2 S6 S7",
        "old backup restored, met by the ratchet, `licd reconcile`",
        6,
        1,
        (),
        old_backup,
        takes=55,
    ),
)
