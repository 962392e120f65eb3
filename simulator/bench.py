"""Work on targets. Here it is a timer and nothing else: how long somebody worked on which target, relying on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from simulator.clock import Clock, Millis
from simulator.oracle.facts import Act
from simulator.tap import Tap

STEP: Final[Millis] = 100
"""How long one step of work takes; whether to go on is asked before each."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What a step of work relies on. permit is None for nothing; past says that it goes on where the permit ended."""

    permit: bytes | None
    past: bool = False


class Job:
    """One target being worked on. `cover` says what the next step relies on, or None to stop."""

    def __init__(self, tap: Tap, target: bytes, region: str, purpose: str, cover: Callable[[], Cover | None]) -> None:
        self.target: Final = target
        self.done = False
        self._tap: Final = tap
        self._region: Final = region
        self._purpose: Final = purpose
        self._cover: Final = cover
        self._under: Cover | None = None
        self._start: Millis = 0
        self._last: Millis = 0

    def step(self, now: Millis) -> None:
        """Ask whether to go on, and go on or stop. Steps under one cover are one act."""
        cover = None if self.done else self._cover()
        if cover != self._under:
            self._end_act(now)
            self._under, self._start = cover, now
        self._last = now
        if cover is None:
            self.done = True

    def stop(self, now: Millis) -> None:
        """Stop at once."""
        self._end_act(now)
        self._under = None
        self.done = True

    def _end_act(self, now: Millis) -> None:
        if self._under is None:
            return
        end = min(now, self._last + STEP)
        act = Act(self._tap.system, self.target, self._start, end, self._under.permit, self._region, self._purpose)
        self._tap.acts(act)


class Bench:
    """Where all the work of a fleet is done, step by step."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._jobs: list[Job] = []

    def begin(self, tap: Tap, target: bytes, region: str, purpose: str, cover: Callable[[], Cover | None]) -> Job:
        """Begin to work on a target."""
        job = Job(tap, target, region, purpose, cover)
        job.step(self._clock.boot_ms())
        self._jobs.append(job)
        return job

    def end(self, job: Job) -> None:
        """Stop to work on a target."""
        job.stop(self._clock.boot_ms())

    async def run(self) -> None:
        """Do one step of every job, over and over, until cancelled; then everything stops."""
        try:
            while True:
                now = self._clock.boot_ms()
                self._jobs = [job for job in self._jobs if not job.done]
                for job in self._jobs:
                    job.step(self._clock.boot_ms())
                await self._clock.sleep_until(now + STEP)
        finally:
            for job in self._jobs:
                job.stop(self._clock.boot_ms())

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)
