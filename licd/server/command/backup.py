"""`licd backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from licd.server.backup import make_backup
from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import State, single
from licd.server.state_dir import StateDirectory

KIBIBYTE: Final = 1024


def backup(
    state: State,
    to: Annotated[Path, typer.Option("--to", metavar="FILE-OR-DIR", help="New file, or a directory to put it in.")],
    with_keys: Annotated[  # noqa: FBT002 -- a flag
        bool, typer.Option("--with-keys", help="Private keys too, protected as they are here. Guard it as you do them.")
    ] = False,
) -> None:
    """Write a backup while licd serves: database, configuration, policies, public certificates. Overwrites nothing.

    The database in it is one moment, and was checked against its signed checkpoint. The ratchet is never in it.
    """
    log_to_stderr()
    made = make_backup(StateDirectory(state), to, with_keys=with_keys)
    keys = "with private keys: guard it as you guard them" if with_keys else "no private keys"
    typer.echo(f"made {made.path}: {made.size // KIBIBYTE} KiB, {made.manifest.log_size} log entries, {keys}")


app = single(backup)
