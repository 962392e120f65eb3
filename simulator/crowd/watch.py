"""What passes between the SDK and gRPC, counted on the way: dials, first answers, ends and why. Bytes unchanged."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from licd.client.clock import Clock
from licd.client.errors import NoAnswer
from licd.client.transport import Credentials, Method, Network, Stream, Transport
from simulator.clock import Millis

GIVEN_UP: Final = "GIVEN_UP"
"""What stands for a status where the SDK itself ended a stream on which nothing had come."""


@dataclass(frozen=True, slots=True)
class BadEnd:
    """A stream or a call that ended with an error, and when it had begun. Boot instants."""

    begun: Millis
    ended: Millis
    words: str


@dataclass(slots=True)
class Watch:
    """Notes of one process of systems. dialled, answered: when a stream was asked for, and when it first spoke."""

    dialled: list[Millis] = field(default_factory=list)
    answered: list[Millis] = field(default_factory=list)
    bad: list[BadEnd] = field(default_factory=list)
    frames: int = 0


class WatchedNetwork:
    """One system's network. heard_at is when the last frame came."""

    def __init__(self, inner: Network, watch: Watch, clock: Clock) -> None:
        self.inner: Final = inner
        self.watch: Final = watch
        self.clock: Final = clock
        self.heard_at: Millis = 0

    def enrolment(self, address: str, authority: str) -> Transport:
        """The enrolment listener, unwatched."""
        return self.inner.enrolment(address, authority)

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """The customer listener."""
        return _WatchedTransport(self.inner.customers(address, credentials), self)

    def went_wrong(self, begun: Millis, error: Exception) -> None:
        """Note an end that was none of ours."""
        words = str(error) if isinstance(error, NoAnswer) else f"{type(error).__name__}: {error}"
        self.watch.bad.append(BadEnd(begun, self.clock.boot_ms(), words[:160]))


class _WatchedTransport:
    def __init__(self, inner: Transport, network: WatchedNetwork) -> None:
        self._inner: Final = inner
        self._network: Final = network

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        begun = self._network.clock.boot_ms()
        try:
            return await self._inner.call(method, request, within)
        except Exception as error:
            self._network.went_wrong(begun, error)
            raise

    async def stream(self) -> Stream:
        begun = self._network.clock.boot_ms()
        self._network.watch.dialled.append(begun)
        return _WatchedStream(await self._inner.stream(), self._network, begun)

    async def close(self, within: Millis = 0) -> None:
        await self._inner.close(within)


class _WatchedStream:
    def __init__(self, inner: Stream, network: WatchedNetwork, begun: Millis) -> None:
        self._inner: Final = inner
        self._network: Final = network
        self._begun: Final = begun
        self._spoke = False

    async def send(self, frame: bytes) -> None:
        await self._inner.send(frame)

    async def receive(self) -> bytes | None:
        network = self._network
        try:
            frame = await self._inner.receive()
        except Exception as error:
            network.went_wrong(self._begun, error)
            raise
        except asyncio.CancelledError:
            if not self._spoke:
                network.went_wrong(self._begun, NoAnswer(f"{GIVEN_UP}: no answer within the SDK's time"))
            raise
        if frame is not None:
            network.heard_at = network.clock.boot_ms()
            network.watch.frames += 1
            if not self._spoke:
                self._spoke = True
                network.watch.answered.append(network.heard_at)
        return frame

    async def close(self) -> None:
        await self._inner.close()
