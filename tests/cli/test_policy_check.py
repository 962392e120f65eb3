import shutil
from pathlib import Path

from tests.cli.conftest import Licctl


def test_each_problem_of_a_policy_is_one_line_with_its_place(licctl: Licctl, tmp_path: Path) -> None:
    result = licctl.bare("policy", "check", str(tmp_path))
    assert result.exit_code == 7
    assert f"{tmp_path / 'roles.toml'}:1: the file is missing; every folder of policies has one" in result.stdout
    assert result.stderr.startswith(f"licctl: {tmp_path}: ")


def test_the_policies_that_licd_ships_are_right(licctl: Licctl) -> None:
    folder = Path(__file__).resolve().parents[2] / "policies"
    result = licctl.bare("policy", "check", str(folder))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{folder}: right; ")
    assert licctl.bare("-o", "json", "policy", "check", str(folder)).stdout == '{\n  "problems": []\n}\n'


def test_checking_a_policy_needs_no_licd_and_no_settings(licctl: Licctl, tmp_path: Path) -> None:
    licctl.bare("policy", "check", str(tmp_path))
    assert licctl.licd.names() == []


def test_a_file_that_nothing_reads_is_pointed_out(licctl: Licctl, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(Path(__file__).resolve().parents[2] / "policies", folder)
    (folder / "role.toml").write_text("")
    result = licctl.bare("policy", "check", str(folder))
    assert (result.exit_code, result.stderr) == (0, f"{folder / 'role.toml'}: nothing reads a file of this name\n")
