"""Honest systems. They know nothing but the SDK: ask for a lease, check it before each step of work, give it back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.client import Authorisation, Basis, ClientError, Lease, LeaseDenied, LeaseStopped, StopCause, System
from licd.client.grpc_transport import GrpcNetwork
from licd.client.pace import Pace
from licd.client.targets import AskedFor
from licd.v1 import licence_pb2
from simulator.bench import STEP, Cover, Job
from simulator.chance import Random, stream
from simulator.clock import SECOND, Millis, sleep
from simulator.kinds.tapped_network import TappedNetwork
from simulator.mission import Wish
from simulator.participant import Participant

PACE: Final = Pace(heartbeat=SECOND, rpc_timeout=SECOND, lapsing=SECOND, closing=SECOND)
FICTION: Final = "+447700900"
"""Ofcom keeps these numbers free for fiction."""
OVERRIDES: Final = {FICTION: "GB"}
LOOK_EVERY: Final[Millis] = 2 * STEP
MAY_COME_BACK: Final = frozenset({StopCause.REFUSED, StopCause.WAITING})


@dataclass(frozen=True, slots=True)
class Aim:
    """A target as an honest program knows it. number is empty where it knows only a pseudonym."""

    wish: Wish
    number: str

    @property
    def target(self) -> str | bytes:
        """What the SDK is given."""
        return self.number or self.wish.target

    def terms(self) -> AskedFor:
        """The rest of what the SDK is given."""
        wish = self.wish
        claims = [] if self.number else [(region, Basis(int(basis))) for region, basis in wish.claims]
        asked: AskedFor = {
            "purpose": wish.purpose,
            "offence": wish.offence,
            "claims": claims,
            "attested_not_protected": wish.attested,
        }
        if wish.authorisation:
            asked["authorisation"] = Authorisation(wish.authorisation, wish.authorisation_end)
        return asked


class Diligent(Participant):
    """Works on a few targets within its licence, gives each back now and then and takes it up again."""

    async def enrol(self, join_token: str) -> None:
        """Enrol by the SDK."""
        chance = stream(self.stage.seed, f"{self.name}/enrolment")
        await System.enrol(
            join_token,
            self._directory,
            network=self._network(),
            clock=self.stage.clock,
            randomness=chance.randbytes,
        )

    @property
    def _directory(self) -> Path:
        return self.stage.folder / self.name

    def _network(self) -> TappedNetwork:
        return TappedNetwork(GrpcNetwork(), self.wire, self.tap, self.stage.clock)

    def _system(self, life: int = 0) -> System:
        return System.open(
            self._directory,
            region=self.region,
            software="simulated",
            number_overrides=OVERRIDES,
            pace=PACE,
            network=self._network(),
            clock=self.stage.clock,
            randomness=stream(self.stage.seed, f"{self.name}/sdk/{life}").randbytes,
        )

    async def run(self) -> None:
        """One life, until cancelled."""
        await self.begin()
        aims = self._aims()
        async with self._system() as system:
            await self._live(system, aims)

    def _aims(self) -> list[Aim]:
        """Its targets: every other one a number, where the licence is for numbers of the fictional range."""
        numbers = licence_pb2.REGION_BASIS_NUMBER_PLAN in self.mission.bases and "GB" in self.mission.regions
        aims = []
        for index in range(self.group.seats):
            wish = self.mission.wish(self.chance, self.stage.clock.wall_ms())
            number = f"{FICTION}{self.chance.randrange(1_000):03}" if numbers and index % 2 else ""
            aims.append(Aim(wish, number))
        return aims

    async def _live(self, system: System, aims: list[Aim]) -> None:
        async with asyncio.TaskGroup() as group:
            for index, aim in enumerate(aims):
                group.create_task(self._pursue(system, aim, stream(self.stage.seed, f"{self.name}/{index}")))

    async def _pursue(self, system: System, aim: Aim, chance: Random) -> None:
        """One target, taken up and given back, over and over."""
        step = 0
        while not self.group.steps or step < self.group.steps:
            step += 1
            rest, times = chance.uniform(0.5, 1.5), chance.uniform(4, 12)
            hold = self.group.hold or round(times * self.group.pause)
            try:
                async with system.lease(aim.target, **aim.terms()) as lease:
                    self.journal.note("acquire", aim.wish, "GRANTED")
                    await self._use(lease, aim, hold)
            except LeaseDenied as refused:
                self.journal.note("acquire", aim.wish, refused.denied.reason.name)
            except ClientError as error:
                self.journal.fail("acquire", aim.wish, error)
            await self.pause(rest)

    async def _use(self, lease: Lease, aim: Aim, hold: Millis) -> None:
        """Work while the lease is usable; wait where it may become so again; leave when it is lost or time is over."""
        clock = self.stage.clock
        until = clock.boot_ms() + hold
        job: Job | None = None
        try:
            while clock.boot_ms() < until:
                if _lost(lease):
                    return
                if lease.usable and (job is None or job.done):
                    job = self._work(lease, aim)
                await sleep(clock, LOOK_EVERY)
        finally:
            if job is not None:
                self.stage.bench.end(job)

    def _work(self, lease: Lease, aim: Aim) -> Job:
        relied_on: list[bytes | None] = [None]

        def cover() -> Cover | None:
            """The newest permit that lists the target, as far as the tap has heard: it hears before the SDK does."""
            if not lease.usable:
                return None
            ending = self.tap.permit_for(lease.target)
            if ending is not None:
                relied_on[0] = ending.permit
            return Cover(relied_on[0])

        return self.reported(self.stage.bench.begin(self.tap, lease.target, lease.region, aim.wish.purpose, cover))


def _lost(lease: Lease) -> bool:
    try:
        lease.check()
    except LeaseStopped as stopped:
        return stopped.stopped.cause not in MAY_COME_BACK
    return False


class Slow(Diligent):
    """The same over a wire on which everything takes its time."""

    async def run(self) -> None:
        """Until cancelled."""
        self.wire.delay = self.chance.randrange(100, 300)
        await super().run()


class Offline(Diligent):
    """The same, out of reach at times; what it may do meanwhile the SDK knows."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run())
            group.create_task(self._come_and_go())

    async def _come_and_go(self) -> None:
        chance = stream(self.stage.seed, f"{self.name}/outages")
        await self.begin()
        while True:
            await self.pause(chance.uniform(6, 12))
            self.wire.cut = True
            await self.pause(chance.uniform(2, 14))
            self.wire.cut = False


class Crashing(Diligent):
    """The same, but its process dies now and then, in the middle of whatever, and starts anew from its directory."""

    async def run(self) -> None:
        """Life after life, until cancelled."""
        await self.begin()
        aims = self._aims()
        chance = stream(self.stage.seed, f"{self.name}/lives")
        life = 0
        while True:
            system = self._system(life)
            await system.start()
            living = asyncio.ensure_future(self._live(system, aims))
            try:
                await self.pause(chance.uniform(5, 12))
                self.journal.note("crash", life, "ABANDONED")
            finally:
                await system.abandon()
                living.cancel()
                await asyncio.gather(living, return_exceptions=True)
            life += 1
            await self.pause(chance.uniform(0.3, 2))
