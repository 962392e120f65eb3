"""Arguments and files that are wrong end in one line and a code; nothing that licd gives out once is lost for them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from licd.cli.printing import Printer
from licd.cli.surroundings import Output
from licd.core.errors import Invalid
from licd.v1 import deployment_service_pb2, operator_pb2
from licd.v1.licence_service_pb2 import GetLicenceResponse
from tests.cli.conftest import NOW, Licctl
from tests.cli.samples import licence
from tests.daemon import ROOT

INVITATION = deployment_service_pb2.Invitation(
    join_token="licd-join-secret",
    expires_at_ms=NOW + 1,
    deployment=operator_pb2.Deployment(deployment="site-1"),
)


@pytest.mark.parametrize(
    "command",
    [
        ("deployment", "invite", "site-1", "--licence", "a"),
        ("licence", "issue", "--customer", "a", "--template", "b"),
        ("licence", "amend", "a", "--cap", "1"),
        ("licence", "renew", "a", "--not-after", "2030-01-01"),
        ("approval", "sign", "a"),
        ("licence", "export", "a"),
        ("key", "bundle"),
        ("log", "export"),
        ("log", "checkpoint"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_licd_is_asked(
    licctl: Licctl, command: tuple[str, ...]
) -> None:
    result = licctl(*command, "--save", "/nonexist/dir/x")
    assert (result.exit_code, licctl.licd.names()) == (2, [])
    assert "--save" in result.stderr


def test_a_file_that_is_there_is_refused_before_licd_is_asked(licctl: Licctl, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("x")
    result = licctl("deployment", "invite", "site-1", "--licence", "a", "--save", str(there))
    assert (result.exit_code, licctl.licd.names(), there.read_text()) == (2, [], "x")
    assert "there already" in " ".join(result.stderr.split())


def test_a_join_token_that_could_not_be_written_after_all_is_shown(licctl: Licctl, tmp_path: Path) -> None:
    target = tmp_path / "token"

    def invited(_: object) -> deployment_service_pb2.InviteDeploymentResponse:
        target.write_text("somebody was quicker")
        return deployment_service_pb2.InviteDeploymentResponse(invitation=INVITATION)

    licctl.licd.on("InviteDeployment", invited)
    result = licctl("deployment", "invite", "site-1", "--licence", "a", "--save", str(target))
    assert result.exit_code == 2
    assert INVITATION.join_token in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("licence", "amend", "a", "--cap", str(1 << 32)),
        ("licence", "amend", "a", "--deployments", str(1 << 31)),
        ("licence", "reinstate", "a", "--reason", "b", "--detail", "c", "--epoch", "9" * 21),
        ("licence", "reinstate", "a", "--reason", "b", "--detail", "c", "--epoch", "-1"),
        ("log", "get", "9" * 23),
        ("customer", "get", b"caf\xe9".decode("utf-8", "surrogateescape")),
        ("licence", "amend", "a", "--not-after", "2" * 100_000),
    ],
)
def test_what_does_not_fit_the_protocol_is_a_wrong_argument(licctl: Licctl, arguments: tuple[str, ...]) -> None:
    result = licctl(*arguments)
    assert (result.exit_code, licctl.licd.names()) == (2, [])
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 3_000


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "show", "/dev/zero"),
        ("token", "verify", "/dev/zero", "--bundle", "/dev/zero"),
        ("log", "verify", "/dev/zero", "--key", "a"),
        ("log", "checkpoint", "--old", "/dev/zero"),
        ("licence", "issue", "--customer", "a", "--terms", "/dev/zero"),
        ("--config", "/dev/zero", "customer", "list"),
        ("operator", "add", "/dev/zero", "--role", "auditor"),
    ],
)
def test_a_file_without_an_end_is_refused(licctl: Licctl, arguments: tuple[str, ...]) -> None:
    result = licctl.bare(*arguments) if arguments[0].startswith("-") else licctl(*arguments)
    assert result.exit_code in {2, 7}
    assert "Traceback" not in result.stderr


def test_an_answer_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from licd.cli.main import main; main()", "completion", "bash"],
            stdout=full, stderr=subprocess.PIPE, check=False, cwd=ROOT, encoding="utf-8",
            env=os.environ | {"HOME": str(tmp_path)},
        )  # fmt: skip
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == "licctl: the answer could not be written: No space left on device"


def test_json_has_no_character_that_could_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"software": "1.0\u009b31mRED\u202eelpoep\u2028x\x7f"}
    Printer(Output.JSON).value(said)
    shown = capsys.readouterr().out
    assert all(each.isprintable() or each == "\n" for each in shown)
    assert json.loads(shown) == said


def test_an_error_has_no_character_that_could_steer_a_terminal(licctl: Licctl) -> None:
    result = licctl("--config", "/nonexist/\x1b[2J\u009b", "customer", "list")
    assert "\x1b" not in result.stderr
    assert "\u009b" not in result.stderr


def test_a_field_in_milliseconds_is_named_by_its_flag(licctl: Licctl) -> None:
    licctl.licd.on("GetLicence", GetLicenceResponse(licence=licence()))
    licctl.licd.on("RenewLicence", Invalid("must be later", field="not_after_ms"))
    result = licctl("licence", "renew", "acme-1", "--not-after", "2030-01-01")
    assert (result.exit_code, result.stderr) == (2, "licctl: INVALID: --not-after: must be later\n")


@pytest.mark.parametrize("why", [("--reason", "", "--detail", "x"), ("--reason", "manual", "--detail", " ")])
def test_a_suspension_without_a_reason_is_refused_before_it_is_previewed(licctl: Licctl, why: tuple[str, ...]) -> None:
    result = licctl("licence", "suspend", "--licence", "acme-1", *why)
    assert (result.exit_code, licctl.licd.names()) == (2, [])
