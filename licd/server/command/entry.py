"""licd: the verbs, and the one place where errors become a line and an exit code.

A verb's module is imported when somebody uses the verb: `licd --help` loads neither gRPC nor SQL nor cryptography.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from licd import __version__
from licd.server.command.exits import EXIT_CODES, Exit, drop_output, explain
from licd.server.command.options import refuse_undecodable

LIFE: Final = "A state directory's life"
CARE: Final = "Looking after it"

VERBS: Final = (
    ("init", "init", LIFE, "Make a state directory: keys, authority, configuration, database, operators."),
    ("serve", "serve", LIFE, "Serve a state directory until SIGTERM."),
    ("add-replica", "add_replica", LIFE, "Make the state directory of one more replica on the same database server."),
    ("hold", "hold", LIFE, "Stop all signing on this machine at once."),
    ("doctor", "doctor", CARE, "Say how a state directory is, and what to do."),
    ("backup", "backup", CARE, "Write a backup while licd serves."),
    ("restore", "restore", CARE, "Put the database back from a backup."),
    ("export", "export", CARE, "Write all rows into a file while licd serves."),
    ("import", "take_in", CARE, "Put all rows of a file into an empty database, PostgreSQL's too."),
    ("migrate", "migrate", CARE, "Bring a database server's schema to what this licd knows."),
    ("reconcile", "reconcile", CARE, "After a restore: make sure that nothing answered is answered otherwise."),
    ("ceremony", "ceremony", CARE, "Make the next trust bundle, offline: rotate, retire and withdraw keys."),
    ("renew-certificates", "renew_certificates", CARE, "Renew the certificates of the listeners and operators."),
    ("version", "version", CARE, "Print the version."),
)
"""Name, module, panel, help."""


class Verb(TyperCommand):
    """Stands for a verb until somebody uses it."""

    def __init__(self, name: str, module: str, panel: str, text: str) -> None:
        super().__init__(name=name, help=text, rich_help_panel=panel)
        self._module: Final = module

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Loads the verb and goes on with it."""
        app: typer.Typer = importlib.import_module(f"licd.server.command.{self._module}").app
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


class Root(TyperGroup):
    """All verbs. What stops one is said in one line on standard error."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, module, panel, text in VERBS:
            self.add_command(Verb(name, module, panel, text))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Refuses arguments that are no text."""
        refuse_undecodable(args)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Runs the verb. An error that nobody foresaw passes through, with its traceback."""
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
        except Exception as error:
            foreseen = explain(error)
            if foreseen is None:
                raise
            sys.stderr.write(f"licd: {foreseen[1]}\n")
            if isinstance(error, OSError):
                drop_output()
            raise typer.Exit(foreseen[0]) from error
        return answer


_EPILOG: Final = "Exit codes: " + "; ".join(f"{code:d} {text}" for code, text in EXIT_CODES.items()) + "."

app: Final = typer.Typer(
    name="licd",
    cls=Root,
    help="The licence daemon: issues licences that can be suspended, leases that run out, evidence to check.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001 -- what typer calls
    if wanted:
        typer.echo(f"licd {__version__}")
        raise typer.Exit(Exit.OK)


@app.callback()
def before(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Nothing stands before the verb."""


def main() -> None:
    """Entry of the `licd` command."""
    # gRPC's core writes a line for every handshake that fails; it reads these when it is first imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    app(prog_name="licd")
