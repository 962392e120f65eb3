"""The blocking face: the same system for programs without an event loop, which runs on a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from licd.client import system
from licd.client.answers import Released
from licd.client.errors import SystemClosed
from licd.client.lease import Lease as AsyncLease
from licd.client.status import LicenceCheck, Status
from licd.client.targets import AskedFor
from licd.core.terms import Terms

T = TypeVar("T")


class Lease:
    """A lease, as `licd.client.lease.Lease`, with a `release` that blocks."""

    __slots__ = ("_lease", "_system")

    def __init__(self, lease: AsyncLease, of: "System") -> None:
        self._lease: Final = lease
        self._system: Final = of

    def check(self) -> int:
        """Return how many milliseconds the target may still be acted on. Costs no I/O. Raises LeaseStopped."""
        return self._lease.check()

    @property
    def usable(self) -> bool:
        """Whether the target may be acted on now."""
        return self._lease.usable

    @property
    def number(self) -> int:
        """The lease's number at licd, as it now is."""
        return self._lease.number

    @property
    def region(self) -> str:
        """The region that counted."""
        return self._lease.region

    def __repr__(self) -> str:
        return repr(self._lease)

    def release(self) -> Released:
        """Stop at once and give it back; wait until licd has answered."""
        return self._system.wait(self._lease.release())


class System:
    """An enrolled system: `with System.open(directory) as system`. One thread each, whatever it holds.

    Callbacks run on that thread: they must not block, nor call back into this system.
    """

    def __init__(self, inner: system.System) -> None:
        """Prefer `System.open`."""
        self._inner: Final = inner
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @classmethod
    def open(cls, directory: str | Path, **settings: Any) -> Self:
        """Name the system in a directory; entering it starts it. The settings are those of the asynchronous face."""
        return cls(system.System.open(directory, **settings))

    @staticmethod
    def enrol(join_token: str, directory: str | Path, **settings: Any) -> str:
        """Trade a join token for an enrolment in this directory. As `enrol` of the asynchronous face."""
        return asyncio.run(system.System.enrol(join_token, directory, **settings))

    def start(self) -> None:
        """Start the thread and the system on it. Raises NotEnrolled, StateDamaged, DirectoryInUse, OSError."""
        if self._loop is not None:
            raise SystemClosed("a system is started once; open it anew")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="licd-system", daemon=True)
        self._thread.start()
        try:
            self.wait(self._inner.start())
        except BaseException:
            self._end_thread()
            raise

    def close(self) -> None:
        """Stop every lease, tell licd if it can be reached, and end the thread."""
        try:
            self.wait(self._inner.close())
        finally:
            self._end_thread()

    def _end_thread(self) -> None:
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or loop.is_closed() or not self._has_thread:
            return
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    @property
    def _has_thread(self) -> bool:
        """False in a child process: only the thread that forked lives on there."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, work: Coroutine[Any, Any, T], limit: float | None = None) -> T:
        """Run this on the system's thread and wait, at most so many seconds. Raises TimeoutError, SystemClosed."""
        if self._loop is None or self._loop.is_closed() or not self._has_thread:
            work.close()
            raise SystemClosed("the system is not open")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(limit)
        except BaseException:
            future.cancel()  # who does not wait any more wants nothing any more
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def lease(self, target: str | bytes, *, limit: float | None = None, **terms: Unpack[AskedFor]) -> Iterator[Lease]:
        """Hold a lease on one target for as long as the block runs. limit: seconds to wait for licd, else TimeoutError.

        As `lease` of the asynchronous face otherwise.
        """
        context = self._inner.lease(target, **terms)
        lease = self.wait(context.__aenter__(), limit)
        try:
            yield Lease(lease, self)
        finally:
            with suppress(SystemClosed):  # closed meanwhile: then it was given back
                self.wait(context.__aexit__(None, None, None))

    def acquire(self, target: str | bytes, *, limit: float | None = None, **terms: Unpack[AskedFor]) -> Lease:
        """Get a lease that the program gives back itself, with `lease.release()`."""
        return Lease(self.wait(self._inner.acquire(target, **terms), limit), self)

    def acquire_unary(self, target: str | bytes, **terms: Unpack[AskedFor]) -> Lease:
        """Get a lease by a call of its own, for the permit's length only."""
        return Lease(self.wait(self._inner.acquire_unary(target, **terms)), self)

    def check_licence(self) -> LicenceCheck:
        """Ask licd how the licence stands now. Raises NoAnswer, LicdError."""
        return self.wait(self._inner.check_licence())

    def renew_certificate(self) -> bool:
        """Renew the channel's certificate now. Returns whether it was."""
        return self.wait(self._inner.renew_certificate())

    @property
    def name(self) -> str:
        """The system's name: customer/C/system/S."""
        return self._inner.name

    @property
    def status(self) -> Status:
        """How the system is doing now."""
        return self.wait(self._status())

    async def _status(self) -> Status:
        return self._inner.status

    @property
    def licence(self) -> Terms:
        """The licence as this system last had it."""
        return self._inner.licence

    def pseudonym_of(self, number: str) -> bytes:
        """The pseudonym that stands for a number, under this system's own key. Raises NumberInvalid."""
        return self._inner.pseudonym_of(number)
