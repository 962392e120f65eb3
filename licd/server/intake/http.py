"""HTTP/1.1 for strangers: one request a connection, in a bounded time, of a bounded size. No caller is known or logged.

h11 holds the grammar; this holds the bounds. Whoever is slow, large or many costs one task and some kilobytes for some
seconds, and nobody else his turn beyond that.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import h11
import structlog

logger = structlog.get_logger("licd.intake")

HEAD_BYTES: Final = 8 * 1024
BODY_BYTES: Final = 64 * 1024
READ_BYTES: Final = 16 * 1024
ACCEPT_AGAIN_SECONDS: Final = 0.5
LINGER_SECONDS: Final = 2.0
LINGER_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a stranger asks. headers have small names; of several with one name the last."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What he gets."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Answer]]
Refusal = Callable[[HTTPStatus], Answer]


class Refused(Exception):
    """A request that is not looked at."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status: Final = status


class HttpListener:
    """A port that anybody may come to. It accepts by itself: who has not even shaken hands is counted, too."""

    def __init__(self, handler: Handler, refusal: Refusal, connections: int, exchange_seconds: float) -> None:
        """Refusal words what the handler never sees. connections: how many may stand at the door."""
        self._handler: Final = handler
        self._refusal: Final = refusal
        self._connections: Final = connections
        self._seconds: Final = exchange_seconds
        self._open: Final[set[asyncio.Task[None]]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self.turned_away = 0
        self.port = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Listens. Raises OSError."""
        bare = host.strip("[]")
        family = socket.AF_INET6 if ":" in bare else socket.AF_INET
        door = socket.create_server((bare, port), family=family, backlog=self._connections)
        door.setblocking(False)
        self.port = door.getsockname()[1]
        self._accepting = asyncio.get_running_loop().create_task(self._accept(door, tls))

    async def stop(self) -> None:
        """Closes the port and what came through it; who was about to be answered asks again."""
        ending = [*self._open, *([self._accepting] if self._accepting else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _accept(self, door: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        with door:
            while True:
                try:
                    line, _ = await loop.sock_accept(door)
                except OSError as error:  # no descriptor is free: some are within an exchange's time
                    logger.warning("the intake takes nobody for a moment", error=str(error))
                    await asyncio.sleep(ACCEPT_AGAIN_SECONDS)
                    continue
                if len(self._open) >= self._connections:
                    self.turned_away += 1
                    line.close()
                    continue
                task = loop.create_task(self._serve(line, tls))
                self._open.add(task)
                task.add_done_callback(self._open.discard)

    async def _serve(self, line: socket.socket, tls: ssl.SSLContext | None) -> None:
        transport: asyncio.WriteTransport | None = None
        try:
            with suppress(OSError, TimeoutError):  # strangers leave when they like
                async with asyncio.timeout(self._seconds):
                    reader, writer = await _streams(line, tls)
                    transport = writer.transport
                    await self._exchange(reader, writer)
        finally:
            if transport is None:
                line.close()
            else:
                transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        try:
            answer = await self._answered(await _request(connection, reader, writer))
        except Refused as refused:
            answer = self._refusal(refused.status)
        except h11.RemoteProtocolError as error:
            answer = self._refusal(HTTPStatus(error.error_status_hint))
        if connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await _send(connection, writer, answer)
            await _linger(reader, writer)

    async def _answered(self, request: Request) -> Answer:
        try:
            return await self._handler(request)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- told by its kind alone: its words might be a stranger's
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            line = f"{where.tb_frame.f_code.co_qualname}:{where.tb_lineno}" if where else ""
            logger.error("the intake failed", kind=type(error).__name__, where=line)  # noqa: TRY400
            return self._refusal(HTTPStatus.INTERNAL_SERVER_ERROR)


async def _streams(
    line: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """What is read from and written to, once hands are shaken. Raises OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=READ_BYTES, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, line, ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _request(connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = await _event(connection, reader)
    if not isinstance(head, h11.Request):
        raise ConnectionResetError("left before asking")
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
    length = headers.get("content-length", "0")
    if int(length[:20]) > BODY_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if connection.they_are_waiting_for_100_continue:
        go_on = connection.send(h11.InformationalResponse(status_code=100, headers=[]))
        writer.write(go_on or b"")
    body = bytearray()
    while True:
        event = await _event(connection, reader)
        match event:
            case h11.Data():
                body += event.data
                if len(body) > BODY_BYTES:
                    raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            case h11.EndOfMessage():
                return Request(head.method.decode("ascii"), head.target.decode("ascii"), headers, bytes(body))
            case _:
                raise ConnectionResetError("left in the middle")


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(READ_BYTES))
    return event


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, answer: Answer) -> None:
    headers = {
        "content-type": answer.content_type,
        "content-length": str(len(answer.body)),
        "connection": "close",
        **answer.headers,
    }
    parts = [
        connection.send(
            h11.Response(status_code=int(answer.status), headers=list(headers.items()), reason=answer.status.phrase)
        ),
        connection.send(h11.Data(data=answer.body)),
        connection.send(h11.EndOfMessage()),
    ]
    writer.write(b"".join(part for part in parts if part))
    await writer.drain()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads on for a while what nobody will look at: closed at once, the answer would be lost with it."""
    if writer.can_write_eof():
        writer.write_eof()
    left = LINGER_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0 and (data := await reader.read(READ_BYTES)):
                left -= len(data)
