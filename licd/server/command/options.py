"""Options that several verbs have, worded once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

State = Annotated[Path, typer.Option("--state", metavar="DIR", help="State directory.", show_default=False)]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase of the key files."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")]


class Output(StrEnum):
    """How answers are written: for people, or for programs."""

    TABLE = "table"
    JSON = "json"


OutputForm = Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")]


def passphrase_in(path: Path | None) -> bytes | None:
    """The passphrase in a file, without the line's end. Raises OSError."""
    return path.read_bytes().rstrip(b"\r\n") if path is not None else None


def single(verb: object) -> typer.Typer:
    """The verb as an application of its own."""
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(verb)  # type: ignore[type-var]  # typer wants any callable
    return app
