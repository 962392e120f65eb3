"""The systemd unit: taken by systemd's own tools, narrow, and in step with what licd does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from licd.server.config import Limits, Listen
from tests.architecture.sources import ROOT
from tests.deploy.prometheus import program

FOLDER = ROOT / "deploy" / "systemd"
UNIT = (FOLDER / "licd.service").read_text(encoding="utf-8")
DROP_IN = (FOLDER / "licd.service.d" / "passphrase.conf").read_text(encoding="utf-8")
EXPOSURE_LIMIT = 1.5


def setting(name: str, text: str = UNIT) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on every machine, and the drop-in beside it."""
    path = tmp_path / "licd.service"
    path.write_text(UNIT.replace("/opt/licd/bin/licd", "/bin/true"))
    folder = tmp_path / "licd.service.d"
    folder.mkdir()
    (folder / "passphrase.conf").write_text(DROP_IN.replace("/opt/licd/bin/licd", "/bin/true"))
    return path


def analyse(*arguments: str) -> str:
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), *arguments], capture_output=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_to_say_against_the_unit_and_its_drop_in(unit: Path) -> None:
    assert analyse("verify", "--man=no", str(unit)) == ""


def test_the_unit_exposes_little(unit: Path) -> None:
    said = analyse("security", "--offline=yes", "--threshold=20", "--no-pager", str(unit))
    exposure = re.search(r"exposure level for licd\.service: ([\d.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= EXPOSURE_LIMIT


def test_licd_may_write_to_its_state_directory_and_nowhere_else() -> None:
    [writable] = setting("ReadWritePaths")
    [directory] = setting("StateDirectory")
    assert setting("ProtectSystem") == ["strict"]
    assert writable == f"/var/lib/{directory}"
    for command in (setting("ExecStart"), setting("ExecStart", DROP_IN)[1:]):
        [state] = re.findall(r"--state (\S+)", " ".join(command))
        assert Path(writable) in Path(state).parents


def test_licd_may_open_no_sockets_but_internet_and_unix_ones() -> None:
    [families] = setting("RestrictAddressFamilies")
    assert set(families.split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}


def test_systemd_waits_for_longer_than_licd_drains() -> None:
    [stop] = setting("TimeoutStopSec")
    assert int(stop.removesuffix("s")) > 2 * Limits().drain_seconds


def test_the_passphrase_comes_as_a_credential_and_in_no_environment() -> None:
    [credential] = setting("LoadCredentialEncrypted", DROP_IN)
    name = credential.partition(":")[0]
    assert setting("ExecStart", DROP_IN)[1].endswith(f"--passphrase-file %d/{name}")
    assert "PASSPHRASE" not in " ".join(setting("Environment") + setting("Environment", DROP_IN))


def test_unit_user_and_directories_agree() -> None:
    [user], [group], [mode] = setting("User"), setting("Group"), setting("StateDirectoryMode")
    users = (FOLDER / "licd.sysusers.conf").read_text(encoding="utf-8")
    directories = (FOLDER / "licd.tmpfiles.conf").read_text(encoding="utf-8")
    assert re.search(rf"^u {user} ", users, re.MULTILINE)
    assert re.search(rf"^d /var/lib/licd +{mode} {user} {group} ", directories, re.MULTILINE)


def test_systemd_makes_the_user(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = [program("systemd-sysusers", "systemd"), f"--root={tmp_path}", str(tmp_path / "licd.conf")]
    shutil.copy(FOLDER / "licd.sysusers.conf", tmp_path / "licd.conf")
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    line = (tmp_path / "etc" / "passwd").read_text()
    assert re.search(r"^licd:.*:/var/lib/licd:\S*nologin$", line, re.MULTILINE), line


def test_the_guide_scrapes_the_port_that_licd_shows_its_metrics_on() -> None:
    guide = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert Listen().metrics == "127.0.0.1:7444"
    assert f'targets: ["{Listen().metrics}"]' in guide
    assert "job_name: licd " in guide
