"""A crowd of systems against a real daemon: what is counted, what is judged, and a short run of the whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.command import app
from simulator.crowd.figures import Figures, Spread, Stop, Storm, judge
from simulator.crowd.gauge import Course, Sample, cpu, memory
from simulator.crowd.scenario import Bars, Phase, load_crowd
from simulator.scenario import SCENARIOS, ScenarioInvalid
from tests.simulator.test_runs import serving, simulator

BARS = Bars(memory=0.05, memory_mib=4, cpu=0.2, cpu_cores=0.03, busiest=0.1)
PHASE = Phase("forty", 40, 4, 200, 2_000, 20_000, 60_000, 600_000, "stop")
STOP = Stop(300, 10, Spread.of([100] * 40), Spread.of([90] * 40), 1_562, 200, 0, 40)
STORM = Storm(2_000, 3_000, True, 40, Spread.of(range(0, 4_000, 100)), Spread.of(range(0, 4_000, 100)), {}, 200)
SOUND = Figures(PHASE, 1, 1, 200, 200, 20.0, Course(100.0, 1.0), Course(0.5, 0.01), {}, (), STORM, STOP)


def failing(figures: Figures) -> set[str]:
    return {each.name for each in judge(figures, BARS) if not each.holds}


@pytest.mark.timeout(300)
def test_a_crowd_of_forty_is_steady_survives_a_restart_and_stops_within_the_bound(tmp_path: Path) -> None:
    scratch, figures = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    process = simulator("run", "scenarios/crowd-smoke.toml", "--json", str(figures), scratch=scratch)
    said, errors = process.communicate()
    assert (process.returncode, errors) == (0, ""), said
    assert said.rstrip().endswith("Everything held.")
    (phase,) = json.loads(figures.read_text())["phases"]
    assert phase["held"] == phase["storm"]["usable"] == phase["stop"]["leases_before"] == 200
    assert phase["storm"]["answers"]["count"] >= 40
    assert phase["stop"]["acknowledged"] == 40
    assert 0 < phase["stop"]["stops"]["last"] <= phase["stop"]["bound"]
    assert list(scratch.iterdir()) == []
    assert serving(scratch) == []


def test_what_is_as_it_should_be_is_not_complained_about() -> None:
    assert failing(SOUND) == set()


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (replace(SOUND, held=199), {"leases held"}),
        (replace(SOUND, lost={"LAPSED": 1}), {"leases lost"}),
        (replace(SOUND, bad_in_rest=("UNAVAILABLE: gone",)), {"refused in rest"}),
        (replace(SOUND, memory=Course(100.0, 5.5)), {"memory flat"}),
        (replace(SOUND, memory=Course(100.0, -5.5)), {"memory flat"}),
        (replace(SOUND, cpu=Course(0.5, 0.11)), {"CPU flat"}),
        (replace(SOUND, storm=replace(STORM, all_back=False, back=39)), {"all come back"}),
        (replace(SOUND, storm=replace(STORM, ends={"CANCELLED of a dial while licd served": 1})), {"storm refused"}),
        (replace(SOUND, storm=replace(STORM, dials=Spread.of([7] * 40))), {"storm spread"}),
        (replace(SOUND, storm=replace(STORM, usable=199)), {"leases kept"}),
        (replace(SOUND, stop=replace(STOP, stops=Spread.of([100] * 39))), {"all stopped"}),
        (replace(SOUND, stop=replace(STOP, leases_after=1)), {"no lease left"}),
        (replace(SOUND, stop=replace(STOP, acknowledged=39)), {"all acknowledged"}),
        (replace(SOUND, stop=replace(STOP, stops=Spread.of([1_563] * 40))), {"W_push"}),
    ],
)
def test_each_thing_that_does_not_hold_is_named(broken: Figures, names: set[str]) -> None:
    assert failing(broken) == names


@pytest.mark.parametrize(
    "words",
    [
        "UNAVAILABLE (connection refused) of an earlier dial",
        "GIVEN_UP of a dial while licd served",
        "UNAVAILABLE (connection attempt timed out) of a dial while licd served",
    ],
)
def test_what_ended_because_licd_was_away_or_slow_is_no_refusal(words: str) -> None:
    assert failing(replace(SOUND, storm=replace(STORM, ends={words: 40}))) == set()


def test_memory_and_processor_time_are_followed_after_the_warm_up() -> None:
    leaking = [Sample(at, cpu=at / 2_000, resident=(1 << 20) * (100 + at // 1_000)) for at in range(0, 20_000, 2_000)]
    assert (memory(leaking).mean, memory(leaking).moved) == pytest.approx((111.0, 14.0))
    assert (cpu(leaking).mean, cpu(leaking).moved) == pytest.approx((0.5, 0.0))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("leases = 200", "leases = 201", "[[phase]] 1: leases 201 cannot be spread evenly over 40"),
        ("licences = 4", "licences = 3", "[[phase]] 1: systems 40 cannot be spread evenly over 3"),
        ("leases = 200", "leases = 8_040", "[[phase]] 1: leases are 201 for each system; 200 at most"),
        ("workers = 2", "worker = 2", 'scenario: unknown key "worker"; did you mean "workers"?'),
        ('restart = "stop"', 'restart = "wait"', '[[phase]] 1: restart unknown value "wait"; known: kill, stop'),
    ],
)
def test_what_is_wrong_in_a_crowds_scenario_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = (SCENARIOS / "crowd-smoke.toml").read_text()
    assert old in text
    file = tmp_path / "crowd.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(ScenarioInvalid) as caught:
        load_crowd(file)
    assert problem in caught.value.problems


def test_a_crowd_has_daemons_of_its_own() -> None:
    result = CliRunner().invoke(app, ["run", "crowd-smoke", "--state", "/nonexistent"])
    assert result.exit_code == 2
    assert "--state" in result.stderr
