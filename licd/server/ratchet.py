"""What licd has answered, kept elsewhere: the size of the log and the highest epoch of each licence.

Written and synced before the answer to whatever raised an epoch. A database restored from an older backup is behind
it: licd then starts read-only. One line each: log size, licence, epoch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from licd.ledger.database import Connection
from licd.ledger.ledger import BatchFigures
from licd.ledger.log import read_head
from licd.ledger.rows import LICENCES
from licd.ledger.transaction import Committed


@dataclass(slots=True)
class High:
    """The highest that was ever answered."""

    log_size: int = 0
    epochs: dict[str, int] = field(default_factory=dict)


class Ratchet:
    """An append-only file; a torn last line is a write that was never answered."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self.high: Final = _read(path)
        self._file: Final = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Called on the writing thread before the answers of a batch go out."""
        if not done.directives:
            return
        lines = [f"{done.log_size} {each.licence} {each.epoch}\n" for each in done.directives]
        os.write(self._file, "".join(lines).encode())
        os.fsync(self._file)

    def failed(self, why: str) -> None:
        """Nothing was changed."""

    def close(self) -> None:
        os.close(self._file)


def _read(path: Path) -> High:
    high = High()
    if not path.exists():
        return high
    for line in path.read_text().splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or not parts[0].isdigit() or not parts[2].isdigit():
            continue
        high.log_size = max(high.log_size, int(parts[0]))
        high.epochs[parts[1]] = max(high.epochs.get(parts[1], 0), int(parts[2]))
    return high


def behind(high: High, connection: Connection) -> str:
    """In what the database is older than what was answered; empty when in nothing."""
    head = read_head(connection)
    size = head.size if head else 0
    if size < high.log_size:
        return f"the log has {size} entries and {high.log_size} were answered"
    for licence, epoch in sorted(high.epochs.items()):
        found = LICENCES.get(connection, licence)
        if found is None or found.epoch < epoch:
            have = found.epoch if found else "nothing"
            return f"licence {licence} is at {have} and epoch {epoch} was answered"
    return ""
