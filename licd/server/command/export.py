"""`licd export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import DatabaseUrl, State, single
from licd.server.config import read_config
from licd.server.state_dir import StateDirectory
from licd.server.store import Store
from licd.server.transfer import export_rows


def export(
    state: State,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="New file.")],
    database: DatabaseUrl = "",
) -> None:
    """Write all rows of one moment into a file while licd serves, for `licd import`. Overwrites nothing.

    They were checked against their signed checkpoint.
    """
    log_to_stderr()
    directory = StateDirectory(state)
    config = read_config(state)
    made = export_rows(Store.of(directory, config).at(database), config, to)
    typer.echo(f"made {made.place}: {made.rows} rows, {made.log_size} log entries, checked")


app = single(export)
