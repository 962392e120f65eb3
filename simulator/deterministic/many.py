"""Many seeds, on several processes, and what came of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final

from simulator.deterministic.run import Outcome, run

AT_ONCE: Final = 8
"""Seeds that one process takes in one go."""


@dataclass(slots=True)
class Tally:
    """Figures over many runs."""

    seeds: int = 0
    permits: int = 0
    refusals: int = 0
    acts: int = 0
    lives: int = 0
    misfortunes: Counter[str] = field(default_factory=Counter)
    violations: int = 0
    failed: list[int] = field(default_factory=list)
    """Seeds with a violation."""

    def count(self, outcome: Outcome) -> None:
        """Adds one run."""
        self.seeds += 1
        self.permits += outcome.permits
        self.refusals += outcome.refusals
        self.acts += outcome.acts
        self.lives += outcome.lives
        self.misfortunes.update(outcome.misfortunes)
        self.violations += len(outcome.violations)
        if outcome.violations:
            self.failed.append(outcome.seed)


def run_many(first: int, number: int, processes: int, tell: Callable[[Outcome], None]) -> Tally:
    """Runs the seeds from first on; tells of each in their order."""
    tally = Tally()
    for outcome in _outcomes(first, number, processes):
        tally.count(outcome)
        tell(outcome)
    return tally


def _outcomes(first: int, number: int, processes: int) -> Iterator[Outcome]:
    seeds = range(first, first + number)
    if processes == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(run, seeds, chunksize=AT_ONCE)


def replay(seed: int) -> str:
    """The command that runs one seed again and shows all that happens in it."""
    return f"python -m simulator seeds {seed} --trace"
