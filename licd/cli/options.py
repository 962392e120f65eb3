"""Options that several commands have, worded once."""

import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Final

import typer

from licd.cli.times import parse_duration, parse_instant
from licd.core.time import Instant, Millis

INT: Final = (1 << 31) - 1
LONGEST: Final = (1 << 63) - 1
"""The largest numbers that fit the protocol."""


def new_file(path: Path | None) -> Path | None:
    """A file that can be made. Raises typer.BadParameter: what licd gives out only once must not come to nothing."""
    if path is None:
        return None
    if os.path.lexists(path):
        raise typer.BadParameter(f"{path} is there already, and is not overwritten")
    return _in_a_folder(path)


def _in_a_folder(path: Path) -> Path:
    try:
        with TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}") from error


def replaced_file(path: Path | None) -> Path | None:
    """A file that can be made, or replaced. Raises typer.BadParameter."""
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a directory")
    return path if path is None else _in_a_folder(path)


Reason = Annotated[str, typer.Option("--reason", metavar="CODE", help="Reason code; policies/ lists them.")]
Detail = Annotated[str, typer.Option("--detail", metavar="TEXT", help="Why, in words; it is logged.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        metavar="FILE",
        callback=new_file,
        help="Write what it yields (token, certificate, invitation) to a new file.",
    ),
]
ValidFor = Annotated[
    Millis | None,
    typer.Option(
        parser=parse_duration, metavar="SPAN", help="How long the join token holds, as 2h; at most 30d; else 1d."
    ),
]
NotBefore = Annotated[
    Instant | None,
    typer.Option(parser=parse_instant, metavar="INSTANT", help="Valid from here: 2026-01-31, 2026-01-31T12:00:00Z."),
]
NotAfter = Annotated[
    Instant | None, typer.Option(parser=parse_instant, metavar="INSTANT", help="Valid until here, exclusive.")
]
PageSize = Annotated[int, typer.Option("--page-size", min=1, max=500, help="How many at once.")]
PageToken = Annotated[str, typer.Option("--page-token", metavar="TOKEN", help="Go on where an earlier page ended.")]
All = Annotated[bool, typer.Option("--all", help="Every page.")]
