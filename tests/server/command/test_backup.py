"""`licd backup`: one file, one moment, checked, never over another."""

import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest

from licd.server.backup import make_backup
from licd.server.backup_file import opened_backup
from licd.server.snapshot import Snapshot
from licd.server.state_dir import DirectoryLock, StateDirectory
from tests.server.command.conftest import Licd
from tests.server.command.desk import at_work

SECRETS = ("keys/", "root/", ".key")


def names(backup: Path) -> list[str]:
    with tarfile.open(backup) as archive:
        return archive.getnames()


def test_holds_database_settings_policies_and_certificates_and_no_secret(
    licd: Licd, state: StateDirectory, tmp_path: Path
) -> None:
    done = licd("backup", "--state", state.root, "--to", tmp_path / "b")
    assert done.code == 0
    held = names(tmp_path / "b")
    wanted = {"backup.json", "licd.db", "licd.toml", "policies/roles.toml", "policies/licences/standard.toml"}
    assert {"tls/server.pem", "tls/authority.pem", "operators/alice/tls.pem"} <= set(held)
    assert held[0] == "backup.json"
    assert wanted - {"policies/licences/standard.toml"} <= set(held)
    assert any(name.startswith("policies/licences/") for name in held)
    assert [name for name in held if any(part in name for part in SECRETS)] == []
    assert "ratchet" not in held
    assert "no private keys" in done.out


def test_with_keys_it_holds_them_and_says_so(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    done = licd("backup", "--state", state.root, "--to", tmp_path / "b", "--with-keys")
    assert {"keys/evidence.key", "root/root-1.key", "tls/authority.key", "operators/bob/signing.key"} <= set(
        names(tmp_path / "b")
    )
    assert "guard it" in done.out
    with tarfile.open(tmp_path / "b") as archive:
        assert {member.mode for member in archive} == {0o600}


def test_is_its_owners_alone_and_leaves_nothing_beside(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    assert licd("backup", "--state", state.root, "--to", folder).code == 0
    [backup] = folder.iterdir()
    assert backup.name.startswith("licd-2")
    assert backup.name.endswith("Z.backup")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_overwrites_nothing(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    target = tmp_path / "b"
    target.write_text("dear to somebody")
    done = licd("backup", "--state", state.root, "--to", target)
    assert done.code == 2
    assert done.err.startswith("licd: to: ")
    assert target.read_text() == "dear to somebody"


def test_where_no_file_can_be_made_the_option_is_named(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    done = licd("backup", "--state", state.root, "--to", tmp_path / "no" / "where")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith("licd: to: there is no directory")


def test_is_one_moment_while_somebody_writes(state: StateDirectory, tmp_path: Path) -> None:
    """The lock is held and a writing transaction open, as when a daemon serves."""
    with DirectoryLock(state):
        writer = sqlite3.connect(state.database, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM log_entry")
        made = make_backup(state, tmp_path / "b", with_keys=False)
        writer.execute("ROLLBACK")
        writer.close()
    assert made.manifest.log_size == 3


def test_holds_what_is_only_in_the_write_ahead_log(state: StateDirectory, tmp_path: Path) -> None:
    with at_work(state) as desk:
        desk.issue("one")
        made = make_backup(state, tmp_path / "b", with_keys=False)
    with opened_backup(made.path) as backup:
        backup.take_out(tmp_path / "out", frozenset({"licd.db"}))
    with Snapshot(tmp_path / "out" / "licd.db") as rows:
        assert rows.execute("SELECT id FROM licence") == [("one",)]
        assert rows.execute("PRAGMA journal_mode") == [("delete",)]


def test_rows_that_do_not_hold_are_not_backed_up(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    with sqlite3.connect(state.database) as raw:
        raw.execute('DELETE FROM log_entry WHERE "index" = 1')
    raw.close()
    (tmp_path / "out").mkdir()
    done = licd("backup", "--state", state.root, "--to", tmp_path / "out")
    assert done.code == 1
    assert done.err == "licd: entry 1: is missing; the next one there is 2\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing(
    state: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "backup")

    monkeypatch.setattr("licd.server.backup.write_backup", refuse)
    with pytest.raises(OSError, match="No space"):
        make_backup(state, tmp_path / "b", with_keys=False)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
