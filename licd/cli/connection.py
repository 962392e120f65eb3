"""One channel to the operators' listener: mTLS, one attempt, one line when it fails."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

import grpc

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.settings import Settings
from licd.cli.times import instant_of, when
from licd.core.time import SECOND, Instant, Millis
from licd.keys.pem_files import certificates_from_pem
from licd.keys.pki import CertificateError
from licd.keys.private_file import read_private
from licd.wire.errors import from_rpc_error

DEADLINE: Final[Millis] = 20 * SECOND
"""How long one answer may take."""
CONNECTED_WITHIN: Final[Millis] = 5 * SECOND
"""How long the first of several replicas may take to be there."""
_MAX_PEM_BYTES: Final = 1 << 16
_MAX_MESSAGE_BYTES: Final = 64 << 20
_MAX_DETAIL: Final = 300

Q = TypeVar("Q")
R = TypeVar("R")


def open_channel(settings: Settings) -> grpc.Channel:
    """A channel that shows the operator's certificate and takes none but its authority's from the other side.

    Of several addresses, with commas between them, it goes to the replica that is there first.

    Raises Stopped(USAGE) for a file without certificates, KeyFileError when others may read the private key, OSError.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(settings.ca, "ca"),
        private_key=read_private(settings.key, _MAX_PEM_BYTES),
        certificate_chain=_pem(settings.certificate, "certificate"),
    )
    options: list[tuple[str, Any]] = [
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ]
    replicas = [grpc.secure_channel(each.strip(), credentials, options) for each in settings.address.split(",")]
    return replicas[0] if len(replicas) == 1 else _first_there(replicas)


def _first_there(replicas: Sequence[grpc.Channel]) -> grpc.Channel:
    """The one that is connected first: all are tried at once, because a suspension does not wait for the dead."""
    connected: SimpleQueue[grpc.Channel] = SimpleQueue()

    def told(channel: grpc.Channel, state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.READY:
            connected.put(channel)

    for each in replicas:
        each.subscribe(partial(told, each), try_to_connect=True)
    try:
        chosen = connected.get(timeout=CONNECTED_WITHIN / SECOND)
    except Empty:
        chosen = replicas[0]  # asked, it says what is in the way
    for each in replicas:
        if each is not chosen:
            each.close()
    return chosen


def certificate_warning(settings: Settings, now: Instant) -> str:
    """What is wrong with the operator's certificate by this machine's clock, which may itself be wrong; or nothing."""
    leaf = certificates_from_pem(_pem(settings.certificate, "certificate"))[0]
    ends = instant_of(leaf.not_valid_after_utc)
    return f"{settings.certificate}: your certificate ran out, {when(ends, now)}" if ends <= now else ""


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


def _pem(path: Path, setting: str) -> bytes:
    data = read_input(path)
    try:
        certificates_from_pem(data)
    except CertificateError as error:
        raise Stopped(Exit.USAGE, f"{setting}: {path}: {error}") from error
    return data


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
