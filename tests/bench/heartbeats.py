"""Heartbeats on open streams, signed up and down, each renewing 25 leases; and what they renew."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from hashlib import sha256
from typing import Any, Final

from licd.keys.kinds import Kind
from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from tests.bench.load import Call, alternate
from tests.bench.measures import Measured, echoing
from tests.bench.raw import RawSystem, acquisition
from tests.bench.stage import Enrolled, Stage

LEASES: Final = 25
SESSION: Final = "/licd.v1.SessionService/Session"


class BeatingSystem(RawSystem):
    """A system on an open stream, whose every link goes on with all of its leases."""

    def __init__(self, enrolled: Enrolled) -> None:
        super().__init__(enrolled)
        self.held: list[int] = []
        self._stream: Any = None

    async def begin(self) -> None:
        """Opens a session and a stream, and acquires the leases in one link."""
        await self.open()
        self._stream = self.channel.stream_stream(SESSION)()
        asked = [session_pb2.Operation(acquire=acquisition()) for _ in range(LEASES)]
        permit = session_pb2.Permit.FromString((await self.say(asked)).payload)
        self.held = list(permit.leases)
        assert len(self.held) == LEASES

    async def say(self, operations: list[session_pb2.Operation]) -> Any:
        """One link with these operations, and the permit it is answered with."""
        link = self.link(self.held, operations)
        await self._stream.write(pb.SessionRequest(link=link).SerializeToString())
        reply = pb.SessionResponse.FromString(await self._stream.read()).reply
        assert reply.payload_type == Kind.PERMIT.payload_type, reply
        self.previous = sha256(reply.payload).digest()
        return reply

    async def beat(self) -> object:
        """One heartbeat and its reply."""
        return await self.say([])


async def heartbeats(stage: Stage, systems: Sequence[Enrolled]) -> tuple[float, float]:
    """Heartbeats a second of one stream for each system, and echoes a second of as many callers."""
    async with AsyncExitStack() as stack:
        ours: list[Call] = []
        for each in systems:
            system = BeatingSystem(each)
            stack.push_async_callback(system.close)
            await system.begin()
            ours.append(system.beat)
        floor = await stack.enter_async_context(echoing(stage, systems, 1))
        return await alternate(ours, floor)


def heartbeat_vs_echo(beats: float, echoes: float) -> Measured:
    """Heartbeats against the unary echo."""
    sides = {"heartbeat": beats, "echo": echoes}
    return Measured("heartbeat_vs_echo", beats / echoes, 0.80, True, sides, "calls/s")


def renewals_vs_echo(beats: float, echoes: float) -> Measured:
    """The renewals those heartbeats carry, against the unary echo."""
    sides = {"renewals": beats * LEASES, "echo": echoes}
    return Measured("renewals_vs_echo", beats * LEASES / echoes, 20.0, True, sides, "1/s")
