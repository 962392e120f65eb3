"""What other replicas have made durable, read from the log: it names every row of rights that was changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Select, bindparam, literal_column

from licd.evidence.entry import Field, decode
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.records import IssuedDirective, LoggedEntry
from licd.ledger.rows import (
    AUTHORITIES,
    CONTACTS,
    CUSTOMERS,
    DEPLOYMENTS,
    DIRECTIVES,
    LICENCES,
    LOG_ENTRIES,
    OPERATORS,
    OVERLAYS,
    TRUST_BUNDLES,
    Rows,
)
from licd.ledger.told import SAYS
from licd.ledger.transaction import Committed

EVERY_NS: Final = 200_000_000
"""How often it is looked at most: what is pushed late by this much is within the bound of a suspension."""

PUBLISHED: Final = "trust.published"
KINDS: Final = sorted({*SAYS, PUBLISHED})
FOLLOWED: Final = (AUTHORITIES, CONTACTS, CUSTOMERS, DEPLOYMENTS, LICENCES, OPERATORS, OVERLAYS)
ROWS: Final[dict[str, Rows[Any]]] = {rows.table.name: rows for rows in FOLLOWED}


class Following:
    """How far this replica's memory of who may what has followed the log."""

    def __init__(self, connection: Connection, stopwatch: Callable[[], int], followed: int) -> None:
        """Followed is the size of the log when that memory was read."""
        self._connection: Final = connection
        self._stopwatch: Final = stopwatch
        self._followed = followed
        self._own: list[range] = []
        self._looked_at = 0
        self._hurried = False

    def hurry(self) -> None:
        """Looks the next time, however lately it was looked at."""
        self._hurried = True

    def wrote(self, first: int, size: int) -> None:
        """This replica's own entries: whoever observes it has been told of them."""
        if self._followed == first:
            self._followed = size
        elif size > first:
            self._own.append(range(first, size))

    def seen(self, size: int | None) -> Committed | None:
        """What others have changed up to this size of the log; None for nothing, or when it was looked at just now."""
        if size is None or size <= self._followed:
            return None
        if not self._hurried and self._stopwatch() - self._looked_at < EVERY_NS:
            return None
        self._hurried, self._looked_at = False, self._stopwatch()
        found = LOG_ENTRIES.find(self._connection, "followed", _followed, start=self._followed, end=size)
        others = [each for each in found if not any(each.index in own for own in self._own)]
        self._followed, self._own = size, [own for own in self._own if own.stop > size]
        return self._changed(others, size) if others else None

    def _changed(self, entries: list[LoggedEntry], size: int) -> Committed:
        done = Committed(log_size=size, decided_at=entries[-1].at)
        subjects: dict[tuple[Rows[Any], str | int], None] = {}
        epochs: dict[str, int] = {}
        for entry in entries:
            for rows, subject in _subjects(entry):
                subjects[rows, subject] = None
            if entry.licence:
                epoch = int(_said(entry, "epoch") or 0)
                epochs[entry.licence] = min(epochs.get(entry.licence, epoch), epoch)
        for rows, subject in subjects:
            done.rows.append(rows.get(self._connection, subject))
        for licence, epoch in epochs.items():
            done.directives += self._directives(licence, epoch)
        return done

    def _directives(self, licence: str, epoch: int) -> list[IssuedDirective]:
        column = tables.directive.c
        return DIRECTIVES.where(self._connection, column.licence == licence, column.epoch >= epoch)


def _followed() -> Select[Any]:
    column = tables.log_entry.c
    within = column.index >= bindparam("start"), column.index < bindparam("end")
    followed = column.kind.in_([literal_column(f"'{kind}'") for kind in KINDS])
    return LOG_ENTRIES.select(*within, followed).order_by(column.index)


def _subjects(entry: LoggedEntry) -> Iterator[tuple[Rows[Any], str | int]]:
    if entry.kind == PUBLISHED:
        yield TRUST_BUNDLES, int(_said(entry, "version"))
    for says in SAYS.get(entry.kind, ()):
        yield ROWS[says.table.name], _said(entry, says.named)


def _said(entry: LoggedEntry, name: str) -> str:
    found = decode(entry.body).field(name)
    return found.value.decode() if isinstance(found, Field) else ""
