"""The state directory that is examined, with the ways to look into it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from licd.core.time import DAY, HOUR, SECOND, Instant, Millis
from licd.ledger.timekeeper import Clock
from licd.server.config import ServerConfig, read_config
from licd.server.rows_check import trust_of
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from licd.server.transfer import rows_of
from licd.server.trust import Trust


@dataclass(frozen=True, slots=True)
class Patient:
    """now is the machine's wall clock, unix milliseconds; clock is where more of its time comes from."""

    state: StateDirectory
    now: Instant
    clock: Clock | None = None

    def config(self) -> ServerConfig:
        """Raises Invalid."""
        return read_config(self.state.root)

    def rows(self) -> AbstractContextManager[Snapshot]:
        """The database as it is now. Raises Invalid, StoreFailed, sqlite3.Error."""
        return rows_of(self.state)

    def trust(self) -> Trust:
        """The chain of trust bundles. Raises Invalid, BundleError, sqlite3.Error."""
        with self.rows() as rows:
            return trust_of(rows)


def span(millis: Millis) -> str:
    """A duration for people: 12 days, 5 hours, 30 seconds."""
    for unit, name in ((DAY, "days"), (HOUR, "hours")):
        if millis >= 2 * unit:
            return f"{millis // unit} {name}"
    return f"{millis // SECOND} seconds"
