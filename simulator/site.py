"""Where licd runs: one daemon on a file of its own, or several replicas on one database server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from simulator.clock import Clock
from simulator.daemon import Daemon, free_ports, temporary_folder
from simulator.papers import OperatorPapers


class Site:
    """The daemons of one vendor, numbered from 1. All are known to the systems from the start, also those to come."""

    def __init__(self, first: Daemon, to_come: list[Daemon]) -> None:
        self._daemons = [first]
        self._to_come = to_come

    @property
    def first(self) -> Daemon:
        """The one whose state directory has everything."""
        return self._daemons[0]

    @property
    def number(self) -> int:
        """How many daemons there are, running or not."""
        return len(self._daemons)

    def daemon(self, number: int) -> Daemon:
        """One of them."""
        return self._daemons[number - 1]

    def papers(self, operator: str) -> OperatorPapers:
        """An operator's, with the address of every replica that there is or is to come."""
        found = OperatorPapers.read(self.first.state, operator)
        everywhere = [each.operators_address for each in (*self._daemons, *self._to_come)]
        return replace(found, address=",".join(everywhere)) if len(everywhere) > 1 else found

    async def add(self) -> Daemon:
        """Make one more replica and start it. Raises DaemonFailed, IndexError when none is to come."""
        daemon = self._to_come.pop(0)
        await self.first.replicate(daemon)
        self._daemons.append(daemon)
        await daemon.start()
        return daemon

    async def stop(self) -> None:
        """Stop all that run."""
        await asyncio.gather(*(each.stop() for each in self._daemons))


@asynccontextmanager
async def temporary_site(
    policies: Path, overlay: Path | None, clock: Clock, *, database: str = "", replicas: int = 0, to_come: int = 0
) -> AsyncIterator[Site]:
    """A new licd in a temporary directory, which is gone afterwards, whatever happens.

    replicas 0: one daemon on a file. Otherwise so many on this database, which must be empty, and as many to come.
    Raises DaemonFailed.
    """
    async with temporary_folder("licd-simulation-", clock) as folder:
        used = folder / "policies"
        shutil.copytree(policies, used)
        if overlay is not None:
            shutil.copytree(overlay, used, dirs_exist_ok=True)
        ports = [free_ports() for _ in range(max(1, replicas + to_come))]
        shared = {
            "LICD_DATABASE__URL": database,
            "LICD_ADVERTISE__CUSTOMER": ",".join(f"127.0.0.1:{port + 1}" for port in ports),
        }
        first, *others = [
            Daemon(folder / f"state-{number}", clock, shared if replicas else None, base_port=port)
            for number, port in enumerate(ports, 1)
        ]
        site = Site(first, others)
        try:
            await first.make(used)
            if replicas:
                await first.share()
            await first.start()
            for _ in range(1, replicas):
                await site.add()
            yield site
        finally:
            await asyncio.shield(site.stop())
