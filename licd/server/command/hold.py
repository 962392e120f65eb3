"""`licd hold`."""

from __future__ import annotations

from typing import Annotated

import typer

from licd.core.errors import Invalid
from licd.server.command.options import State, single
from licd.server.state_dir import StateDirectory


def hold(
    state: State,
    off: Annotated[bool, typer.Option("--off", help="Sign again.")] = False,  # noqa: FBT002 -- a flag
    show: Annotated[bool, typer.Option("--show", help="Only say how it stands.")] = False,  # noqa: FBT002 -- a flag
) -> None:
    """Stop all signing on this machine at once; needs no database and no daemon."""
    directory = StateDirectory(state)
    if not state.is_dir():
        raise Invalid(f"{state} is no directory", field="state")
    if off and not show:
        directory.hold.unlink(missing_ok=True)
    elif not show:
        directory.hold.touch(mode=0o600)
    typer.echo("held: nothing is signed on this machine" if directory.held() else "not held: licd signs")


app = single(hold)
