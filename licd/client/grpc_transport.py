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
    # The machine has its own backoff, up to a heartbeat; gRPC's would go up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    # Each system has a certificate of its own: connections are not to be shared between them.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 1),
    ("grpc.service_config", _service_config()),
)


class GrpcNetwork:
    """Real connections. To be used inside a running event loop. An address may name several replicas: HOST:PORT,…"""

    def enrolment(self, address: str, authority: str) -> Transport:
        """The enrolment listener, with this one authority pinned."""
        return GrpcTransport(address.split(","), grpc.ssl_channel_credentials(root_certificates=authority.encode()))

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """The customer listener, as the system that the certificate names.

        Systems begin at different replicas: which is first in their own order follows from their certificates.
        """
        channel_credentials = grpc.ssl_channel_credentials(
            root_certificates=credentials.authorities.encode(),
            private_key=credentials.private_key.encode(),
            certificate_chain=credentials.certificate_chain.encode(),
        )
        replicas = address.split(",")
        first = int.from_bytes(sha256(credentials.certificate_chain.encode()).digest()[:8]) % len(replicas)
        return GrpcTransport([*replicas[first:], *replicas[:first]], channel_credentials)


class GrpcTransport:
    """A channel to one of the replicas. gRPC connects it when it is used, and again when it broke.

    When a replica does not answer, or cannot, the next call goes to the one after it.
    """

    def __init__(self, addresses: Sequence[str], credentials: grpc.ChannelCredentials) -> None:
        self._addresses: Final = deque(addresses)
        self._credentials: Final = credentials
        self._channels: Final[dict[str, grpc.aio.Channel]] = {}
        self._methods: Final[dict[tuple[str, Method], Any]] = {}

    def _channel(self, address: str) -> grpc.aio.Channel:
        found = self._channels.get(address)
        if found is None:
            found = grpc.aio.secure_channel(address, self._credentials, options=OPTIONS)
            self._channels[address] = found
        return found

    def _turn_from(self, address: str) -> None:
        """Another replica comes first, unless one does already."""
        if self._addresses[0] == address:
            self._addresses.rotate(-1)

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        """Make a unary call. Raises NoAnswer, LicdError."""
        address = self._addresses[0]
        made = self._methods.get((address, method))
        if made is None:
            made = self._methods[address, method] = self._channel(address).unary_unary(method.value)
        with _errors_translated(lambda: self._turn_from(address)):
            response: bytes = await made(request, timeout=within / 1_000)
        return response

    async def stream(self) -> Stream:
        """Open a Session stream; whether licd is there shows with the first thing said on it. Raises NoAnswer."""
        address = self._addresses[0]

        def turn() -> None:
            self._turn_from(address)

        with _errors_translated(turn):
            return GrpcStream(self._channel(address).stream_stream(Method.SESSION.value)(), turn)

    async def close(self, within: Millis = 0) -> None:
        """Close the channels; calls on them end."""
        for channel in self._channels.values():
            await channel.close(within / 1_000 if within else None)


class GrpcStream:
    """One bidirectional call. gone is told when nothing more comes of it."""

    def __init__(self, call: Any, gone: Callable[[], None] = lambda: None) -> None:
        self._call: Final = call
        self._gone: Final = gone
        self._one_at_a_time: Final = asyncio.Lock()

    async def send(self, frame: bytes) -> None:
        """Write one message; gRPC takes one at a time. Raises NoAnswer, LicdError."""
        with _errors_translated(self._gone):
            async with self._one_at_a_time:
                await self._call.write(frame)

    async def receive(self) -> bytes | None:
        """Read one message; None at the end. Raises NoAnswer, LicdError."""
        with _errors_translated(self._gone):
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
def _errors_translated(gone: Callable[[], None]) -> Iterator[None]:
    """Turn what gRPC raises into what licd meant, or into silence. gone is told of a replica that is of no use now."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        known = from_rpc_error(error)
        if known is None or error.code() is grpc.StatusCode.UNAVAILABLE:
            gone()
        raise known or NoAnswer(f"{error.code().name}: {error.details()}") from error
    except (grpc.aio.BaseError, asyncio.InvalidStateError) as error:
        gone()
        raise NoAnswer(f"the connection is closed: {error}") from error
    except asyncio.CancelledError:
        # gRPC cancels whoever waits for a call that it ended itself; that is not our own task's cancellation.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        gone()
        raise NoAnswer("the connection was closed") from None
