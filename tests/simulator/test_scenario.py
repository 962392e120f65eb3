"""Scenarios are read strictly: what is wrong is named, all of it at once."""

import tomllib
from pathlib import Path

import pytest

from simulator.crowd.scenario import is_crowd, load_crowd
from simulator.happenings import Amend, Partition, Plant, Suspend
from simulator.kinds import MADE_BY
from simulator.papers import example_policies
from simulator.scenario import KINDS, SCENARIOS, Scenario, ScenarioInvalid, load_scenario, scenario_file

SOUND = """
title = "One"
seed = 3
duration_seconds = 2.5

[[customer]]
name = "north"

[[licence]]
name = "north-1"
customer = "north"
template = "coastal-rescue"

[[systems]]
licence = "north-1"
kind = "diligent"
number = 2
"""
TERMS = """
[licence.terms]
category = "low"
concurrent_targets = 3
distinct_targets = { limit = 6, period_days = 1 }
new_targets = { limit = 5, period_hours = 24 }
regions = ["NO"]
bases = ["declared"]
purposes = ["sar:search-and-rescue"]
permit_seconds = 10
grace_seconds = 0
deployments = 1
"""


def load(tmp_path: Path, text: str) -> object:
    file = tmp_path / "one.toml"
    file.write_text(text)
    return load_scenario(file)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioInvalid) as caught:
        load(tmp_path, text)
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_reads_every_scenario_that_comes_along(path: Path) -> None:
    assert load_crowd(path).phases if is_crowd(path) else load_scenario(path).groups


@pytest.mark.parametrize(
    "path", [each for each in sorted(SCENARIOS.glob("*.toml")) if not is_crowd(each)], ids=lambda path: path.stem
)
def test_a_scenario_that_comes_along_has_no_more_systems_than_its_licences_permit(path: Path) -> None:
    """A demonstration that does not begin is seen by whoever starts it, and by no other test."""
    scenario = load_scenario(path)
    for licence in scenario.licences:
        if licence.template:
            systems = sum(group.number for group in scenario.groups if group.licence == licence.name)
            assert systems <= deployments_of(licence.template, scenario), licence.name


def deployments_of(template: str, scenario: Scenario) -> int:
    folders = [each / "licences" for each in (scenario.policies, example_policies()) if each is not None]
    [file] = [folder / f"{template}.toml" for folder in folders if (folder / f"{template}.toml").is_file()]
    permitted: int = tomllib.loads(file.read_text())["limits"]["deployments"]
    return permitted


@pytest.mark.parametrize("name", ["fleet-10k", "scenarios/fleet-10k.toml", "simulator/scenarios/fleet-10k.toml"])
def test_a_scenario_that_comes_along_is_found_by_its_name_and_by_its_place(name: str) -> None:
    assert scenario_file(name).samefile(SCENARIOS / "fleet-10k.toml")


def test_the_demonstration_has_every_kind_of_system() -> None:
    assert {group.kind for group in load_scenario(scenario_file("demo")).groups} == set(KINDS)


def test_every_kind_that_a_scenario_may_name_can_be_made() -> None:
    assert MADE_BY.keys() == KINDS.keys()


def test_reads_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(SOUND)
    scenario = load_scenario(tmp_path / "one.toml")
    assert (scenario.title, scenario.seed, scenario.duration) == ("One", 3, 2_500)
    [group] = scenario.groups
    assert group.systems == ("north-1-diligent-1", "north-1-diligent-2")
    assert scenario.named("north-1-diligent") == group.systems
    assert scenario.named("north-1-diligent-2") == ("north-1-diligent-2",)
    assert scenario.with_seed(4).seed == 4


def test_reads_terms_in_place_of_a_template(tmp_path: Path) -> None:
    text = SOUND.replace('template = "coastal-rescue"\n', TERMS)
    (tmp_path / "one.toml").write_text(text)
    [licence] = load_scenario(tmp_path / "one.toml").licences
    assert licence.terms is not None
    assert (licence.terms.cap, licence.terms.permit) == (3, 10_000)
    assert len(licence.terms.constraints()) == 8


def test_reads_what_happens(tmp_path: Path) -> None:
    events = """
[[event]]
at_seconds = 1
do = "suspend"
customers = ["north"]
[[event]]
at_seconds = 1.5
do = "partition"
systems = ["north-1-diligent", "north-1-diligent-1"]
[[event]]
at_seconds = 2
do = "amend"
licences = ["north-1"]
concurrent_targets = 2
[[event]]
at_seconds = 2
do = "plant"
what = "over-cap"
licences = ["north-1"]
"""
    (tmp_path / "one.toml").write_text(SOUND + events)
    happenings = load_scenario(tmp_path / "one.toml").happenings
    deeds = [each.deed for each in happenings]
    assert deeds == [Suspend("manual", "a simulated suspicion"), Partition(0), Amend(2, ()), Plant("over-cap")]
    assert [each.at for each in happenings] == [1_000, 1_500, 2_000, 2_000]


@pytest.mark.parametrize(
    ("wrong", "right", "problem"),
    [
        ("seed = 3", "", "scenario: seed is missing; it must be a whole number from 0 to 1000000000"),
        ("seed = 3", "seed = true", "scenario: seed is True; it must be a whole number from 0 to 1000000000"),
        ("seed = 3", "seeed = 3\nseed = 3", 'scenario: unknown key "seeed"; did you mean "seed"?'),
        ("= 2.5", '= "2"', "scenario: duration_seconds is '2'; it must be a number of seconds"),
        ("= 2.5", "= 0.5", "scenario: duration_seconds is 0.5; it must be from 1 to 3600 seconds"),
        ('kind = "diligent"', 'kind = "dilligent"', '[[systems]] 1: kind unknown value "dilligent"'),
        ("number = 2", "number = 0", "[[systems]] 1: number is 0; it must be a whole number from 1 to 2000"),
        ("number = 2", "brazen = 1.5", "[[systems]] 1: brazen is 1.5; it must be a number from 0 to 1"),
        ('name = "north"', 'name = "N"', "[[customer]] 1: name must be 3 to 40 lower-case letters"),
        ('template = "coastal-rescue"', "", "[[licence]] 1: template or [licence.terms]: exactly one of the two"),
        ('template = "coastal-rescue"', "template = 5", "[[licence]] 1: template is 5; it must be a text"),
        ('customer = "north"', 'customer = "nroth"', '[[licence]]: unknown name "nroth"; did you mean "north"?'),
        ('licence = "north-1"', 'licence = "south"', '[[systems]]: unknown name "south"; known: north-1'),
        ("[[customer]]", "[customer]", "scenario: customer is {'name': 'north'}; it must be an array of tables"),
    ],
)
def test_names_what_is_wrong_and_what_would_be_right(tmp_path: Path, wrong: str, right: str, problem: str) -> None:
    assert wrong in SOUND
    found = problems(tmp_path, SOUND.replace(wrong, right))
    assert any(each.startswith(problem) for each in found), found


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ('do = "suspend"', "[[event]] 1: at_seconds is missing; it must be a number of seconds"),
        ('at_seconds = 1\ndo = "suspned"', '[[event]] 1: do unknown value "suspned"; did you mean "suspend"?'),
        ('at_seconds = 1\ndo = "reinstate"', "[[event]] 1: licences is missing; it must be a list of texts"),
        ('at_seconds = 1\ndo = "revoke"\nlicences = []', '[[event]] 1: unknown key "licences"'),
        ('at_seconds = 1\ndo = "partition"\nsystems = ["x"]', '[[event]]: unknown name "x"'),
        ('at_seconds = 9\ndo = "restart"', "[[event]]: 9 s is after the end of the run"),
        ('at_seconds = 1\ndo = "restart"\nreplica = 2', "[[event]]: there is no replica 2"),
        ('at_seconds = 1\ndo = "add-replica"', "[[event]]: a daemon on a file is alone; replicas = N is needed"),
        ('at_seconds = 1\ndo = "upgrade"', "[[event]]: a daemon on a file is alone; replicas = N is needed"),
        ('at_seconds = 1\ndo = "plant"\nlicences = []\nwhat = "x"', '[[event]] 1: what unknown value "x"'),
    ],
)
def test_names_what_is_wrong_with_an_event(tmp_path: Path, event: str, problem: str) -> None:
    found = problems(tmp_path, f"{SOUND}\n[[event]]\n{event}\n")
    assert any(each.startswith(problem) for each in found), found


@pytest.mark.parametrize(
    ("wrong", "right", "problem"),
    [
        ('"declared"', '"hearsay"', '[[licence]] 1.terms: bases has "hearsay"; known: number_plan'),
        ("limit = 6, ", "", "[[licence]] 1.terms.distinct_targets: limit is missing"),
        ('regions = ["NO"]', 'regions = ["NO", "NO"]', "[[licence]] 1.terms: regions must name each once"),
    ],
)
def test_names_what_is_wrong_with_terms(tmp_path: Path, wrong: str, right: str, problem: str) -> None:
    text = SOUND.replace('template = "coastal-rescue"\n', TERMS.replace(wrong, right))
    found = problems(tmp_path, text)
    assert any(each.startswith(problem) for each in found), found


def test_tells_everything_at_once(tmp_path: Path) -> None:
    text = SOUND.replace("seed = 3", "").replace("number = 2", "number = 0\ncolour = 1")
    assert len(problems(tmp_path, text)) == 3


def test_names_are_there_once(tmp_path: Path) -> None:
    twice = '\n[[systems]]\nlicence = "north-1"\nkind = "diligent"\n'
    found = problems(tmp_path, SOUND + twice)
    assert found == (
        "[[systems]]: north-1-diligent is there twice",
        "[[systems]]: north-1-diligent-1 is there twice",
    )


@pytest.mark.parametrize("text", ["title = ", "\x00"])
def test_what_is_no_toml_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    [problem] = problems(tmp_path, text)
    assert problem.startswith("not a TOML file")


def test_a_missing_file_names_those_that_come_along(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid, match=r"no such file; .*demo, fleet-10k, fleet-200, misuse, replicas, smoke"):
        load_scenario(tmp_path / "none.toml")


def test_a_name_stands_for_a_scenario_that_comes_along() -> None:
    assert scenario_file("demo") == SCENARIOS / "demo.toml"
    assert scenario_file("somewhere/else.toml") == Path("somewhere/else.toml")
