"""Fuzzing by chance alone: so many inputs from a seed, the same ones every time. What `make test` can afford."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.fuzz.target import Target, Violation, promise

CPU_LIMIT_NS: Final = 10 * 1_000_000_000
"""For one input of at most 64 KiB: three hundred times what the slowest takes, so no busy machine makes it fail."""
GROWTH_LIMIT_KIB: Final = 512 * 1024


def judge(target: Target, data: bytes) -> None:
    """Runs one input in bounded processor time. Raises what must not be; its note says how to see it again."""
    started = time.thread_time_ns()
    try:
        target.check(data)
        spent = time.thread_time_ns() - started
        promise(spent <= CPU_LIMIT_NS, f"{spent // 1_000_000} ms of processor for {len(data)} bytes")
    except BaseException as error:
        error.add_note(f"target {target.name}, input {data.hex()}")
        raise


@contextmanager
def bounded_memory() -> Iterator[None]:
    """What is inside raises the highest this process has ever used by little."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > GROWTH_LIMIT_KIB:
        raise Violation(f"{grown // 1024} MiB more at the highest")


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """Inputs without end. What was tried may be built on: changes add up."""
    chance = random.Random(f"{target.name} {seed}")
    kept = list(target.seeds)
    yield from kept
    while True:
        data = target.mutate(chance.choice(kept), chance)
        yield data
        if not chance.randrange(50):
            kept[chance.randrange(len(kept))] = data if chance.randrange(2) else chance.choice(target.seeds)
