"""Several daemons on one PostgreSQL database, each with a state directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from licd.server.config import read_config
from licd.server.replica import add_replica
from licd.server.state_dir import StateDirectory
from licd.server.store import Store
from licd.server.transfer import import_rows
from tests.daemon import Daemon, serving, set_limits


def shared_states(first: StateDirectory, url: str, number: int) -> list[StateDirectory]:
    """Moves a fresh state's rows to the server, and makes the directories of more replicas beside it."""
    config = read_config(first.root)
    store = Store.of(first, config).at(url)
    import_rows(store, config, first.database)
    first.database.unlink()
    _point_at(first.root, url)
    roots = [first.root.with_name(f"{first.root.name}-{other}") for other in range(2, number + 1)]
    for root in roots:
        add_replica(store, root, root.name, 7441)
        shutil.copytree(first.root / "operators", root / "operators")
        set_limits(root)
        _point_at(root, url)
    return [first, *map(StateDirectory, roots)]


def _point_at(root: Path, url: str) -> None:
    file = root / "licd.toml"
    file.write_text(file.read_text() + f'[database]\nurl = "{url}"\n')


@contextmanager
def replicas(states: Sequence[StateDirectory]) -> Iterator[list[Daemon]]:
    """All of them serve until the block ends."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(each)) for each in states]
