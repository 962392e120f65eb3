"""`make bench`: the table, and build/bench.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench import measures
from tests.bench.stage import enrol, invite, issue, staged

MEASURES = {"acquire_vs_echo": measures.acquire_vs_echo}


def main(wanted: list[str]) -> int:
    found = []
    with staged() as stage:
        issue(stage, "bench-customer", "bench-licence")
        tokens = invite(stage, "bench-licence", [f"bench-{n}" for n in range(16)])
        systems = [enrol(name, token) for name, token in tokens.items()]
        for key in wanted or list(MEASURES):
            measured = measures.run(MEASURES[key], stage, systems)
            found.append(measured)
            sides = ", ".join(f"{name} {value:,.0f} {measured.unit}" for name, value in measured.sides.items())
            print(f"{measured.key:28} {measured.ratio:8.3f}  goal {measured.goal}  {'met' if measured.met else 'MISSED'}  ({sides})")
    Path("build").mkdir(exist_ok=True)
    report = {each.key: {"ratio": each.ratio, "goal": each.goal, "met": each.met, "sides": each.sides} for each in found}
    Path("build/bench.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
