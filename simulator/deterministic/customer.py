"""A customer's machine: a program on the SDK that works on targets, and what can befall both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from licd.client import Basis, ClientError, Lease, System
from licd.client.pace import Pace
from licd.client.targets import AskedFor
from licd.server.inprocess import LicdError
from simulator.chance import Random, stream
from simulator.clock import SECOND, Millis
from simulator.deterministic.disk import Directory, ProcessDisk
from simulator.deterministic.judge import Judge
from simulator.deterministic.link import KEEPALIVE, Link, Way
from simulator.deterministic.loop import Process
from simulator.deterministic.machine import Machine
from simulator.deterministic.network import VirtualNetwork, Wiring
from simulator.deterministic.site import Site
from simulator.deterministic.watch import Watch

PACE: Final = Pace(heartbeat=SECOND, rpc_timeout=SECOND, lapsing=SECOND, closing=SECOND, trust_retry=5 * SECOND)
TERMS: Final = AskedFor(purpose="sar:search-and-rescue", claims=[("NO", Basis.NUMBER_PLAN)])


class Customer:
    """One machine with one system on it. Copies of a system have machines of their own."""

    def __init__(
        self,
        name: str,
        machine: Machine,
        site: Site,
        judge: Judge,
        targets: Sequence[bytes],
        workers: int,
        seed: int,
        directory: Directory | None = None,
    ) -> None:
        self.name: Final = name
        self.machine: Final = machine
        self.chance: Final[Random] = stream(seed, f"{name}/fate")
        self.link: Final = Link(stream(seed, f"{name}/link"))
        self.directory: Directory = directory or Directory(stream(seed, f"{name}/disk"))
        self.system: System | None = None
        self.licence = ""
        self.watch: Final = Watch(name, judge)
        self._site: Final = site
        self._judge: Final = judge
        self._targets: Final = targets
        self._workers: Final = workers
        self._seed: Final = seed
        self._lives = 0
        self._process: Process | None = None
        self._network: VirtualNetwork | None = None

    # ------------------------------------------------------------------------------------------- life
    async def enrol(self, token: str) -> None:
        """Trade a join token for an enrolment, over a good way. Raises ClientError, LicdError."""
        process = Process(f"{self.name}/enrolling")
        chance = stream(self._seed, f"{self.name}/enrolment")
        name = await process.run(
            System.enrol(
                token,
                self.name,
                disk=ProcessDisk(self.directory, process),
                network=self._wired(process),
                clock=self.machine,
                randomness=chance.randbytes,
            )
        )
        self.watch.enrolled(name)

    def _wired(self, process: Process) -> VirtualNetwork:
        return VirtualNetwork(Wiring(self.link, self._site, self.watch, process, self.machine.running))

    @property
    def up(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """A new life from the directory as it is."""
        self._lives += 1
        self._process = process = Process(f"{self.name}/{self._lives}")
        self._network = self._wired(process)
        self.watch.born(self._lives)
        self.system = System.open(
            self.name,
            region="NO",
            software="simulated",
            pace=PACE,
            disk=ProcessDisk(self.directory, process),
            network=self._network,
            clock=self.machine,
            randomness=stream(self._seed, f"{self.name}/sdk/{self._lives}").randbytes,
        )
        process.run(self._live(self.system))

    def die(self, *, unplugged: bool = False) -> None:
        """Ends the process. unplugged: the machine goes too, and licd's end of the stream stays open for a while."""
        process, self._process = self._process, None
        self.system = None
        self.watch.died()
        if process is None:
            return
        process.kill()
        self.directory.crash()
        if self._network is not None:
            late = KEEPALIVE * 2 if unplugged or Way.UP in self.link.weather.shut else 0.005
            asyncio.get_running_loop().call_later(late, self._network.break_off)

    def reboot(self) -> None:
        """Power off and on: another boot, the same disk."""
        self.die(unplugged=True)
        self.machine.reboot()

    async def close(self) -> None:
        """End the program as it should end."""
        process, system = self._process, self.system
        if process is not None and system is not None:
            try:
                await process.run(system.close())
            finally:
                if self._process is process:
                    self.die()

    # ------------------------------------------------------------------------------------------- work
    async def _live(self, system: System) -> None:
        await system.start()
        async with asyncio.TaskGroup() as group:
            for index in range(self._workers):
                group.create_task(self._work(system, stream(self._seed, f"{self.name}/{self._lives}/{index}")))

    async def _work(self, system: System, chance: Random) -> None:
        """Targets one after the other, shared with whoever else is under the licence."""
        while True:
            await self._pause(chance.uniform(0.1, 1.5))
            target = chance.choice(self._targets)
            unary = chance.random() < 0.2
            asked = system.acquire_unary(target, **TERMS) if unary else system.acquire(target, **TERMS)
            try:
                async with asyncio.timeout(chance.uniform(1, 8)):
                    lease = await asked
            except (ClientError, LicdError, TimeoutError):
                continue
            await self._use(lease, chance)

    async def _use(self, lease: Lease, chance: Random) -> None:
        """Acts for a while, asking before each act; then gives the lease back."""
        await self._act(lease, chance, self.machine.boot_ms() + chance.randrange(500, 12_000))
        try:
            async with asyncio.timeout(2):
                await lease.release()
        except (ClientError, LicdError, TimeoutError):
            return

    def _act(self, lease: Lease, chance: Random, until: Millis) -> asyncio.Future[None]:
        """Acts now and then until this boot instant. Calls and no task: it is most of what happens in a run."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def act() -> None:
            if over.done():  # cancelled: the process has ended
                return
            if lease.usable:
                self.watch.acts(lease.target)
            now = self.machine.boot_ms()
            if now < until:
                self.machine.call_at(now + int(chance.uniform(0.05, 0.4) * SECOND), act)
            else:
                over.set_result(None)

        act()
        return over

    async def _pause(self, seconds: float) -> None:
        await self.machine.sleep_until(self.machine.boot_ms() + int(seconds * SECOND))
