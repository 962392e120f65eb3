"""Whole systems on a virtual clock, seed by seed; and that the simulation still finds what is planted in it."""

from __future__ import annotations

from simulator.deterministic.many import ALONE, Tally, replay
from simulator.deterministic.run import run
from simulator.deterministic.world import Shape
from tests.core.walks import STEPS, differ
from tests.gate.row import Row, Trial
from tests.simulation.planted import FAULTS, OF_REPLICAS

REPLICAS = Shape(replicas=3)
SEEDS = 10**9
SEARCH = 60
"""Seeds in which a planted fault must show."""


def seeds(trial: Trial) -> None:
    """A cycle is a seed; one in five has replicas."""
    first = trial.chance.randrange(SEEDS)
    tally = Tally()
    for cycle in trial.each():
        shape = REPLICAS if cycle % 5 == 1 else ALONE
        outcome = run(first + cycle, shape)
        tally.count(outcome)
        trial.violated(*(f"{violation}; {replay(outcome.seed, shape)}" for violation in outcome.violations))
    trial.figures |= {
        "first seed": first,
        "misfortunes": sum(tally.misfortunes.values()),
        "lives of licd": tally.lives,
        "permits": tally.permits,
        "refusals": tally.refusals,
        "acts": tally.acts,
    }


def planted(trial: Trial) -> None:
    """A cycle is a fault, searched for afresh."""
    names = list(FAULTS)
    for cycle in trial.each():
        name = names[cycle % len(names)]
        first = trial.chance.randrange(SEEDS)
        found = next((seed for seed in range(first, first + SEARCH) if _breaks(name, seed)), None)
        trial.need(found is not None, f"{name} was not found in {SEARCH} seeds from {first} on")
        if found is not None:
            trial.peak("seeds until found, at most", found - first + 1)


def _breaks(name: str, seed: int) -> bool:
    with FAULTS[name]():
        return bool(run(seed, REPLICAS if name in OF_REPLICAS else ALONE).violations)


def core(trial: Trial) -> None:
    """A cycle is a walk of core alone, each step of it compared with an oracle that shares no code."""
    first = trial.chance.randrange(SEEDS)
    for cycle in trial.each():
        difference = differ(first + cycle)
        trial.need(not difference, difference)
    trial.figures |= {"first seed": first, "steps": trial.done * STEPS}


ROWS = (
    Row(
        "seeds",
        "S1-S3 S6-S9 L1",
        "daemon and SDK on a virtual clock, seeded misfortunes",
        1_000,
        2,
        (),
        seeds,
        takes=560,
        patient=10,
    ),
    Row(
        "planted",
        "(all)",
        "mistakes planted in the simulation, searched for afresh",
        len(FAULTS),
        1,
        (),
        planted,
        takes=45,
        patient=10,
    ),
    Row(
        "core",
        "S1-S4",
        "core alone, step by step against the slow oracle",
        100_000,
        200,
        (),
        core,
        takes=560,
        patient=10,
    ),
)
