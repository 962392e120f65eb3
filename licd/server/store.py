"""Where a daemon's rows are: in a file that it has for itself, or on a server that it shares with other replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Self

from licd.core.errors import Invalid
from licd.ledger.database import Connection, SqliteConnection
from licd.ledger.revision import is_newest, is_postgres, newest
from licd.server.config import ServerConfig
from licd.server.state_dir import StateDirectory


@dataclass(frozen=True, slots=True)
class Store:
    """A database by its address, or the state directory's file."""

    state: StateDirectory
    url: str
    prepared: bool

    @classmethod
    def of(cls, state: StateDirectory, config: ServerConfig) -> Self:
        """As the configuration says. Raises Invalid for an address that is no PostgreSQL server's."""
        return cls(state, "", config.database.prepared_statements).at(config.database.url)

    def at(self, url: str) -> Self:
        """At another address; empty: at the same. Raises Invalid."""
        if not url:
            return self
        if not is_postgres(url):
            raise Invalid("write postgresql://USER@HOST:PORT/NAME; without a url the rows are a file", field="database")
        return replace(self, url=url)

    @property
    def shared(self) -> bool:
        """Whether other replicas may work on it."""
        return bool(self.url)

    @property
    def place(self) -> str:
        """Where it is, for whoever reads it; without a password."""
        if not self.shared:
            return str(self.state.database)
        from licd.ledger.postgres import place_of  # noqa: PLC0415 -- psycopg comes with an extra

        return place_of(self.url)

    def connect(self, *, readonly: bool = False) -> Connection:
        """A connection of its own. Raises StoreFailed, sqlite3.Error; Invalid without the driver."""
        if not self.shared:
            return SqliteConnection(self.state.database, readonly=readonly)
        try:
            from licd.ledger.postgres import PostgresConnection  # noqa: PLC0415 -- as above
        except ImportError as error:
            raise Invalid("PostgreSQL takes the extra: pip install 'licd[postgres]'", field="database") from error
        return PostgresConnection(self.url, readonly=readonly, prepared=self.prepared)

    def announcements(self) -> AsyncIterator[None]:
        """What replicas tell each other at once, of a shared store alone. As `licd.ledger.postgres.announcements`."""
        from licd.ledger.postgres import announcements  # noqa: PLC0415 -- as above

        return announcements(self.url)

    def make_ready(self) -> None:
        """Brings a file to the present schema; a server's is moved by `licd migrate` alone, once for all replicas.

        Raises Invalid when there are no rows, SchemaRefused when their schema is not the present one.
        """
        if not self.shared:
            if not self.state.database.is_file():
                problem = f"{self.state.database} is missing; put it back, or `licd restore` a backup"
                raise Invalid(problem, field="state")
            if not is_newest(self.state.database):
                self.migrate()
            return
        from licd.ledger.schema import SchemaRefused, revision  # noqa: PLC0415 -- as in `migrate`

        found = revision(self.url)
        if found is None:
            raise Invalid(f"{self.place} is empty; `licd import` puts a licd's rows into it", field="database")
        if found != newest():
            raise SchemaRefused(f"{self.place} is at schema {found} and this licd at {newest()}; see `licd migrate`")

    def migrate(self) -> str:
        """Moves the schema forward, under replicas that serve. Its revision. Raises SchemaRefused."""
        from licd.ledger.schema import migrate, sqlite_url  # noqa: PLC0415 -- Alembic is a seventh of a start

        migrate(self.url or sqlite_url(self.state.database))
        return newest()
