import pytest

from licd.policy import PolicyError
from tests.policy.folder import Folder


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ('a = "never closed\n', 1),
        ("[a\n", 1),
        ("a = [1,\n2,\n", 3),
        ("x" * 10, 1),
        ("a = 1\nb = " + "9" * 5000, 2),
    ],
)
def test_what_is_not_toml_is_told_at_its_line(folder: Folder, broken: str, line: int):
    folder.write("defaults.toml", broken)
    told = [problem for problem in folder.problems() if problem.startswith("defaults.toml")]
    assert len(told) == 1
    assert told[0].startswith(f"defaults.toml:{line}: not TOML: ")
    assert "(at line" not in told[0]


def test_what_is_not_utf8_is_told_at_its_line(folder: Folder):
    (folder.path / "defaults.toml").write_bytes(b"# fine\n# not \xff fine\n")
    assert "defaults.toml:2: the file is not UTF-8" in folder.problems()


@pytest.mark.parametrize("depth", [200, 100_000])
def test_a_hostile_file_is_a_problem_and_not_a_crash(folder: Folder, depth: int):
    folder.write("defaults.toml", "a = " + "[" * depth + "]" * depth)
    assert any(problem.startswith("defaults.toml:1: ") for problem in folder.problems())


def test_a_missing_file_is_named(folder: Folder):
    (folder.path / "roles.toml").unlink()
    assert folder.problems()[0] == "roles.toml:1: the file is missing; every folder of policies has one"


def test_a_folder_that_is_not_there_is_told_and_not_loaded(folder: Folder):
    for file in folder.path.rglob("*.toml"):
        file.unlink()
    (folder.path / "licences").rmdir()
    folder.path.rmdir()
    assert len(folder.problems()) == 23
    with pytest.raises(PolicyError):
        folder.load()


def test_a_directory_in_place_of_a_file_is_told(folder: Folder):
    (folder.path / "roles.toml").unlink()
    (folder.path / "roles.toml").mkdir()
    assert any(problem.startswith("roles.toml:1: the file cannot be read") for problem in folder.problems())


def test_a_number_that_is_too_long_to_write_down_is_told_all_the_same(folder: Folder):
    folder.edit("defaults.toml", "example = true", f"example = [0x{'f' * 5000}]")
    assert any("example must be true or false, got " in problem for problem in folder.problems())
