"""licd-contact: what a customer's compliance contact does, on his own machine, with his own key. It talks to nobody."""

import os
import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from licd.cli.clock import MachineClock, machine_randomness
from licd.cli.contact_file import read_certification
from licd.cli.desk import PASSPHRASE_VARIABLE, first_line
from licd.cli.failure import Exit, Stopped, explain, one_line
from licd.cli.options import new_file
from licd.cli.printing import Printer
from licd.cli.request_words import message_pairs
from licd.cli.surroundings import Output
from licd.keys.armour import armour
from licd.keys.envelope import seal
from licd.keys.file_signer import create_key_file, read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.private_file import EVERYBODY, KeyFileError, KeyFileReason, write_new
from licd.keys.signer import Signer

SHORTEST: Final = 8


class Root(TyperGroup):
    """Says what stops a command in one line."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. An error that nobody foresaw passes through, with its traceback."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            foreseen = explain(error)
            if foreseen is None:
                raise
            sys.stderr.write(f"licd-contact: {one_line(foreseen[1])}\n")
            raise typer.Exit(foreseen[0]) from error


app: Final = typer.Typer(
    name="licd-contact",
    cls=Root,
    help="A customer's compliance contact: make your key, certify. Nothing here is sent anywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def before() -> None:
    """Certify in your own name; nobody can do it for you."""


@app.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where your key shall live: a new file.")],
    *,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave it unprotected: for development.")
    ] = False,
) -> None:
    """Make your key. It never leaves this machine; tell the vendor the public half and, by another road, its id."""
    passphrase = None if no_passphrase else _passphrase(f"New passphrase for {file}: ")
    if passphrase is not None and len(passphrase) < SHORTEST:
        raise Stopped(Exit.USAGE, f"the passphrase must have {SHORTEST} characters or more; nothing was made")
    made = create_key_file(file, KeyPurpose.CONTACT, passphrase=passphrase, randomness=machine_randomness)
    Printer(Output.TABLE).pairs([("key", made.key_id), ("public key", made.public_key.hex())])


@app.command()
def certify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What you certify: TOML, see docs/conditions.md.")],
    *,
    key: Annotated[Path, typer.Option(metavar="FILE", help="Your key, as `licd-contact key` made it.")],
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", callback=new_file, help="Write it there; else print it.")
    ] = None,
) -> None:
    """Sign a certification, for the vendor to lodge. It counts for one condition of one licence, for one period."""
    now = MachineClock().now()
    said = read_certification(file, now)
    signer = _signer(key)
    token = armour(seal(Kind.CERTIFICATION, said.SerializeToString(deterministic=True), signer).SerializeToString())
    printer = Printer(Output.TABLE)
    if save is None:
        printer.text(token)
        return
    write_new(save, token.encode(), EVERYBODY)
    printer.pairs([*message_pairs(said, now), ("signed by", f"key {signer.key_id}")])


def _signer(path: Path) -> Signer:
    try:
        found = read_key_file(path, None)
    except KeyFileError as error:
        if error.reason is not KeyFileReason.PASSPHRASE_MISSING:
            raise
        found = read_key_file(path, _passphrase(f"Passphrase of {path}: "))
    if found.purpose is not KeyPurpose.CONTACT:
        raise Stopped(Exit.USAGE, f"--key: {path} is a key for {found.purpose.word}, not a contact's")
    return found


def _passphrase(prompt: str) -> bytes:
    return first_line(os.environ.get(PASSPHRASE_VARIABLE, ""), prompt, getpass)


main: Final[Callable[[], None]] = app
