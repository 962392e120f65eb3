"""`licd add-replica`: the state directory of one more licd that works on the same rows."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Final

from licd.core.errors import Invalid
from licd.ledger.log import read_head
from licd.server.clock import SystemClock
from licd.server.config import FILE_NAME, ServerConfig, read_config
from licd.server.growing import growing
from licd.server.names import checked_name
from licd.server.ratchet import Ratchet
from licd.server.state_dir import StateDirectory
from licd.server.store import Store

RATCHET: Final = "ratchet"
SHARED: Final = ("keys", "tls", "policies")
"""What every replica has: keys to sign with, certificate to be known by, policies to decide by."""


def add_replica(store: Store, to: Path, name: str, base_port: int) -> None:
    """Raises Invalid, StoreFailed, OSError; then there is nothing at `to`."""
    if not store.shared:
        raise Invalid("rows in a file are one licd's alone; replicas share a PostgreSQL server", field="database")
    checked_name(name, "name")
    config = read_config(store.state.root)
    with closing(store.connect(readonly=True)) as rows:
        head = read_head(rows)
    if head is None:
        raise Invalid(f"{store.place} is empty; `licd import` puts a licd's rows into it", field="database")
    with growing(to) as state:
        for folder in SHARED:
            source = config.policies if folder == "policies" else Path(folder)
            shutil.copytree(store.state.root / source, state.root / folder)
        ratchet = Ratchet(state.root / RATCHET)
        ratchet.settle(SystemClock().wall(), head.size, {})
        ratchet.close()
        _write_config(store, state, config, name, base_port)


def _write_config(store: Store, state: StateDirectory, config: ServerConfig, name: str, base_port: int) -> None:
    """The first one's file, with other ports, another name, and where the rows are."""
    text = (store.state.root / FILE_NAME).read_text(encoding="utf-8")
    text = re.sub(r'(?m)^replica = ".*"$', f'replica = "{name}"', text)
    text = re.sub(r'(?m)^policies = ".*"$', 'policies = "policies"', text)
    text = re.sub(r'(?m)^ratchet = ".*"$', f'ratchet = "{RATCHET}"', text)
    for offset, door in enumerate(("enrolment", "customer", "operator", "metrics")):
        text = re.sub(rf'(?m)^({door} = ".*:)\d+"$', rf'\g<1>{base_port + offset}"', text)
    if not config.database.url:
        text += f'\n[database]\nurl = "{store.url}"\n'
    (state.root / FILE_NAME).write_text(text, encoding="utf-8")
