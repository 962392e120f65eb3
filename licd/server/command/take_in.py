"""`licd import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import DatabaseUrl, State, single
from licd.server.config import read_config
from licd.server.state_dir import DirectoryLock, StateDirectory
from licd.server.store import Store
from licd.server.transfer import import_rows


def take_in(
    state: State,
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="What `licd export` made, or a licd.db.")],
    database: DatabaseUrl = "",
) -> None:
    """Put all rows of a file into an empty database: from SQLite to PostgreSQL, and back.

    All of it or nothing, and checked against its signed checkpoint. No licd may serve from the file.
    """
    log_to_stderr()
    directory = StateDirectory(state)
    config = read_config(state)
    lock = DirectoryLock(directory)
    try:
        moved = import_rows(Store.of(directory, config).at(database), config, source)
    finally:
        lock.release()
    typer.echo(f"{moved.place} holds {moved.rows} rows, {moved.log_size} log entries, checked")


app = single(take_in)
