"""The SDK's Network over a Link: unary calls and streams between a process of a customer's and licd's.

A call is lost, late or heard twice; a stream keeps its order while it lasts, as HTTP/2 does, and ends for each side
when that side finds out. Whatever licd says is heard by the judge where it leaves licd, for a cheat could keep it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from licd.client.errors import NoAnswer
from licd.client.transport import Credentials, Method, Stream, Transport
from licd.server.inprocess import LicdError
from simulator.clock import Millis
from simulator.deterministic.link import Link, Way
from simulator.deterministic.loop import Process

LATE: Final = 30
"""So many usual delays later a recorded request comes again."""
OF_NO_USE: Final = frozenset({"CLOCK_DOUBTED", "DISK_FULL", "HELD", "BEHIND", "SHUTTING_DOWN", "DATABASE"})
"""What a replica says that can do nothing now, and another may: over gRPC these are UNAVAILABLE."""
REFUSED_AFTER: Final = 0.01
"""Seconds until a machine says that nobody listens there."""


class Listening(Protocol):
    """licd as the network sees it: maybe there, maybe not."""

    def process(self) -> Process | None:
        """The process that serves; None while there is none."""
        ...

    @property
    def unplugged(self) -> bool:
        """Whether not even the machine answers."""
        ...

    async def call(self, path: str, request: bytes, certificate: bytes | None) -> bytes:
        """Raises LicdError."""
        ...

    async def stream(self, path: str, frames: ServerEnd, certificate: bytes | None) -> None:
        """Raises LicdError."""
        ...


class Dialled(Protocol):
    """All licds of a vendor, in the order in which their addresses are tried."""

    def replica(self, number: int) -> Listening:
        """The so-many-th, beginning anew after the last."""
        ...


class Ear(Protocol):
    """Who listens in at both ends of one system's connections."""

    def asks(self, method: Method, request: bytes) -> None:
        """A request leaves the system."""
        ...

    def said(self, method: Method, request: bytes, response: bytes) -> None:
        """A response leaves licd."""
        ...

    def told(self, method: Method, response: bytes) -> None:
        """A response reaches the system."""
        ...

    def frame_up(self, frame: bytes) -> None:
        """A frame leaves the system."""
        ...

    def frame_said(self, frame: bytes) -> None:
        """A frame leaves licd."""
        ...

    def frame_told(self, frame: bytes) -> None:
        """A frame reaches the system."""
        ...


@dataclass(frozen=True, slots=True)
class Wiring:
    """What one process's connections run over."""

    link: Link
    site: Dialled
    ear: Ear
    process: Process
    running: Callable[[], Awaitable[None]]
    """Returns while the customer's machine is not paused."""


class VirtualNetwork:
    """Makes transports for one process."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring: Final = wiring
        self._transports: Final[list[VirtualTransport]] = []

    def enrolment(self, address: str, authority: str) -> Transport:
        """No certificate."""
        return VirtualTransport(self._wiring, None)

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """With the system's certificate."""
        transport = VirtualTransport(self._wiring, credentials.certificate_chain.encode())
        self._transports.append(transport)
        return transport

    def break_off(self) -> None:
        """The process is gone, and licd notices."""
        for transport in self._transports:
            transport.break_off()


class VirtualTransport:
    """One connection to licd."""

    def __init__(self, wiring: Wiring, certificate: bytes | None) -> None:
        self._wiring: Final = wiring
        self._certificate: Final = certificate
        self._streams: Final[dict[VirtualStream, None]] = {}
        self._dialled = 0

    @property
    def _licd(self) -> Listening:
        return self._wiring.site.replica(self._dialled)

    def _elsewhere(self, dialled: int) -> None:
        """That one did not answer, or cannot: the next is tried."""
        if self._dialled == dialled:
            self._dialled += 1

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        """One unary call. Raises NoAnswer, LicdError."""
        wiring = self._wiring
        wiring.ear.asks(method, request)
        if wiring.link.repeats():
            wiring.process.run(self._again(method, request))
        dialled = self._dialled
        try:
            async with asyncio.timeout(within / 1_000):
                response = await self._there_and_back(method, request)
        except TimeoutError:
            self._elsewhere(dialled)
            await wiring.running()
            raise NoAnswer("DEADLINE_EXCEEDED") from None
        except NoAnswer:
            self._elsewhere(dialled)
            raise
        await wiring.running()
        if not isinstance(response, bytes):
            if response.code in OF_NO_USE:
                self._elsewhere(dialled)
            raise response
        wiring.ear.told(method, response)
        return response

    async def _there_and_back(self, method: Method, request: bytes) -> bytes | LicdError:
        link = self._wiring.link
        await self._travel(Way.UP)
        response = await self._served(method, request)
        if isinstance(response, bytes):
            self._wiring.ear.said(method, request, response)
        await self._travel(Way.DOWN)
        await asyncio.sleep(link.delay() / 2)
        return response

    async def _travel(self, way: Way) -> None:
        """Takes its time, or for ever."""
        lost = self._wiring.link.loses(way)
        await asyncio.sleep(self._wiring.link.delay())
        if lost:
            await asyncio.get_running_loop().create_future()

    async def _served(self, method: Method, request: bytes) -> bytes | LicdError:
        licd = self._licd
        process = licd.process()
        if process is None:
            if licd.unplugged:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(REFUSED_AFTER)
            raise NoAnswer("UNAVAILABLE: nobody listens there")
        serving: asyncio.Task[bytes] = process.run(licd.call(method.value, request, self._certificate))
        try:
            return await serving
        except LicdError as error:
            return error
        except asyncio.CancelledError:
            if process.alive:  # it is the caller who no longer waits: gRPC ends the call at licd as well
                serving.cancel()
                raise
        if licd.unplugged:
            await asyncio.get_running_loop().create_future()
        raise NoAnswer("UNAVAILABLE: the connection was reset")

    async def _again(self, method: Method, request: bytes) -> None:
        """The same bytes once more, by whoever recorded them; the answer stays with him."""
        await asyncio.sleep(self._wiring.link.delay() * LATE)
        try:
            await self._there_and_back(method, request)
        except NoAnswer:
            return

    async def stream(self) -> Stream:
        """Opens a stream; whether licd is there shows later."""
        stream = VirtualStream(self._wiring, self._licd, self._certificate, partial(self._elsewhere, self._dialled))
        self._streams[stream] = None
        return stream

    async def close(self, within: Millis = 0) -> None:
        """Ends what runs on it."""
        for stream in self._streams:
            await stream.close()

    def break_off(self) -> None:
        """Licd's end of every stream hears that it is over."""
        for stream in self._streams:
            stream.server.hang_up()


class VirtualStream:
    """The system's end of a stream."""

    def __init__(self, wiring: Wiring, licd: Listening, certificate: bytes | None, broken: Callable[[], None]) -> None:
        self._wiring: Final = wiring
        self._licd: Final = licd
        self._broken: Final = broken
        self._heard: Final[asyncio.Queue[bytes | Exception | None]] = asyncio.Queue()
        self._over = False
        self.server: Final = ServerEnd(wiring, licd, self)
        self._up: Final = Pipe(wiring.link, Way.UP, self.server.take)
        self._down: Final = Pipe(wiring.link, Way.DOWN, self._take)
        self._carrying: Final = wiring.process.run(self._carry(certificate))

    async def send(self, frame: bytes) -> None:
        """Raises NoAnswer when the stream is known to be over."""
        if self._over:
            raise NoAnswer("UNAVAILABLE: the stream has ended")
        self._wiring.ear.frame_up(frame)
        self._up.put(frame)
        await asyncio.sleep(0)

    async def receive(self) -> bytes | None:
        """Raises NoAnswer, LicdError."""
        frame = await self._heard.get()
        await self._wiring.running()
        if isinstance(frame, Exception):
            raise frame
        if frame is not None:
            self._wiring.ear.frame_told(frame)
        return frame

    async def close(self) -> None:
        """Licd hears of it, unless the way is shut: then it finds out later."""
        self._over = True
        self._carrying.cancel()
        if Way.UP not in self._wiring.link.weather.shut:
            self.server.hang_up()

    def said(self, frame: bytes) -> None:
        """Licd has written a frame."""
        self._wiring.ear.frame_said(frame)
        self._down.put(frame)

    def _take(self, frame: bytes) -> None:
        self._heard.put_nowait(frame)

    def _lost(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._heard.put_nowait(error)
            if isinstance(error, NoAnswer) or (isinstance(error, LicdError) and error.code in OF_NO_USE):
                self._broken()

    async def _carry(self, certificate: bytes | None) -> None:
        """Until either end is over."""
        licd, link = self._licd, self._wiring.link
        await asyncio.sleep(link.delay())
        process = licd.process()
        if process is None or not await link.passable(Way.UP):
            await asyncio.sleep(REFUSED_AFTER)
            self._lost(NoAnswer("UNAVAILABLE"))
            return
        serving = process.run(self.server.serve(process, certificate))
        up, down = (self._wiring.process.run(pipe.run()) for pipe in (self._up, self._down))
        done, _ = await asyncio.wait({serving, up, down}, return_when=asyncio.FIRST_COMPLETED)
        if serving in done and not serving.cancelled():
            await self._down.drained()
            self._lost(serving.result())
        elif licd.unplugged:
            await asyncio.get_running_loop().create_future()  # nobody says that it is gone
        else:
            self._lost(NoAnswer("UNAVAILABLE: the connection was reset"))
        for task in (up, down):
            task.cancel()


class ServerEnd:
    """licd's end of a stream."""

    def __init__(self, wiring: Wiring, licd: Listening, client: VirtualStream) -> None:
        self._wiring: Final = wiring
        self._licd: Final = licd
        self._client: Final = client
        self._heard: Final[asyncio.Queue[bytes | None]] = asyncio.Queue()
        self._serving: asyncio.Task[None] | None = None

    def take(self, frame: bytes) -> None:
        """A frame came."""
        self._heard.put_nowait(frame)

    def hang_up(self) -> None:
        """The other side cancels the call: gRPC cancels whoever serves it."""
        if self._serving is not None:
            self._serving.cancel()

    async def read(self) -> bytes | None:
        """The next frame."""
        return await self._heard.get()

    async def write(self, frame: bytes, /) -> None:
        """Says something."""
        self._client.said(frame)
        await asyncio.sleep(0)

    async def serve(self, process: Process, certificate: bytes | None) -> Exception | None:
        """Serves until the end; what it ended with, None for well."""
        self._serving = process.run(self._licd.stream(Method.SESSION.value, self, certificate))
        try:
            await self._serving
        except LicdError as error:
            return error
        return None


class Pipe:
    """Frames in one direction: in order, each after its delay, held while the way is shut."""

    def __init__(self, link: Link, way: Way, deliver: Callable[[bytes], None]) -> None:
        self._link: Final = link
        self._way: Final = way
        self._deliver: Final = deliver
        self._waiting: Final[deque[tuple[float, bytes]]] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, frame: bytes) -> None:
        """Sends a frame."""
        if self._link.drops(self._way, frame):
            return
        self._waiting.append((asyncio.get_running_loop().time() + self._link.delay(), frame))
        self._filled.set()
        self._empty.clear()

    async def run(self) -> None:
        """Carries frames until the way stays shut for too long."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._empty.set()
                self._filled.clear()
                await self._filled.wait()
            ready, frame = self._waiting[0]
            await asyncio.sleep(max(0.0, ready - loop.time()))
            if not await self._link.passable(self._way):
                return
            self._waiting.popleft()
            self._deliver(frame)

    async def drained(self) -> None:
        """Returns when everything was carried."""
        await self._empty.wait()
