"""What came of a crowd, against its bars: for people and for programs, the same figures."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from simulator.clock import SECOND, Millis
from simulator.crowd.gauge import Course
from simulator.crowd.scenario import Bars, CrowdScenario, Phase
from simulator.crowd.watch import GIVEN_UP

BUCKET: Final[Millis] = 100
SCHEMA: Final = 1
ALMOST_ALL: Final = 0.99
PATIENCE: Final = (GIVEN_UP, "DEADLINE_EXCEEDED")


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number of instants lie: the first, the middle, nearly the last, the last; most in one tenth of a second."""

    count: int
    first: Millis
    median: Millis
    p99: Millis
    last: Millis
    busiest: int

    @classmethod
    def of(cls, values: Sequence[Millis]) -> Spread:
        """No values: all zero."""
        if not values:
            return cls(0, 0, 0, 0, 0, 0)
        ordered = sorted(values)
        buckets = Counter(value // BUCKET for value in ordered)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * ALMOST_ALL))]
        middle = round(statistics.median(ordered))
        return cls(len(ordered), ordered[0], middle, p99, ordered[-1], max(buckets.values()))

    def __str__(self) -> str:
        return f"{self.median} ms in the middle, {self.p99} ms at 99 %, {self.last} ms the last"


@dataclass(frozen=True, slots=True)
class Storm:
    """All come back at once. Instants count from when licd served again; ends are by status and when they had begun."""

    stopping: Millis
    starting: Millis
    all_back: bool
    back: int
    dials: Spread
    answers: Spread
    ends: dict[str, int]
    usable: int

    @property
    def refused(self) -> int:
        """Streams and calls that were begun while licd served, and ended with an error of licd's or of gRPC's.

        What came to nothing because no answer came in the SDK's time is none: it dials again, and it is told as well.
        """
        ended = [(words, number) for words, number in self.ends.items() if words.endswith("while licd served")]
        return sum(number for words, number in ended if not words.startswith(PATIENCE) and "timed out" not in words)


@dataclass(frozen=True, slots=True)
class Stop:
    """Everything suspended. Instants count from the suspension's entry (decided); that and answered from the call."""

    answered: Millis
    decided: Millis
    stops: Spread
    arrivals: Spread
    bound: Millis
    leases_before: int
    leases_after: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one phase."""

    phase: Phase
    enrolling: Millis
    opening: Millis
    held: int
    held_after: int
    heartbeats: float
    memory: Course
    cpu: Course
    lost: dict[str, int]
    bad_in_rest: tuple[str, ...]
    storm: Storm | None
    stop: Stop


@dataclass(frozen=True, slots=True)
class Judged:
    """One thing that must hold."""

    name: str
    holds: bool
    found: str
    bar: str


def judge(figures: Figures, bars: Bars) -> list[Judged]:
    """Everything that must hold of a phase."""
    phase, stop = figures.phase, figures.stop
    found = [
        Judged("leases held", figures.held == phase.leases, str(figures.held), f"{phase.leases}"),
        Judged("leases lost", not figures.lost, _counts(figures.lost), "none"),
        Judged("refused in rest", not figures.bad_in_rest, str(len(figures.bad_in_rest)), "none"),
        _flat("memory flat", figures.memory, bars.memory, bars.memory_mib, "MiB"),
        _flat("CPU flat", figures.cpu, bars.cpu, bars.cpu_cores, "cores"),
    ]
    if figures.storm is not None:
        found += _judge_storm(figures.storm, phase, bars)
    return [
        *found,
        Judged("all stopped", stop.stops.count == phase.systems, str(stop.stops.count), f"{phase.systems} systems"),
        Judged("no lease left", stop.leases_after == 0, str(stop.leases_after), f"0 of {stop.leases_before}"),
        Judged("all acknowledged", stop.acknowledged == phase.systems, str(stop.acknowledged), f"{phase.systems}"),
        Judged("W_push", 0 < stop.stops.last <= stop.bound, f"{stop.stops.last} ms", f"{stop.bound} ms"),
    ]


def _judge_storm(storm: Storm, phase: Phase, bars: Bars) -> list[Judged]:
    busiest, most = storm.dials.busiest, max(2, round(phase.systems * bars.busiest))
    return [
        Judged("all come back", storm.all_back, f"{storm.back}, the last {storm.answers.last} ms", f"{phase.systems}"),
        Judged("storm refused", storm.refused == 0, _counts(storm.ends), "none while licd served"),
        Judged("storm spread", busiest <= most, f"{busiest} dials in 100 ms", f"{most}"),
        Judged("leases kept", storm.usable == phase.leases, str(storm.usable), f"{phase.leases}"),
    ]


def _flat(name: str, course: Course, share: float, least: float, unit: str) -> Judged:
    bar = max(course.mean * share, least)
    found = f"{course.mean:.3g} {unit}, moved by {course.moved:+.3g}"
    return Judged(name, abs(course.moved) <= bar, found, f"{bar:.3g} {unit}")


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {words}" for words, number in sorted(numbers.items())) or "none"


def in_words(figures: Figures, bars: Bars) -> Iterator[str]:
    """The table of one phase."""
    phase, stop, storm = figures.phase, figures.stop, figures.storm
    yield (
        f"{phase.name}: {phase.systems} systems, {phase.leases} leases, {phase.licences} licences, a heartbeat every "
        f"{phase.heartbeat / SECOND:g} s, {phase.steady / SECOND:.0f} s of rest"
    )
    yield f"  enrolled in {figures.enrolling / SECOND:.1f} s, leases had in {figures.opening / SECOND:.1f} s"
    kib = 1024 * figures.memory.mean / phase.systems
    yield f"  {figures.heartbeats:.0f} frames/s; {kib:.0f} KiB of licd's memory a system"
    if storm is not None:
        yield f"  licd took {storm.stopping / SECOND:.1f} s to end and {storm.starting / SECOND:.1f} s to serve again"
        yield f"  then {storm.dials.count} dials: {storm.dials}; first answers: {storm.answers}"
    yield f"  suspended: decided {stop.decided} ms after the call, answered after {stop.answered} ms"
    yield f"  from the entry to the directive's arrival: {stop.arrivals}; to the last act: {stop.stops}"
    for each in judge(figures, bars):
        yield f"  {'holds' if each.holds else 'FAILS':6} {each.name:17} {each.found:60} bar: {each.bar}"


def to_json(scenario: CrowdScenario, phases: Sequence[Figures]) -> str:
    """Every figure, by names that stay."""
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "scenario": scenario.title,
        "seed": scenario.seed,
        "phases": [{**asdict(each), "judged": list(map(asdict, judge(each, scenario.bars)))} for each in phases],
    }
    return json.dumps(told, indent=2) + "\n"
