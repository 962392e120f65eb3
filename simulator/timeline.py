"""Carries out what a scenario says is to happen, when it is to happen, and tells what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

import grpc.aio

from licd.v1 import licence_pb2
from licd.v1 import licence_service_pb2 as pb
from simulator.clock import SECOND, Clock, Millis, sleep
from simulator.daemon import DaemonFailed
from simulator.fleet import Fleet
from simulator.happenings import (
    AddReplica,
    Amend,
    ForceRelease,
    Happening,
    Partition,
    Plant,
    Reinstate,
    Restart,
    Revoke,
    Suspend,
    Terminate,
    Upgrade,
)
from simulator.office import Office
from simulator.oracle.facts import Suspension
from simulator.plant import plant
from simulator.site import Site

FOLLOWED_EVERY: Final[Millis] = 500


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened, so many milliseconds after the start. trouble: it was to happen and could not."""

    at: Millis
    words: str
    trouble: bool = False


class Timeline:
    """The happenings of one run."""

    def __init__(self, fleet: Fleet, office: Office, site: Site, tell: Callable[[Told], None]) -> None:
        self._fleet: Final = fleet
        self._office: Final = office
        self._site: Final = site
        self._clock: Final[Clock] = fleet.clock
        self._tell: Final = tell
        self._began: Millis = 0

    async def run(self) -> None:
        """Wait for each happening's time. What takes long does not hold up the next."""
        self._began = self._clock.boot_ms()
        async with asyncio.TaskGroup() as tasks:
            for happening in sorted(self._fleet.scenario.happenings, key=lambda each: each.at):
                await self._clock.sleep_until(self._began + happening.at)
                tasks.create_task(self._try(happening))

    def _say(self, words: str, *, trouble: bool = False) -> None:
        self._tell(Told(self._clock.boot_ms() - self._began, words, trouble))

    async def _try(self, happening: Happening) -> None:
        try:
            await self._carry_out(happening)
        except grpc.aio.AioRpcError as error:
            deed = type(happening.deed).__name__.lower()
            self._say(f"{deed} {_named(happening)}: {error.code().name}: {error.details()}", trouble=True)
        except DaemonFailed as error:
            self._say(str(error), trouble=True)

    async def _carry_out(self, happening: Happening) -> None:
        match happening.deed:
            case Suspend(code, detail):
                for scope in _scopes(happening):
                    await self._suspend(scope, code, detail)
            case Reinstate(code, detail):
                await self._reinstate(happening.licences, code, detail)
            case Amend(cap, without):
                await self._amend(happening.licences, cap, without)
            case Terminate(code, detail):
                for name in happening.licences:
                    await self._office.terminate(name, code, detail)
                    self._say(f"alice ends {name} for good: {code}")
            case ForceRelease(number, code):
                for name in happening.licences:
                    taken = await self._office.force_release(name, number, code)
                    self._say(f"alice takes back {taken} leases of {name}")
            case Revoke(code):
                for system in self._fleet.named(happening.systems):
                    await self._office.revoke(system.name, code)
                    self._say(f"alice withdraws the enrolment of {system.name}: {code}")
            case Partition(lasts):
                await self._partition(happening, lasts)
            case Restart(hard, number, away):
                await self._restart(number, away, hard=hard)
            case AddReplica():
                daemon = await self._site.add()
                self._say(f"replica {self._site.number} serves too (process {daemon.pid})")
            case Upgrade():
                await self._site.first.migrate()
                for number in range(1, self._site.number + 1):
                    await self._restart(number, 0, hard=False)
            case Plant(what):
                for name in happening.licences:
                    plant(what, name, self._fleet, self._site.first.state)
                    self._say(f"planted in {name}: {what}")
            case _:
                assert_never(happening.deed)

    # ------------------------------------------------------------------------------------------- stops
    async def _suspend(self, scope: pb.SuspensionScope, code: str, detail: str) -> None:
        cut = frozenset(system.system for system in self._fleet if not system.reachable)
        answer = await self._office.suspend(scope, code, detail)
        bounds = answer.bounds
        for licence in answer.licences:
            if licence.suspended_at_ms == answer.decided_ms:
                self._fleet.record.suspended(
                    Suspension(
                        licence.licence,
                        licence.epoch,
                        answer.decided_ms,
                        bounds.push_ms,
                        bounds.pull_ms,
                        bounds.unreachable_ms,
                        cut,
                    )
                )
        names = ", ".join(licence.licence for licence in answer.licences)
        self._say(f"bob suspends {names}: {code}; W {bounds.unreachable_ms / SECOND:.1f} s")
        await self._follow(answer.suspension, names)

    async def _follow(self, handle: str, names: str) -> None:
        """Watch a suspension until nobody is unconfirmed, telling what changes."""
        said = ""
        while True:
            now = await self._office.suspension(handle)
            states = [system.state for system in now.systems]
            words = (
                f"{names}: {states.count(pb.STOP_STATE_ACKNOWLEDGED)} of {len(states)} have acknowledged, "
                f"{states.count(pb.STOP_STATE_UNCONFIRMED)} unconfirmed, {states.count(pb.STOP_STATE_RUN_OUT)} run out"
            )
            if words != said:
                self._say(words)
                said = words
            if now.settled:
                return
            await sleep(self._clock, FOLLOWED_EVERY)

    async def _reinstate(self, licences: tuple[str, ...], code: str, detail: str) -> None:
        for name in licences:
            await self._office.reinstate(name, code, detail)
            self._say(f"alice and bob reinstate {name}: {code}")

    async def _amend(self, licences: tuple[str, ...], cap: int, without: tuple[str, ...]) -> None:
        for name in licences:
            found = await self._office.licence(name)
            constraints = [amended(each, cap, without) for each in found.terms.constraints]
            changed = await self._office.amend(name, constraints, "a simulated change")
            self._fleet.record.licence(changed.token)
            words = [f"the cap of {name} is {cap}"] if cap else []
            words += [f"{name} is no longer for {', '.join(without)}"] if without else []
            self._say("amended: " + "; ".join(words))

    # ------------------------------------------------------------------------------------------ faults
    async def _partition(self, happening: Happening, lasts: Millis) -> None:
        systems = self._fleet.named(happening.systems)
        for system in systems:
            system.wire.cut = True
        names = ", ".join(happening.systems)
        self._say(f"{len(systems)} systems cut off: {names}")
        if lasts:
            await sleep(self._clock, lasts)
            for system in systems:
                system.wire.cut = False
            self._say(f"{len(systems)} systems back: {names}")

    async def _restart(self, number: int, away: Millis, *, hard: bool) -> None:
        daemon, name = self._site.daemon(number), f"replica {number}" if self._site.number > 1 else "the daemon"
        pid = daemon.pid
        await daemon.stop(hard=hard)
        self._say(f"{name} was {'killed' if hard else 'stopped'} (process {pid})")
        if away:
            await sleep(self._clock, away)
        await daemon.start()
        self._say(f"{name} serves again (process {daemon.pid})")


def _scopes(happening: Happening) -> list[pb.SuspensionScope]:
    scopes = [pb.SuspensionScope(licence=name) for name in happening.licences]
    scopes += [pb.SuspensionScope(customer=name) for name in happening.customers]
    return scopes or [pb.SuspensionScope(all=True)]


def _named(happening: Happening) -> str:
    return ", ".join((*happening.licences, *happening.customers, *happening.systems))


def amended(constraint: licence_pb2.Constraint, cap: int, without: tuple[str, ...]) -> licence_pb2.Constraint:
    """The constraint with another cap (0: the same), and without these regions."""
    changed = licence_pb2.Constraint()
    changed.CopyFrom(constraint)
    if cap and changed.HasField("concurrent_targets"):
        changed.concurrent_targets.limit = cap
    if without and changed.HasField("target_regions"):
        regions = changed.target_regions.regions
        kept = [region for region in regions if region not in without]
        del regions[:]
        regions.extend(kept)
    return changed
