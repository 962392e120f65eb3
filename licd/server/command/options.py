"""Options that several verbs have, worded once."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from licd.core.errors import Invalid

MOST_PASSPHRASE_BYTES: Final = 4096


def directory(text: str) -> Path:
    """A name that somebody wrote: an empty one is a variable that was not set, and not this directory."""
    if not text:
        raise typer.BadParameter("an empty name; write . for this directory")
    return Path(text)


State = Annotated[
    Path, typer.Option("--state", metavar="DIR", parser=directory, help="State directory.", show_default=False)
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase of the key files."),
]
DatabaseUrl = Annotated[
    str, typer.Option("--database", metavar="URL", help="postgresql://… in place of what licd.toml says.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")]


class Output(StrEnum):
    """How answers are written: for people, or for programs."""

    TABLE = "table"
    JSON = "json"


OutputForm = Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")]


def passphrase_in(path: Path | None) -> bytes | None:
    """The passphrase in a file, without the line's end. Raises Invalid, OSError."""
    if path is None:
        return None
    with path.open("rb") as file:
        found = file.read(MOST_PASSPHRASE_BYTES + 1)
    if len(found) > MOST_PASSPHRASE_BYTES:
        raise Invalid(
            f"{path}: more than {MOST_PASSPHRASE_BYTES} bytes: this is no passphrase", field="--passphrase-file"
        )
    passphrase = found.rstrip(b"\r\n")
    if not passphrase:
        raise Invalid(f"{path}: holds no passphrase", field="--passphrase-file")
    return passphrase


def refuse_undecodable(arguments: Sequence[str]) -> None:
    """Raises typer.BadParameter for an argument whose bytes are no UTF-8."""
    for one in arguments:
        try:
            one.encode()
        except UnicodeEncodeError as error:
            raise typer.BadParameter(f"{ascii(one)[:200]}: not UTF-8") from error


def single(verb: object) -> typer.Typer:
    """The verb as an application of its own."""
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(verb)  # type: ignore[type-var]  # typer wants any callable
    return app
