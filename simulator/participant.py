"""One system of the fleet, whatever its kind: how it is enrolled, run, cut off and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.v1 import licence_pb2
from simulator.bench import Bench, Job
from simulator.chance import Random, stream
from simulator.clock import Clock, sleep
from simulator.journal import Journal
from simulator.mission import Mission
from simulator.oracle.facts import Member
from simulator.oracle.record import Record
from simulator.scenario import KINDS, Group
from simulator.tap import Tap
from simulator.wire import Wire


@dataclass(frozen=True, slots=True)
class Stage:
    """What all systems of a run share. folder is where honest ones keep their directories."""

    clock: Clock
    seed: int
    record: Record
    bench: Bench
    folder: Path


class Participant:
    """A system. Subclasses say how it enrols and what it does; `run` goes on until it is cancelled."""

    def __init__(self, name: str, group: Group, terms: licence_pb2.LicenceTerms, stage: Stage) -> None:
        self.name: Final = name
        self.group: Final = group
        self.kind: Final = group.kind
        self.honest: Final = KINDS[group.kind]
        self.licence: Final = terms.licence
        self.system: Final = f"customer/{terms.customer}/system/{name}"
        self.mission: Final = Mission.of(terms)
        self.stage: Final = stage
        self.chance: Final[Random] = stream(stage.seed, name)
        self.wire: Final = Wire(stage.clock, stream(stage.seed, f"{name}/wire"))
        self.tap: Final = Tap(self.system, stage.record, stage.clock)
        self.journal: Final = Journal()
        self.jobs: list[Job] = []
        stage.record.join(Member(self.system, self.licence, self.kind, self.honest))

    @property
    def region(self) -> str:
        """Where the system says that it stands."""
        return self.group.region or self.mission.home

    @property
    def reachable(self) -> bool:
        """Whether an order of licd's would get through to it now."""
        return not self.wire.cut

    @property
    def working(self) -> int:
        """How many targets it works on now."""
        self.jobs = [job for job in self.jobs if not job.done]
        return len(self.jobs)

    async def enrol(self, join_token: str) -> None:
        """Take part in earnest."""
        raise NotImplementedError

    async def run(self) -> None:
        """Do what its kind does, until cancelled."""
        raise NotImplementedError

    async def pause(self, times: float = 1.0) -> None:
        """Wait between two steps."""
        await sleep(self.stage.clock, round(self.group.pause * times))

    async def begin(self) -> None:
        """Wait for its turn. From here on its wire is what the scenario says; enrolling went over a good one."""
        self.wire.loss = self.group.loss
        if self.group.starts_after:
            await sleep(self.stage.clock, self.group.starts_after)

    def reported(self, job: Job) -> Job:
        """Count a job as this system's."""
        self.jobs.append(job)
        return job
