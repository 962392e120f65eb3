import pytest

from licd.policy import check, count_cases
from licd.policy.trials import TRIALS
from tests.policy.folder import SHIPPED, Folder


def test_the_shipped_policies_are_sound_and_pass_their_own_tests():
    assert [str(problem) for problem in check(SHIPPED)] == []


def test_every_shipped_policy_has_tests():
    assert count_cases(SHIPPED) >= 100


def test_every_shipped_file_calls_itself_an_example():
    for file in SHIPPED.rglob("*.toml"):
        if not file.name.endswith(".test.toml"):
            text = file.read_text(encoding="utf-8")
            assert "EXAMPLE" in text.split("example = true")[0], file.name


@pytest.mark.parametrize("name", sorted(TRIALS))
def test_a_figure_that_changes_fails_its_test(folder: Folder, name: str):
    """Turns one expectation of each file round and sees that it fails at its line."""
    old, new = {
        "categories": ('expect = ["term_days"]', "expect = []"),
        "regions": ("expect = true", "expect = false"),
        "purposes": ('expect = "permitted"', 'expect = "prohibited"'),
        "offences": ("expect = 3", "expect = 4"),
        "denials": ('expect = "never"', 'expect = "at"'),
        "roles": ('expect = "alone"', 'expect = "refused"'),
        "suspension": ('expect = ["approvals"]', 'expect = ["approval"]'),
        "defaults": ("expect = 321_065", "expect = 321_064"),
        "diligence": ('expect = "low"', 'expect = "high"'),
        "allegations": ('expect = "in time"', 'expect = "answer overdue"'),
        "casework": ('expect = "mandatory"', 'expect = "optional"'),
        "misuse": ('expect = ["region-attempts licence-1 suspended"]', "expect = []"),
    }[name]
    file = f"{name}.test.toml"
    line = folder.text(file).split(old)[0].count("\n") + 1
    folder.edit(file, old, new)
    told = folder.problems()
    assert len(told) == 1
    assert told[0].startswith(f"{file}:{line}: ")
    assert ": expected " in told[0]


def test_says_what_was_expected_and_what_came(folder: Folder):
    folder.edit("licences/river-police.toml", "authorisation_max_life_days = 90", "authorisation_max_life_days = 29")
    assert folder.problems()[0].endswith(
        'a smuggler on the Danube, with a warrant for a month: expected "permitted", got "AUTHORISATION_REQUIRED"'
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'given = { region = "nordics", code = "SE" }',
            'given = { region = "nordic", code = "SE" }',
            'unknown region "nordic"',
        ),
        ('given = { region = "nordics", code = "SE" }', 'given = { region = "nordics" }', "code is missing"),
        ('given = { region = "nordics", code = "SE" }', 'given = "SE"', 'given must be a table, got "SE"'),
        ("expect = true", "expected = true", "expect is missing"),
        ("expect = true", 'expect = "true"', 'expected "true", got true'),
        ("expect = true", "expect = 1", "expected 1, got true"),
        ('name = "Sweden is Nordic"', 'name = "a name may stand for other names"', "another case is named"),
        ("[[case]]", "[[cases]]", 'unknown key "cases"; did you mean "case"?'),
    ],
)
def test_refuses_a_case_that_tests_nothing(folder: Folder, old: str, new: str, told: str):
    folder.edit("regions.test.toml", old, new)
    assert any(problem.startswith("regions.test.toml:") and told in problem for problem in folder.problems())


def test_an_address_in_a_case_must_be_one(folder: Folder):
    folder.edit("licences/alpine-forensics.test.toml", '"203.0.113.9"', '"the office"')
    assert any("'the office' does not appear to be" in problem for problem in folder.problems())


@pytest.mark.parametrize("file", ["roles.test.toml", "licences/river-police.test.toml"])
def test_a_policy_without_tests_is_a_problem(folder: Folder, file: str):
    folder.write(file, "# none yet\n")
    assert folder.problems() == [f"{file}:1: there must be at least 1 [[case]]"]
    (folder.path / file).unlink()
    assert folder.problems() == [f"{file}:1: the file is missing; every folder of policies has one"]


def test_cases_wait_until_the_policies_can_be_read(folder: Folder):
    folder.edit("defaults.toml", "permit_seconds = 20", "permit_seconds = 0")
    folder.edit("regions.test.toml", "expect = true", "expect = false")
    assert len(folder.problems()) == 1


LITERALS = ["7", "-1", '"x"', '""', "[]", "[1]", '["x"]', "{}", "{ x = 1 }", "true", "1.5", "1979-05-27", "[[]]"]


@pytest.mark.parametrize("literal", LITERALS)
def test_no_value_of_any_kind_anywhere_is_a_crash(folder: Folder, literal: str):
    """In each file one line, another for each literal, is given a value that it may not expect."""
    for file in sorted(folder.path.rglob("*.toml")):
        name = str(file.relative_to(folder.path))
        lines = folder.text(name).splitlines()
        places = [index for index, line in enumerate(lines) if " = " in line and line[0].isalpha()]
        index = places[LITERALS.index(literal) * 5 % len(places)]
        key = lines[index].partition(" = ")[0]
        folder.write(name, "\n".join([*lines[:index], f"{key} = {literal}", *lines[index + 1 :]]))
        assert isinstance(folder.problems(), list)
        folder.write(name, "\n".join(lines))


def test_an_expectation_that_is_too_long_to_write_down_fails_like_any_other(folder: Folder):
    case = folder.text("purposes.test.toml").index("expect = ")
    text = folder.text("purposes.test.toml")
    end = text.index("\n", case)
    folder.write("purposes.test.toml", f"{text[:case]}expect = 0x{'f' * 5000}{text[end:]}")
    assert any("a number that is too long" in problem for problem in folder.problems())
