"""Whole systems on a virtual clock: no promise is broken, whatever goes wrong; and the same seed is the same run."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import typer

from simulator.command import Exit, _part, seeds
from simulator.deterministic.many import replay
from simulator.deterministic.run import run
from simulator.deterministic.world import Shape
from tests.simulation.planted import FAULTS
from tests.simulation.test_planted import FOUND

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


@pytest.mark.parametrize("first", range(0, SEEDS // 5, CHUNK))
def test_every_promise_holds_on_three_replicas(first: int) -> None:
    shape = Shape(replicas=3)
    for seed in range(first, first + CHUNK):
        outcome = run(seed, shape)
        assert not outcome.violations, f"{replay(seed, shape)}\n" + "\n".join(map(str, outcome.violations))
        assert outcome.permits
        assert outcome.lives >= shape.replicas


def test_the_same_seed_is_the_same_run_on_replicas_too() -> None:
    assert run(7, Shape(replicas=2)).trace == run(7, Shape(replicas=2)).trace


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


@pytest.mark.parametrize(("shard", "expected"), [("1/1", (5, 10)), ("1/3", (5, 3)), ("2/3", (8, 3)), ("3/3", (11, 4))])
def test_the_parts_of_a_night_are_all_of_it(shard: str, expected: tuple[int, int]) -> None:
    assert _part(5, 10, shard) == expected


@pytest.mark.parametrize("shard", ["", "0/1", "2/1", "1/0", "1", "a/b", "-1/2"])
def test_a_part_that_there_is_not_is_refused(shard: str) -> None:
    with pytest.raises(typer.BadParameter, match="I/N"):
        _part(0, 10, shard)


def test_a_broken_promise_is_told_with_the_command_that_shows_it_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seed, _ = FOUND["suspension_stops_nothing"]
    with FAULTS["suspension_stops_nothing"](), pytest.raises(typer.Exit) as ended:
        seeds(seed, json=tmp_path / "seeds.json")
    assert ended.value.exit_code == Exit.VIOLATION
    assert replay(seed) in capsys.readouterr().out
    written = json.loads((tmp_path / "seeds.json").read_text())
    assert written["failed"] == [seed]
    assert sum(written["misfortunes"].values()) > 0
