"""licctl: the nouns, the options before them, and the one place where errors become a line and an exit code.

A noun's module is imported when somebody uses the noun: `licctl --help` loads neither gRPC nor cryptography.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from licd import __version__
from licd.cli.failure import EXIT_CODES, drop_output, explain, one_line, refuse_undecodable
from licd.cli.settings import Choice
from licd.cli.surroundings import Invocation, Output, Surroundings

RIGHTS: Final = "Rights"
RULES: Final = "People, keys and rules"
EVIDENCE: Final = "Evidence"
INSTALLATION: Final = "This installation"

NOUNS: Final = (
    ("customer", "customer", RIGHTS, "Customers: create, look up, ban and unban."),
    ("diligence", "diligence", RIGHTS, "Due diligence: indicators, assessments, checklists, reviews."),
    ("licence", "licence", RIGHTS, "Licences: issue, amend, renew, suspend, reinstate, terminate, export."),
    ("condition", "condition", RIGHTS, "Conditions: what is owed for a licence; add, meet, certify, waive."),
    ("overlay", "overlay", RIGHTS, "Overlays: what authorities permit; sign, lodge, withdraw, show."),
    ("deployment", "deployment", RIGHTS, "Deployed systems: invite, revoke, enrol anew."),
    ("lease", "lease", RIGHTS, "Leases: look up, force-release."),
    ("approval", "approval", RULES, "What waits for a second person: show, sign, reject."),
    ("operator", "operator", RULES, "Operators: request, add, disable."),
    ("contact", "contact", RULES, "Contacts: persons of a customer who sign certifications."),
    ("authority", "authority", RULES, "Authorities that may narrow rights: register, withdraw, list."),
    ("key", "key", RULES, "Keys and the trust bundle."),
    ("policy", "policy", RULES, "Policies: what is in force, and whether a folder of them is right."),
    ("rules", "rules", RULES, "Misuse rules: their cases, and what they would have done over a log."),
    ("log", "log", EVIDENCE, "licd's own log: read, export, and verify offline."),
    ("report", "report", EVIDENCE, "The transparency report: figures from the log alone."),
    ("allegation", "allegation", EVIDENCE, "What anybody has reported: acknowledged, answered, taken into cases."),
    ("case", "case", EVIDENCE, "Cases: suspicion looked into, to a determination by several persons."),
    ("signal", "signal", EVIDENCE, "What misuse rules have found, and who has seen it."),
    ("token", "token", EVIDENCE, "Signed files: show and verify, without licd."),
    ("status", "status", INSTALLATION, "How licd is, and who you are to it."),
    ("clock", "deciding_clock", INSTALLATION, "licd's clock: accept it after a jump."),
    ("completion", "completion", INSTALLATION, "The script that completes commands in a shell."),
)
"""Name, module, panel, help."""


class Noun(TyperGroup):
    """Stands for a noun until somebody uses it."""

    def __init__(self, name: str, module: str, panel: str, text: str) -> None:
        super().__init__(name=name, help=text, rich_help_panel=panel)
        self._module: Final = module

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Loads the noun's commands and goes on with them."""
        app: typer.Typer = importlib.import_module(f"licd.cli.{self._module}").app
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


class Root(TyperGroup):
    """All nouns. What stops a command is said in one line on standard error."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, module, panel, text in NOUNS:
            self.add_command(Noun(name, module, panel, text))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Refuses arguments that are no text."""
        refuse_undecodable(args)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. An error that nobody foresaw passes through, with its traceback."""
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
        except Exception as error:
            foreseen = explain(error)
            if foreseen is None:
                raise
            sys.stderr.write(f"licctl: {one_line(foreseen[1])}\n")
            if isinstance(error, OSError):
                drop_output()
            raise typer.Exit(foreseen[0]) from error
        return answer


_EPILOG: Final = "Exit codes: " + "; ".join(f"{code:d} {text}" for code, text in EXIT_CODES.items()) + "."

app: Final = typer.Typer(
    name="licctl",
    cls=Root,
    help="The operator's hand: rights, suspensions and evidence of one licd installation.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"licctl {__version__}")
        raise typer.Exit


@app.callback()
def before(
    ctx: typer.Context,
    *,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="State directory made by `licd init`; else $LICCTL_STATE.")
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Operator in it to act as; else the default one."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings; else $LICCTL_CONFIG, else ~/.config/licd/licctl.toml."),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")] = Output.TABLE,
    version: Annotated[  # noqa: ARG001 -- its callback has answered
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Keeps what was said before the noun."""
    surroundings = ctx.obj if isinstance(ctx.obj, Surroundings) else Surroundings()
    # gRPC writes its own log to standard error; what it says of a failed call comes in one line of ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    ctx.obj = Invocation(surroundings, Choice(state, as_, config), output)


main: Final[Callable[[], None]] = app
