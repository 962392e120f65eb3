"""Everything of the vendor's: one licd with its rows, or replicas on a database server; as customers dial it."""

from __future__ import annotations

from typing import Final

from licd.server.inprocess import MemoryDatabase, MemoryServer, Premises
from simulator.chance import Random, stream
from simulator.deterministic.machine import Machine
from simulator.deterministic.vendor import Vendor

RATES: Final = (-20, 0, 20)
"""How wrong the clocks of the vendor's machines run, in parts per million."""


class Site:
    """The licds, the rows that all of them work on, and the machine whose clock decides."""

    def __init__(self, seed: int, premises: Premises, chance: Random, replicas: int) -> None:
        """Of no replicas there is one licd that has its rows for itself."""
        self.machine: Final = Machine("licd", chance.choice(RATES), chance.randrange(10**6))
        if not replicas:
            self.rows = MemoryDatabase(premises.database)
            self.licds = [Vendor(premises, self.machine, stream(seed, "licd"), self.rows)]
            return
        server = MemoryServer(premises.database, self.machine.wall_ms)
        self.rows = server.rows
        self.licds = [
            Vendor(
                premises,
                Machine(f"licd-{number}", chance.choice(RATES), chance.randrange(10**6)),
                stream(seed, f"licd-{number}"),
                server.connect(),
            )
            for number in range(1, replicas + 1)
        ]

    def replica(self, number: int) -> Vendor:
        """The so-many-th that somebody dials, beginning anew after the last."""
        return self.licds[number % len(self.licds)]

    def any(self, chance: Random) -> Vendor:
        """One of them."""
        return self.licds[0] if len(self.licds) == 1 else chance.choice(self.licds)

    @property
    def lives(self) -> int:
        """Of all of them."""
        return sum(each.lives for each in self.licds)
