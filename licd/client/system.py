"""The asynchronous face: one enrolled system, on the running event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from licd.client import joining
from licd.client.answers import Authorisation, Denied, Failed, Granted, Outcome, Released
from licd.client.callbacks import Callbacks
from licd.client.clock import SYSTEM_CLOCK, Clock, Randomness, system_randomness
from licd.client.disk import Disk, FileDisk
from licd.client.errors import LeaseDenied, NoAnswer, SystemClosed
from licd.client.grpc_transport import GrpcNetwork
from licd.client.hold import Hold
from licd.client.lease import Lease
from licd.client.pace import Pace
from licd.client.running import Running, Settings
from licd.client.status import LicenceCheck, Status
from licd.client.targets import acquisition_of
from licd.client.transport import Network
from licd.core.terms import Basis, Terms
from licd.v1 import session_pb2


class System:
    """An enrolled system: `async with System.open(directory) as system`. Closing it stops every lease."""

    def __init__(self, disk: Disk, network: Network, settings: Settings) -> None:
        """Prefer `System.open`."""
        self._disk: Final = disk
        self._network: Final = network
        self._settings: Final = settings
        self._running: Running | None = None

    @classmethod
    def open(
        cls,
        directory: str | Path,
        *,
        region: str = "",
        software: str = "licd-sdk",
        callbacks: Callbacks | None = None,
        number_overrides: Mapping[str, str] | None = None,
        pace: Pace | None = None,
        disk: Disk | None = None,
        network: Network | None = None,
        clock: Clock = SYSTEM_CLOCK,
        randomness: Randomness = system_randomness,
    ) -> Self:
        """Name the system in a directory; entering it starts it, whether or not licd can be reached.

        region is where this system itself stands (ISO 3166), software what runs it: both are told to licd. disk,
        network, clock and randomness are for simulations. Entering raises NotEnrolled, StateDamaged, DirectoryInUse.
        """
        settings = Settings(
            region=region,
            software=software,
            callbacks=callbacks or Callbacks(),
            overrides=number_overrides or {},
            pace=pace or Pace(),
            clock=clock,
            randomness=randomness,
        )
        return cls(disk or FileDisk(Path(directory)), network or GrpcNetwork(), settings)

    @staticmethod
    async def enrol(
        join_token: str,
        directory: str | Path,
        *,
        disk: Disk | None = None,
        network: Network | None = None,
        clock: Clock = SYSTEM_CLOCK,
        randomness: Randomness = system_randomness,
    ) -> str:
        """Trade a join token for an enrolment in this directory. Returns the system's name, customer/C/system/S.

        Raises JoinTokenInvalid, EnrolmentRefused, DirectoryInUse, NoAnswer, OSError; LicdError when licd does not
        take the token (it was used already, or is past its time).
        """
        identity = await joining.enrol(
            join_token, disk or FileDisk(Path(directory)), network or GrpcNetwork(), clock, randomness
        )
        return identity.system

    # ----------------------------------------------------------------------------------------- life
    async def start(self) -> None:
        """Read the directory and begin to talk to licd. Raises NotEnrolled, StateDamaged, DirectoryInUse, OSError."""
        if self._running is not None:
            raise SystemClosed("a system is started once; open it anew")
        self._disk.lock()
        try:
            self._running = Running(self._disk, self._network, self._settings)
        except BaseException:
            self._disk.unlock()
            raise
        self._running.begin()

    async def close(self) -> None:
        """Stop every lease, tell licd if it can be reached, and give the directory up."""
        await self._end(self.running.driver.close())

    async def abandon(self) -> None:
        """Give everything up at once, as a crash would: nothing is said, nothing is written. For simulations."""
        await self._end(self.running.driver.abandon())

    async def _end(self, ending: "asyncio.Future[None] | object") -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
