"""One run of a scenario, from an empty state directory to a verdict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio

from simulator.chance import stream
from simulator.clock import SECOND, Clock, Millis, sleep
from simulator.daemon import OPERATORS, Daemon, temporary_folder
from simulator.fleet import Fleet
from simulator.journal import Journal
from simulator.office import Desk, Office
from simulator.oracle.facts import Figures
from simulator.oracle.oracle import Verdict, judge
from simulator.papers import PolicyFigures, example_policies
from simulator.progress import Progress
from simulator.scenario import Scenario
from simulator.site import Site, temporary_site
from simulator.timeline import Timeline, Told

SHOWN_EVERY: Final[Millis] = 500
LOOPBACK: Final = "127.0.0.1"


class RunFailed(RuntimeError):
    """The run could not be carried out; this says nothing about licd's promises."""


@dataclass(frozen=True, slots=True)
class SystemFigures:
    """One system, at the end."""

    name: str
    kind: str
    licence: str
    honest: bool
    journal: Journal


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run. unmet: what the scenario expects to see, and was not to be seen."""

    scenario: Scenario
    verdict: Verdict
    systems: tuple[SystemFigures, ...]
    told: tuple[Told, ...]
    unmet: tuple[str, ...]

    @property
    def trouble(self) -> bool:
        """Whether the run did not show what it was to show."""
        return bool(self.unmet) or any(each.trouble for each in self.told)


async def run_scenario(
    scenario: Scenario, clock: Clock, progress: Progress, state: Path | None = None, database: str = ""
) -> Result:
    """Run it against a licd of its own, or against the one that serves this state directory.

    database is the address of an empty database, for a scenario with replicas.
    Raises RunFailed, DaemonFailed, OSError. Whatever happens, what was started is stopped and what was made is removed.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(progress.close)
        progress.say(f"{scenario.title}: seed {scenario.seed}, {scenario.duration / SECOND:.0f} s")
        if state is None:
            site = await _started(scenario, clock, progress, database, stack)
        else:
            site = Site(Daemon(state, clock), [])
        figures = PolicyFigures.read(site.first.state / "policies")
        office = await stack.enter_async_context(_office(site, scenario, clock))
        folder = await stack.enter_async_context(temporary_folder("licd-fleet-", clock))
        fleet = Fleet(scenario, office, figures, clock, folder)
        began = clock.boot_ms()
        await _gather(fleet)
        progress.say(
            f"{len(fleet.licences)} licences for {len(scenario.customers)} customers, "
            f"{len(fleet.systems)} systems enrolled in {(clock.boot_ms() - began) / SECOND:.1f} s"
        )
        told = await _play(fleet, office, site, progress)
    offset = clock.wall_ms() - clock.boot_ms()
    verdict = judge(fleet.record, Figures(figures.act, figures.skew, figures.rate_error, LOOPBACK, offset))
    systems = _systems(fleet)
    return Result(scenario, verdict, systems, tuple(told), _unmet(scenario, verdict, systems))


async def _started(
    scenario: Scenario, clock: Clock, progress: Progress, database: str, stack: contextlib.AsyncExitStack
) -> Site:
    if bool(scenario.replicas) != bool(database):
        wanted = "replicas share a database: name an empty one" if scenario.replicas else "this scenario has a file"
        raise RunFailed(f"--database: {wanted}")
    progress.say("making a state directory and starting the daemon: licd init, licd serve")
    site = await stack.enter_async_context(
        temporary_site(
            example_policies(),
            scenario.policies,
            clock,
            database=database,
            replicas=scenario.replicas,
            to_come=scenario.replicas_to_come,
        )
    )
    rows = f"{site.number} replicas on PostgreSQL" if database else "SQLite"
    progress.say(f"licd serves on loopback, mTLS, {rows} (process {site.first.pid})")
    return site


@asynccontextmanager
async def _office(site: Site, scenario: Scenario, clock: Clock) -> AsyncIterator[Office]:
    desks = [Desk(site.papers(name)) for name in OPERATORS]
    office = Office(desks, clock, stream(scenario.seed, "office"))
    try:
        yield office
    finally:
        await office.close()


async def _gather(fleet: Fleet) -> None:
    try:
        await fleet.gather()
    except grpc.aio.AioRpcError as error:
        raise RunFailed(f"licd did not let the operators set this up: {error.details()}") from error
    except ExceptionGroup as group:
        raise RunFailed(f"a system could not enrol: {_innermost(group)!r}") from group


async def _play(fleet: Fleet, office: Office, site: Site, progress: Progress) -> list[Told]:
    """Let the fleet and the timeline run for as long as the scenario says."""
    told: list[Told] = []

    def tell(something: Told) -> None:
        told.append(something)
        progress.told(something)

    clock = fleet.clock
    ends = clock.boot_ms() + fleet.scenario.duration
    timeline = Timeline(fleet, office, site, tell)
    running = [
        asyncio.ensure_future(fleet.run()),
        asyncio.ensure_future(timeline.run()),
        asyncio.ensure_future(_show(fleet, progress)),
    ]
    over = asyncio.ensure_future(clock.sleep_until(ends))
    try:
        await _until(over, running)
    finally:
        for task in (over, *running):
            task.cancel()
        outcomes = await asyncio.gather(*running, return_exceptions=True)
    failed = [each for each in outcomes if isinstance(each, Exception)]
    if failed:
        raise RunFailed(f"a part of the simulation failed: {_innermost(failed[0])!r}") from failed[0]
    return told


async def _until(over: asyncio.Future[None], running: Sequence[asyncio.Future[None]]) -> None:
    """Wait until it is over, or until one of these fails. One that is simply done, like the timeline, ends nothing."""
    waiting = {over, *running}
    while not over.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if any(not task.cancelled() and task.exception() is not None for task in done):
            return


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _show(fleet: Fleet, progress: Progress) -> None:
    began = fleet.clock.boot_ms()
    while True:
        progress.show(fleet, fleet.clock.boot_ms() - began)
        await sleep(fleet.clock, SHOWN_EVERY)


def _systems(fleet: Fleet) -> tuple[SystemFigures, ...]:
    return tuple(SystemFigures(each.name, each.kind, each.licence, each.honest, each.journal) for each in fleet)


def _unmet(scenario: Scenario, verdict: Verdict, systems: Sequence[SystemFigures]) -> tuple[str, ...]:
    expected = scenario.expected
    found = [f"no denial for {reason}" for reason in expected.denials if not verdict.denials.get(reason)]
    if verdict.grants < expected.grants:
        found.append(f"{verdict.grants} grants, at least {expected.grants} were expected")
    if len(verdict.stoppings) < expected.stoppings:
        found.append(f"{len(verdict.stoppings)} systems to stop, at least {expected.stoppings} were expected")
    failed = sum(each.journal.failures for each in systems if each.honest)
    if expected.failed_calls is not None and failed > expected.failed_calls:
        found.append(f"{failed} calls of honest systems failed, at most {expected.failed_calls} were expected")
    return tuple(found)
