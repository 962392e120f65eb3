"""Memory and processor time of one process, from /proc, and whether they are flat."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from simulator.clock import SECOND, Clock, Millis, sleep

EVERY: Final[Millis] = 2 * SECOND
WARM_UP: Final = 5
"""One part in so many of the time is not looked at: caches fill, and the herd of openings ebbs away."""
FIELDS_BEFORE_STATE: Final = 2
UTIME: Final = 13
STIME: Final = 14
RESIDENT: Final = 1
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """At one boot instant: processor seconds used since the process began, and resident bytes."""

    at: Millis
    cpu: float
    resident: int


@dataclass(frozen=True, slots=True)
class Course:
    """How a figure went: its mean, and by how much the line through it moved from the first sample to the last."""

    mean: float
    moved: float

    @property
    def share(self) -> float:
        """The movement as a share of the mean."""
        return self.moved / self.mean if self.mean else 0.0


def sample(pid: int, at: Millis) -> Sample:
    """Raises OSError when there is no such process."""
    process = Path(f"/proc/{pid}")
    # The name, in brackets, may hold anything; what is of interest comes after it.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(fields[each - FIELDS_BEFORE_STATE]) for each in (UTIME, STIME))
    pages = int((process / "statm").read_text().split()[RESIDENT])
    return Sample(at, ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


async def watch_process(pid: int, duration: Millis, clock: Clock) -> list[Sample]:
    """Look at it again and again for so long."""
    ends = clock.boot_ms() + duration
    samples = [sample(pid, clock.boot_ms())]
    while clock.boot_ms() < ends:
        await sleep(clock, min(EVERY, ends - clock.boot_ms()))
        samples.append(sample(pid, clock.boot_ms()))
    return samples


def memory(samples: Sequence[Sample]) -> Course:
    """Resident MiB."""
    steady = samples[len(samples) // WARM_UP :]
    return _course([each.at for each in steady], [each.resident / MIB for each in steady])


def cpu(samples: Sequence[Sample]) -> Course:
    """Processors in use: seconds of one a second, from sample to sample."""
    steady = samples[len(samples) // WARM_UP :]
    pairs = list(pairwise(steady))
    shares = [(after.cpu - before.cpu) * SECOND / (after.at - before.at) for before, after in pairs]
    return _course([after.at for _, after in pairs], shares)


def _course(times: Sequence[Millis], values: Sequence[float]) -> Course:
    """Raises StatisticsError where there are fewer than two values: too short a time says nothing."""
    slope = statistics.linear_regression(times, values).slope
    return Course(statistics.fmean(values), slope * (times[-1] - times[0]))
