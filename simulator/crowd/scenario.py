"""A crowd's scenario: phases, each a daemon of its own with so many systems, leases and so much time."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from simulator.clock import SECOND, Millis
from simulator.scenario import ScenarioInvalid
from simulator.table import Table

MOST_SYSTEMS: Final = 12_000
MOST_EACH: Final = 200
"""Leases that a system asks for in its first link; a link carries 256 operations at most."""
LONGEST: Final[Millis] = 3_600 * SECOND
SHORTEST_LEFT: Final[Millis] = SECOND


@dataclass(frozen=True, slots=True)
class Bars:
    """What counts as flat: how far a figure may move over the steady time, as a share of its mean, or less than this.

    busiest is the share of the systems that may dial in the busiest tenth of a second once licd serves again.
    """

    memory: float
    memory_mib: int
    cpu: float
    cpu_cores: float
    busiest: float


@dataclass(frozen=True, slots=True)
class Phase:
    """One daemon, and who is connected to it. Systems and leases are spread evenly over the licences."""

    name: str
    systems: int
    licences: int
    leases: int
    heartbeat: Millis
    permit: Millis
    grace: Millis
    steady: Millis
    restart: str

    @property
    def each(self) -> int:
        """Leases of one system."""
        return self.leases // self.systems


@dataclass(frozen=True, slots=True)
class CrowdScenario:
    """Everything that is decided before a run."""

    title: str
    seed: int
    workers: int
    bars: Bars
    phases: tuple[Phase, ...]


def is_crowd(path: Path) -> bool:
    """Whether a file is such a scenario: it has phases. One that cannot be read is left to who reads it in earnest."""
    try:
        return "phase" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def load_crowd(path: Path) -> CrowdScenario:
    """Read it. Raises ScenarioInvalid with everything that is wrong with it."""
    try:
        data: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioInvalid(str(path), [f"not a TOML file: {error}"]) from error
    problems: list[str] = []
    table = Table("scenario", data, problems)
    scenario = CrowdScenario(
        title=table.text("title"),
        seed=table.whole("seed"),
        workers=table.whole("workers", default=2, least=1, most=16),
        bars=_read_bars(table.table("bars")),
        phases=tuple(_read_phase(each) for each in table.tables("phase")),
    )
    table.done()
    if problems:
        raise ScenarioInvalid(str(path), problems)
    return scenario


def _read_bars(table: Table) -> Bars:
    bars = Bars(
        memory=table.share("memory", default=0.05),
        memory_mib=table.whole("memory_mib", default=4),
        cpu=table.share("cpu", default=0.2),
        cpu_cores=table.share("cpu_cores", default=0.03),
        busiest=table.share("busiest", default=0.2),
    )
    table.done()
    return bars


def _read_phase(table: Table) -> Phase:
    phase = Phase(
        name=table.name("name"),
        systems=table.whole("systems", least=1, most=MOST_SYSTEMS),
        licences=table.whole("licences", default=1, least=1),
        leases=table.whole("leases", least=1),
        heartbeat=table.span("heartbeat_seconds", least=SECOND),
        permit=table.span("permit_seconds", least=SECOND),
        grace=table.span("grace_seconds"),
        steady=table.span("steady_seconds", least=SECOND, most=LONGEST),
        restart=table.text("restart", default="", choices=("stop", "kill")),
    )
    table.done()
    for key, parts in (("leases", phase.systems), ("systems", phase.licences)):
        whole = getattr(phase, key)
        if parts and whole % parts:
            table.note(key, f"{whole} cannot be spread evenly over {parts}")
    if phase.systems and phase.each > MOST_EACH:
        table.note("leases", f"are {phase.each} for each system; {MOST_EACH} at most")
    return phase
