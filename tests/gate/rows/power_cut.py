"""The power goes under licd, and under a system's own directory."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import suppress

from licd.server.state_dir import StateDirectory
from licd.v1 import deployment_service_pb2, operator_pb2
from tests.daemon import ROOT
from tests.eventually import eventually
from tests.gate.fleet import Fleet, enrolled
from tests.gate.judge import Judge, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.power import Disk
from tests.gate.row import FUSE, FUSE_DEVICE, ROOT_RIGHTS, Row, Trial
from tests.gate.scribe import misread
from tests.gate.stage import made_state, wide_licence
from tests.gate.told import Told
from tests.office import Office
from tests.process import DidNotStart

FARTHEST = 2_500


def under_licd(trial: Trial, module: str = "licd.server") -> None:
    """Cut at a random changing call under load; restarted on what survived."""
    state = made_state(trial.folder)
    process = trial.daemon(state, log=trial.folder / "licd.log", module=module, parent=trial.parent()).start()
    told = Told()
    crowd = Crowd.gather(process, told, trial.chance)
    judge = Judge(crowd.caps, verifier_of(state))
    process.stop()
    disk = Disk(trial.folder, state.root)
    trial.ending.callback(disk.remove)
    process.state = StateDirectory(disk.mount)
    try:
        for cycle in trial.each():
            disk.plug_in(trial.chance.getrandbits(32), _when(trial.chance))
            try:
                process.start()
            except DidNotStart as ended:
                trial.need(disk.dead, f"cycle {cycle}: {ended}")
                trial.count("cut before it served")
            else:
                with Load(told, crowd.callers(), allowed=lambda _: disk.dead) as load:
                    load.until(400)
                    disk.cut()
                    process.kill()
            disk.unplug(process.kill)
            survived = StateDirectory(disk.source)
            trial.violated(*(f"cycle {cycle}: {each}" for each in judge.look(survived, told, trial.folder / "judged")))
    finally:
        process.kill()
    trial.figures |= {"commits": disk.commits, "syncs": disk.syncs, "answers": told.answers, "log": judge.entries}


def under_a_hasty_licd(trial: Trial) -> None:
    """A licd that does not sync its commits is found out, or the row above is worth nothing."""
    folder = trial.folder / "hasty"
    folder.mkdir()
    hasty = Trial.of("hasty", folder, trial.seed, trial.cycles)
    trial.ending.callback(hasty.ending.close)
    with suppress(DidNotStart, AssertionError):  # what was lost may also keep it, or its callers, from going on
        under_licd(hasty, "tests.gate.hasty")
    trial.done = hasty.done
    trial.figures["losses found"] = hasty.violations
    trial.need(any("lost" in each or "shown" in each for each in hasty.told), "synchronous=NORMAL was not found out")


def under_a_system(trial: Trial) -> None:
    """Cut under a system on the SDK: what it was told is durable is there, so that licd never takes it for a copy."""
    state = made_state(trial.folder)
    process = trial.daemon(state).start()
    office = Office(process)
    licence = wide_licence(office, cap=20)
    directories = enrolled(office, licence, trial.folder / "systems", 2)
    disk = Disk(trial.folder, trial.folder / "systems")
    trial.ending.callback(disk.remove)
    mounted = [disk.mount / each.name for each in directories]
    for cycle in trial.each():
        disk.plug_in(trial.chance.getrandbits(32), trial.chance.randrange(1, 40))
        with Fleet(mounted, targets=2) as fleet:
            eventually(lambda: disk.dead, 60, "the power goes")
            trial.count("acting when the power went", len(fleet.acting))
            disk.unplug(fleet.kill)
        for each in directories:
            request = deployment_service_pb2.GetDeploymentRequest(deployment=each.name)
            status = office.alice.call("DeploymentService.GetDeployment", request).deployment.status
            enrolled_still = status == operator_pb2.DEPLOYMENT_STATUS_ENROLLED
            trial.need(enrolled_still, f"cycle {cycle}: {each.name} was taken for a copy after a power cut")
    disk.plug_in(0)
    with Fleet(mounted, targets=2) as fleet:
        fleet.all_act(60)
        trial.need("SYSTEM_FENCED" not in fleet.refusals, "a system is fenced after power cuts")
        disk.unplug(fleet.kill)
    trial.figures["commits"] = disk.syncs


def under_a_scribe(trial: Trial) -> None:
    """Cut under the SDK's disk itself: `replace` is all or nothing, `write_at` touches nothing else."""
    source = trial.folder / "scribe"
    source.mkdir()
    disk = Disk(trial.folder, source)
    trial.ending.callback(disk.remove)
    for cycle in trial.each():
        seed = trial.chance.getrandbits(32)
        disk.plug_in(seed, _when(trial.chance) // 4 + 1)
        command = [sys.executable, "-m", "tests.gate.scribe", str(disk.mount), str(seed)]
        scribe = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        said, _ = scribe.communicate(timeout=60)
        disk.unplug(scribe.kill)
        trial.violated(*(f"cycle {cycle}: {each}" for each in misread(disk.source, said.splitlines())))
    trial.figures["commits"] = disk.syncs


def _when(chance: random.Random) -> int:
    """Half of the cuts come early, while licd starts: there a call is of more kinds."""
    return int(FARTHEST ** chance.random()) + 1 if chance.random() < 0.4 else chance.randrange(FARTHEST) + 1


NEEDS = (ROOT_RIGHTS, FUSE, FUSE_DEVICE)
ROWS = (
    Row(
        "power",
        "S1 S6 S7",
        "power cut under licd (FUSE forgets unsynced pages, names)",
        45,
        2,
        NEEDS,
        under_licd,
        takes=75,
    ),
    Row(
        "hasty",
        "S6",
        "the same with a planted fault, synchronous=NORMAL: found",
        8,
        5,
        NEEDS,
        under_a_hasty_licd,
        takes=20,
    ),
    Row(
        "sdkpower",
        "S6",
        "power cut under SDK systems (FUSE): never taken for a copy",
        12,
        1,
        NEEDS,
        under_a_system,
        takes=90,
    ),
    Row(
        "sdkdisk",
        "S6",
        "power cut under the SDK's disk (FUSE): replace, write_at",
        45,
        3,
        NEEDS,
        under_a_scribe,
        takes=80,
    ),
)
