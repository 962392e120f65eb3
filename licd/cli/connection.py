"""One channel to the operators' listener: mTLS, one attempt, one line when it fails."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import grpc

from licd.cli.failure import Exit, Stopped
from licd.cli.settings import Settings
from licd.core.time import SECOND, Millis
from licd.keys.private_file import read_private
from licd.wire.errors import from_rpc_error

DEADLINE: Final[Millis] = 20 * SECOND
"""How long one answer may take."""
_MAX_PEM_BYTES: Final = 1 << 16
_MAX_MESSAGE_BYTES: Final = 64 << 20
_MAX_DETAIL: Final = 300

Q = TypeVar("Q")
R = TypeVar("R")


def open_channel(settings: Settings) -> grpc.Channel:
    """A channel that shows the operator's certificate and takes none but its authority's from the other side.

    Raises KeyFileError when others may read the private key, OSError when a file cannot be read.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=settings.ca.read_bytes(),
        private_key=read_private(settings.key, _MAX_PEM_BYTES),
        certificate_chain=settings.certificate.read_bytes(),
    )
    options: list[tuple[str, Any]] = [
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ]
    return grpc.secure_channel(settings.address, credentials, options)


def ask(method: "grpc.UnaryUnaryMultiCallable[Q, R]", request: Q, address: str, deadline: Millis = DEADLINE) -> R:
    """One call. Raises LicdError with licd's reason, Stopped(UNREACHABLE) when there is no answer."""
    try:
        return method(request, timeout=deadline / SECOND)
    except grpc.RpcError as error:
        raise _foreseen(error, address, deadline) from error


def stream(method: "grpc.UnaryStreamMultiCallable[Q, R]", request: Q, address: str) -> Iterator[R]:
    """One call with many answers, without a deadline. Raises as `ask` does, also in the middle."""
    try:
        yield from method(request)
    except grpc.RpcError as error:
        raise _foreseen(error, address, 0) from error


def _foreseen(error: Any, address: str, deadline: Millis) -> Exception:
    known = from_rpc_error(error)
    if known is not None:
        return known
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        seconds = deadline // SECOND
        message = f"no answer from licd at {address} within {seconds} s: whether it was done cannot be told from here"
        return Stopped(Exit.UNREACHABLE, message)
    detail = " ".join((error.details() or "").split())[:_MAX_DETAIL]
    return Stopped(Exit.UNREACHABLE, f"cannot reach licd at {address}" + (f": {detail}" if detail else ""))
