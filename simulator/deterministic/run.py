"""One run from a seed: the loop, the world, the plan, and the verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from structlog.testing import capture_logs

from licd.server.inprocess import StoreFailed
from simulator.chance import stream
from simulator.deterministic.judge import Promise, Violation
from simulator.deterministic.loop import VirtualLoop
from simulator.deterministic.plan import play
from simulator.deterministic.signatures import remembered
from simulator.deterministic.world import Shape, World

JITTERS: Final = (0.0, 0.0005, 0.002)
FAILURES: Final = frozenset({"error", "critical"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run. trace is the same for the same seed."""

    seed: int
    violations: tuple[Violation, ...]
    trace: tuple[str, ...]
    permits: int
    refusals: int
    acts: int
    lives: int
    """Of licd's process."""
    misfortunes: tuple[str, ...]


@contextmanager
def _kept_logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What licd logs is kept instead of printed; what the SDK logs is what its callbacks and status say as well."""
    client = logging.getLogger("licd.client")
    was, client.disabled = client.disabled, True
    try:
        with capture_logs() as logged:
            yield logged
    finally:
        client.disabled = was


def run(seed: int, shape: Shape | None = None, *, only: tuple[str, ...] = ()) -> Outcome:
    """One run, whole. only: of all misfortunes let none but these happen."""
    chance = stream(seed, "order")
    loop = VirtualLoop(chance, chance.choice(JITTERS))  # type: ignore[abstract]  # what is left out has no sense here
    asyncio.set_event_loop(loop)
    try:
        with _kept_logs() as logged, remembered():
            try:
                return loop.run_until_complete(_run(seed, shape or Shape(), only, logged))
            finally:
                _cancel_all(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _cancel_all(loop: VirtualLoop) -> None:
    """Whatever still runs when the verdict is there ends before the loop does."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))


def _of_a_cut(line: MutableMapping[str, Any]) -> bool:
    """Whether licd says that its database is out of reach, which is one of the misfortunes."""
    if line["event"] == "the database cannot be read":
        return True
    return line["event"] == "batch failed" and isinstance(line.get("exc_info"), StoreFailed)


async def _run(seed: int, shape: Shape, only: tuple[str, ...], logged: list[MutableMapping[str, Any]]) -> Outcome:
    world = World(seed, shape)
    await world.begin()
    await play(world, only=only)
    await world.heal()
    await world.converge()
    await world.end()
    for line in logged:
        if line["log_level"] in FAILURES and not (shape.replicas and _of_a_cut(line)):
            world.judge.blame(Promise.INPUT, f"licd failed inside: {line['event']} {line.get('exc_info')!r}")
    judge = world.judge
    return Outcome(
        seed=seed,
        violations=tuple(judge.violations),
        trace=tuple(judge.trace),
        permits=judge.permits,
        refusals=judge.refusals,
        acts=judge.acts,
        lives=world.site.lives,
        misfortunes=tuple(world.misfortunes),
    )
