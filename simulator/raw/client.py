"""A client that speaks the protocol by hand: opens sessions, sends links, and does with the answers what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from licd.v1 import session_pb2
from licd.v1 import session_service_pb2 as pb
from licd.v1.envelope_pb2 import Envelope
from simulator.chance import Random
from simulator.clock import Clock
from simulator.raw.chain import Chain, Kept
from simulator.raw.line import CUSTOMERS, Line, LineBroken, Stream
from simulator.request_id import request_id
from simulator.tap import Tap
from simulator.wire import Wire

ANSWER_WITHIN: Final = 3.0
"""Seconds."""

Answer = session_pb2.Permit | session_pb2.Refusal


class RawClient:
    """One process of one system. Every call raises LineBroken when there is no answer; what was sent is sent again."""

    def __init__(
        self, kept: Kept, line: Line, *, wire: Wire, tap: Tap, clock: Clock, chance: Random, region: str
    ) -> None:
        self.chain: Final = Chain(kept, chance)
        self.on_order: Callable[[session_pb2.Directive], None] = lambda _: None
        self.broken = ""
        """Why the last stream ended."""
        self._line: Final = line
        self._wire: Final = wire
        self._tap: Final = tap
        self._clock: Final = clock
        self._chance: Final = chance
        self._region: Final = region
        self._stream: Stream | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: asyncio.Future[Answer] | None = None

    # --------------------------------------------------------------------------------------------- links
    async def open(self, operations: Sequence[session_pb2.Operation] = ()) -> Answer:
        """Open a session, after the outstanding link has its answer."""
        await self._settle()
        opening = session_pb2.Opening(deployment_region=self._region, software="by-hand")
        return await self._call(self.chain.link(self._clock.boot_ms(), (), operations, opening))

    async def beat(self, held: Sequence[int] = (), operations: Sequence[session_pb2.Operation] = ()) -> Answer:
        """Send the next link, after the outstanding one has its answer; opens a session first where there is none."""
        await self._settle()
        if not self.chain.session:
            answer = await self.open()
            if isinstance(answer, session_pb2.Refusal):
                return answer
        return await self._over_stream(self.chain.link(self._clock.boot_ms(), held, operations))

    async def _settle(self) -> None:
        """Send the outstanding link again, if there is one. What it asked for is forgotten: nobody waits for it now."""
        link = self.chain.kept.outstanding
        if link is not None:
            await (self._call(link) if _opens(link) else self._over_stream(link))

    async def _call(self, link: Envelope) -> Answer:
        request = pb.OpenSessionRequest(link=link)
        if self.chain.kept.last_reply is not None:
            request.last_reply.CopyFrom(self.chain.kept.last_reply)
        self._tap.sends(link)
        raw = await self._carried("OpenSession", request.SerializeToString())
        response = pb.OpenSessionResponse.FromString(raw)
        self._tap.opened(response)
        for each in response.directives:
            self.on_order(session_pb2.Directive.FromString(each.payload))
        answer = read_answer(response.reply)
        if self.chain.answered(response.reply, answer.header):
            self.chain.session = answer.header.session
        return answer

    async def send(self, frame: pb.SessionRequest) -> None:
        """Send any frame at all."""
        if await self._wire.carry():
            await self._dialled().send(frame.SerializeToString())

    async def _over_stream(self, link: Envelope) -> Answer:
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        waiting.add_done_callback(_looked_at)
        frame = pb.SessionRequest(link=link)
        if self._stream is None and self.chain.kept.last_reply is not None:
            frame.last_reply.CopyFrom(self.chain.kept.last_reply)
        self._tap.sends(link)
        try:
            await self.send(frame)
            return await asyncio.wait_for(waiting, ANSWER_WITHIN)
        except TimeoutError as error:
            self.hang_up()
            raise LineBroken("TIMEOUT", "no reply") from error
        except LineBroken:
            self.hang_up()
            raise

    # -------------------------------------------------------------------------------------------- stream
    def _dialled(self) -> Stream:
        if self._stream is None:
            self._stream = self._line.stream()
            self._reading = asyncio.ensure_future(self._read(self._stream))
        return self._stream

    async def _read(self, stream: Stream) -> None:
        try:
            while True:
                raw = await stream.receive()
                if await self._wire.carry():
                    self._take(pb.SessionResponse.FromString(raw))
        except LineBroken as error:
            self.broken = error.reason
            if stream is self._stream:
                self._stream = None
                if self._waiting is not None and not self._waiting.done():
                    self._waiting.set_exception(error)

    def _take(self, frame: pb.SessionResponse) -> None:
        self._tap.received(frame)
        if frame.HasField("directive"):
            self.on_order(session_pb2.Directive.FromString(frame.directive.payload))
        if not frame.HasField("reply"):
            return
        answer = read_answer(frame.reply)
        if self.chain.answered(frame.reply, answer.header) and self._waiting and not self._waiting.done():
            self._waiting.set_result(answer)

    def hang_up(self) -> None:
        """Drop the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        if self._reading is not None:
            self._reading.cancel()

    async def close(self) -> None:
        """Drop everything. Nothing is said."""
        self.hang_up()
        await self._line.close()

    # --------------------------------------------------------------------------------------------- unary
    async def acquire(self, acquisition: session_pb2.Acquisition) -> Answer:
        """A lease by a unary call."""
        identifier = request_id(self._clock.wall_ms(), self._chance)
        request = pb.AcquireLeaseRequest(request_id=identifier, acquisition=acquisition)
        sent, sent_at = self._clock.boot_ms(), self._clock.wall_ms()
        raw = await self._carried("AcquireLease", request.SerializeToString())
        response = pb.AcquireLeaseResponse.FromString(raw)
        self._tap.called(request, response, sent, sent_at)
        return read_answer(response.permit if response.HasField("permit") else response.denial)

    async def _carried(self, method: str, request: bytes) -> bytes:
        if not await self._wire.carry():
            raise LineBroken("CUT", "the wire is cut")
        answer = await self._line.call(CUSTOMERS + method, request, ANSWER_WITHIN)
        if not await self._wire.carry():
            raise LineBroken("CUT", "the wire is cut")
        return answer


def _looked_at(waiting: asyncio.Future[Answer]) -> None:
    """A stream that breaks while its link is being sent is told of there, and here nobody waits any more."""
    if not waiting.cancelled():
        waiting.exception()


def read_answer(envelope: Envelope) -> Answer:
    """A reply, believed as it is: the oracle looks at the seal."""
    if envelope.payload_type.endswith(".denial.v1+proto"):
        return session_pb2.Refusal.FromString(envelope.payload)
    return session_pb2.Permit.FromString(envelope.payload)


def _opens(link: Envelope) -> bool:
    return session_pb2.Link.FromString(link.payload).HasField("opening")
