"""Many walks of core alone against the slow oracle: `python -m tests.core.walks --number 2000000 --shard 1/10`."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.core.walk import Walk

STEPS = 60
AT_ONCE = 250


def differ(seed: int) -> str:
    """What licd and the oracle differ in on one walk, and how to walk it again; empty when in nothing."""
    try:
        Walk(seed).go(STEPS)
    except Exception as error:  # noqa: BLE001 -- an error of licd's own on the way is a difference as well
        return f"Walk({seed}).go({STEPS}): {type(error).__name__}: {error}"
    return ""


def differences(first: int, number: int, processes: int) -> Iterator[str]:
    """Those of these walks on which there is one."""
    gc.collect()
    gc.freeze()  # nothing of a walk outlives it: no collection need look at what was there before
    seeds = range(first, first + number)
    if processes == 1:
        yield from filter(None, map(differ, seeds))
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from filter(None, pool.map(differ, seeds, chunksize=AT_ONCE))


def part(number: int, shard: str) -> tuple[int, int]:
    """The first walk of a part I/N, and how many it has."""
    this, parts = (int(each) for each in shard.split("/"))
    if not 1 <= this <= parts:
        raise ValueError(f"there is no part {this} of {parts}")
    begins, ends = number * (this - 1) // parts, number * this // parts
    return begins, ends - begins


def main(arguments: Sequence[str]) -> int:
    """Prints each difference. Exit code 1 when there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.walks", description=__doc__)
    parser.add_argument("--number", type=int, default=5_000)
    parser.add_argument("--shard", default="1/1", help="I/N: the I-th of N parts")
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args(arguments)
    first, number = part(asked.number, asked.shard)
    found = 0
    for each in differences(first, number, asked.processes):
        found += 1
        sys.stdout.write(f"{each}\n")
    sys.stdout.write(f"{number} walks of {STEPS} steps from {first} on: {found} differ\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
