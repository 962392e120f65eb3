"""A crowd's run: its phases one after the other, and whether all held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import grpc

from simulator.clock import Clock
from simulator.crowd.figures import Figures, in_words, judge
from simulator.crowd.hand import WorkerFailed, hands
from simulator.crowd.phase import CrowdFailed, Say, ground, run_phase
from simulator.crowd.scenario import CrowdScenario
from simulator.daemon import temporary_folder


async def run_crowd(scenario: CrowdScenario, clock: Clock, say: Say) -> list[Figures]:
    """Raises CrowdFailed, DaemonFailed, OSError. What was started is stopped and what was made is removed."""
    found = []
    for phase in scenario.phases:
        say(f"{phase.name}: {phase.systems} systems in {scenario.workers} processes, {phase.leases} leases")
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(temporary_folder("licd-crowd-", clock))
            workers = await stack.enter_async_context(hands(scenario.workers, folder))
            on = await stack.enter_async_context(ground(scenario, phase, workers, clock, say))
            with _explained():
                figures = await run_phase(on)
        found.append(figures)
        say("\n".join(in_words(figures, scenario.bars)))
    return found


def all_hold(scenario: CrowdScenario, phases: list[Figures]) -> bool:
    """Whether everything held in every phase."""
    return len(phases) == len(scenario.phases) and all(
        each.holds for figures in phases for each in judge(figures, scenario.bars)
    )


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except WorkerFailed as error:
        raise CrowdFailed(str(error)) from error
    except grpc.aio.AioRpcError as error:
        raise CrowdFailed(f"licd did not answer the operators: {error.details()}") from error
