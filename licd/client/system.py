"""The asynchronous face: one enrolled system, on the running event loop."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, Unpack

from licd.client import asking, joining
from licd.client.callbacks import Callbacks
from licd.client.clock import SYSTEM_CLOCK, Clock, system_randomness
from licd.client.disk import Disk, FileDisk
from licd.client.errors import LeaseDenied, SystemClosed
from licd.client.grpc_transport import GrpcNetwork
from licd.client.lease import Lease
from licd.client.numbers import pseudonym
from licd.client.pace import Pace
from licd.client.running import Block, Running, Settings
from licd.client.session.events import JournalGrew
from licd.client.status import LicenceCheck, Status
from licd.client.targets import AskedFor, acquisition_of
from licd.client.transport import Network
from licd.core.reasons import Denied
from licd.core.terms import Terms
from licd.keys.signer import Randomness
from licd.v1 import session_pb2
from licd.wire.session import TEXT_LIMIT


class System:
    """An enrolled system: `async with System.open(directory) as system`. Closing it stops every lease."""

    def __init__(self, disk: Disk, network: Network, settings: Settings) -> None:
        """Prefer `System.open`."""
        self._disk: Final = disk
        self._network: Final = network
        self._settings: Final = settings
        self._started: Running | None = None

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
        Raises ValueError for a region or software of more than 128 characters.
        """
        if max(len(region), len(software)) > TEXT_LIMIT:
            raise ValueError(f"region and software have at most {TEXT_LIMIT} characters each")
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

    # ------------------------------------------------------------------------------------------ life
    async def start(self) -> None:
        """Read the directory and begin to talk to licd. Raises NotEnrolled, StateDamaged, DirectoryInUse, OSError."""
        if self._started is not None:
            raise SystemClosed("a system is started once; open it anew")
        self._disk.lock()
        try:
            self._started = Running(self._disk, self._network, self._settings)
        except BaseException:
            self._disk.unlock()
            raise
        self._started.begin()

    async def close(self) -> None:
        """Stop every lease, tell licd if it can be reached, and give the directory up."""
        try:
            await self._running.driver.close()
        finally:
            self._disk.unlock()

    async def abandon(self) -> None:
        """Give everything up at once, as a crash would: nothing is said, nothing is written. For simulations."""
        try:
            await self._running.driver.abandon()
        finally:
            self._disk.unlock()

    async def wait_closed(self) -> None:
        """Wait until the system is closed. Raises SystemClosed when its background work failed."""
        await self._running.driver.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _running(self) -> Running:
        if self._started is None:
            raise SystemClosed("the system is not open: use `async with`, or `start` it")
        return self._started

    # ---------------------------------------------------------------------------------------- leases
    def lease(self, target: str | bytes, **terms: Unpack[AskedFor]) -> AbstractAsyncContextManager[Lease]:
        """Hold a lease on one target for as long as the block runs: ask `lease.check()` before each act.

        target is a number in E.164, which does not leave this process, or a pseudonym of 32 bytes. terms are those of
        `AskedFor`, purpose=... at least. Waits for licd as long as it takes: set a limit with `asyncio.timeout`.
        Entering raises LeaseDenied, SystemClosed, NoAnswer; NumberInvalid, ValueError.
        """
        return Block(self._running, self._asked(target, terms))

    async def acquire(self, target: str | bytes, **terms: Unpack[AskedFor]) -> Lease:
        """Get a lease that the program gives back itself, with `await lease.release()`. As `lease` otherwise."""
        return await self._running.acquire(self._asked(target, terms))

    async def acquire_unary(self, target: str | bytes, **terms: Unpack[AskedFor]) -> Lease:
        """Get a lease by a call of its own: for the permit's length only, and nothing renews it.

        For something short. Needs an open session, and licd to answer within ten seconds: raises NoAnswer or LicdError
        when it does not. As `lease` otherwise.
        """
        return await asking.acquire_unary(self._running, self._asked(target, terms), self._settings.clock)

    def _asked(self, target: str | bytes, terms: AskedFor) -> session_pb2.Acquisition:
        asked = acquisition_of(target, self._running.pseudonym_key, self._settings.overrides, terms)
        if isinstance(asked, Denied):
            raise LeaseDenied(asked)
        return asked

    # ----------------------------------------------------------------------------------------- looks
    @property
    def name(self) -> str:
        """The system's name: customer/C/system/S."""
        return self._running.system

    @property
    def status(self) -> Status:
        """How the system is doing now."""
        return self._running.status()

    @property
    def licence(self) -> Terms:
        """The licence as this system last had it. licd decides by the one that it has itself."""
        return self._running.terms

    def pseudonym_of(self, number: str) -> bytes:
        """The pseudonym that stands for a number, under this system's own key. Raises NumberInvalid."""
        return pseudonym(self._running.pseudonym_key, number)

    async def check_licence(self) -> LicenceCheck:
        """Ask licd how the licence stands now. Raises NoAnswer, LicdError."""
        return await asking.check_licence(self._running)

    async def renew_certificate(self) -> bool:
        """Renew the channel's certificate now; done by itself at two thirds of its life. Returns whether it was."""
        return await self._running.driver.renew_certificate()

    def journal_grew(self, size: int, root: bytes) -> None:
        """Say how the system's own journal stands: every link from here on carries its size and root."""
        self._running.driver.feed(JournalGrew(size, root))
