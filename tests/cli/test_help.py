"""What licctl says of itself, how fast it can, and how it ends."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from licd.cli.failure import Exit, explain
from licd.cli.main import NOUNS, app
from licd.core.errors import BY_CODE, Code, LicdError
from tests.cli.conftest import Licctl

VERBS = {
    "customer": {"create", "get", "list", "ban", "unban"},
    "licence": {
        "issue",
        "get",
        "list",
        "amend",
        "continuity",
        "renew",
        "suspend",
        "follow",
        "reinstate",
        "checklist",
        "meet",
        "terminate",
        "export",
        "drill",
        "rights",
    },
    "diligence": {
        "import",
        "indicators",
        "assess",
        "show",
        "list",
        "complete",
        "refuse",
        "override",
        "reviews",
        "replay",
    },
    "condition": {"list", "show", "add", "meet", "certify", "waive"},
    "contact": {"register", "withdraw", "list"},
    "overlay": {"sign", "lodge", "withdraw", "show", "list"},
    "authority": {"key", "register", "withdraw", "list"},
    "deployment": {"invite", "get", "list", "revoke", "re-enrol", "fork", "verify-fork"},
    "lease": {"list", "force-release"},
    "approval": {"list", "show", "sign", "reject"},
    "operator": {"list", "add", "disable", "request"},
    "log": {"list", "get", "checkpoint", "export", "verify", "cosign", "tiles"},
    "key": {"list", "bundle", "publish"},
    "policy": {"show", "check"},
    "rules": {"facts", "test", "dry-run"},
    "signal": {"list", "show", "acknowledge"},
    "case": {"open", "list", "show", "move", "complete", "refuse", "determine", "reopen"},
    "allegation": {
        "create-key",
        "list",
        "show",
        "acknowledge",
        "answer",
        "write",
        "join-case",
        "open-case",
        "permit",
        "disclose",
    },
    "report": {"build", "schema"},
    "token": {"show", "verify"},
    "clock": {"accept"},
}


def commands(noun: str) -> dict[str, Any]:
    """The verbs of a noun as typer made them; the noun itself when it has none."""
    root: Any = typer.main.get_command(app)
    context = root.commands[noun].make_context(noun, [], resilient_parsing=True)
    return getattr(context.command, "commands", {"": context.command})


def every_command() -> Iterator[tuple[str, Any]]:
    for noun, *_ in NOUNS:
        for verb, command in commands(noun).items():
            yield f"{noun} {verb}".strip(), command


def test_every_noun_has_its_verbs() -> None:
    assert {noun: set(commands(noun)) for noun in VERBS} == VERBS
    assert {noun for noun, *_ in NOUNS} == VERBS.keys() | {"status", "completion"}


@pytest.mark.parametrize(("name", "command"), list(every_command()), ids=[name for name, _ in every_command()])
def test_every_command_and_option_says_what_it_is_for(name: str, command: Any) -> None:
    assert command.help
    assert [one.name for one in command.params if not getattr(one, "help", None)] == []


@pytest.mark.parametrize("noun", [noun for noun, *_ in NOUNS])
def test_every_noun_shows_its_help(noun: str) -> None:
    result = CliRunner().invoke(app, [noun, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_every_command_can_answer_programs() -> None:
    deaf = [name for name, command in every_command() if "output" not in {one.name for one in command.params}]
    assert deaf == ["completion"]


def test_the_help_lists_every_noun_and_exit_code() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert [noun for noun, *_ in NOUNS if f"│ {noun} " not in shown] == []
    assert [code for code in Exit if f"{code:d} " not in shown.partition("Exit codes:")[2]] == []


def test_help_loads_neither_grpc_nor_cryptography() -> None:
    # A bound on time would be a bound on the machine; this is what the time goes into.
    script = (
        "import sys; from licd.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'google.protobuf', 'cryptography', 'licd.v1', 'licd.policy.load', 'sqlalchemy'}\n"
        "sys.exit(', '.join(sorted(heavy & sys.modules.keys())) or None)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")


def test_shows_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("licctl ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_prints_a_completion_script(shell: str) -> None:
    shown = CliRunner().invoke(app, ["completion", shell]).stdout
    assert "_LICCTL_COMPLETE" in shown


def test_completes_nouns_and_verbs() -> None:
    environment = {"_LICCTL_COMPLETE": "complete_bash", "COMP_WORDS": "licctl licence sus", "COMP_CWORD": "2"}
    result = CliRunner(env=environment).invoke(app, [], prog_name="licctl")
    assert result.stdout.strip() == "suspend"


@pytest.mark.parametrize(
    "arguments",
    [("licence", "amend", "x", "--grace", "20"), ("licence", "suspned"), ("custmer",), ("lease", "list", "--all", "x")],
)
def test_a_wrong_argument_ends_with_two(licctl: Licctl, arguments: tuple[str, ...]) -> None:
    assert licctl(*arguments).exit_code == 2
    assert licctl.licd.names() == []


def test_a_wrong_duration_is_told_what_would_be_right(licctl: Licctl) -> None:
    said = " ".join(licctl("licence", "amend", "x", "--grace", "20").stderr.replace("│", " ").split())
    assert "Invalid value for '--grace': '20' is no duration: a whole number and one of ms, s, m, h, d" in said


@pytest.mark.parametrize("code", list(Code))
def test_every_error_of_licd_has_its_exit_code_and_one_line(licctl: Licctl, code: Code) -> None:
    licctl.licd.on("GetStatus", BY_CODE[code]("because", field="thing", retry_after=1_500))
    result = licctl("status")
    foreseen = explain(BY_CODE[code]("because"))
    assert foreseen is not None
    assert result.exit_code == foreseen[0]
    assert result.stderr == f"licctl: {code}: thing: because (try again in 2 s)\n"


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (Code.INVALID, 2),
        (Code.NOT_FOUND, 3),
        (Code.CONFLICT, 4),
        (Code.ALREADY_EXISTS, 4),
        (Code.ILLEGAL_TRANSITION, 4),
        (Code.FORBIDDEN, 1),
        (Code.UNAUTHENTICATED, 1),
        (Code.SEAL_INVALID, 1),
        (Code.CLOCK_DOUBTED, 1),
        (Code.SHUTTING_DOWN, 6),
    ],
)
def test_exit_codes_are_those_that_are_documented(code: Code, exit_code: int) -> None:
    error: LicdError = BY_CODE[code]("because")
    foreseen = explain(error)
    assert foreseen is not None
    assert foreseen[0] == exit_code


def test_an_error_that_nobody_foresaw_keeps_its_traceback() -> None:
    assert explain(KeyError("x")) is None
