"""A road on which every byte takes its time: the kernel at hand may have no netem."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Self

from tests.eventually import eventually


class SlowRoad:
    """A TCP proxy in a thread. `delay` seconds each way, read anew for every portion; order is kept."""

    def __init__(self, to: tuple[str, int]) -> None:
        self.to = to
        self.delay = 0.0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._writers: list[asyncio.StreamWriter] = []

    def __enter__(self) -> Self:
        self._thread.start()
        eventually(lambda: bool(self.port), 10, "the proxy listens")
        return self

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, "0.0.0.0", 0))  # noqa: S104 -- netns
        self.port = server.sockets[0].getsockname()[1]
        self._loop.run_forever()
        server.close()
        for writer in self._writers:  # what was to be closed after the delay would stay open
            writer.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(*self.to)
            self._writers += [writer, back]
            await asyncio.gather(self._one_way(reader, back), self._one_way(there, writer))

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while portion := await reader.read(1 << 16):
                if not writer.is_closing():
                    loop.call_later(self.delay, writer.write, portion)
        loop.call_later(self.delay, writer.close)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
