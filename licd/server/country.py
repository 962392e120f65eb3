"""What the imported indicators say of one country now, by the policy's rules about their age."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import desc

from licd.core.diligence import Reading
from licd.core.time import SECOND, Instant
from licd.ledger import tables
from licd.ledger.database import Connection, Statement
from licd.ledger.records import StoredIndicators
from licd.ledger.rows import INDICATORS
from licd.policy.diligence import DiligencePolicy
from licd.policy.indicators.sources import SOURCES
from licd.v1.diligence_pb2 import Indicators


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest import of each source that policy looks at."""

    imports: Mapping[str, Indicators]

    @property
    def ids(self) -> frozenset[str]:
        """What a judgement by it rests on."""
        return frozenset(each.indicators for each in self.imports.values())

    @property
    def files(self) -> dict[str, bytes]:
        """Import → hash of the file it read."""
        return {each.indicators: each.file_sha256 for each in self.imports.values()}

    def readings(self, policy: DiligencePolicy, country: str, now: Instant) -> list[Reading]:
        """Each indicator that policy has floors for."""
        year = year_of(now)
        return [reading for name in policy.longest_age for reading in self._of(policy, name, country, year)]

    def _of(self, policy: DiligencePolicy, source: str, country: str, year: int) -> Iterator[Reading]:
        found = self.imports.get(source)
        if found is None:
            yield from (Reading(name, None, why=f"{source} was never imported") for name in SOURCES[source].dimensions)
            return
        values = {each.dimension: each.thousandths for each in found.values if each.country == country}
        gaps = {each.dimension for each in found.missing if each.country == country}
        most = policy.longest_age[source]
        old = f"of {found.year}, and older than {most} years" if year - found.year > most else ""
        for name in SOURCES[source].dimensions:
            if name in values:
                yield Reading(name, values[name], found.year, found.indicators, old)
            else:
                said = "gives no value" if name in gaps else f"does not list {country}"
                yield Reading(name, None, found.year, found.indicators, f"{source} of {found.year} {said}")


def snapshot(connection: Connection, policy: DiligencePolicy) -> Snapshot:
    """Of each source the import of the latest year; of the same year, the latest."""
    found = {name: _newest(connection, name) for name in policy.longest_age}
    return Snapshot({name: Indicators.FromString(each.body) for name, each in found.items() if each})


def _newest(connection: Connection, source: str) -> StoredIndicators | None:
    column = tables.indicators.c
    clause = INDICATORS.select(column.source == source).order_by(desc(column.year), desc(column.id)).limit(1)
    statement = Statement(clause, connection.dialect)
    rows = connection.execute(statement.text, statement.arguments({}))
    return INDICATORS.from_row(rows[0]) if rows else None


def year_of(now: Instant) -> int:
    """The calendar year in UTC."""
    return datetime.fromtimestamp(now / SECOND, UTC).year
