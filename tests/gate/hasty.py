"""`licd` with a planted fault: it answers before its commits are synced. The power cut must find it out."""

from __future__ import annotations

from pathlib import Path

from licd.ledger import database
from licd.server import store
from licd.server.command import main


class Hasty(database.SqliteConnection):
    """SQLite as many leave it: a commit is durable some time later."""

    def __init__(self, path: Path | str, *, readonly: bool = False) -> None:
        super().__init__(path, readonly=readonly)
        self._raw.execute("PRAGMA synchronous=NORMAL")


if __name__ == "__main__":
    vars(store)["SqliteConnection"] = Hasty
    main()
