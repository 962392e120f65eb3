"""Whole runs against a real daemon, on loopback, with mTLS."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from simulator.clock import RealClock
from simulator.happenings import PLANTS
from simulator.progress import Progress, progress_on
from simulator.run import Result, run_scenario
from simulator.scenario import SCENARIOS, load_scenario
from tests.postgres import serving_postgres

ROOT = Path(__file__).parents[2]
OVERLAY = (SCENARIOS / "policies").as_posix()


def simulator(*arguments: str, scratch: Path) -> "subprocess.Popen[str]":
    """The command, with its temporary files in a place of the test's."""
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def serving(scratch: Path) -> list[int]:
    """The processes whose command line names the scratch directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(scratch).encode() in command:
                found.append(int(entry.name))
    return found


def test_a_short_run_shows_what_it_should_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch, figures = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    process = simulator("run", "smoke", "--json", str(figures), scratch=scratch)
    said, errors = process.communicate()
    assert (process.returncode, errors) == (0, ""), said
    assert said.rstrip().endswith("The oracle found no violation.")
    found = json.loads(figures.read_text())
    assert found["verdict"] == "ok"
    assert found["unmet"] == []
    assert found["acts"]["wrong"] == 0
    assert found["acts"]["bypass"] > 0
    assert {attempt["through"] for attempt in found["attempts"].values()} == {0}
    for tried in ("WHILE_SUSPENDED", "AFTER_EXPIRY", "OUT_OF_REGION", "OUT_OF_PURPOSE", "OVER_CAP"):
        assert found["attempts"][tried]["attempts"] > 0
    assert found["stopping"]["REACHABLE"]["systems"] > 0
    assert list(scratch.iterdir()) == []
    assert serving(scratch) == []


def opening(title: str) -> str:
    """What a scenario begins with."""
    return (
        f'title = "{title}"\nseed = 5\nduration_seconds = 3\npolicies = "{OVERLAY}"\n[[customer]]\nname = "exercise"\n'
    )


def planted(tmp_path: Path) -> Path:
    """A scenario with every fault that can be made up, each under a licence of its own."""
    parts = [opening("Planted")]
    for what in PLANTS:
        ends = "ends_after_seconds = 60\n" if what == "after-expiry" else ""
        parts.append(
            f'[[licence]]\nname = "{what}"\ncustomer = "exercise"\ntemplate = "quick-desk"\n{ends}'
            f'[[systems]]\nlicence = "{what}"\nkind = "diligent"\n'
            f'[[event]]\nat_seconds = 2.5\ndo = "plant"\nwhat = "{what}"\nlicences = ["{what}"]\n'
        )
    parts.append('[[event]]\nat_seconds = 0.3\ndo = "suspend"\nlicences = ["after-suspension"]\n')
    file = tmp_path / "planted.toml"
    file.write_text("\n".join(parts))
    return file


def test_a_planted_wrong_act_makes_the_command_fail(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    process = simulator("run", str(planted(tmp_path)), "--json", str(figures), scratch=tmp_path)
    said, _ = process.communicate()
    assert process.returncode == 1, said
    found = json.loads(figures.read_text())
    assert found["verdict"] == "violated"
    by_licence = {(each["licence"], each["rule"]) for each in found["violations"]}
    assert by_licence >= {
        ("over-cap", "CAP"),
        ("out-of-region", "REGION"),
        ("out-of-purpose", "PURPOSE"),
        ("after-suspension", "STOPPED"),
        ("after-expiry", "TERM"),
        ("too-long", "HARD_END"),
        ("uncovered", "HONEST_UNCOVERED"),
    }
    assert found["acts"]["wrong"] >= len(PLANTS) - 1
    assert found["attempts"]["OUT_OF_REGION"]["through"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_the_daemon_and_removes_its_directory(tmp_path: Path, number: signal.Signals) -> None:
    process = simulator("run", "smoke", scratch=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "systems enrolled" in line:
            break
    assert len(serving(tmp_path)) == 1
    process.send_signal(number)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (
        130,
        "simulator: interrupted; the daemon is stopped and its directory removed\n",
    )
    assert list(tmp_path.iterdir()) == []
    assert serving(tmp_path) == []


def test_what_cannot_be_run_is_told_in_one_line(tmp_path: Path) -> None:
    process = simulator("run", "no-such", scratch=tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert errors.startswith("simulator: no-such: there is no such file; scenarios that come along: ")
    assert " demo," in errors


# --------------------------------------------------------------------------------------------------- repeated
class Quiet(Progress):
    """Says nothing."""

    def say(self, words: str) -> None: ...
    def told(self, told: object) -> None: ...
    def show(self, fleet: object, elapsed: int) -> None: ...
    def close(self) -> None: ...


ALONE = {"roaming": 12, "off-purpose": 12, "greedy": 8, "rotating": 8, "misplaced": 4, "sharer": 4, "diligent": 1}


def repeatable(tmp_path: Path) -> Path:
    """Every system has a licence of its own that nobody touches, and permits that outlast the run."""
    parts = [opening("Again")]
    for kind, steps in ALONE.items():
        parts.append(
            f"""
[[licence]]
name = "only-{kind}"
customer = "exercise"
[licence.terms]
category = "exercise"
concurrent_targets = 3
distinct_targets = {{ limit = 50, period_days = 1 }}
new_targets = {{ limit = 50, period_hours = 24 }}
regions = ["DK", "NO", "SE"]
bases = ["present_location", "declared"]
purposes = ["licd:serious-crime"]
offences = ["eaw:drugs", "eaw:weapons"]
deployment_regions = ["DK"]
permit_seconds = 60
grace_seconds = 60
deployments = 1
authorisation_required = true
[[systems]]
licence = "only-{kind}"
kind = "{kind}"
seats = 2
pause_seconds = 0.05
steps = {steps}
brazen = 0.5
{'region = "BR"' if kind == "misplaced" else ""}
"""
        )
    file = tmp_path / "again.toml"
    file.write_text("\n".join(parts))
    return file


def journals(result: Result) -> dict[str, list[tuple[str, str, str]]]:
    """What each system asked for and what became of it; a diligent one pursues its targets side by side."""
    found = {
        system.kind: [(line.verb, line.what, line.outcome) for line in system.journal.lines]
        for system in result.systems
    }
    return {kind: sorted(lines) if kind == "diligent" else lines for kind, lines in found.items()}


async def test_the_same_seed_asks_for_the_same_and_gets_the_same(tmp_path: Path) -> None:
    scenario = load_scenario(repeatable(tmp_path))
    drawn = io.StringIO()
    table = progress_on(Console(file=drawn, force_terminal=True, width=150), plain=False)
    one, again, other = await asyncio.gather(
        run_scenario(scenario, RealClock(), Quiet()),
        run_scenario(scenario, RealClock(), Quiet()),
        run_scenario(scenario.with_seed(6), RealClock(), table),
    )
    assert one.verdict.sound
    assert again.verdict.sound
    assert journals(one) == journals(again)
    # A line a step at least: now and then a greedy one asks for several at once, and a rotating one also gives back.
    assert all(len(lines) >= ALONE[kind] for kind, lines in journals(one).items())
    assert journals(one).keys() == ALONE.keys()
    outcomes = {outcome for lines in journals(one).values() for _, _, outcome in lines}
    assert {"GRANTED", "CONCURRENT_CAP", "PURPOSE_NOT_PERMITTED", "REGION_NOT_PERMITTED"} <= outcomes
    assert journals(one)["roaming"] != journals(other)["roaming"]
    assert "3 of 3 s" in drawn.getvalue()
    assert all(f"only-{kind}" in drawn.getvalue() for kind in ALONE)


def test_replicas_come_and_go_and_no_call_of_an_honest_system_fails(tmp_path: Path) -> None:
    """One is killed and stays away, one is added, one stops and starts again: what systems ask is answered."""
    file = tmp_path / "replicas.toml"
    file.write_text(
        opening("Replicas").replace("duration_seconds = 3", "duration_seconds = 16\nreplicas = 2")
        + '[expect]\ngrants_at_least = 3\ndenials = ["REGION_NOT_PERMITTED"]\nfailed_calls_at_most = 0\n'
        '[[licence]]\nname = "desk"\ncustomer = "exercise"\ntemplate = "quick-desk"\n'
        '[[systems]]\nlicence = "desk"\nkind = "diligent"\nnumber = 2\npause_seconds = 0.3\n'
        '[[systems]]\nlicence = "desk"\nkind = "roaming"\npause_seconds = 0.3\n'
        '[[event]]\nat_seconds = 0.5\ndo = "restart"\nreplica = 2\nhard = true\naway_seconds = 60\n'
        '[[event]]\nat_seconds = 1\ndo = "suspend"\n'
        '[[event]]\nat_seconds = 2\ndo = "reinstate"\nlicences = ["desk"]\n'
        '[[event]]\nat_seconds = 2\ndo = "add-replica"\n'
        '[[event]]\nat_seconds = 8\ndo = "restart"\n'
    )
    with serving_postgres() as server:
        process = simulator("run", str(file), "--database", server.new_database(), scratch=tmp_path)
        said, errors = process.communicate()
    assert (process.returncode, errors) == (0, ""), said
    assert "replica 2 was killed" in said
    assert "replica 3 serves too" in said
    assert "replica 1 serves again" in said


def test_replicas_without_a_database_are_refused(tmp_path: Path) -> None:
    said, errors = simulator("run", "replicas", scratch=tmp_path).communicate()
    assert (said, errors) == (
        "Replicas come and go: seed 7, 60 s\n",
        "simulator: --database: replicas share a database: name an empty one\n",
    )
