"""Several daemons on one PostgreSQL database, each with a state directory of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from licd.server.config import read_config
from licd.server.replica import add_replica
from licd.server.state_dir import StateDirectory
from licd.server.store import Store
from licd.server.transfer import import_rows
from tests.daemon import Daemon, serving, set_limits

NO_LIMITS: Mapping[str, int] = {}


def shared_states(
    first: StateDirectory, url: str, number: int, *, prepared: bool = True, limits: Mapping[str, int] = NO_LIMITS
) -> list[StateDirectory]:
    """Moves a fresh state's rows to the server, and makes the directories of more replicas beside it."""
    _point_at(first.root, url, prepared)
    config = read_config(first.root)
    store = Store.of(first, config)
    import_rows(store, config, first.database)
    first.database.unlink()
    roots = [first.root.with_name(f"{first.root.name}-{other}") for other in range(2, number + 1)]
    for root in roots:
        add_replica(store, root, root.name, 7441)
        shutil.copytree(first.root / "operators", root / "operators")
        set_limits(root, **limits)
        _point_at(root, url, prepared)
    return [first, *map(StateDirectory, roots)]


def _point_at(root: Path, url: str, prepared: bool) -> None:
    with (root / "licd.toml").open("a") as file:
        file.write(f'[database]\nurl = "{url}"\nprepared_statements = {str(prepared).lower()}\n')


@contextmanager
def replicas(states: Sequence[StateDirectory]) -> Iterator[list[Daemon]]:
    """All of them serve until the block ends."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(each)) for each in states]
