"""`licd init` makes all of a state directory, or nothing."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from licd.core.errors import Invalid
from licd.keys.private_file import KeyFileError
from licd.server.command.init import packaged_policies
from licd.server.config import read_config
from licd.server.initialise import Wishes, initialise
from licd.server.ratchet import read_high
from licd.server.secrets import read_secrets
from licd.server.state_dir import DirectoryLock, StateDirectory
from tests.server.command.conftest import Licd, wishes

STEPS = ("create_key_file", "_bundle", "_operator", "_database", "_write_config")
KILLED = """
import os, signal, sys
from pathlib import Path
from licd.server import initialise
from tests.server.command.conftest import wishes

def killed(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

for step in sys.argv[2:]:
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, step
    else:
        setattr(initialise, step, killed)
        initialise.initialise(Path(sys.argv[1], step), wishes())
"""


def test_killed_on_the_way_it_leaves_nothing_that_looks_like_a_state_directory(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, *STEPS], check=True)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split(".")[1] for name in left] == sorted(STEPS)  # each has died at it, and none has its name
    assert all(name.endswith(".growing") for name in left)
    assert list(tmp_path.rglob("licd.toml")) == []


def test_what_a_killed_one_left_is_gone_after_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".state.0123abcd.growing"
    (left / "keys").mkdir(parents=True)
    (left / "keys" / "evidence.key").write_text("a secret")
    other = tmp_path / ".other.0123abcd.growing"
    other.mkdir()
    initialise(tmp_path / "state", wishes())
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "state"]


def test_one_that_is_still_at_it_is_left_alone(tmp_path: Path) -> None:
    growing = StateDirectory(tmp_path / ".state.0123abcd.growing")
    growing.root.mkdir()
    with DirectoryLock(growing):
        initialise(tmp_path / "state", wishes())
    assert growing.root.exists()


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    wrong = Wishes("licd.example", ["alice", "bob"], ["not a host"], 7441, packaged_policies(), None)
    with pytest.raises(Exception, match="not a host"):
        initialise(tmp_path / "state", wrong)
    assert list(tmp_path.iterdir()) == []


def test_overwrites_nothing(licd: Licd, state: StateDirectory) -> None:
    before = state.database.read_bytes()
    done = licd("init", "--state", state.root)
    assert done.code == 2
    assert "nothing is overwritten" in done.err
    assert state.database.read_bytes() == before


def test_takes_an_empty_directory_that_is_there(licd: Licd, tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir(mode=0o755)
    assert licd("init", "--state", root).code == 0
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("operators", "problem"),
    [
        (("alice",), "at least two"),
        (("alice", "alice"), "each name once"),
        (("alice", "default"), "nobody is called default"),
        (("alice", "../bob"), "lower-case"),
    ],
)
def test_refuses_operators_that_cannot_be(licd: Licd, tmp_path: Path, operators: tuple[str, ...], problem: str) -> None:
    named = [part for name in operators for part in ("--operator", name)]
    done = licd("init", "--state", tmp_path / "state", *named)
    assert done.code == 2
    assert done.err.startswith("licd: operator: ")
    assert problem in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [("--trust-domain", "Not A Domain"), ("--policies", "nowhere"), ("--host", 'x"y'), ("--base-port", "70000")],
)
def test_refuses_what_cannot_be_and_makes_nothing(licd: Licd, tmp_path: Path, option: str, value: str) -> None:
    done = licd("init", "--state", tmp_path / "state", option, value)
    assert done.code in {1, 2}
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 3000, "0x" + "f" * 5000, "2026-02-30"])
def test_settings_that_break_a_parser_are_refused_by_name(tmp_path: Path, value: str) -> None:
    (tmp_path / "licd.toml").write_text(f"trust_domain = {value}\n")
    with pytest.raises(Invalid, match=r"licd\.toml: "):
        read_config(tmp_path)


def test_an_ipv6_host_is_written_with_brackets(tmp_path: Path) -> None:
    root = tmp_path / "state"
    initialise(root, Wishes("licd.example", ["alice", "bob"], ["::1"], 7441, packaged_policies(), None))
    assert read_config(root).advertise.customer == "[::1]:7442"
    assert 'address = "[::1]:7443"' in (root / "operators" / "alice" / "licctl.toml").read_text()


def test_a_passphrase_protects_the_keys(licd: Licd, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n")
    root = tmp_path / "state"
    assert licd("init", "--state", root, "--passphrase-file", file).code == 0
    assert '"protection": "argon2id' in (root / "keys" / "evidence.key").read_text()
    with pytest.raises(KeyFileError):
        licd_keys(root, None)
    licd_keys(root, b"correct horse")


def licd_keys(root: Path, passphrase: bytes | None) -> None:
    read_secrets(StateDirectory(root), "licd.example", passphrase)


def test_private_files_are_their_owners_alone(made: Path) -> None:
    for path in made.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((made / "licd.db").stat().st_mode) == 0o600
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert made.stat().st_uid == os.geteuid()


def test_the_ratchet_has_a_baseline(made: Path) -> None:
    high = read_high(made / "ratchet")
    assert high.unsettled == ""
    assert high.log_size == 3
