"""`licd add-replica`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import DatabaseUrl, State, directory, single
from licd.server.config import read_config
from licd.server.replica import add_replica
from licd.server.state_dir import StateDirectory
from licd.server.store import Store


def add(
    state: State,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", parser=directory, help="The replica's state directory, a new one.")
    ],
    name: Annotated[str, typer.Option("--name", help="What it is called in logs.")],
    base_port: Annotated[int, typer.Option("--base-port", help="The first of its four ports.")],
    database: DatabaseUrl = "",
) -> None:
    """Make a state directory for one more replica on the same database server: same keys, ports of its own.

    It holds private keys. Bring it to its machine as you would bring them.
    """
    log_to_stderr()
    source = StateDirectory(state)
    store = Store.of(source, read_config(state)).at(database)
    add_replica(store, to, name, base_port)
    typer.echo(f"made {to}: licd serve --state {to}")


app = single(add)
