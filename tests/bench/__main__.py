"""`make bench`: the table, and build/bench.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import checks, measures, stream
from tests.bench.measures import Measured, run_on_loop
from tests.bench.stage import LICENCE, Enrolled, Stage, enrol, invite, issue, staged

Measure = Callable[[Stage, list[Enrolled]], Measured]
SYSTEMS = 5
REPORT = Path("build/bench.json")


def _measures() -> dict[str, Measure]:
    return {
        "acquire_vs_echo": lambda stage, systems: run_on_loop(partial(measures.acquire_vs_echo, stage, systems)),
        "stream_acquire_vs_echo": lambda stage, systems: run_on_loop(
            partial(stream.stream_acquire_vs_echo, stage, systems)
        ),
        "check_cached_vs_verify": checks.check_cached_vs_verify,
        "check_cold_vs_verify": checks.check_cold_vs_verify,
    }


def main(wanted: list[str]) -> int:
    known = _measures()
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        print(f"no such measure: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    found: list[Measured] = []
    with staged() as stage:
        issue(stage, "bench-customer", LICENCE)
        tokens = invite(stage, LICENCE, [f"raw-{n}" for n in range(SYSTEMS)])
        systems = [enrol(name, token) for name, token in tokens.items()]
        print(f"{'key':26} {'ratio':>8}  {'goal':>7}  verdict  made of (medians of {measures.ROUNDS} rounds in turn)")
        for key in wanted or list(known):
            found.append(known[key](stage, systems))
            _print(found[-1])
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({each.key: each.report() for each in found}, indent=2) + "\n")
    return 0


def _print(each: Measured) -> None:
    sides = ", ".join(f"{name} {value:,.2f} {each.unit}" for name, value in each.sides.items())
    goal = f"{'>=' if each.higher_is_better else '<='} {each.goal:g}"
    print(f"{each.key:26} {each.ratio:8.3f}  {goal:>7}  {'met' if each.met else 'MISSED':7}  {sides}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
