"""`licd doctor` says what is wrong and what to do, and is not broken by what is broken."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from licd.core.time import DAY, HOUR, MINUTE
from licd.server.clock import SystemClock
from licd.server.doctor.examine import CHECKS, examine
from licd.server.doctor.finding import Finding, Level
from licd.server.initialise import initialise
from licd.server.ratchet import Ratchet
from licd.server.state_dir import DirectoryLock, StateDirectory
from tests.daemon import ShiftedClock
from tests.server.command.conftest import Licd, wishes
from tests.server.command.desk import at_work

NOW = SystemClock().wall()


def found(state: StateDirectory, check: str, now: int = NOW) -> list[Finding]:
    return [each.finding for each in examine(state.root, now) if each.check == check]


def worst(state: StateDirectory, check: str, now: int = NOW) -> Finding:
    order = [Level.FAIL, Level.WARN, Level.OK]
    return min(found(state, check, now), key=lambda finding: order.index(finding.level))


def test_a_fresh_directory_does_not_fail(licd: Licd, state: StateDirectory) -> None:
    done = licd("doctor", "--state", state.root)
    assert done.code == 0
    assert done.out.endswith("findings; warn\n")


def test_as_json_every_finding_has_check_level_what_and_todo(licd: Licd, state: StateDirectory) -> None:
    answer = json.loads(licd("doctor", "--state", state.root, "--output", "json").out)
    assert answer["verdict"] == "warn"
    assert {each["check"] for each in answer["findings"]} >= {"clock", "disk", "sqlite", "keys", "log", "ratchet"}
    assert all(each["todo"] for each in answer["findings"] if each["level"] != "ok")


def test_a_directory_that_is_none_is_one_finding(licd: Licd, tmp_path: Path) -> None:
    done = licd("doctor", "--state", tmp_path / "nowhere", "--output", "json")
    assert done.code == 1
    [finding] = json.loads(done.out)["findings"]
    assert "licd init" in finding["todo"]


def test_an_empty_directory_fails_check_by_check(tmp_path: Path) -> None:
    findings = examine(tmp_path, NOW)
    failed = {each.check for each in findings if each.finding.level is Level.FAIL}
    assert failed >= {"settings", "database", "log", "trust bundle", "key files", "authority", "policies"}


PARTS = (
    "licd.toml",
    "licd.db",
    "ratchet",
    "keys/evidence.key",
    "tls/server.pem",
    "tls/authority.pem",
    "policies/roles.toml",
)


GARBAGE = b"\x00\xff\x1b[31m garbage"


@pytest.mark.parametrize(
    ("part", "content"), [*((part, GARBAGE) for part in PARTS), ("licd.db", b""), ("tls/server.pem", b"")]
)
def test_garbage_in_any_file_is_told_and_the_other_checks_go_on(
    licd: Licd, state: StateDirectory, part: str, content: bytes
) -> None:
    (state.root / part).write_bytes(content)
    done = licd("doctor", "--state", state.root)
    assert done.code == 1
    assert "\x1b" not in done.out
    assert "ok    daemon" in done.out
    assert "ok    disk" in done.out


@pytest.mark.parametrize("part", [*PARTS, "keys", "tls", "operators", "policies", "root"])
def test_what_is_missing_breaks_no_other_check(state: StateDirectory, part: str) -> None:
    path = state.root / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    findings = examine(state.root, NOW)
    assert {each.check for each in findings} >= {name for name, _ in CHECKS} - {"leftovers", "keys", part}


def test_looks_and_changes_nothing(licd: Licd, state: StateDirectory) -> None:
    before = {path: path.read_bytes() for path in state.root.rglob("*") if path.is_file()}
    licd("doctor", "--state", state.root)
    after = {path: path.read_bytes() for path in state.root.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    assert {path: after[path] for path in before} == before
    assert all(not content for path, content in after.items() if path not in before)


# --------------------------------------------------------------------------------------------------- clock
def test_a_clock_behind_what_was_decided_fails_and_names_both_ways_out(state: StateDirectory) -> None:
    finding = worst(state, "clock", NOW - HOUR)
    assert finding.level is Level.FAIL
    assert "behind the highest instant" in finding.what
    assert "licctl clock accept" in finding.todo


@pytest.mark.parametrize("now", [0, 100 * 366 * DAY * 2])
def test_a_year_that_cannot_be_fails(state: StateDirectory, now: int) -> None:
    assert "cannot be" in worst(state, "clock", now).what


def test_a_clock_far_ahead_of_the_last_decision_is_doubted(state: StateDirectory) -> None:
    assert worst(state, "clock", NOW + 40 * DAY).level is Level.WARN


@pytest.mark.parametrize("set_off", [HOUR, -HOUR])
def test_a_clock_that_was_set_since_licd_last_decided_fails(state: StateDirectory, set_off: int) -> None:
    clock = ShiftedClock()
    assert not [each for each in clock_findings(state, clock) if each.level is Level.FAIL]
    clock.set_off = set_off
    told = [each for each in clock_findings(state, clock) if "against the boot clock" in each.what]
    assert [each.level for each in told] == [Level.FAIL]
    assert "two persons" in told[0].todo


def clock_findings(state: StateDirectory, clock: ShiftedClock) -> list[Finding]:
    return [each.finding for each in examine(state.root, clock.wall(), clock) if each.check == "clock"]


def test_a_daemon_that_writes_nothing_is_noticed(state: StateDirectory) -> None:
    with DirectoryLock(state):
        assert "written nothing" in worst(state, "clock", NOW + 45 * MINUTE).what
    assert worst(state, "clock", NOW + 45 * MINUTE).level is Level.OK


# ------------------------------------------------------------------------------------------ keys and certificates
def test_a_key_that_others_may_read_fails(state: StateDirectory) -> None:
    (state.root / "keys" / "evidence.key").chmod(0o644)
    finding = worst(state, "key files")
    assert finding.level is Level.FAIL
    assert "chmod 600" in finding.what


def test_an_exchanged_key_fails(state: StateDirectory) -> None:
    shutil.copy(state.root / "root" / "root-1.key", state.root / "keys" / "permit-online.key")
    assert "not in trust bundle" in worst(state, "keys").what


def test_keys_certificates_and_bundle_are_seen_to_before_they_run_out(state: StateDirectory) -> None:
    later = NOW + 80 * DAY
    assert worst(state, "keys", later).level is Level.WARN
    assert "renew-certificates" in worst(state, "server certificate", later).todo
    assert worst(state, "server certificate", later).level is Level.WARN
    assert worst(state, "operators' certificates", later).level is Level.WARN
    assert worst(state, "trust bundle", NOW + 340 * DAY).level is Level.WARN
    assert worst(state, "authority", NOW + (5 * 365 - 100) * DAY).level is Level.WARN


def test_what_has_run_out_fails(state: StateDirectory) -> None:
    much_later = NOW + 400 * DAY
    for check in ("keys", "server certificate", "operators' certificates", "trust bundle"):
        assert worst(state, check, much_later).level is Level.FAIL


def test_a_certificate_of_another_authority_fails(state: StateDirectory, tmp_path: Path) -> None:
    initialise(tmp_path / "other", wishes())
    for name in ("authority.pem", "authority.key", "server.pem", "server.key"):
        shutil.copy(tmp_path / "other" / "tls" / name, state.root / "tls" / name)
    assert worst(state, "authority").level is Level.FAIL
    assert "not by this installation's authority" in worst(state, "server certificate").what


def test_root_keys_that_were_moved_away_are_no_finding(state: StateDirectory) -> None:
    assert worst(state, "root keys").level is Level.WARN
    shutil.rmtree(state.root / "root")
    assert worst(state, "root keys").level is Level.OK


# ------------------------------------------------------------------------------------------------ rows
def test_an_entry_that_was_changed_is_named(state: StateDirectory) -> None:
    with sqlite3.connect(state.database) as raw:
        raw.execute('UPDATE log_entry SET body = (SELECT body FROM log_entry WHERE "index" = 0) WHERE "index" = 1')
    raw.close()
    finding = worst(state, "log")
    assert finding.level is Level.FAIL
    assert "entry 1" in finding.what


def test_a_schema_of_a_newer_licd_fails(state: StateDirectory) -> None:
    with sqlite3.connect(state.database) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    assert "9999" in worst(state, "database").what


def test_rows_behind_the_ratchet_fail_and_name_the_way_out(state: StateDirectory) -> None:
    ratchet = Ratchet(state.root / "ratchet")
    ratchet.note_restored(NOW, 99)
    ratchet.close()
    finding = worst(state, "ratchet")
    assert finding.level is Level.FAIL
    assert "licd reconcile" in finding.todo


def test_a_ratchet_that_was_not_written_is_noticed(state: StateDirectory) -> None:
    before = (state.root / "ratchet").read_bytes()
    with at_work(state) as desk:
        desk.issue("one")
        desk.suspend("one")
    (state.root / "ratchet").write_bytes(before)
    assert "last epochs of one" in worst(state, "ratchet").what


def test_old_sqlite_is_explained(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    assert worst(state, "sqlite").level is Level.WARN
    assert "one writer" in worst(state, "sqlite").what
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert worst(state, "sqlite").level is Level.OK


# ---------------------------------------------------------------------------------------- directory and daemon
def test_hold_daemon_and_mode_are_told(state: StateDirectory) -> None:
    state.hold.touch()
    state.root.chmod(0o755)
    assert worst(state, "hold").level is Level.WARN
    assert "chmod 700" in worst(state, "state directory").todo
    with DirectoryLock(state):
        assert "a licd works" in worst(state, "daemon").what
        assert "0 of 16 MiB" in worst(state, "reserve").what
    assert "no licd works" in worst(state, "daemon").what


def test_metrics_for_everybody_are_a_warning(state: StateDirectory) -> None:
    file = state.root / "licd.toml"
    file.write_text(file.read_text().replace('metrics = "127.0.0.1:', 'metrics = "0.0.0.0:'))
    assert worst(state, "settings").level is Level.WARN


def test_example_policies_warn_and_broken_ones_fail(state: StateDirectory) -> None:
    assert "example figures" in worst(state, "policies").what
    file = state.root / "policies" / "roles.toml"
    file.write_text(file.read_text() + "\n[nonsense]\nx = 1\n")
    assert worst(state, "policies").level is Level.FAIL
    assert "roles.toml:" in worst(state, "policies").what


def test_little_room_is_told(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(state.root)
    for free, level in ((1, Level.FAIL), (500 * 256, Level.WARN)):
        fields = list(real)
        fields[1], fields[4] = 4096, free
        shown = os.statvfs_result(fields)
        monkeypatch.setattr(os, "statvfs", lambda _, shown=shown: shown)
        assert worst(state, "disk").level is level
