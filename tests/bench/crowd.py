"""Thousands of systems of one licence, each with its own connection and open stream, in one program."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from tests.bench import clock, echo
from tests.bench.heartbeats import SESSION
from tests.bench.raw import RawSystem
from tests.bench.stage import Enrolled, Stage

AT_ONCE: Final = 64
PATIENCE: Final = 120.0


class Crowd:
    """The systems, and when what was pushed has reached them. acknowledges: they answer it, as the SDK does."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.acknowledges = True
        self.last = 0.0
        self._missing = 0
        self._all = asyncio.Event()

    async def grow(self, systems: Sequence[Enrolled]) -> None:
        """Connects more systems, some at a time."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def join(enrolled: Enrolled) -> Member:
            async with gate:
                member = Member(enrolled, self)
                await member.begin()
                return member

        self.members += await asyncio.gather(*map(join, systems))

    def expect(self) -> None:
        """From now on one directive for each member is waited for."""
        self._missing = len(self.members)
        self._all.clear()

    def arrived(self) -> None:
        """One has arrived."""
        self._missing -= 1
        if not self._missing:
            self.last = clock.seconds()
            self._all.set()

    async def everybody(self) -> float:
        """When the last directive arrived."""
        async with asyncio.timeout(PATIENCE):
            await self._all.wait()
        return self.last

    async def leave(self) -> None:
        """Closes every stream and connection."""
        for start in range(0, len(self.members), AT_ONCE):
            await asyncio.gather(*(member.leave() for member in self.members[start : start + AT_ONCE]))


class Member(RawSystem):
    """A system that listens."""

    def __init__(self, enrolled: Enrolled, crowd: Crowd) -> None:
        super().__init__(enrolled)
        self._crowd = crowd
        self._stream: Any = None
        self._listening: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Opens a session and a stream, with one heartbeat, so that the stream is known to be open."""
        await self.open()
        self._stream = self.channel.stream_stream(SESSION)()
        await self._stream.write(pb.SessionRequest(link=self.link([], [])).SerializeToString())
        self.previous = sha256(pb.SessionResponse.FromString(await self._stream.read()).reply.payload).digest()
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while raw := await self._stream.read():
            frame = pb.SessionResponse.FromString(raw)
            if frame.HasField("directive"):
                self._crowd.arrived()
                if self._crowd.acknowledges:
                    await self._acknowledge(frame.directive.payload)

    async def _acknowledge(self, payload: bytes) -> None:
        directive = session_pb2.Directive.FromString(payload)
        said = session_pb2.Acknowledgement(
            system=self.enrolled.system,
            licence=directive.licence,
            epoch=directive.epoch,
            directive=sha256(payload).digest(),
            boot_nonce=self.boot_nonce,
            stopped_boot_ms=clock.boot_ms(),
            stopped_at_ms=clock.now_ms(),
        )
        sealed = seal(Kind.ACKNOWLEDGEMENT, said.SerializeToString(), self.enrolled.signer)
        await self._stream.write(pb.SessionRequest(acknowledgement=sealed).SerializeToString())

    async def leave(self) -> None:
        """Hangs up."""
        if self._listening is not None:
            self._listening.cancel()
        self._stream.cancel()
        await self.close()


class Bare:
    """As many streams to the bare server, which answer a frame with one of an acknowledgement's size."""

    def __init__(self, stage: Stage, frame: int, answer: int) -> None:
        self._address = f"127.0.0.1:{stage.echo_port}"
        self._frame = clock.random(frame)
        self._answer = clock.random(answer)
        self._channels: list[Any] = []
        self._streams: list[Any] = []
        self._listening: list[asyncio.Task[None]] = []

    async def join(self, members: Sequence[Member]) -> None:
        """Opens a stream beside each member's, over a connection of its own."""
        for member in members:
            channel = member.another_channel(self._address)
            await channel.channel_ready()
            stream: Any = channel.stream_stream(echo.FAN)()
            self._channels.append(channel)
            self._streams.append(stream)
            self._listening.append(asyncio.get_running_loop().create_task(self._listen(stream)))

    async def _listen(self, stream: Any) -> None:
        while await stream.read():
            await stream.write(self._answer)

    async def tell(self) -> float:
        """Seconds until the last of them has answered."""
        started = clock.seconds()
        told = await self._channels[0].unary_unary(echo.TELL)(self._frame)
        took = clock.seconds() - started
        assert int(told) == len(self._streams), told
        return took

    async def leave(self) -> None:
        """Closes all of it."""
        for task in self._listening:
            task.cancel()
        for stream in self._streams:
            stream.cancel()
        for channel in self._channels:
            await channel.close()
