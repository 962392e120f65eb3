"""`licd` says which argument is wrong, and ends with the code for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from licd.server.command.entry import app
from tests.daemon import ROOT

BAD_BYTES = b"b\xffd".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("--trust-domain", "BAD domain"), "trust-domain"),
        (("--host", "bad host"), "host"),
        (("--host", "999.1.1.1"), "host"),
        (("--host", "-x.example"), "host"),
        (("--host", "a" * 300), "host"),
        (("--host", BAD_BYTES), "not UTF-8"),
        (("--operator", "A"), "operator"),
    ],
)
def test_init_names_the_wrong_argument_and_makes_nothing(tmp_path: Path, wrong: tuple[str, str], named: str) -> None:
    result = CliRunner().invoke(app, ["init", "--state", str(tmp_path / "state"), *wrong])
    assert result.exit_code == 2
    assert named in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5_000])
def test_a_passphrase_file_without_a_passphrase_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    result = CliRunner().invoke(app, ["init", "--state", str(tmp_path / "state"), "--passphrase-file", str(file)])
    assert result.exit_code == 2
    assert f"--passphrase-file: {file}" in result.stderr


@pytest.mark.parametrize("verb", ["init", "serve", "doctor", "hold"])
def test_a_state_directory_without_a_name_is_refused(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [verb, "--state", ""])
    assert result.exit_code == 2
    assert "empty name" in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_cannot_be_written_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "licd.server", "version"],
            stdout=full, stderr=subprocess.PIPE, check=False, cwd=ROOT, encoding="utf-8", env=os.environ,
        )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
