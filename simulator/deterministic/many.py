"""Many seeds, on several processes, and what came of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import Final

from simulator.deterministic.run import Outcome, run
from simulator.deterministic.world import Shape

ALONE: Final = Shape()
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


def run_many(first: int, number: int, processes: int, tell: Callable[[Outcome], None], shape: Shape = ALONE) -> Tally:
    """Runs the seeds from first on; tells of each in their order."""
    tally = Tally()
    for outcome in _outcomes(range(first, first + number), processes, shape):
        tally.count(outcome)
        tell(outcome)
    return tally


def _outcomes(seeds: Sequence[int], processes: int, shape: Shape) -> Iterator[Outcome]:
    one = partial(run, shape=shape)
    if processes == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(one, seeds, chunksize=AT_ONCE)


def replay(seed: int, shape: Shape = ALONE) -> str:
    """The command that runs one seed again and shows all that happens in it."""
    replicas = f" --replicas {shape.replicas}" if shape.replicas else ""
    return f"python -m simulator seeds {seed}{replicas} --trace"
