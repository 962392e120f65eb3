"""Options that several commands have, worded once."""

from pathlib import Path
from typing import Annotated

import typer

from licd.cli.times import parse_duration, parse_instant
from licd.core.time import Instant, Millis

Reason = Annotated[str, typer.Option("--reason", metavar="CODE", help="Reason code; policies/ lists them.")]
Detail = Annotated[str, typer.Option("--detail", metavar="TEXT", help="Why, in words; it is logged.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")]
Save = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="Write what it yields (token, certificate, invitation) to a new file."),
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
