"""The gate itself must not rot: each row runs, a very few cycles of it, and a row that cannot run fails the gate."""

import json
import subprocess
import sys

import pytest

from tests.daemon import ROOT
from tests.gate.__main__ import ROWS, Outcome, absent
from tests.gate.row import Tool


@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_a_row_runs_and_finds_nothing(row: str):
    [known] = [each for each in ROWS if each.name == row]
    if why := absent(known.tools):
        pytest.skip(f"gate row {row}: {why}")
    command = [sys.executable, "-m", "tests.gate", "--alone", "--smoke", "--seed", "1", row]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    outcome = Outcome(**json.loads(done.stdout))
    assert (outcome.failed, outcome.told, outcome.violations) == ("", [], 0)
    assert outcome.cycles == known.smoke


def test_a_program_that_is_absent_is_named_with_the_line_that_installs_it():
    assert absent((Tool("no-such-program", "apt-get install it"),)) == "no-such-program is absent: apt-get install it"
    assert absent((Tool("sh", ""),)) == ""


def test_rows_have_names_of_their_own():
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_row_without_a_cycle_does_not_hold():
    assert not Outcome("row", "S1", "method", 0, 0, 1, 0.0).good
    assert not Outcome("row", "S1", "method", 3, 1, 1, 0.0).good
    assert not Outcome("row", "S1", "method", 3, 0, 1, 0.0, failed="hung").good
    assert Outcome("row", "S1", "method", 3, 0, 1, 0.0).good
