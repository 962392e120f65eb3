"""A stream that ends: nothing is being written to it any more when its status goes out, and nothing is afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.message import Message

from licd.core.errors import Forked
from licd.server.push import OpenStream
from licd.v1.session_service_pb2 import SessionResponse
from tests.office import Office
from tests.wired_system import joined

FRAME = SessionResponse()


class SlowStream:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.written = 0

    async def read(self) -> Message | None:
        raise AssertionError("nobody reads here")

    async def write(self, frame: Message, /) -> None:
        await self.let.wait()
        self.written += 1


async def test_a_stream_is_left_only_when_no_frame_is_on_its_way_and_takes_none_afterwards() -> None:
    """gRPC takes one operation at a time: a status sent beside a frame fails, and the call then never ends."""
    slow = SlowStream()
    async with asyncio.timeout(20) as deadline:
        stream = OpenStream("alpha", "licence-1", slow, deadline)
        writing = asyncio.create_task(stream.send(FRAME))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(stream.leave())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not leaving.done()
        slow.let.set()
        await asyncio.gather(writing, leaving)
        assert slow.written == 1
        await stream.send(FRAME)
        assert slow.written == 1


async def test_a_stream_that_is_not_read_is_left_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("licd.server.push.LAST_WRITE", 0.01)
    slow = SlowStream()
    async with asyncio.timeout(20) as deadline:
        stream = OpenStream("alpha", "licence-1", slow, deadline)
        writing: asyncio.Task[Any] = asyncio.create_task(stream.send(FRAME))
        await asyncio.sleep(0)
        await stream.leave()
        writing.cancel()


def test_a_fork_on_a_stream_ends_it_with_the_error_however_the_push_falls(office: Office) -> None:
    """The system's own revocation is pushed to the very stream that ends: both at once, over and over."""
    for _ in range(15):
        system = joined(office)
        system.open()
        kept = (system.sequence, system.previous, system.session)
        with system.stream() as stream:
            stream.beat()
        system.sequence, system.previous, system.session = kept
        with system.stream(system.connect()) as stream:
            stream.send(system.link(nonce=b"copy"))
            with pytest.raises(Forked):
                stream.reply()
