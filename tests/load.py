"""Callers that go on calling while something is changed under them, and write down every call that failed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from licd.client import Callbacks
from licd.client.errors import LeaseDenied, NoAnswer
from licd.client.grpc_transport import GrpcNetwork
from licd.client.pace import Pace
from licd.client.sync import System
from licd.client.transport import Credentials, Method, Stream, Transport
from licd.core.reasons import Reason
from licd.core.terms import Basis
from licd.core.time import Millis
from licd.server.caller import Listener
from licd.v1 import status_service_pb2
from tests.daemon import Daemon, Papers, call, open_channel
from tests.office import Office
from tests.wired_system import PURPOSE, target

PATIENCE = 60.0
PAUSE = 0.02
PACE = Pace(trust_retry=300)
NORWAY = [("NO", Basis.NUMBER_PLAN)]


class Load:
    """Workers, each in a thread; a piece of work that raises is a failed call, and the worker goes on."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.step = ""
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def work(self, name: str, piece: Callable[[], Any]) -> None:
        """Repeats a piece of work until the end."""
        thread = threading.Thread(target=self._repeat, args=(name, piece), name=f"load-{name}")
        self._threads.append(thread)
        thread.start()

    def _repeat(self, name: str, piece: Callable[[], Any]) -> None:
        while not self._stop.wait(PAUSE):
            try:
                piece()
            except Exception as error:  # noqa: BLE001 - whatever fails is what is counted
                self.fail(f"{name}: {type(error).__name__}: {error}")
            with self._changed:
                self.done[name] += 1
                self._changed.notify_all()

    def fail(self, what: str) -> None:
        """Writes a failure down, with the step in which it came."""
        with self._changed:
            self.failures.append(f"{self.step}: {what}")

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something to come true under load; each piece of work that is done is a look."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"{self.step}: it never came to pass"

    def go_on(self, pieces: int = 3) -> None:
        """Waits until every worker has done some more."""
        with self._changed:
            goal = {name: count + pieces for name, count in self.done.items()}
        self.until(lambda: all(self.done[name] >= count for name, count in goal.items()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)


class CutNetwork(GrpcNetwork):
    """The customers' listener can be cut off; the enrolment listener, where bundles are asked for, stays."""

    def __init__(self) -> None:
        self.is_cut = False

    def customers(self, address: str, credentials: Credentials) -> Transport:
        return CutTransport(super().customers(address, credentials), self)


class CutTransport:
    """Silence in both directions while the network is cut."""

    def __init__(self, inner: Transport, network: CutNetwork) -> None:
        self._inner = inner
        self._network = network

    def _refuse_cut(self) -> None:
        if self._network.is_cut:
            raise NoAnswer("cut off")

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        self._refuse_cut()
        return await self._inner.call(method, request, within)

    async def stream(self) -> Stream:
        self._refuse_cut()
        return CutStream(await self._inner.stream(), self._network)

    async def close(self, within: Millis = 0) -> None:
        await self._inner.close(within)


class CutStream:
    """Frames that are lost while the network is cut."""

    def __init__(self, inner: Stream, network: CutNetwork) -> None:
        self._inner = inner
        self._network = network

    async def send(self, frame: bytes) -> None:
        if not self._network.is_cut:
            await self._inner.send(frame)

    async def receive(self) -> bytes | None:
        while (frame := await self._inner.receive()) is not None and self._network.is_cut:
            continue
        return frame

    async def close(self) -> None:
        await self._inner.close()


@contextmanager
def unless_too_often() -> Iterator[None]:
    """A block that may end early: a target that comes back too often in a minute gets a signed no, no failed call."""
    try:
        yield
    except LeaseDenied as refused:
        if refused.denied.reason is not Reason.CHURN_LIMIT:
            raise


class Customer:
    """A system that holds a lease all the time, and has others by stream and by unary calls."""

    def __init__(
        self, office: Office, licence: str, directory: Path, load: Load, network: CutNetwork | None = None
    ) -> None:
        self._load = load
        System.enrol(office.alice.invite(licence), directory)
        callbacks = Callbacks(on_lost=lambda lease, lost: load.fail(f"a lease was lost: {lost}"))
        self.system = System.open(directory, callbacks=callbacks, pace=PACE, network=network)
        self.system.start()
        self._held = self.system.acquire(target(1), purpose=PURPOSE, claims=NORWAY, limit=PATIENCE)

    def use(self) -> None:
        """One round of everything a system asks for."""
        self._held.check()
        with unless_too_often():
            on_stream = self.system.acquire(target(2), purpose=PURPOSE, claims=NORWAY, limit=PATIENCE)
            on_stream.check()
            on_stream.release()
        with unless_too_often():
            unary = self.system.acquire_unary(target(3), purpose=PURPOSE, claims=NORWAY)
            unary.check()
            unary.release()
        self.system.check_licence()

    def refuses(self, key_id: str) -> bool:
        """Whether what this key signed is believed no more."""
        return self.system._inner._running.machine.view.trust.bundle.keyring.is_withdrawn(key_id)

    @property
    def bundle_version(self) -> int:
        return self.system.status.bundle_version


class Clerk:
    """An operator whose every call is over a new connection, as licctl's are, with the files that are there now."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self._daemon = daemon
        self._folder = daemon.state.operator(name)

    def channel(self) -> grpc.Channel:
        papers = Papers((self._folder / "tls.key").read_bytes(), (self._folder / "tls.pem").read_bytes())
        return open_channel(self._daemon.address(Listener.OPERATOR), (self._folder / "ca.pem").read_bytes(), papers)

    def ask(self) -> None:
        with self.channel() as channel:
            call(channel, "StatusService.GetStatus", status_service_pb2.GetStatusRequest())
