"""Open streams, and the directives pushed on them: bytes signed and serialised once, streams woken one by one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from licd.core.errors import OverQuota
from licd.core.model import DirectiveKind
from licd.keys.errors import KeysError
from licd.keys.kinds import Kind
from licd.ledger.ledger import BatchFigures
from licd.ledger.records import IssuedDirective
from licd.ledger.transaction import Committed
from licd.server.dispatch import FrameStream
from licd.server.metrics import Metrics
from licd.server.signing import OnlineSigning
from licd.v1.session_service_pb2 import SessionResponse
from licd.v1.trust_pb2 import TrustBundleChain

logger = structlog.get_logger("licd.push")

BACKLOG_LIMIT: Final = 256
LAST_WRITE: Final = 1.0
"""Seconds that a frame may still take when its stream ends; a peer that does not read would keep it for ever."""


class OpenStream:
    """One system's stream. Frames go out in order; nobody waits for a slow one but itself.

    deadline is when its server ends it; closing it brings the deadline forward.
    """

    def __init__(self, deployment: str, licence: str, stream: FrameStream, deadline: asyncio.Timeout) -> None:
        self.deployment: Final = deployment
        self.licence: Final = licence
        self._stream: Final = stream
        self._backlog: deque[SessionResponse] = deque()
        self._draining = False
        self._deadline: Final = deadline
        self._left = False
        self._quiet: Final = asyncio.Event()
        self._quiet.set()

    async def send(self, frame: SessionResponse) -> None:
        """Sends after what waits already. Raises OverQuota when too much does, and closes the stream."""
        if self._left:
            return
        if len(self._backlog) >= BACKLOG_LIMIT:
            self.close()
            raise OverQuota("the stream is not read")
        self._backlog.append(frame)
        if self._draining:
            return
        self._draining = True
        self._quiet.clear()
        try:
            while self._backlog:
                await self._stream.write(self._backlog.popleft())
        finally:
            self._draining = False
            self._quiet.set()

    def close(self) -> None:
        """Ends the stream at the next moment its server waits."""
        if not self._left and not self._deadline.expired():
            self._deadline.reschedule(0)

    async def leave(self) -> None:
        """The stream ends: there is nothing to close any more. Returns when no frame is on its way.

        gRPC takes one operation of a kind at a time: a status sent beside a pushed frame fails, and the call hangs.
        """
        self._left = True
        self._backlog.clear()
        if not self._deadline.expired():
            self._deadline.reschedule(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WRITE):
                await self._quiet.wait()


class Push:
    """Every open stream by licence and system."""

    def __init__(self, signing: OnlineSigning, metrics: Metrics, call_soon: Callable[..., object]) -> None:
        """call_soon runs a function on the event loop; batches are told from the writing thread."""
        self._signing: Final = signing
        self._metrics: Final = metrics
        self._call_soon: Final = call_soon
        self._by_licence: dict[str, dict[OpenStream, None]] = {}  # in the order they came, not by address
        self._by_deployment: dict[str, OpenStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, stream: OpenStream) -> None:
        """Takes a stream in; an earlier one of the same system is closed."""
        earlier = self._by_deployment.get(stream.deployment)
        if earlier is not None:
            earlier.close()
        self._by_deployment[stream.deployment] = stream
        self._by_licence.setdefault(stream.licence, {})[stream] = None
        self._metrics.stream_opened()

    async def leave(self, stream: OpenStream) -> None:
        """Forgets a stream. Returns when nothing is being written to it any more."""
        streams = self._by_licence.get(stream.licence, {})
        streams.pop(stream, None)
        if not streams:
            self._by_licence.pop(stream.licence, None)
        if self._by_deployment.get(stream.deployment) is stream:
            del self._by_deployment[stream.deployment]
        self._metrics.stream_closed()
        await stream.leave()

    def connected(self, deployment: str) -> bool:
        """Whether the system has a stream open here."""
        return deployment in self._by_deployment

    def close_stream(self, deployment: str) -> None:
        """Ends the system's stream, if it has one."""
        stream = self._by_deployment.get(deployment)
        if stream is not None:
            stream.close()

    def close_all(self) -> None:
        """Ends every stream; systems come again, here or to another replica."""
        for stream in tuple(self._by_deployment.values()):
            stream.close()

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._by_deployment)

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Pushes what a durable batch has ordered."""
        if done.directives:
            self._call_soon(self._push_all, tuple(done.directives))

    def failed(self, why: str) -> None:
        """Nothing was changed."""

    def tell_trust(self, chain: TrustBundleChain) -> None:
        """Sends new trust bundles on every stream. Who misses them asks, by the refresh hint or by a reply's header."""
        self._call_soon(self._send_everywhere, SessionResponse(trust=chain))

    def _send_everywhere(self, frame: SessionResponse) -> None:
        for stream in tuple(self._by_deployment.values()):
            self._begin_send(stream, frame)

    def _push_all(self, directives: tuple[IssuedDirective, ...]) -> None:
        for directive in directives:
            self._push(directive)

    def _push(self, directive: IssuedDirective) -> None:
        try:
            frame = self.frame_of(directive)
        except KeysError as error:
            logger.warning("directive not pushed; systems learn of it by refusal and expiry", error=str(error))
            return
        for stream in tuple(self._by_licence.get(directive.licence, ())):
            self._metrics.directive_pushed()
            self._begin_send(stream, frame)
        if directive.kind == DirectiveKind.REVOKE:
            self.close_stream_later(directive.deployment)

    def _begin_send(self, stream: OpenStream, frame: SessionResponse) -> None:
        task = asyncio.get_running_loop().create_task(self._send(stream, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close_stream_later(self, deployment: str) -> None:
        """Ends a revoked system's stream once it could read why."""
        stream = self._by_deployment.get(deployment)
        if stream is not None:
            asyncio.get_running_loop().call_later(1.0, stream.close)

    async def _send(self, stream: OpenStream, frame: SessionResponse) -> None:
        try:
            await stream.send(frame)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - any failure of one stream ends that stream alone
            logger.info("stream lost while pushing", error=str(error))
            stream.close()

    def frame_of(self, directive: IssuedDirective) -> SessionResponse:
        """The directive as a frame. Raises SigningHeld."""
        return SessionResponse(directive=self._signing.seal(Kind.DIRECTIVE, directive.payload))
