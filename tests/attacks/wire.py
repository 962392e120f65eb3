"""What an adversary holds of an honest system: its network, its clock, its directory. The SDK itself is untouched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from licd.client.clock import SystemClock
from licd.client.errors import NoAnswer
from licd.client.grpc_transport import GrpcNetwork
from licd.client.pace import Pace
from licd.client.sync import Lease, System
from licd.client.transport import Credentials, Method, Stream, Transport
from licd.v1.session_service_pb2 import SessionRequest, SessionResponse
from tests.client.notices import LIMIT, Told
from tests.office import Office
from tests.wired_system import PURPOSE, target

QUICK = Pace(rpc_timeout=400, backoff=10, closing=500)
"""An honest system's pace, with less patience: what is lost is missed sooner. The heartbeat is the permit's."""


class HandClock(SystemClock):
    """This machine's boot clock, and what a test has added to it; who sleeps is woken."""

    def __init__(self) -> None:
        self.passed = 0
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def boot_ms(self) -> int:
        return super().boot_ms() + self.passed

    def wall_ms(self) -> int:
        return super().wall_ms() + self.passed

    def stop_and_go(self, duration: int) -> None:
        """Time passes while nothing of the system runs: nobody is woken."""
        self.passed += duration

    def advance(self, duration: int) -> None:
        """Time passes."""
        self.passed += duration
        for loop, event in tuple(self._sleepers):
            with suppress(RuntimeError):  # that system has ended
                loop.call_soon_threadsafe(event.set)

    async def sleep_until(self, boot_ms: int) -> None:
        sleeper = (asyncio.get_running_loop(), asyncio.Event())
        self._sleepers.add(sleeper)
        try:
            while (left := boot_ms - self.boot_ms()) > 0:
                sleeper[1].clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left / 1_000):
                        await sleeper[1].wait()
        finally:
            self._sleepers.discard(sleeper)


def never(_: Any) -> bool:
    return False


def unchanged(_: Method, answer: bytes) -> bytes:
    return answer


@dataclass
class Wire:
    """What becomes of what is said. The rules are looked at for every frame, and may be changed at any time."""

    drops_up: Callable[[SessionRequest], bool] = never
    drops_down: Callable[[SessionResponse], bool] = never
    loses_request: Callable[[Method], bool] = never
    loses_answer: Callable[[Method], bool] = never
    changes_answer: Callable[[Method, bytes], bytes] = unchanged
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    """Every frame and request that went up, with what it was: a method's name, or `frame`."""
    lost: int = 0
    injected: list[bytes] = field(default_factory=list)
    """Frames that come down beside what licd says."""

    def cut(self) -> None:
        """Nothing gets through any more."""
        self.drops_up = lambda _: True
        self.drops_down = lambda _: True
        self.loses_request = lambda _: True

    def mend(self) -> None:
        """Everything gets through again."""
        self.drops_up = self.drops_down = never
        self.loses_request = self.loses_answer = never

    def count(self, is_lost: bool) -> bool:
        self.lost += is_lost
        return is_lost


class TamperedNetwork(GrpcNetwork):
    """Real connections through somebody's hands."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def enrolment(self, address: str, authority: str) -> Transport:
        return TamperedTransport(super().enrolment(address, authority), self.wire)

    def customers(self, address: str, credentials: Credentials) -> Transport:
        return TamperedTransport(super().customers(address, credentials), self.wire)


class TamperedTransport:
    def __init__(self, inner: Transport, wire: Wire) -> None:
        self.inner = inner
        self.wire = wire

    async def call(self, method: Method, request: bytes, within: int) -> bytes:
        wire = self.wire
        wire.sent.append((method.name, request))
        if wire.count(wire.loses_request(method)):
            raise NoAnswer("the request was lost")
        answer = await self.inner.call(method, request, 10_000)
        if wire.count(wire.loses_answer(method)):
            raise NoAnswer("the answer was lost")
        return wire.changes_answer(method, answer)

    async def stream(self) -> Stream:
        return TamperedStream(await self.inner.stream(), self.wire)

    async def close(self, within: int = 0) -> None:
        await self.inner.close(within)


class TamperedStream:
    def __init__(self, inner: Stream, wire: Wire) -> None:
        self.inner = inner
        self.wire = wire

    async def send(self, frame: bytes) -> None:
        self.wire.sent.append(("frame", frame))
        if not self.wire.count(self.wire.drops_up(SessionRequest.FromString(frame))):
            await self.inner.send(frame)

    async def receive(self) -> bytes | None:
        if self.wire.injected:
            return self.wire.injected.pop(0)
        while (frame := await self.inner.receive()) is not None:
            if not self.wire.count(self.wire.drops_down(SessionResponse.FromString(frame))):
                return frame
        return None

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Honest:
    """The SDK on a directory, through a wire and by a clock that somebody else holds."""

    directory: Path
    wire: Wire = field(default_factory=Wire)
    clock: HandClock = field(default_factory=HandClock)
    told: Told = field(default_factory=Told)

    @classmethod
    def enrolled(cls, office: Office, directory: Path, licence: str = "", **more: Any) -> Honest:
        """A system of a licence of its own, unless one is named."""
        System.enrol(office.alice.invite(licence or office.licence()), directory)
        return cls(directory, **more)

    def opened(self) -> System:
        """To be entered, and entered again with a new one."""
        network = TamperedNetwork(self.wire)
        return System.open(
            self.directory, callbacks=self.told.callbacks(), network=network, clock=self.clock, pace=QUICK
        )


def asked(number: int, limit: float = LIMIT) -> dict[str, Any]:
    """The arguments of an acquisition of target number."""
    return {"target": target(number), "purpose": PURPOSE, "claims": [("NO", 1)], "limit": limit}


def usable(lease: Lease) -> bool:
    """As it is now: asked twice, the answer may differ."""
    return lease.usable


def crash(system: System) -> None:
    """Ends a system as kill −9 would: nothing is said, nothing is written."""
    system.wait(system._inner.abandon())
    system._end_thread()


def eventually(condition: Callable[[], bool], system: System) -> None:
    """Waits for what no callback tells; each look is a round trip through the system's own thread."""
    for _ in range(50_000):
        if condition():
            return
        assert system.status.failure is None
    pytest.fail("it never came to pass")
