"""Whole systems on a virtual clock: no promise is broken, whatever goes wrong; and the same seed is the same run."""

import os
import subprocess
import sys
from hashlib import sha256

import pytest

from simulator.deterministic.many import replay
from simulator.deterministic.run import run

pytestmark = pytest.mark.timeout(600)

SEEDS = 50
CHUNK = 5


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        outcome = run(seed)
        assert not outcome.violations, f"{replay(seed)}\n" + "\n".join(map(str, outcome.violations))
        assert outcome.permits
        assert outcome.misfortunes


def test_the_same_seed_is_the_same_run() -> None:
    assert run(7).trace == run(7).trace


def test_another_seed_is_another_run() -> None:
    assert run(7).trace != run(8).trace


def test_a_run_does_not_depend_on_the_process_it_is_in() -> None:
    program = (
        "from hashlib import sha256; from simulator.deterministic.run import run; "
        "print(sha256(chr(10).join(run(3).trace).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {sha256("\n".join(run(3).trace).encode()).hexdigest()}
