"""The error family ⇄ gRPC status, both ways, in one file (AIP-193: one ErrorInfo, one of each detail type)."""

from __future__ import annotations

from typing import Final, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from licd.core.errors import BY_CODE, Code, LicdError

DOMAIN: Final = "licd"
TEXT_LIMIT: Final = 1200

STATUS: Final[dict[Code, grpc.StatusCode]] = {
    Code.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Code.CONFLICT: grpc.StatusCode.ABORTED,
    Code.ILLEGAL_TRANSITION: grpc.StatusCode.FAILED_PRECONDITION,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Code.REQUEST_ID_REUSED: grpc.StatusCode.INVALID_ARGUMENT,
    Code.REQUEST_TOO_OLD: grpc.StatusCode.OUT_OF_RANGE,
    Code.OVER_QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.SEAL_INVALID: grpc.StatusCode.PERMISSION_DENIED,
    Code.FORKED: grpc.StatusCode.ABORTED,
    Code.STALE_FRAME: grpc.StatusCode.ABORTED,
    Code.CLOCK_DOUBTED: grpc.StatusCode.UNAVAILABLE,
    Code.DISK_FULL: grpc.StatusCode.UNAVAILABLE,
    Code.HELD: grpc.StatusCode.UNAVAILABLE,
    Code.BEHIND: grpc.StatusCode.UNAVAILABLE,
    Code.SHUTTING_DOWN: grpc.StatusCode.UNAVAILABLE,
    Code.DATABASE: grpc.StatusCode.UNAVAILABLE,
    Code.INTERNAL: grpc.StatusCode.INTERNAL,
}

_MILLIS: Final = 1000
_NANOS_PER_MILLI: Final = 1_000_000


def to_status(error: LicdError) -> status_pb2.Status:
    """The status a caller gets: code, words, and what a program can act on."""
    details = [_packed(error_details_pb2.ErrorInfo(reason=error.code.value, domain=DOMAIN))]
    if error.field:
        field, description = _short(error.field), _short(error.detail)
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if error.retry_after:
        seconds, millis = divmod(error.retry_after, _MILLIS)
        delay = duration_pb2.Duration(seconds=seconds, nanos=millis * _NANOS_PER_MILLI)
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=STATUS[error.code].value[0], message=_short(str(error)), details=details)


def _short(text: str) -> str:
    """Cut to fit: errors travel in headers, 8 KiB for all of them, where what is not plain takes more bytes."""
    used = 0
    for at, letter in enumerate(text):
        used += 1 if " " <= letter <= "~" else 3 * len(letter.encode())
        if used > TEXT_LIMIT:
            return text[:at] + "…"
    return text


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def from_status(status: status_pb2.Status) -> LicdError:
    """The error a status stands for; one that licd did not make is told apart by its gRPC code alone."""
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for kind in (info, request, retry):
            if detail.Is(kind.DESCRIPTOR):
                _unpack(detail, kind)
    field = request.field_violations[0].field if request.field_violations else ""
    text = request.field_violations[0].description if request.field_violations else status.message
    delay = retry.retry_delay.seconds * _MILLIS + retry.retry_delay.nanos // _NANOS_PER_MILLI
    code = Code(info.reason) if info.domain == DOMAIN and info.reason in Code.__members__ else _code_of(status.code)
    return BY_CODE[code](text, field=field, retry_after=delay)


def _unpack(detail: any_pb2.Any, into: Message) -> None:
    """Leaves it empty when what claims to be one cannot be read: not everything that answers is licd."""
    try:
        detail.Unpack(into)
    except DecodeError:
        into.Clear()


def _code_of(number: int) -> Code:
    match number:
        case code_pb2.INVALID_ARGUMENT:
            return Code.INVALID
        case code_pb2.NOT_FOUND:
            return Code.NOT_FOUND
        case code_pb2.UNAUTHENTICATED:
            return Code.UNAUTHENTICATED
        case code_pb2.PERMISSION_DENIED | code_pb2.UNIMPLEMENTED:
            return Code.FORBIDDEN
        case code_pb2.RESOURCE_EXHAUSTED:
            return Code.OVER_QUOTA
        case _:
            return Code.INTERNAL


def from_rpc_error(error: grpc.RpcError) -> LicdError | None:
    """The error behind a failed call; None when the call never reached licd or has no answer (silence)."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return None
    try:
        status = rpc_status.from_call(cast("grpc.Call", error))
    except (ValueError, DecodeError):  # code and details differ, or are none: something on the way had its own word
        status = None
    if status is not None:
        return from_status(status)
    number = error.code().value[0]
    if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}:
        return None
    return from_status(status_pb2.Status(code=number, message=error.details() or ""))
