"""gRPC behind the seam: grpc.aio, TLS 1.2 or 1.3 with ECDSA P-256, keepalive, no message above 256 KiB."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

import grpc
import grpc.aio

from licd.client.errors import NoAnswer
from licd.client.transport import Credentials, Method, Stream, Transport
from licd.core.time import Millis
from licd.wire.errors import from_rpc_error

MOST_MESSAGE_BYTES: Final = 256 * 1024

_RETRIED: Final = (Method.ACQUIRE_LEASE, Method.RELEASE_LEASE, Method.CHECK_LICENCE, Method.RENEW_CERTIFICATE)
"""Calls that carry a request id, or change nothing: gRPC itself may send them again when licd was not there."""


def _service_config() -> str:
    names = [dict(zip(("service", "method"), method[1:].split("/"), strict=True)) for method in _RETRIED]
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.2s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": policy}]})


OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    # A half-open connection is noticed within 15 s even while nothing is said on it.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # How long one attempt to connect may take, by gRPC's name for it: TCP, TLS and HTTP/2 are four to five round trips.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # The machine has its own backoff, with jitter, up to a heartbeat; gRPC's is not waited for, see GrpcTransport. It
    # is as long as an attempt, since a channel tries again by it without being asked: when thousands come back at once
    # those attempts alone were more handshakes than licd can do, and none of them came to its end.
    ("grpc.initial_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    # Each system has a certificate of its own: connections are not to be shared between them.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 1),
    ("grpc.service_config", _service_config()),
)


class GrpcNetwork:
    """Real connections. To be used inside a running event loop. An address may be a list of several replicas."""

    def enrolment(self, address: str, authority: str) -> Transport:
        """The enrolment listener, with this one authority pinned."""
        return GrpcTransport(address.split(","), grpc.ssl_channel_credentials(root_certificates=authority.encode()))

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """The customer listener, as the system that the certificate names.

        Systems begin at different replicas: which is first in a system's own order follows from its certificate.
        """
        channel_credentials = grpc.ssl_channel_credentials(
            root_certificates=credentials.authorities.encode(),
            private_key=credentials.private_key.encode(),
            certificate_chain=credentials.certificate_chain.encode(),
        )
        replicas = address.split(",")
        first = int.from_bytes(sha256(credentials.certificate_chain.encode()).digest()[:8], "big") % len(replicas)
        return GrpcTransport([*replicas[first:], *replicas[:first]], channel_credentials)


class GrpcTransport:
    """One connection, made when something is asked of it, and again when something is asked after it broke.

    A channel that could not connect tries again by its own clock, and fails at once whatever is asked in between. A
    system would come back when gRPC thinks fit, in step with all others, and be told that licd is away when it is not.
    So such a channel is given up: each time the machine tries is a new attempt, and nobody tries in between. Of several
    replicas the next one is tried, also when one answers that it can do nothing now.
    """

    def __init__(self, addresses: Sequence[str], credentials: grpc.ChannelCredentials) -> None:
        self._addresses: Final = deque(addresses)
        self._credentials: Final = credentials
        self._channel = self._connect()
        self._closed = False

    def _connect(self) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(self._addresses[0], self._credentials, options=OPTIONS)

    def _anew_where_it_failed(self) -> None:
        if self._channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            self._anew(self._channel)

    def _elsewhere(self, channel: grpc.aio.Channel) -> None:
        """A replica did not answer, or cannot: the next call goes to another one, where there is another."""
        if len(self._addresses) > 1:
            self._anew(channel)

    def _anew(self, given_up: grpc.aio.Channel) -> None:
        if self._closed or given_up is not self._channel:
            return
        # Let go it closes by itself, once whatever was asked on it has ended; closed here, that would seem cancelled.
        self._addresses.rotate(-1)
        self._channel = self._connect()

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        """Make a unary call. Raises NoAnswer, LicdError."""
        self._anew_where_it_failed()
        channel = self._channel
        with _errors_translated(lambda: self._elsewhere(channel)):
            made: Any = channel.unary_unary(method.value)
            response: bytes = await made(request, timeout=within / 1_000)
        return response

    async def stream(self) -> Stream:
        """Open a Session stream; whether licd is there shows with the first thing said on it. Raises NoAnswer."""
        self._anew_where_it_failed()
        channel = self._channel

        def over() -> None:
            self._anew_where_it_failed()
            self._elsewhere(channel)

        with _errors_translated(over):
            return GrpcStream(channel.stream_stream(Method.SESSION.value)(), over)

    async def close(self, within: Millis = 0) -> None:
        """Close the connection; calls on it end."""
        self._closed = True
        await self._channel.close(within / 1_000 if within else None)


class GrpcStream:
    """One bidirectional call."""

    def __init__(self, call: Any, over: Callable[[], None]) -> None:
        """Over is called when the stream has ended with an error."""
        self._call: Final = call
        self._over: Final = over
        self._one_at_a_time: Final = asyncio.Lock()

    async def send(self, frame: bytes) -> None:
        """Write one message; gRPC takes one at a time. Raises NoAnswer, LicdError."""
        with _errors_translated(self._over):
            async with self._one_at_a_time:
                await self._call.write(frame)

    async def receive(self) -> bytes | None:
        """Read one message; None at the end. Raises NoAnswer, LicdError."""
        with _errors_translated(self._over):
            frame = await self._call.read()
            if frame is grpc.aio.EOF:
                await self._refuse_bad_end()
                return None
        received: bytes = frame
        return received

    async def _refuse_bad_end(self) -> None:
        """Reading just ends, also where licd ended the stream with an error: say which."""
        if await self._call.code() is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                await self._call.code(),
                await self._call.initial_metadata(),
                await self._call.trailing_metadata(),
                details=await self._call.details(),
            )

    async def close(self) -> None:
        """Cancel the call."""
        self._call.cancel()


@contextmanager
def _errors_translated(over: Callable[[], None]) -> Iterator[None]:
    """Turn what gRPC raises into what licd meant, or into silence. over is told of a replica that is of no use now."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        known = from_rpc_error(error)
        if known is None or error.code() is grpc.StatusCode.UNAVAILABLE:
            over()
        raise known or NoAnswer(f"{error.code().name}: {error.details()}") from error
    except (grpc.aio.BaseError, asyncio.InvalidStateError) as error:
        over()
        raise NoAnswer(f"the connection is closed: {error}") from error
    except asyncio.CancelledError:
        # gRPC cancels whoever waits for a call that it ended itself; that is not our own task's cancellation.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        over()
        raise NoAnswer("the connection was closed") from None
