"""One system of the crowd: the whole SDK over gRPC, with its directory in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from typing import Final

from licd.client import Callbacks, Lease, LeaseDenied, System
from licd.client.clock import SYSTEM_CLOCK
from licd.client.grpc_transport import GrpcNetwork
from licd.client.notices import LeaseLost, Suspended
from simulator.clock import Millis
from simulator.crowd.disk import MemoryDisk
from simulator.crowd.watch import Watch, WatchedNetwork

PURPOSE: Final = "sar:search-and-rescue"
REGION: Final = "NO"


class Member:
    """Enrols, opens, asks for its leases, and from then on does what the SDK does by itself.

    stopped is when its last lease stopped by a suspension, and when the frame that said so came; (0, 0) before.
    """

    def __init__(self, name: str, watch: Watch, lost: Counter[str]) -> None:
        self.name: Final = name
        self.network: Final = WatchedNetwork(GrpcNetwork(), watch, SYSTEM_CLOCK)
        self.stopped: tuple[Millis, Millis] = (0, 0)
        self._disk: Final = MemoryDisk()
        self._lost: Final = lost
        self._system: Final = System.open(
            name,
            region=REGION,
            software="crowd",
            callbacks=Callbacks(on_suspended=self._on_suspended, on_lost=self._on_lost),
            disk=self._disk,
            network=self.network,
        )
        self._leases: Final[list[Lease]] = []

    async def enrol(self, join_token: str) -> None:
        """Over the enrolment listener, as anybody."""
        await System.enrol(join_token, self.name, disk=self._disk, network=self.network)

    async def open(self, leases: int) -> None:
        """Open a session and take so many leases. What is denied is counted as lost."""
        await self._system.start()
        asked = (self._take(number) for number in range(leases))
        await asyncio.gather(*asked)

    async def _take(self, number: int) -> None:
        target = hashlib.sha256(f"{self.name}/{number}".encode()).digest()
        try:
            self._leases.append(await self._system.acquire(target, purpose=PURPOSE, region=REGION))
        except LeaseDenied as refused:
            self._lost[f"denied {refused.denied.reason.name}"] += 1

    @property
    def usable(self) -> int:
        """How many leases may be acted on now."""
        return sum(lease.usable for lease in self._leases)

    @property
    def connected(self) -> bool:
        """Whether licd is heard in time."""
        return self._system.status.connected

    async def leave(self) -> None:
        """As a crash: nothing is said."""
        await self._system.abandon()

    def _on_suspended(self, _: Suspended) -> None:
        if not self.stopped[0]:
            self.stopped = (self.network.clock.boot_ms(), self.network.heard_at)

    def _on_lost(self, _: Lease, lost: LeaseLost) -> None:
        stopped = lost.stopped
        self._lost[stopped.denied.reason.name if stopped.denied else stopped.cause.value] += 1
