"""A real daemon in this process, on loopback with TLS on both sides and free ports."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from os import urandom  # noqa: TID251 - request ids of callers
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc
import pytest
import uvloop
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2_grpc

from licd.core.time import Instant, Millis
from licd.server import serve
from licd.server.caller import Listener
from licd.server.clock import SystemClock
from licd.server.initialise import Origin, Wishes, initialise
from licd.server.methods import METHODS, Method
from licd.server.serve import Running, running
from licd.server.state_dir import StateDirectory
from licd.wire.errors import from_rpc_error

M = TypeVar("M", bound=Message)
R = TypeVar("R")
T = TypeVar("T")

ROOT = Path(__file__).parents[1]
TRUST_DOMAIN = "licd.example"
PATIENCE = 20.0
VERBS: dict[str, Method] = {method.verb: method for method in METHODS.values()}
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]


class ShiftedClock(SystemClock):
    """The machine's clocks, with what a test has added. passing() lets time pass, setting() sets the wall clock."""

    def __init__(self) -> None:
        self.passed: Millis = 0
        self.set_off: Millis = 0

    def wall(self) -> Instant:
        return super().wall() + self.passed + self.set_off

    def boot(self) -> Millis:
        return super().boot() + self.passed


AGE: Millis = 3_000


class JustBefore(SystemClock):
    """Some seconds ago: ceremonies count in seconds, and no key of a test's begins in the second of the first ones."""

    def wall(self) -> Instant:
        return super().wall() - AGE

    def boot(self) -> Millis:
        return super().boot() - AGE


def make_state(root: Path, operators: tuple[str, ...] = ("alice", "bob", "carol"), **limits: int) -> StateDirectory:
    """A state directory whose daemon takes free ports."""
    wishes = Wishes(TRUST_DOMAIN, operators, ("localhost", "127.0.0.1"), 7441, ROOT / "policies", None)
    initialise(root, wishes, Origin(JustBefore(), urandom))
    set_limits(root, **limits)
    return StateDirectory(root)


def set_limits(root: Path, **limits: int) -> None:
    """Writes the daemon's settings."""
    lines = [f'trust_domain = "{TRUST_DOMAIN}"', "[listen]"]
    lines += [f'{name} = "127.0.0.1:0"' for name in ("enrolment", "customer", "operator", "metrics")]
    lines += ["[limits]", *(f"{name} = {value}" for name, value in ({"reserve_mebibytes": 1} | limits).items())]
    (root / "licd.toml").write_text("\n".join(lines) + "\n")


def copy_state(template: Path, root: Path, **limits: int) -> StateDirectory:
    """The same state directory again, which is quicker than making one."""
    shutil.copytree(template, root)
    set_limits(root, **limits)
    return StateDirectory(root)


class Reachable(Protocol):
    """A daemon as its callers need it, in this process or in one of its own."""

    @property
    def state(self) -> StateDirectory: ...

    @property
    def clock(self) -> SystemClock: ...

    def address(self, listener: Listener) -> str: ...

    def channel(self, listener: Listener, papers: Papers | None = None) -> grpc.Channel: ...


class Daemon:
    """Runs in a thread with an event loop of its own, as in its own process; `up` is what it is made of."""

    def __init__(self, state: StateDirectory, clock: ShiftedClock | None = None) -> None:
        self.state = state
        self.clock = clock or ShiftedClock()
        self.up: Running
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._started = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="licd-under-test")
        self._channels: list[grpc.Channel] = []

    def start(self) -> Daemon:
        """Returns when it serves. Raises what kept it from doing so."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(serve, "SystemClock", lambda: self.clock)
            self._thread.start()
            assert self._started.wait(PATIENCE)
        if self._failed:
            self._thread.join()
            raise self._failed[0]
        return self

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._failed.append(error)
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.state) as self.up:
            self._started.set()
            await self._stop.wait()

    def stop(self) -> None:
        """Drains and stops it. Raises what went wrong."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        for channel in self._channels:
            channel.close()
        if self._failed:
            raise self._failed[0]

    def begin_stop(self) -> None:
        """Asks it to stop, and does not wait."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def on_loop(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Runs something of the daemon's own on its loop."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def address(self, listener: Listener) -> str:
        return f"localhost:{self.up.port(listener)}"

    def channel(self, listener: Listener, papers: Papers | None = None) -> grpc.Channel:
        """A connection of its own to a listener, with a certificate or without."""
        made = open_channel(self.address(listener), self.authority, papers)
        self._channels.append(made)
        return made

    @property
    def authority(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted((self.state.root / "tls").glob("authority*.pem")))

    def metric(self, name: str, **labels: str) -> float:
        """The value of a sample as a scrape would show it; 0 when there is none."""
        found = self.up.daemon.metrics.registry.get_sample_value(name, labels)
        return found or 0.0


@contextmanager
def serving(state: StateDirectory, clock: ShiftedClock | None = None) -> Iterator[Daemon]:
    """A daemon for as long as the block lasts."""
    daemon = Daemon(state, clock).start()
    try:
        yield daemon
    finally:
        daemon.stop()


@dataclass(frozen=True, slots=True)
class Papers:
    """A certificate chain and its key, PEM."""

    key: bytes
    chain: bytes


OPENED: list[grpc.Channel] = []
"""Connections of the test that runs now, and of fixtures that last for longer."""


@contextmanager
def connections_ending() -> Iterator[None]:
    """Closes what is opened meanwhile: a daemon that serves many tests would keep it until it stops."""
    before = len(OPENED)
    yield
    while len(OPENED) > before:
        OPENED.pop().close()


def open_channel(address: str, authority: bytes, papers: Papers | None = None) -> grpc.Channel:
    key, chain = (papers.key, papers.chain) if papers else (None, None)
    made = grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, chain), OPTIONS)
    OPENED.append(made)
    return made


def new_id(at: Instant | None = None) -> str:
    """A fresh UUIDv7."""
    stamp = (SystemClock().wall() if at is None else at).to_bytes(6, "big").hex()
    rest = urandom(10).hex()
    return f"{stamp[:8]}-{stamp[8:]}-7{rest[1:4]}-8{rest[5:8]}-{rest[8:20]}"


def call(channel: grpc.Channel, verb: str, request: Message, timeout: float = PATIENCE) -> Any:
    """Calls Service.Method. Raises the LicdError behind a failed call, else grpc.RpcError."""
    method = VERBS[verb]
    return raw_call(channel, verb, request.SerializeToString(), timeout, method.response.FromString)


def raw_call(
    channel: Any, verb: str, request: bytes, timeout: float = PATIENCE, read: Callable[[bytes], Any] | None = None
) -> Any:
    """The same with any bytes."""
    method = VERBS[verb]
    try:
        if method.takes_stream:
            return list(channel.stream_stream(method.path, None, read)(iter([request]), timeout=timeout))
        if method.gives_stream:
            return list(channel.unary_stream(method.path, None, read)(request, timeout=timeout))
        return channel.unary_unary(method.path, None, read)(request, timeout=timeout)
    except grpc.RpcError as error:
        known = from_rpc_error(error)
        if known is not None:
            raise known from error
        raise


def code_of(error: BaseException) -> grpc.StatusCode:
    """The gRPC code that a caller saw."""
    cause: Any = error if isinstance(error, grpc.RpcError) else error.__cause__
    code: grpc.StatusCode = cause.code()
    return code


def health_stub(channel: grpc.Channel) -> Any:
    """Health checks of a listener."""
    return health_pb2_grpc.HealthStub(channel)


def lets_licd_fail(test: T) -> T:
    """Marks a test in which licd is made to fail inside."""
    test.licd_may_fail = True  # type: ignore[attr-defined]
    return test


NUMBERS = count(1)


def fresh(word: str) -> str:
    """A name nobody has used."""
    return f"{word}-{next(NUMBERS)}"
