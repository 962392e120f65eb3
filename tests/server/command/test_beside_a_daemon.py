"""What the verbs do while a daemon serves, and how a daemon starts on what they left."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from licd.server.backup import make_backup
from licd.server.ratchet import read_high
from licd.server.state_dir import StateDirectory, in_use
from tests.server.command.conftest import Licd
from tests.server.command.daemon import FREE, Daemon, serving
from tests.server.command.desk import at_work


@pytest.fixture(scope="module")
def daemon(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    root = tmp_path_factory.mktemp("served") / "state"
    shutil.copytree(made, root)
    root.chmod(0o700)
    with serving(StateDirectory(root)) as daemon:
        yield daemon


def test_a_second_daemon_is_refused(licd: Licd, daemon: Daemon) -> None:
    done = licd("serve", "--state", daemon.state.root)
    assert done.code == 3
    assert done.err == f"licd: state: another licd works on {daemon.state.root}; stop it first\n"


def test_doctor_works_beside_it(licd: Licd, daemon: Daemon) -> None:
    done = licd("doctor", "--state", daemon.state.root)
    assert done.code == 0
    assert "a licd works on this directory" in done.out
    assert "16 MiB are set aside" in done.out


def test_a_backup_is_made_beside_it(licd: Licd, daemon: Daemon, tmp_path: Path) -> None:
    assert licd("backup", "--state", daemon.state.root, "--to", tmp_path / "b").code == 0
    assert daemon.status().log_size >= 3


@pytest.mark.parametrize("verb", ["restore", "reconcile"])
def test_what_changes_rows_is_refused_beside_it(licd: Licd, daemon: Daemon, tmp_path: Path, verb: str) -> None:
    made = make_backup(daemon.state, tmp_path / "b", with_keys=False)
    arguments = [made.path] if verb == "restore" else ["--yes"]
    assert licd(verb, "--state", daemon.state.root, *arguments).code == 3
    assert daemon.status().log_size >= 3


def test_it_shows_a_renewed_certificate_at_the_next_handshake(licd: Licd, daemon: Daemon) -> None:
    before = daemon.certificate()
    assert licd("renew-certificates", "--state", daemon.state.root, "--days", "20").code == 0
    after = daemon.certificate()
    assert after.serial_number != before.serial_number
    assert daemon.status("bob").trust_domain == "licd.example"


def test_after_an_older_backup_it_is_read_only_until_reconciled(
    licd: Licd, state: StateDirectory, tmp_path: Path
) -> None:
    with at_work(state) as desk:
        desk.issue("one")
        made = make_backup(state, tmp_path / "b", with_keys=False)
        desk.suspend("one")
    licd("restore", "--state", state.root, made.path)
    with serving(state) as daemon:
        assert any(each.startswith("behind: ") for each in daemon.status().impediments)
    assert licd("reconcile", "--state", state.root, "--yes").code == 0
    with serving(state) as daemon:
        assert not daemon.status().impediments


def test_a_daemon_that_starts_behind_writes_down_since_when(state: StateDirectory) -> None:
    (state.root / "ratchet").unlink()
    with serving(state) as daemon:
        assert any("no baseline" in each for each in daemon.status().impediments)
    assert read_high(state.root / "ratchet").silent_since > 0
    assert "no baseline" in read_high(state.root / "ratchet").unsettled
    assert not in_use(state)


def test_a_daemon_does_not_start_without_its_database(licd: Licd, state: StateDirectory) -> None:
    state.database.unlink()
    done = licd("serve", "--state", state.root)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "licd restore" in done.err
    assert not state.database.exists()


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ('customer = "nowhere"', "listen.customer"),
        ('operator = "127.0.0.1:99999"', "listen.operator"),
        ('metrics = "127.0.0.1:x"', "listen.metrics"),
        ("customer = 7", "listen.customer"),
        ('other = "127.0.0.1:1"', "listen.other"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    licd: Licd, state: StateDirectory, setting: str, problem: str
) -> None:
    file = state.root / "licd.toml"
    name = setting.split(" ", 1)[0]
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{name} = ")]
    file.write_text("\n".join(lines).replace("[listen]", f"[listen]\n{setting}"))
    done = licd("serve", "--state", state.root)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"licd.toml: {problem}: " in done.err


@pytest.mark.parametrize("listener", ["enrolment", "customer", "operator", "metrics"])
def test_an_address_in_use_is_one_line_that_names_the_setting(
    licd: Licd, state: StateDirectory, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, listener: str
) -> None:
    for name, address in FREE.items():
        monkeypatch.setenv(name, address)
    monkeypatch.setenv(f"LICD_LISTEN__{listener.upper()}", f"127.0.0.1:{daemon.ports[listener]}")
    done = licd("serve", "--state", state.root)
    assert done.code == 2
    assert [line for line in done.err.splitlines() if not line.startswith("{")][-1].startswith(
        f"licd: listen.{listener}: cannot listen on 127.0.0.1:{daemon.ports[listener]}"
    )
