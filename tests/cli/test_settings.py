"""Where licd is and as whom: found in one way, and every wrong setting named."""

from pathlib import Path

import pytest

from licd.cli import connection, settings
from licd.cli.failure import Stopped
from licd.core.time import DAY
from licd.keys.pem_files import write_certificates
from licd.keys.pki import make_authority
from licd.v1.status_service_pb2 import GetStatusResponse
from tests.cli.conftest import NOW, Chance, Licctl

OK = GetStatusResponse(caller="operator/anna")


def settings_of(licctl: Licctl, name: str) -> str:
    return str(licctl.folder / "operators" / name / "licctl.toml")


@pytest.fixture
def up(licctl: Licctl) -> Licctl:
    licctl.licd.on("GetStatus", OK)
    return licctl


def test_the_default_operator_of_a_state_directory_acts(up: Licctl) -> None:
    assert up.bare("--state", str(up.folder), "status").exit_code == 0


def test_the_only_operator_of_a_state_directory_acts(up: Licctl) -> None:
    (up.folder / "operators/default").unlink()
    (up.folder / "operators/bert/licctl.toml").unlink()
    assert up.bare("--state", str(up.folder), "status").exit_code == 0


def test_one_of_several_operators_must_be_named(up: Licctl) -> None:
    (up.folder / "operators/default").unlink()
    result = up.bare("--state", str(up.folder), "status")
    assert (result.exit_code, result.stderr) == (2, "licctl: --as: say which operator: anna, bert\n")


def test_options_stand_before_the_noun_or_behind_the_verb(up: Licctl) -> None:
    state = str(up.folder)
    assert up.bare("--state", state, "--as", "bert", "-o", "json", "status").stdout.startswith("{")
    assert up.bare("status", "--state", state, "--as", "bert", "-o", "json").stdout.startswith("{")
    assert up.bare("--as", "bert", "status", "--state", state).exit_code == 0
    assert up.bare("--state", "elsewhere", "status", "--config", settings_of(up, "anna")).exit_code == 0


@pytest.mark.parametrize("name", ["carl", "../../etc", "anna/../bert", ""])
def test_an_operator_that_is_not_there_is_refused_by_name(up: Licctl, name: str) -> None:
    result = up.bare("--state", str(up.folder), "--as", name or " ", "status")
    assert result.exit_code == 2
    assert "there are anna, bert" in result.stderr


def test_a_file_can_be_named_by_option_or_environment(up: Licctl) -> None:
    assert up.bare("--config", settings_of(up, "anna"), "status").exit_code == 0
    up.environment["LICCTL_CONFIG"] = settings_of(up, "bert")
    assert up.bare("status").exit_code == 0


def test_the_file_in_the_home_directory_is_the_last_resort(up: Licctl) -> None:
    place = Path(up.environment["HOME"]) / ".config/licd"
    place.mkdir(parents=True)
    (place / "licctl.toml").write_text(Path(settings_of(up, "anna")).read_text())
    assert up.bare("status").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--state", "S", "--config", "C"), "--state and --config: give one of the two"),
        (("--as", "anna"), "--as: names an operator of a state directory; give --state DIR too"),
        (("--state", "nowhere"), "--state: nowhere is no state directory: it has no folder operators"),
        (("--config", "nowhere.toml"), "nowhere.toml: there is no such file; give --state DIR, or --config FILE"),
    ],
)
def test_a_choice_that_cannot_be_followed_is_said(up: Licctl, arguments: tuple[str, ...], why: str) -> None:
    result = up.bare(*arguments, "status")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"licctl: {why}")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("address = ", "addres = ", "address: must be there, and a text"),
        ('operator = "anna"', "operator = 3", "operator: must be there, and a text"),
        ('operator = "anna"', 'operator = "anna"\ncolour = "red"', "colour: no such setting; there are address, ca,"),
        ("address = ", "address == ", "not TOML: "),
        ("address = ", "address = " + "9" * 5000 + " #", "not TOML: "),
        ("address = ", "address = " + "[" * 3000, "not TOML: "),
    ],
)
def test_a_setting_that_is_wrong_is_named(up: Licctl, before: str, after: str, why: str) -> None:
    file = Path(settings_of(up, "anna"))
    file.write_text(file.read_text().replace(before, after))
    result = up("status")
    assert result.exit_code == 2
    assert f"licctl.toml: {why}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_file_without_a_certificate_is_named(up: Licctl) -> None:
    own = up.folder / "operators/anna"
    (own / "ca.pem").write_text("no certificate")
    with pytest.raises(Stopped, match=r"ca: .*ca\.pem: this is no PEM text with certificates"):
        connection.open_channel(settings.read(own / "licctl.toml"))


def test_a_certificate_that_has_run_out_is_warned_of(up: Licctl) -> None:
    own = up.folder / "operators/anna"
    authority = make_authority("licd.example", "test", now_ms=NOW, life_ms=DAY, randomness=Chance())
    write_certificates(own / "c.pem", [authority.certificate])
    found = settings.read(own / "licctl.toml")
    assert connection.certificate_warning(found, NOW) == ""
    warning = connection.certificate_warning(found, NOW + 3 * DAY)
    assert warning.endswith("c.pem: your certificate ran out, 2026-03-02T12:00:00Z, 2 d ago")


def test_the_default_channel_refuses_a_private_key_that_others_may_read(up: Licctl) -> None:
    own = up.folder / "operators/anna"
    authority = make_authority("licd.example", "test", now_ms=NOW, life_ms=DAY, randomness=Chance())
    write_certificates(own / "ca.pem", [authority.certificate])
    (own / "k.pem").write_text("x")
    (own / "k.pem").chmod(0o644)
    with pytest.raises(Exception, match="run: chmod 600"):
        connection.open_channel(settings.read(own / "licctl.toml"))


def test_the_environment_names_a_state_directory(up: Licctl) -> None:
    up.environment["LICCTL_STATE"] = str(up.folder)
    assert up.bare("status").exit_code == 0
    assert up.bare("--as", "bert", "status").exit_code == 0
    assert up.bare("--as", "carl", "status").exit_code == 2


def test_what_is_said_goes_before_what_the_environment_says(up: Licctl) -> None:
    up.environment["LICCTL_STATE"] = "/nonexist"
    assert up.bare("--state", str(up.folder), "status").exit_code == 0
    assert up.bare("--config", settings_of(up, "anna"), "status").exit_code == 0
    up.environment["LICCTL_CONFIG"] = settings_of(up, "anna")
    assert up.bare("status").exit_code == 0
