"""The command as a whole: help, exit codes, one line for an error, nothing loaded that help does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from licd.server.command.entry import VERBS
from licd.server.command.exits import EXIT_CODES
from tests.server.command.conftest import Licd

HEAVY = ("grpc", "sqlalchemy", "alembic", "cryptography", "structlog", "pydantic", "google", "sqlite3", "uvloop")


def test_help_loads_nothing_that_takes_long() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['licd', '--help']\n"
        "from licd.server.command import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.rstrip().endswith("LOADED []")
    assert "doctor" in done.stdout


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "licd.server", "version"], capture_output=True, check=True, encoding="utf-8"
    )
    assert done.stdout.startswith("licd ")


def test_help_names_every_exit_code(licd: Licd) -> None:
    said = " ".join(licd("--help").out.split())
    for code, text in EXIT_CODES.items():
        assert f"{code:d} {text}" in said


@pytest.mark.parametrize("verb", [name for name, *_ in VERBS])
def test_every_verb_has_its_own_help(licd: Licd, verb: str) -> None:
    done = licd(verb, "--help")
    assert done.code == 0
    assert f"licd {verb}" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--state"),
        ("hold", "--state"),
        ("backup", "--to", "b", "--state"),
        ("reconcile", "--state"),
        ("renew-certificates", "--state"),
    ],
)
def test_a_directory_that_is_none_is_one_line_that_names_the_option(
    licd: Licd, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = licd(*arguments, tmp_path / "nowhere")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith("licd: state: ")


def test_a_missing_passphrase_file_is_one_line_that_names_it(licd: Licd, tmp_path: Path) -> None:
    done = licd("init", "--state", tmp_path / "state", "--passphrase-file", tmp_path / "nowhere")
    assert (done.code, done.err) == (2, f"licd: {tmp_path}/nowhere: No such file or directory\n")


def test_an_unknown_verb_is_refused(licd: Licd) -> None:
    done = licd("frobnicate")
    assert done.code == 2
    assert "frobnicate" in done.err
