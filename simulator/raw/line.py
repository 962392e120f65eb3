"""A cheat's own way to licd: bytes up, bytes down, and what gRPC says when there is no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from simulator.addresses import target_of

CUSTOMERS: Final = "/licd.v1.SessionService/"
ENROLMENT: Final = "/licd.v1.EnrolmentService/"
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class LineBroken(Exception):
    """No answer. `reason` is licd's own code where it gave one (FORKED, SEAL_INVALID), else gRPC's."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Papers:
    """What enrolling left a system with. All PEM but the receipt; key is that of the channel."""

    system: str
    address: str
    authorities: str
    certificate: str
    key: str
    receipt: bytes
    licence: bytes


class Stream(Protocol):
    """An open Session stream."""

    async def send(self, frame: bytes) -> None:
        """Raises LineBroken."""
        ...

    async def receive(self) -> bytes:
        """Raises LineBroken, also when the stream has ended."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Line(Protocol):
    """A seam: gRPC here, a network made up for a simulation in virtual time elsewhere."""

    async def call(self, method: str, request: bytes, within: float) -> bytes:
        """A unary call, answered within so many seconds. Raises LineBroken."""
        ...

    def stream(self) -> Stream:
        """Open a Session stream."""
        ...

    async def close(self) -> None:
        """Give it up."""
        ...


class GrpcLine:
    """One channel of grpc.aio. Without papers: to the enrolment listener, the authority pinned."""

    def __init__(self, address: str, authorities: str, papers: Papers | None = None) -> None:
        key, chain = (papers.key.encode(), papers.certificate.encode()) if papers else (None, None)
        credentials = grpc.ssl_channel_credentials(authorities.encode(), key, chain)
        target, options = target_of(address)
        self._channel: Final = grpc.aio.secure_channel(target, credentials, [*_OPTIONS, *options])

    async def call(self, method: str, request: bytes, within: float) -> bytes:
        """Raises LineBroken."""
        made: Any = self._channel.unary_unary(method)
        try:
            answer: bytes = await made(request, timeout=within)
        except grpc.aio.AioRpcError as error:
            raise _broken(error) from error
        return answer

    def stream(self) -> Stream:
        """Open a stream; nothing is said yet."""
        made: Any = self._channel.stream_stream(CUSTOMERS + "Session")
        return GrpcStream(made())

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


class GrpcStream:
    """One bidirectional call."""

    def __init__(self, call: Any) -> None:
        self._call: Final = call

    async def send(self, frame: bytes) -> None:
        """Raises LineBroken."""
        try:
            await self._call.write(frame)
        except grpc.aio.AioRpcError as error:
            raise _broken(error) from error
        except (grpc.aio.UsageError, grpc.aio.InternalError) as error:
            raise LineBroken("CLOSED", str(error)) from error

    async def receive(self) -> bytes:
        """Raises LineBroken."""
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise _broken(error) from error
        if frame is grpc.aio.EOF:
            raise await self._ended()
        received: bytes = frame
        return received

    async def _ended(self) -> LineBroken:
        code = await self._call.code()
        error = grpc.aio.AioRpcError(
            code,
            await self._call.initial_metadata(),
            await self._call.trailing_metadata(),
            details=await self._call.details(),
        )
        return _broken(error)

    def close(self) -> None:
        """Cancel the call."""
        self._call.cancel()


def _broken(error: grpc.aio.AioRpcError) -> LineBroken:
    reason = error.code().name
    status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]  # AioRpcError has what it asks for
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
            reason = info.reason
    return LineBroken(reason, error.details() or "")
