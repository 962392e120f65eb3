"""`make bench`: the table, build/bench.json, and the plot of cost against size."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.bench import against, checks, clock, database, fanout, heartbeats, load, measures, plot, size, stream
from tests.bench.measures import CONNECTIONS, Measured, run_on_loop
from tests.bench.peers.service import Absent
from tests.bench.stage import LICENCE, Enrolled, Stage, enrol_all, issue, staged

BUILD: Final = Path("build")
REPORT: Final = BUILD / "bench.json"
BEATING: Final = 64
LARGEST: Final = fanout.SIZES[-1]


class Bench:
    """What the measures share. Each part is made when the first measure asks for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack: Final = stack
        self.spread_up_to = LARGEST

    @cached_property
    def stage(self) -> Stage:
        """The daemon and the echo server."""
        made = self._stack.enter_context(staged())
        issue(made, "bench-customer", LICENCE)
        return made

    @property
    def systems(self) -> list[Enrolled]:
        """As many systems as the unary measures have connections; new ones each time, for a chain is begun once."""
        return enrol_all(self.stage, LICENCE, [f"raw-{number}-{clock.now_ms()}" for number in range(CONNECTIONS)])

    @cached_property
    def beats(self) -> tuple[float, float]:
        """Heartbeats and echoes a second."""
        enrolled = enrol_all(self.stage, LICENCE, [f"beat-{number}" for number in range(BEATING)])
        return run_on_loop(lambda: heartbeats.heartbeats(self.stage, enrolled))

    @cached_property
    def spread(self) -> fanout.Spread:
        """What pushes take at every size."""
        return run_on_loop(lambda: fanout.spread(self.stage, self.spread_up_to))

    @cached_property
    def grown(self) -> size.Grown:
        """What acquisitions cost at every size."""
        return size.grown()


def _against(key: str) -> Callable[[Bench], Measured]:
    return lambda bench: run_on_loop(lambda: against.against(bench.stage, against.PEERS[key]))


KEYS: Final[dict[str, Callable[[Bench], Measured]]] = {
    "acquire_vs_echo": lambda bench: run_on_loop(lambda: measures.acquire_vs_echo(bench.stage, bench.systems)),
    "stream_acquire_vs_echo": lambda bench: run_on_loop(
        lambda: stream.stream_acquire_vs_echo(bench.stage, bench.systems)
    ),
    "heartbeat_vs_echo": lambda bench: heartbeats.heartbeat_vs_echo(*bench.beats),
    "renewals_vs_echo": lambda bench: heartbeats.renewals_vs_echo(*bench.beats),
    "check_cached_vs_verify": lambda bench: checks.check_cached_vs_verify(bench.stage, bench.systems),
    "check_cold_vs_verify": lambda bench: checks.check_cold_vs_verify(bench.stage, bench.systems),
    "acquire_at_1m_vs_1k": lambda bench: size.acquire_at_1m_vs_1k(bench.grown),
    "postgres_vs_sqlite": lambda bench: database.postgres_vs_sqlite(bench.stage, bench.systems),
    **{key: _against(key) for key in against.PEERS},
    "suspend_fanout_vs_bare": lambda bench: fanout.suspend_fanout_vs_bare(bench.spread),
    "session_kib": lambda bench: fanout.session_kib(bench.spread),
    "fanout_10k_vs_2k": lambda bench: fanout.fanout_10k_vs_2k(bench.spread),
}


def chosen(wanted: list[str]) -> list[str]:
    """The keys that are meant: a key's name, its first part (acquire, vs_redis), or how several begin.

    Raises KeyError.
    """
    found: list[str] = []
    for word in wanted:
        whole = [key for key in KEYS if word in {key, key.partition("_vs_")[0]}]
        meant = whole or [key for key in KEYS if key.startswith(word)]
        if not meant:
            raise KeyError(word)
        found += [key for key in meant if key not in found]
    return found or list(KEYS)


def main(wanted: list[str]) -> int:
    try:
        keys = chosen(wanted)
    except KeyError as error:
        print(f"no such measure: {error.args[0]}; there are {', '.join(KEYS)}", file=sys.stderr)
        return 2
    BUILD.mkdir(exist_ok=True)
    print(f"{'key':26} {'ratio':>8}  {'goal':>7}  verdict   made of (medians of rounds in turn)")
    found: list[Measured] = []
    with ExitStack() as stack:
        bench = Bench(stack)
        for key in keys:
            found.append(_measured(key, bench))
            _print(found[-1])
            REPORT.write_text(json.dumps({each.key: each.report() for each in found}, indent=2) + "\n")
        _plot(bench)
    print(f"{REPORT}; medians of {load.ROUNDS} rounds of {load.SECONDS:g} s where rates are compared")
    return 0


def _measured(key: str, bench: Bench) -> Measured:
    try:
        return KEYS[key](bench)
    except Absent as error:
        return Measured(key, 0.0, None, higher_is_better=True, absent=str(error))


def _print(each: Measured) -> None:
    if each.absent:
        print(f"{each.key:26} {'-':>8}  {'':>7}  {each.verdict:8}  {each.absent}", flush=True)
        return
    sides = ", ".join(f"{name} {value:,.2f}" for name, value in each.sides.items())
    goal = "" if each.goal is None else f"{'>=' if each.higher_is_better else '<='} {each.goal:g}"
    print(f"{each.key:26} {each.ratio:8.3f}  {goal:>7}  {each.verdict:8}  {sides} {each.unit}", flush=True)
    if each.note:
        print(f"{'':26} {each.note}")


def _plot(bench: Bench) -> None:
    """Of what was measured, if both halves were."""
    if "grown" in vars(bench) and "spread" in vars(bench):
        acquire = {"licences asked before": bench.grown.warm, "any licence": bench.grown.any_licence}
        for path in plot.draw(BUILD, acquire, bench.spread.arrival):
            print(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
