"""One run: a vendor, some customers, a plan of misfortunes, a judge; from a seed alone."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from licd.server.inprocess import LogRefused, Origin, Premises, furnish
from licd.v1 import licence_pb2 as pb
from licd.v1 import licence_service_pb2
from simulator.chance import Random, stream
from simulator.clock import SECOND, Instant, Millis
from simulator.deterministic import rows
from simulator.deterministic.authority import Authority
from simulator.deterministic.customer import Customer
from simulator.deterministic.desk import Desk
from simulator.deterministic.judge import SKEW, Judge, Promise
from simulator.deterministic.link import FINE, nothing
from simulator.deterministic.loop import outside
from simulator.deterministic.machine import EPOCH, Machine, true_ms
from simulator.deterministic.site import Site
from simulator.deterministic.vendor import Vendor
from simulator.papers import example_policies
from simulator.scenario import SCENARIOS

DAY: Final[Millis] = 86_400 * SECOND
RATES: Final = (-190, -50, 0, 0, 50, 190)
TARGETS: Final = 5
CONVERGES_IN: Final[Millis] = 2 * SECOND
"""What L1 gives beyond a lease's length."""
HEARTBEAT: Final[Millis] = SECOND
CUSTOMER: Final = "acme"


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a run is. Milliseconds."""

    systems: int = 4
    lasts: Millis = 40 * SECOND
    replicas: int = 0
    """Licds on one database server; 0: one that has its rows for itself."""


class World:
    """Everything in one run, for the plan to play with."""

    def __init__(self, seed: int, shape: Shape) -> None:
        self.seed: Final = seed
        self.shape: Final = shape
        self.chance: Final[Random] = stream(seed, "world")
        self.judge: Final = Judge()
        self.site: Final = Site(seed, _premises(), self.chance, shape.replicas)
        self.desk: Final = Desk(self.site, _premises().operators, stream(seed, "desk"))
        self.authority: Final = Authority(_premises().config.trust_domain, CUSTOMER, stream(seed, "authority"))
        self.licences: Final[list[str]] = []
        self.customers: Final[list[Customer]] = []
        self.doubles: Final[list[Customer]] = []
        """Machines with a copy of a system that is, or was, somewhere else as well."""
        self.suspects: Final[set[str]] = set()
        """Systems of which there is, or was, more than one copy: a fork of theirs is no false alarm."""
        self.misfortunes: Final[list[str]] = []
        self.clock_is_wrong = False
        self.clock_is_looked_at = False
        """Two persons are about to say that licd's clock is right: nobody sets it wrong meanwhile."""
        self._leaves: list[bytes] = []
        self.site.rows.after_commit = self._committed
        for licd in self.site.licds:
            licd.on_death = self._died
        self._reviving: Final[dict[Vendor, asyncio.Task[None]]] = {}

    # ------------------------------------------------------------------------------------------- beginning
    async def begin(self) -> None:
        """licd, an authority, one or two licences, the systems, all in good weather."""
        for licd in self.site.licds:
            await licd.start()
        await self.desk.customer(CUSTOMER)
        await self.desk.authority(self.authority.name, self.authority.signer.public_key)
        for index in range(self.chance.choice((1, 1, 2))):
            licence = f"licence-{index + 1}"
            await self.desk.issue(licence, CUSTOMER, self._terms())
            self.licences.append(licence)
        for index in range(self.shape.systems):
            await self._join(f"system-{index + 1}", self.licences[index % len(self.licences)])
        for customer in self.customers:
            customer.start()

    def _terms(self) -> licence_service_pb2.TermsDraft:
        now = self.site.machine.wall_ms()
        short = self.chance.random() < 0.2
        ends = now + (self.shape.lasts * 3 // 4 if short else 30 * DAY)
        cap = self.chance.randrange(1, TARGETS)
        length, grace = self.chance.choice((3, 4, 6)) * SECOND, self.chance.choice((0, 2, 8)) * SECOND
        return licence_service_pb2.TermsDraft(
            not_before_ms=now - SECOND,
            not_after_ms=ends,
            product="locator",
            category="exercise",
            constraints=constraints(cap, length, grace, self.shape.systems),
        )

    async def _join(self, name: str, licence: str) -> None:
        token = await self.desk.invite(licence, name)
        targets = [bytes([n]) * 32 for n in range(TARGETS)]
        machine = Machine(name, self.chance.choice(RATES), self.chance.randrange(10**6))
        customer = Customer(name, machine, self.site, self.judge, targets, self.chance.randrange(1, 4), self.seed)
        await customer.enrol(token)
        customer.licence = licence
        self.customers.append(customer)

    def double(self, of: Customer, name: str) -> Customer:
        """A machine with a copy of another's disk, as it is now."""
        machine = Machine(name, self.chance.choice(RATES), self.chance.randrange(10**6))
        disk = of.directory.copy(stream(self.seed, f"{name}/disk"))
        targets = [bytes([n]) * 32 for n in range(TARGETS)]
        double = Customer(name, machine, self.site, self.judge, targets, 2, self.seed, disk)
        double.licence = of.licence
        double.watch.enrolled(of.watch.system)
        self.suspects.add(of.name)
        self.judge.tampered.update((of.name, name))
        self.doubles.append(double)
        return double

    @property
    def clock_is_compared(self) -> bool:
        """Whether licd has written down what its clocks said since its machine was started."""
        return rows.boot_compared(self.site.rows) == self.site.machine.boot_id()

    # ------------------------------------------------------------------------------------------- rows
    def _committed(self) -> None:
        self.judge.committed(rows.licences(self.site.rows))

    def look(self) -> None:
        """What must be in the rows whatever happened: called while nothing is being written."""
        database = self.site.rows
        leaves = rows.leaves(database)
        if leaves[: len(self._leaves)] != self._leaves:
            self.judge.blame(Promise.AUDIT, f"of the first {len(self._leaves)} entries of the log some have changed")
        self._leaves = leaves
        missing = set(self.judge.leases) - rows.leases(database)
        if missing:
            self.judge.blame(Promise.DURABLE, f"{len(missing)} leases that were granted are not in the rows")
        granted = rows.entries(database, "lease.granted")
        if granted < len(self.judge.leases):
            self.judge.blame(Promise.AUDIT, f"{len(self.judge.leases)} leases were granted, {granted} are in the log")
        found = {row.licence: row.epoch for row in rows.licences(database)}
        for licence, epoch in self.judge.suspensions_answered:
            if found.get(licence, 0) < epoch:
                self.judge.blame(Promise.DURABLE, f"{licence}: epoch {epoch} was answered, the rows say {found}")

    def _died(self, licd: Vendor) -> None:
        self.judge.note(f"{licd.machine.name} dies")
        reviving = self._reviving.get(licd)
        if reviving is None or reviving.done():
            self._reviving[licd] = outside(self._revive(licd))

    async def _revive(self, licd: Vendor) -> None:
        """Somebody starts it again, some time later, and as often as it takes."""
        while licd.process() is None:
            await asyncio.sleep(self.chance.uniform(0.05, 4))
            try:
                await self.restart(licd)
            except LogRefused as refused:
                self.judge.blame(Promise.AUDIT, f"{licd.machine.name} does not start: {refused}")
                return

    async def restart(self, licd: Vendor) -> None:
        """It starts again, on what is durable. Raises LogRefused."""
        await licd.gone()
        self.look()
        self.judge.note(f"{licd.machine.name} starts on {len(self._leaves)} entries")
        await licd.start()

    # ------------------------------------------------------------------------------------------- end
    async def heal(self) -> None:
        """Everything works again, and nobody has taken a wrong time for right."""
        for customer in (*self.customers, *self.doubles):
            customer.link.becomes(FINE)
            customer.link.drops = nothing
            customer.machine.set_right()
            customer.machine.resume()
            if not customer.up:
                customer.start()
        self.desk.loss = 0.0
        for licd in self.site.licds:
            licd.heal()
        self.site.machine.set_right()
        for reviving in self._reviving.values():
            await reviving
        if any(each.startswith("clock") for licd in self.site.licds for each in licd.impediments()):
            await self.desk.accept_clock()
        self.judge.note("all is well again")

    async def converge(self) -> None:
        """L1, and what must be true at the end."""
        length = max(self.judge.licence(each).length for each in self.licences)
        await asyncio.sleep((length + CONVERGES_IN + HEARTBEAT) / SECOND)
        fenced = rows.fenced(self.site.rows)
        for system in sorted(fenced - self.suspects):
            self.judge.blame(Promise.FORK, f"{system} is fenced, and there never was a copy of it")
        for customer in self.customers:
            self._judge_converged(customer, fenced)
        self.look()

    def _judge_converged(self, customer: Customer, fenced: set[str]) -> None:
        system = customer.system
        if system is None or customer.name in fenced or customer.name in self.suspects:
            return
        status, row = system.status, self.judge.licence(customer.licence)
        if status.failure is not None:
            self.judge.blame(Promise.INPUT, f"{customer.name}: its background work failed: {status.failure!r}")
            return
        if not status.connected:
            self.judge.blame(Promise.LIVENESS, f"{customer.name} is not connected: {status.contact_detail}")
        refused = status.refused is not None
        over = EPOCH + true_ms() - row.ends
        just_now = -SKEW < over < HEARTBEAT + CONVERGES_IN  # and nobody need have heard of it yet
        if refused != (row.stopped or row.status == "draft" or over >= 0) and not (just_now and not row.stopped):
            why = status.refused.detail if status.refused is not None else "it has its permits"
            self.judge.blame(Promise.LIVENESS, f"{customer.name}: the licence is {row.status}, to it: {why}")
        missing = self.judge.orders_missing(customer.name, customer.licence)
        if missing and not refused and customer.name not in self.judge.tampered:
            self.judge.blame(Promise.DIRECTIVES, f"{customer.name} knows nothing of the epochs {missing}")

    async def end(self) -> None:
        """Stop what still runs."""
        for customer in (*self.customers, *self.doubles):
            customer.die()
        for licd in self.site.licds:
            licd.on_death = lambda _: None
            licd.die()
        for reviving in self._reviving.values():
            reviving.cancel()
        await asyncio.sleep(1)
        self.site.rows.drop()


def constraints(cap: int, length: Millis, grace: Millis, systems: int) -> list[pb.Constraint]:
    """What the licences of a run permit."""
    hour = 3_600 * SECOND
    return [
        pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=cap)),
        pb.Constraint(distinct_targets=pb.DistinctTargets(limit=5_000, period_ms=90 * 24 * hour)),
        pb.Constraint(target_churn=pb.TargetChurn(limit=5_000, period_ms=24 * hour)),
        pb.Constraint(target_regions=pb.TargetRegions(regions=["NO"], bases=[pb.REGION_BASIS_NUMBER_PLAN])),
        pb.Constraint(purposes=pb.Purposes(purposes=["sar:search-and-rescue"])),
        pb.Constraint(permit_length=pb.PermitLength(length_ms=length)),
        pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=grace)),
        pb.Constraint(deployments=pb.Deployments(limit=systems)),
    ]


class _Beginning:
    """The clock on the day before."""

    def wall(self) -> Instant:
        return EPOCH - DAY

    def boot(self) -> Millis:
        return 0

    def boot_id(self) -> str:
        return "the day before"


@cache
def _premises() -> Premises:
    """Made once a process: making keys takes longer than a run."""
    with tempfile.TemporaryDirectory(prefix="licd-simulation-") as folder:
        chance = stream(0, "premises")
        policies = Path(folder) / "policies"
        for source in (example_policies(), SCENARIOS / "policies"):
            shutil.copytree(source, policies, dirs_exist_ok=True)
        # Nobody is assessed in these runs: what they are about begins with the licences they issue.
        (policies / "diligence.toml").write_text("example = true\nassess = false\n", encoding="utf-8")
        made = furnish(Path(folder) / "state", policies, ["alice", "bob"], Origin(_Beginning(), chance.randbytes))
    gc.collect()
    gc.freeze()  # it stays for good, as all that is imported does: no collection need look through it in every run
    return made
