"""What would spoil a run is said before it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.command import app


@pytest.mark.parametrize(
    "wrong",
    [("--json", "/nonexist/x.json"), ("--json", "/"), ("--seed", "9" * 26), ("--seed", "-1")],
)
def test_a_wrong_argument_is_refused_before_anything_is_started(wrong: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["run", "smoke", *wrong])
    assert result.exit_code == 2
    assert wrong[0] in result.stderr
    assert "making a state directory" not in result.stdout


def test_a_file_that_is_there_is_written_anew(tmp_path: Path) -> None:
    there = tmp_path / "figures.json"
    there.write_text("old")
    result = CliRunner().invoke(app, ["run", "/nonexist.toml", "--json", str(there)])
    assert result.exit_code == 2
    assert "--json" not in result.stderr
