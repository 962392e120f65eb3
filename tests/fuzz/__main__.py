"""Runs fuzzing: `python -m tests.fuzz [TARGET ... | all] [--seconds 60] [--seed 1] [--jobs 1] [--fresh]`.

Without a target it lists them. Each run prints one line of JSON on standard output; the exit code is 0 when every run
was good. An input that does harm is written below tests/fuzz/regressions, where `make test` runs it ever after.
`python -m tests.fuzz coverage` says which of licd's own lines and branches the kept inputs reach.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz import reach, runs
from tests.fuzz.registry import TARGETS


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Structured fuzzing of licd.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", choices=["all", "coverage", *TARGETS, []])
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="targets at one time")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs have found worth keeping")
    chosen = parser.parse_args()
    if not chosen.targets:
        for name, question in TARGETS.items():
            print(f"{name:12} {question}")
        return 0
    if chosen.targets == ["coverage"]:
        return reach.report()
    names = list(TARGETS) if "all" in chosen.targets else chosen.targets
    for name in names if chosen.fresh else []:
        runs.forget_corpus(name)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        results = pool.map(lambda name: runs.run(name, chosen.seconds, chosen.seed, complain), names)
        good = [show(result) for result in results]
    return 0 if all(good) else 1


def show(result: runs.Result) -> bool:
    """Prints one line; whether the run was good."""
    print(result.line(), flush=True)
    return result.is_good


def complain(text: str) -> None:
    """What an engine said, for people."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
