"""`licd migrate`."""

from __future__ import annotations

import typer

from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import DatabaseUrl, State, single
from licd.server.config import read_config
from licd.server.state_dir import StateDirectory
from licd.server.store import Store


def migrate(state: State, database: DatabaseUrl = "") -> None:
    """Bring a database server's schema to what this licd knows; replicas that serve go on meanwhile.

    Every step only adds. A file is brought along by `licd serve` itself.
    """
    log_to_stderr()
    store = Store.of(StateDirectory(state), read_config(state)).at(database)
    typer.echo(f"{store.place} is at schema {store.migrate()}")


app = single(migrate)
