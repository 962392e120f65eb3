"""`licd renew-certificates`."""

from __future__ import annotations

from typing import Annotated

import typer

from licd.core.time import DAY
from licd.server.backup import stamp
from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import State, single
from licd.server.renewal import LIFE
from licd.server.renewal import renew_certificates as renew
from licd.server.state_dir import StateDirectory


def renew_certificates(
    state: State,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address in the listeners' certificate. [default: those it has]"),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=398, help="How long the new ones hold.")] = LIFE // DAY,
) -> None:
    """Renew the certificates of the listeners and of the operators whose files are here, for the keys they have.

    Each is replaced in one step. A licd that serves takes its own at the next handshake.
    """
    log_to_stderr()
    for each in renew(StateDirectory(state), days * DAY, host or []):
        how = f"left as it was: {each.left}" if each.left else f"holds until {stamp(each.not_after)}"
        typer.echo(f"{each.path}: {how}")


app = single(renew_certificates)
