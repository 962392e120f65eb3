"""Acquisitions over PostgreSQL against the same over SQLite: two daemons, in turn."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.load import alternate
from tests.bench.measures import Measured, Requests, acquirers, run_on_loop
from tests.bench.peers import postgres_peer
from tests.bench.stage import LICENCE, Enrolled, Stage, enrol_all, issue, staged


def postgres_vs_sqlite(stage: Stage, systems: list[Enrolled]) -> Measured:
    """Unary AcquireLease on both. Raises Absent without a PostgreSQL server."""
    with tempfile.TemporaryDirectory(prefix="licd-bench-postgres-") as name:
        files = postgres_peer.papers_for(stage, Path(name))
        with (
            postgres_peer.serving(files, Path(name)) as port,
            staged(database=postgres_peer.address(files, port)) as other,
        ):
            issue(other, "bench-customer", LICENCE)
            theirs = enrol_all(other, LICENCE, [f"raw-{n}" for n in range(len(systems))])
            over_postgres, over_sqlite = run_on_loop(lambda: _alternated(theirs, systems))
    sides = {"postgres": over_postgres, "sqlite": over_sqlite}
    return Measured("postgres_vs_sqlite", over_postgres / over_sqlite, 0.8, True, sides, "calls/s")


async def _alternated(ours: list[Enrolled], yardstick: list[Enrolled]) -> tuple[float, float]:
    requests = Requests()
    async with acquirers(ours, requests) as first, acquirers(yardstick, requests) as second:
        return await alternate(first, second, requests.fill)
