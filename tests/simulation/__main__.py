"""Searches for every planted fault afresh: `python -m tests.simulation [SEEDS [FIRST]]`. Fails when one is missed."""

import sys

from simulator.deterministic.many import ALONE
from simulator.deterministic.run import run
from simulator.deterministic.world import Shape
from tests.simulation.planted import FAULTS, OF_REPLICAS


def search(name: str, first: int, number: int) -> str:
    """The first seed that finds the fault, and by what; empty when none does."""
    shape = Shape(replicas=3) if name in OF_REPLICAS else ALONE
    for seed in range(first, first + number):
        with FAULTS[name]():
            outcome = run(seed, shape)
        if outcome.violations:
            return f"seed {seed}: {outcome.violations[0]}"
    return ""


def main() -> int:
    """Prints a line for each fault."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    missed = 0
    for name in FAULTS:
        found = search(name, first, number)
        missed += not found
        sys.stdout.write(f"{name:40} {found or f'NOT FOUND in {number} seeds'}\n")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
