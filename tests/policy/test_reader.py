"""What is wrong is told at its line, in words that say what would be right."""

import pytest

from tests.policy.folder import Folder

CATEGORIES = "categories.toml"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("term_days = 365", 'term_days = "x"', 'term_days must be a whole number from 1 to 3660, got "x"'),
        ("term_days = 365", "term_days = 0", "term_days must be a whole number from 1 to 3660, got 0"),
        ("term_days = 365", "term_days = 1.5", "term_days must be a whole number from 1 to 3660, got 1.5"),
        ("term_days = 365", "term_days = true", "term_days must be a whole number from 1 to 3660, got true"),
        ("concurrent_targets = 25", "concurrent_targets = -1", "concurrent_targets must be a whole number ≥ 1, got -1"),
        ("grace_seconds = 86_400", "grace_seconds = 86_401", "from 0 to 86400, got 86401"),
        (
            "permit_seconds = 60",
            "permit_seconds = 3601",
            "permit_seconds must be a whole number from 1 to 3600, got 3601",
        ),
        ("authorisation_required = false", 'authorisation_required = "no"', 'must be true or false, got "no"'),
        ('bases = ["number_plan", "present', 'bases = ["number_plan", "pressent', 'did you mean "present_location"?'),
        ('bases = ["number_plan", "present_location", "declared"]', "bases = []", "an empty list permits nothing"),
        ('bases = ["number_plan", "present_location", "declared"]', 'bases = "declared"', "must be a list of texts"),
        ('bases = ["number_plan", "present_location", "declared"]', 'bases = ["declared", "declared"]', "twice"),
        ("deployments = 6", "deployment = 6", 'unknown key "deployment"; did you mean "deployments"?'),
        ("{ limit = 600, period_days = 90 }", "600", "distinct_targets must be a table, got 600"),
        ("{ limit = 600, period_days = 90 }", "{ limit = 600, days = 90 }", 'unknown key "days"'),
        ('description = "Strong', 'description = ""#', 'description must be a text that is not blank, got ""'),
    ],
)
def test_names_the_line_and_what_would_be_right(folder: Folder, old: str, new: str, told: str):
    line = folder.text(CATEGORIES).split(old)[0].count("\n") + 1
    folder.edit(CATEGORIES, old, new)
    assert any(problem.startswith(f"{CATEGORIES}:{line}: ") and told in problem for problem in folder.problems())


def test_one_wrong_figure_is_one_problem(folder: Folder):
    folder.edit(CATEGORIES, "term_days = 365", 'term_days = "x"')
    assert folder.problems() == ['categories.toml:26: term_days must be a whole number from 1 to 3660, got "x"']


def test_a_missing_key_is_told_at_its_table(folder: Folder):
    folder.edit(CATEGORIES, "concurrent_targets = 25\n", "")
    assert folder.problems() == ["categories.toml:25: concurrent_targets is missing"]


def test_an_element_of_a_long_list_is_told_at_its_own_line(folder: Folder):
    folder.edit("licences/river-police.toml", '"eaw:drugs"', '"eaw:drug"')
    line = folder.line("licences/river-police.toml", "offences", 2)
    assert folder.problems() == [
        f'licences/river-police.toml:{line}: unknown offence "eaw:drug"; did you mean "eaw:drugs"?'
    ]
    assert line == 11


def test_tells_all_problems_of_all_files_at_once_in_order(folder: Folder):
    folder.edit("roles.toml", "ttl_seconds = 14_400", "ttl_seconds = 14_401")
    folder.edit("categories.toml", "rank = 2", "rank = 0")
    folder.edit("categories.toml", "deployments = 6", "deployments = 0")
    folder.edit("licences/river-police.toml", "term_days = 270", "term_days = 0")
    told = folder.problems()
    assert [problem.split(":")[0] for problem in told] == [
        "categories.toml",
        "categories.toml",
        "licences/river-police.toml",
        "roles.toml",
    ]


def test_a_template_is_not_blamed_for_a_broken_category(folder: Folder):
    folder.edit("categories.toml", "[category.moderate]", "[category.Moderate]")
    told = folder.problems()
    assert told
    assert not [problem for problem in told if problem.startswith("licences/river-police.toml")]


@pytest.mark.parametrize("top", ["wrong = 1\n", "[wrong]\n", "[[wrong]]\n"])
def test_refuses_an_unknown_key_at_the_top(folder: Folder, top: str):
    folder.write("defaults.toml", folder.text("defaults.toml") + top)
    assert [problem for problem in folder.problems() if 'unknown key "wrong"' in problem]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("roles.toml", "example = true\nrole = 1\n", "roles.toml:2: role must hold tables, [role.NAME]"),
        ("roles.toml", "example = true\n[role]\nx = 1\n", "roles.toml:2: role must hold tables, [role.NAME]"),
        ("regions.test.toml", "case = 1\n", "regions.test.toml:1: case must be an array of tables, [[case]]"),
        ("regions.test.toml", "case = [1]\n", "regions.test.toml:1: case must be an array of tables, [[case]]"),
        ("regions.test.toml", "[case]\n", "regions.test.toml:1: case must be an array of tables, [[case]]"),
    ],
)
def test_says_which_kind_of_table_is_wanted(folder: Folder, file: str, text: str, told: str):
    folder.write(file, text)
    assert told in folder.problems()


def test_every_file_says_whether_it_is_an_example(folder: Folder):
    folder.edit("defaults.toml", "example = true\n", "")
    assert folder.problems() == ["defaults.toml:1: example is missing"]
