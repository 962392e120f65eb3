"""`licd restore`: the rows come back, the old ones stay, and what was answered since is not forgotten."""

import io
import json
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest

from licd.server.backup import make_backup
from licd.server.initialise import initialise
from licd.server.ratchet import behind, read_high
from licd.server.snapshot import Snapshot
from licd.server.state_dir import DirectoryLock, StateDirectory
from tests.server.command.conftest import Licd, wishes
from tests.server.command.desk import at_work, licence_of


@pytest.fixture
def backup(state: StateDirectory, tmp_path: Path) -> Path:
    """Of a licence that is in force."""
    with at_work(state) as desk:
        desk.issue("one")
    return make_backup(state, tmp_path / "backup", with_keys=False).path


def why_behind(state: StateDirectory) -> str:
    with Snapshot(state.database) as rows:
        return behind(read_high(state.root / "ratchet"), rows)


def test_an_older_one_comes_back_and_says_in_what_it_is_behind(licd: Licd, state: StateDirectory, backup: Path) -> None:
    with at_work(state) as desk:
        desk.suspend("one")
    done = licd("restore", "--state", state.root, backup)
    assert done.code == 0
    assert licence_of(state, "one").epoch == 1
    assert "behind what licd has answered: the log has 5 entries and 6 were answered" in done.out
    assert f"licd reconcile --state {state.root}" in done.out
    assert why_behind(state) != ""


def test_the_old_database_is_kept_and_can_be_opened(licd: Licd, state: StateDirectory, backup: Path) -> None:
    with at_work(state) as desk:
        desk.suspend("one")
    licd("restore", "--state", state.root, backup)
    [kept] = state.root.glob("replaced-*")
    assert licence_of(StateDirectory(kept), "one").epoch == 2


def test_grants_that_no_directive_went_with_are_lost_too(licd: Licd, state: StateDirectory, backup: Path) -> None:
    """The ratchet knows nothing of them; the log of the database that is replaced does."""
    with at_work(state) as desk:
        desk.issue("two")
    licd("restore", "--state", state.root, backup)
    assert why_behind(state) != ""


def test_the_very_same_rows_are_not_behind(licd: Licd, state: StateDirectory, backup: Path) -> None:
    done = licd("restore", "--state", state.root, backup)
    assert "nothing that licd has answered is lost" in done.out
    assert why_behind(state) == ""


def test_where_the_old_database_cannot_be_read_nobody_knows_what_is_lost(
    licd: Licd, state: StateDirectory, backup: Path
) -> None:
    state.database.write_bytes(b"garbage")
    done = licd("restore", "--state", state.root, backup)
    assert done.code == 0
    assert "its log had unknown entries" in done.out
    assert "put back from a backup" in why_behind(state)


def test_refuses_while_a_daemon_works_there(licd: Licd, state: StateDirectory, backup: Path) -> None:
    before = state.database.read_bytes()
    with DirectoryLock(state):
        done = licd("restore", "--state", state.root, backup)
    assert done.code == 3
    assert "another licd works" in done.err
    assert state.database.read_bytes() == before


def test_settings_keys_and_policies_stay_as_they_are(licd: Licd, state: StateDirectory, backup: Path) -> None:
    files = ["licd.toml", "policies/roles.toml", "keys/evidence.key"]
    (state.root / "licd.toml").write_text((state.root / "licd.toml").read_text() + "# mine\n")
    before = [(state.root / name).read_bytes() for name in files]
    licd("restore", "--state", state.root, backup)
    assert [(state.root / name).read_bytes() for name in files] == before


def changed(backup: Path, edit: dict[str, bytes]) -> Path:
    """A copy of a backup with members exchanged, and nothing else."""
    other = backup.with_name("other")
    with tarfile.open(backup) as source, tarfile.open(other, "w") as target:
        for member in source:
            file = source.extractfile(member)
            assert file is not None
            content = edit.get(member.name, file.read())
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return other


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00" * 10240])
def test_what_is_no_backup_is_refused(licd: Licd, state: StateDirectory, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b").write_bytes(content)
    done = licd("restore", "--state", state.root, tmp_path / "b")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "no backup" in done.err


def test_a_backup_with_holes_is_refused_before_it_fills_the_disk(
    licd: Licd, state: StateDirectory, backup: Path
) -> None:
    """A sparse member of no bytes may unpack to as many as it likes; licd writes none."""
    other = backup.with_name("other")
    with tarfile.open(backup) as source, tarfile.open(other, "w", format=tarfile.PAX_FORMAT) as target:
        for member in source:
            file = source.extractfile(member)
            assert file is not None
            if member.name == "licd.db":
                sparse = {"major": "0", "minor": "1", "map": "0,0", "size": str(1 << 50), "name": "licd.db"}
                member.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
                member.size, file = 0, io.BytesIO()
            target.addfile(member, file)
    done = licd("restore", "--state", state.root, other)
    assert done.code == 2
    assert "'licd.db' has holes" in done.err


def test_a_flipped_byte_is_found(licd: Licd, state: StateDirectory, backup: Path) -> None:
    other = changed(backup, {"licd.db": b"x" * 4096})
    done = licd("restore", "--state", state.root, other)
    assert done.code == 2
    assert "licd.db is damaged" in done.err


def test_one_that_is_cut_short_is_refused(licd: Licd, state: StateDirectory, backup: Path) -> None:
    data = backup.read_bytes()
    for length in (600, len(data) // 2, len(data) - 30_000):
        backup.write_bytes(data[:length])
        done = licd("restore", "--state", state.root, backup)
        assert (done.code, done.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "licd.db-wal", "keys/../../outside", "ratchet"])
def test_a_manifest_with_names_that_no_backup_has_is_refused(
    licd: Licd, state: StateDirectory, backup: Path, name: str
) -> None:
    with tarfile.open(backup) as archive:
        member = archive.extractfile("backup.json")
        assert member is not None
        manifest = json.loads(member.read())
    manifest["files"][name] = "0" * 64
    done = licd("restore", "--state", state.root, changed(backup, {"backup.json": json.dumps(manifest).encode()}))
    assert done.code == 2
    assert "names files that no backup has" in done.err


def test_a_log_that_does_not_match_its_checkpoint_is_refused(
    licd: Licd, state: StateDirectory, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(state.database) as raw:
        raw.execute('DELETE FROM log_entry WHERE "index" = 2')
    raw.close()
    broken = tmp_path / "broken"
    monkeypatch.setattr("licd.server.backup._checked", lambda *_: type("Sound", (), SOUND)())
    make_backup(state, broken, with_keys=False)
    before = state.database.read_bytes()
    done = licd("restore", "--state", state.root, broken)
    assert done.code == 1
    assert "entry 2" in done.err
    assert state.database.read_bytes() == before


SOUND = {"revision": "0001", "decided_until": 0, "head": type("Head", (), {"size": 5})()}


def test_one_of_another_installation_of_the_same_name_is_refused(
    licd: Licd, state: StateDirectory, tmp_path: Path
) -> None:
    other = StateDirectory(tmp_path / "elsewhere")
    initialise(other.root, wishes())
    make_backup(other, tmp_path / "b", with_keys=False)
    done = licd("restore", "--state", state.root, tmp_path / "b")
    assert done.code == 2
    assert "another installation" in done.err


def test_on_a_new_machine_it_makes_the_whole_directory(licd: Licd, state: StateDirectory, tmp_path: Path) -> None:
    made = make_backup(state, tmp_path / "b", with_keys=True)
    anew = StateDirectory(tmp_path / "anew")
    done = licd("restore", "--state", anew.root, made.path)
    assert done.code == 0
    assert "missing" not in done.out
    assert why_behind(anew) != ""
    assert licd("reconcile", "--state", anew.root, "--yes").code == 0
    assert licd("doctor", "--state", anew.root).code == 0


def test_without_keys_it_says_which_are_missing(licd: Licd, tmp_path: Path, backup: Path) -> None:
    done = licd("restore", "--state", tmp_path / "anew", backup)
    missing = [line.split(";")[0] for line in done.out.splitlines() if line.startswith("missing: ")]
    assert missing == [
        f"missing: {name}"
        for name in (
            "keys/licence-issuer.key",
            "keys/permit-online.key",
            "keys/evidence.key",
            "tls/authority.key",
            "tls/server.key",
        )
    ]


def test_a_new_directory_whose_backup_does_not_hold_is_not_made(licd: Licd, tmp_path: Path, backup: Path) -> None:
    other = changed(backup, {"policies/roles.toml": b"other"})
    assert licd("restore", "--state", tmp_path / "anew", other).code == 2
    assert not (tmp_path / "anew").exists()
    assert list(tmp_path.glob(".anew*")) == []


def test_a_ratchet_that_survived_elsewhere_is_looked_at_on_a_new_machine(
    licd: Licd, state: StateDirectory, tmp_path: Path
) -> None:
    ratchet = tmp_path / "other-disk"
    ratchet.mkdir()
    shutil.move(state.root / "ratchet", ratchet / "ratchet")
    file = state.root / "licd.toml"
    file.write_text(file.read_text().replace('ratchet = "ratchet"', f'ratchet = "{ratchet}/ratchet"'))
    with at_work(state) as desk:
        desk.issue("one")
        made = make_backup(state, tmp_path / "b", with_keys=True)
        desk.suspend("one")
    done = licd("restore", "--state", tmp_path / "anew", made.path)
    assert "the log has 5 entries and 6 were answered" in done.out
