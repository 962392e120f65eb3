"""The gate itself must not rot: each row runs, a very few cycles of it, and a row that cannot run fails the gate."""

import json
import subprocess
import sys

import pytest

from tests.daemon import ROOT
from tests.gate import __main__ as gate
from tests.gate.__main__ import ROWS, Outcome, Report, absent
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


def test_a_row_is_told_and_kept_when_it_ends_whatever_becomes_of_the_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gate, "REPORT", tmp_path / "gate.json")
    report = Report(ROWS)
    report.take(Outcome("power", "S6", "cut", 40, 0, 1, 60.0), 61.0)
    report.take(Outcome("kill", "S6", "killed", 100, 0, 1, 90.0), 91.0)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in told] == ["power", "kill"]
    kept = json.loads((tmp_path / "gate.json").read_text())
    assert [(row["row"], row["cycles"]) for row in kept["rows"]] == [("kill", 100), ("power", 40)]
    assert set(kept["running"]) == {row.name for row in ROWS} - {"kill", "power"}


@pytest.mark.timeout(300)
def test_a_run_that_is_stopped_stops_its_rows_and_keeps_those_that_have_ended():
    command = [sys.executable, "-m", "tests.gate", "--seed", "1", "--cycles", "1", "core"]
    whole = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1 of 1 rows hold" in whole.stdout
    with subprocess.Popen(
        [*command[:-3], "--cycles", "100000", "core"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("promise")
        run.terminate()
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "stopped: 1 rows had not ended" in said


def test_rows_have_names_of_their_own():
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_row_without_a_cycle_does_not_hold():
    assert not Outcome("row", "S1", "method", 0, 0, 1, 0.0).good
    assert not Outcome("row", "S1", "method", 3, 1, 1, 0.0).good
    assert not Outcome("row", "S1", "method", 3, 0, 1, 0.0, failed="hung").good
    assert Outcome("row", "S1", "method", 3, 0, 1, 0.0).good
