"""The three listeners over gRPC: TLS, who calls, and the way into dispatch. Nothing is decided here."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from grpc_status import rpc_status

from licd.core.errors import Forbidden, Invalid, LicdError, ShuttingDown, Unauthenticated
from licd.core.time import SECOND, Instant, Millis
from licd.server.caller import Caller, Listener
from licd.server.config import Limits
from licd.server.dispatch import Dispatch
from licd.server.health import CountedHealth, CountedReflection
from licd.server.incoming import CertificateReader, parsed
from licd.server.methods import METHODS, SERVED, Method
from licd.wire.errors import to_status

logger = structlog.get_logger("licd.grpc")

MESSAGE_LIMIT: Final = 256 * 1024
ENROLMENT_LIMIT: Final = 16 * 1024
STREAMS: Final = 256
STRANGERS_STREAMS: Final = 8
REPLY_LIMIT: Final = 16 * 1024 * 1024
PENDING: Final = 20_000
CALL_AGAIN: Final[Millis] = 1 * SECOND
PEERS_KEPT: Final = 50_000
QUIET: Final = 0.1
QUIET_LOOKS: Final = 10

OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", REPLY_LIMIT),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 3),
    ("grpc.server.max_pending_requests", PENDING),
    ("grpc.server.max_pending_requests_hard_limit", PENDING + PENDING // 2),
)


def options_of(listener: Listener, connections: int, limits: Limits) -> list[tuple[str, int]]:
    """What gRPC's core holds a listener to. Strangers, at the enrolment door, get little and stay briefly."""
    options = [
        *OPTIONS,
        ("grpc.max_allowed_incoming_connections", connections),
        ("grpc.server_handshake_timeout_ms", limits.handshake_seconds * SECOND),
    ]
    if listener is not Listener.ENROLMENT:
        return [
            *options,
            ("grpc.max_receive_message_length", MESSAGE_LIMIT),
            ("grpc.max_concurrent_streams", STREAMS),
        ]
    stay = limits.enrolment_stay_seconds * SECOND
    return [
        *options,
        ("grpc.max_receive_message_length", ENROLMENT_LIMIT),
        ("grpc.max_concurrent_streams", STRANGERS_STREAMS),
        ("grpc.max_connection_age_ms", stay),
        ("grpc.max_connection_age_grace_ms", stay // 6),
    ]


Credentials = grpc.ServerCredentials
Context = grpc.aio.ServicerContext[Any, Any]


class CallerReader:
    """Says who is behind a gRPC context."""

    def __init__(
        self, listener: Listener, certificates: CertificateReader, refuse: Callable[[Listener, LicdError], None]
    ) -> None:
        """Refuse is told of callers whom nobody can name."""
        self._listener: Final = listener
        self._certificates: Final = certificates
        self._refuse: Final = refuse

    def read(self, context: Context) -> Caller:
        """Raises Unauthenticated for a certificate that names nobody."""
        pem = next(iter(context.auth_context().get("x509_pem_cert", ())), None)
        try:
            return self._certificates.caller(self._listener, pem, address_of(context.peer()))
        except Unauthenticated as error:
            self._refuse(self._listener, error)
            raise


@lru_cache(maxsize=PEERS_KEPT)
def address_of(peer: str) -> str:
    """The IP address in gRPC's name for a peer: ipv4:127.0.0.1:5000, ipv6:%5B::1%5D:5000."""
    _, _, rest = peer.partition(":")
    host = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""


class GrpcStream:
    """A gRPC stream as frames."""

    def __init__(self, context: Context, kind: type[Message]) -> None:
        self._context: Final = context
        self._kind: Final = kind

    async def read(self) -> Message | None:
        """Raises Invalid for bytes that are no frame."""
        raw = await self._context.read()
        if raw is grpc.aio.EOF:
            return None
        return parsed(self._kind, raw)

    async def write(self, frame: Message, /) -> None:
        """Sends a frame; waits while the other side does not read. Cancelled when the other side is gone meanwhile."""
        try:
            await self._context.write(frame.SerializeToString())
        except grpc.aio.BaseError as error:  # the call is over: gRPC is about to cancel whoever serves it
            raise asyncio.CancelledError from error


async def _abort(context: Context, error: LicdError) -> None:
    await context.abort_with_status(rpc_status.to_status(to_status(error)))


class Door:
    """Lets calls in until it closes. From then on they are turned away, before anything is decided.

    gRPC's own server cancels a call that comes as it stops: such a caller cannot know whether it was done.
    """

    def __init__(self) -> None:
        self._closed = False
        self._turned_away = 0

    def enter(self) -> None:
        """Raises ShuttingDown."""
        if self._closed:
            self._turned_away += 1
            raise ShuttingDown("licd is shutting down", retry_after=CALL_AGAIN)

    async def close(self) -> None:
        """Returns when nobody has knocked for a moment, or they do not leave off."""
        if self._closed:
            return
        self._closed = True
        for _ in range(QUIET_LOOKS):
            seen = self._turned_away
            await asyncio.sleep(QUIET)
            if self._turned_away == seen:
                return


def _handler(method: Method, dispatch: Dispatch, callers: CallerReader, door: Door) -> grpc.RpcMethodHandler[Any, Any]:
    """The gRPC side of one method. Requests come as raw bytes, so that what cannot be read is answered by us."""

    def request(raw: bytes, caller: Caller) -> Message:
        try:
            return parsed(method.request, raw)
        except Invalid as error:
            raise dispatch.unreadable(method.path, error, caller) from error

    async def unary(raw: bytes, context: Context) -> bytes:
        try:
            door.enter()
            caller = callers.read(context)
            answer = await dispatch.call(method.path, request(raw, caller), caller)
        except LicdError as error:
            await _abort(context, error)
            raise
        return answer.SerializeToString()

    async def stream(_: Any, context: Context) -> None:
        try:
            door.enter()
            caller = callers.read(context)
            await dispatch.stream(method.path, GrpcStream(context, method.request), caller)
        except LicdError as error:
            await _abort(context, error)

    async def feed(raw: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            door.enter()
            caller = callers.read(context)
            async for answer in dispatch.feed(method.path, request(raw, caller), caller):
                yield answer.SerializeToString()
        except LicdError as error:
            await _abort(context, error)

    if method.takes_stream:
        return grpc.stream_stream_rpc_method_handler(stream)
    if method.gives_stream:
        return grpc.unary_stream_rpc_method_handler(feed)
    return grpc.unary_unary_rpc_method_handler(unary)


class Aside:
    """The way in for what is not of the protocol: health and reflection."""

    def __init__(self, callers: CallerReader, dispatch: Dispatch) -> None:
        self._callers: Final = callers
        self._dispatch: Final = dispatch

    async def enter(self, context: Context) -> Caller:
        """Names the caller and counts one request of his; ends the call of one who may not go on."""
        try:
            caller = self._callers.read(context)
            self._dispatch.knock(caller)
        except LicdError as error:
            await _abort(context, error)
            raise
        return caller


class WrongDoor(grpc.GenericRpcHandler):
    """Answers calls of methods that another listener serves, or nobody: refused and counted. Serves nothing."""

    def __init__(self, listener: Listener, dispatch: Dispatch) -> None:
        self._listener: Final = listener
        self._dispatch: Final = dispatch

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Refuses whatever comes here: it stands last, behind the handlers of what is served."""
        method = METHODS.get(handler_call_details.method)

        async def refuse(_: Any, context: Context) -> None:
            if method is None:
                self._dispatch.unheard(self._listener)
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")
            else:
                error = Forbidden(f"{method.verb} is not served on the {self._listener} listener")
                self._dispatch.refuse(self._listener, error)
                await _abort(context, error)

        return grpc.stream_stream_rpc_method_handler(refuse)


class GrpcListener:
    """One listener: its server, its health, its address."""

    def __init__(
        self,
        listener: Listener,
        address: str,
        credentials: Credentials,
        dispatch: Dispatch,
        trust_domain: str,
        wall: Callable[[], Instant],
        options: Sequence[tuple[str, int]],
    ) -> None:
        self.listener: Final = listener
        self._address: Final = address
        self._credentials: Final = credentials
        self._server: Final = grpc.aio.server(options=list(options))
        self._door: Final = Door()
        callers = CallerReader(listener, CertificateReader(trust_domain, wall), dispatch.refuse)
        aside = Aside(callers, dispatch)
        self._health: Final = CountedHealth(aside.enter, _abort)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in SERVED[listener]:
            handlers = {
                method.path.rpartition("/")[2]: _handler(method, dispatch, callers, self._door)
                for method in METHODS.values()
                if method.service == service.name
            }
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        if listener is Listener.OPERATOR:
            names = [*(service.full_name for service in SERVED[listener]), reflection.SERVICE_NAME]
            shown = CountedReflection(names, aside.enter)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(shown, self._server)  # type: ignore[no-untyped-call]
        self._server.add_generic_rpc_handlers((WrongDoor(listener, dispatch),))
        self.port = 0

    async def start(self) -> None:
        """Opens the port. Raises ShuttingDown when it is taken."""
        try:
            self.port = self._server.add_secure_port(self._address, self._credentials)
        except RuntimeError as error:
            raise ShuttingDown(f"cannot listen on {self._address}: {error}") from error
        await self._server.start()
        await self.set_serving(serving=True)

    async def set_serving(self, *, serving: bool) -> None:
        """Says to health checks whether this listener serves."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *(service.full_name for service in SERVED[self.listener])):
            await self._health.set(name, status)

    async def stop(self, grace: float) -> None:
        """Tells health checks, turns new calls away, lets running ones finish within grace seconds, then closes."""
        await self._health.enter_graceful_shutdown()
        await self._door.close()
        await self._server.stop(grace)
