"""`licd version`."""

from __future__ import annotations

import typer

from licd import __version__
from licd.server.command.options import single


def version() -> None:
    """Print the version."""
    typer.echo(f"licd {__version__}")


app = single(version)
