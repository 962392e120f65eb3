"""gRPC behind the seam: grpc.aio, TLS 1.2 or 1.3 with ECDSA P-256, keepalive, no message above 256 KiB."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Real connections. To be used inside a running event loop."""

    def enrolment(self, address: str, authority: str) -> Transport:
        """The enrolment listener, with this one authority pinned."""
        return GrpcTransport(address, grpc.ssl_channel_credentials(root_certificates=authority.encode()))

    def customers(self, address: str, credentials: Credentials) -> Transport:
        """The customer listener, as the system that the certificate names."""
        channel_credentials = grpc.ssl_channel_credentials(
            root_certificates=credentials.authorities.encode(),
            private_key=credentials.private_key.encode(),
            certificate_chain=credentials.certificate_chain.encode(),
        )
        return GrpcTransport(address, channel_credentials)


class GrpcTransport:
    """One channel. gRPC connects it when it is used, and again when it broke."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials) -> None:
        self._channel: Final = grpc.aio.secure_channel(address, credentials, options=OPTIONS)
        self._methods: Final[dict[Method, Any]] = {}

    async def call(self, method: Method, request: bytes, within: Millis) -> bytes:
        """Make a unary call. Raises NoAnswer, LicdError."""
        made = self._methods.get(method)
        if made is None:
            made = self._methods[method] = self._channel.unary_unary(method.value)
        with _errors_translated():
            response: bytes = await made(request, timeout=within / 1_000)
        return response

    async def stream(self) -> Stream:
        """Open a Session stream; whether licd is there shows with the first thing said on it. Raises NoAnswer."""
        with _errors_translated():
            return GrpcStream(self._channel.stream_stream(Method.SESSION.value)())

    async def close(self, within: Millis = 0) -> None:
        """Close the channel; calls on it end."""
        await self._channel.close(within / 1_000 if within else None)


class GrpcStream:
    """One bidirectional call."""

    def __init__(self, call: Any) -> None:
        self._call: Final = call
        self._one_at_a_time: Final = asyncio.Lock()

    async def send(self, frame: bytes) -> None:
        """Write one message; gRPC takes one at a time. Raises NoAnswer, LicdError."""
        with _errors_translated():
            async with self._one_at_a_time:
                await self._call.write(frame)

    async def receive(self) -> bytes | None:
        """Read one message; None at the end. Raises NoAnswer, LicdError."""
        with _errors_translated():
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
def _errors_translated() -> Iterator[None]:
    """Turn what gRPC raises into what licd meant, or into silence."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        known = from_rpc_error(error)
        raise known or NoAnswer(f"{error.code().name}: {error.details()}") from error
    except (grpc.aio.BaseError, asyncio.InvalidStateError) as error:
        raise NoAnswer(f"the connection is closed: {error}") from error
    except asyncio.CancelledError:
        # gRPC cancels whoever waits for a call that it ended itself; that is not our own task's cancellation.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise NoAnswer("the connection was closed") from None
