"""The SDK's network, with a tap on it and a wire that can be cut. Bytes pass unchanged."""

from __future__ import annotations

from typing import Final

from licd.client.clock import Clock
from licd.client.errors import NoAnswer
from licd.client.transport import Credentials, Method, Network, Stream, Transport
from licd.v1 import session_service_pb2 as pb
from simulator.clock import Millis, sleep
from simulator.tap import Tap
from simulator.wire import Wire


class TappedNetwork:
    """Another network behind a wire, with somebody listening."""

    def __init__(self, inner: Network, wire: Wire, tap: Tap, clock: Clock) -> None:
        self._inner: Final = inner
        self._wire: Final = wire
        self._tap: Final = tap
        self._clock: Final = clock

    def enrolment(self, address: str, authority: str) -> Transport:
        """The enrolment listener."""
        return TappedTransport(self._inner.enrolment(address, authority), self._wire, self._tap, self._clock)

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """The customer listener."""
        return TappedTransport(self._inner.customers(address, credentials), self._wire, self._tap, self._clock)


class TappedTransport:
    """One connection."""

    def __init__(self, inner: Transport, wire: Wire, tap: Tap, clock: Clock) -> None:
        self._inner: Final = inner
        self._wire: Final = wire
        self._tap: Final = tap
        self._clock: Final = clock

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        """Raises NoAnswer, LicdError."""
        sent, sent_at = self._clock.boot_ms(), self._clock.wall_ms()
        if method is Method.OPEN_SESSION:
            self._tap.sends(pb.OpenSessionRequest.FromString(request).link)
        if not await self._wire.carry():
            await self._lost(within)
        answer = await self._inner.call(method, request, within)
        if not await self._wire.carry():
            await self._lost(within)
        if method is Method.OPEN_SESSION:
            self._tap.opened(pb.OpenSessionResponse.FromString(answer))
        elif method is Method.ACQUIRE_LEASE:
            asked = pb.AcquireLeaseRequest.FromString(request)
            self._tap.called(asked, pb.AcquireLeaseResponse.FromString(answer), sent, sent_at)
        return answer

    async def _lost(self, within: Millis) -> None:
        """Nothing comes; whoever asked has waited in vain."""
        await sleep(self._clock, within)
        raise NoAnswer("the wire is cut")

    async def stream(self) -> Stream:
        """Raises NoAnswer, LicdError."""
        return TappedStream(await self._inner.stream(), self._wire, self._tap)

    async def close(self, within: Millis = 0) -> None:
        """Give up the connection."""
        await self._inner.close(within)


class TappedStream:
    """One stream."""

    def __init__(self, inner: Stream, wire: Wire, tap: Tap) -> None:
        self._inner: Final = inner
        self._wire: Final = wire
        self._tap: Final = tap

    async def send(self, frame: bytes) -> None:
        """Raises NoAnswer, LicdError."""
        request = pb.SessionRequest.FromString(frame)
        if request.HasField("link"):
            self._tap.sends(request.link)
        if await self._wire.carry():
            await self._inner.send(frame)

    async def receive(self) -> bytes | None:
        """What gets through; the tap hears it in the instant in which the system does."""
        while True:
            frame = await self._inner.receive()
            if frame is None:
                return None
            if await self._wire.carry():
                self._tap.received(pb.SessionResponse.FromString(frame))
                return frame

    async def close(self) -> None:
        """End the stream."""
        await self._inner.close()
