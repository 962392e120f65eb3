"""Bounded input on the wire: bombs, floods, callers that do not read, and what they cost everybody else: nothing."""

from __future__ import annotations

import gzip
import resource
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import grpc
import pytest

from licd.core.errors import Invalid
from licd.server.caller import Listener
from licd.server.grpc_server import ENROLMENT_LIMIT, MESSAGE_LIMIT, STREAMS
from licd.v1 import session_service_pb2, status_service_pb2
from tests.daemon import PATIENCE, VERBS, Daemon, call, code_of, raw_call
from tests.office import Office
from tests.wired_system import System, acquire, joined, licence_of

STATUS: Final = "StatusService.GetStatus"
BOMB: Final = 192 * 1024 * 1024
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
PING, GOAWAY, SETTINGS = 6, 7, 4
MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE = 3, 6
ENHANCE_YOUR_CALM: Final = 11


def test_a_message_that_is_small_until_it_is_unpacked_is_refused_before_it_is(daemon: Daemon, office: Office):
    """192 MiB of zeros travel as 190 KiB: below the limit of a message, until somebody unpacks them."""
    bomb = bytes(BOMB)
    assert len(gzip.compress(bomb)) < MESSAGE_LIMIT
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ask: Any = office.alice.channel.unary_unary(VERBS[STATUS].path, None, None)
    with pytest.raises(grpc.RpcError) as refused:
        ask(bomb, timeout=PATIENCE, compression=grpc.Compression.Gzip)
    assert code_of(refused.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    # The caller, who is in this process too, holds it once; licd unpacking it would be a second time.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < BOMB // 1024 * 3 // 2, "licd unpacked it"
    office.alice.status()


def test_a_compressed_message_within_the_limit_is_understood(office: Office):
    ask: Any = office.alice.channel.unary_unary(VERBS[STATUS].path, None, VERBS[STATUS].response.FromString)
    assert ask(b"", timeout=PATIENCE, compression=grpc.Compression.Gzip).trust_domain


@pytest.mark.parametrize("listener", list(Listener))
@pytest.mark.parametrize("size", [32 * 1024, 1024 * 1024])
def test_metadata_that_is_too_large_is_refused(daemon: Daemon, office: Office, listener: Listener, size: int):
    papers = {Listener.OPERATOR: office.alice.papers, Listener.CUSTOMER: joined(office).papers}.get(listener)
    verb = {Listener.OPERATOR: STATUS, Listener.CUSTOMER: "SessionService.CheckLicence"}.get(
        listener, "EnrolmentService.GetTrustBundle"
    )
    channel = daemon.channel(listener, papers)
    ask: Any = channel.unary_unary(VERBS[verb].path, None, None)
    with pytest.raises(grpc.RpcError) as refused:
        ask(b"", timeout=PATIENCE, metadata=[("x-much", "x" * size)])
    assert code_of(refused.value) in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    assert raw_call(daemon.channel(listener, papers), verb, b"") is not None


def test_many_small_headers_are_refused_as_one_large_one(daemon: Daemon, office: Office):
    ask: Any = daemon.channel(Listener.OPERATOR, office.alice.papers).unary_unary(VERBS[STATUS].path, None, None)
    with pytest.raises(grpc.RpcError) as refused:
        ask(b"", timeout=PATIENCE, metadata=[(f"x-{number}", "x" * 40) for number in range(2_000)])
    assert code_of(refused.value) in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
    office.alice.status()


DEEP: Final[dict[str, Callable[[int], bytes]]] = {
    "groups": lambda size: bytes([15 << 3 | 3]) * (size // 2) + bytes([15 << 3 | 4]) * (size // 2),
    "groups that do not end": lambda size: bytes([15 << 3 | 3]) * size,
    "a length beyond the end": lambda _: b"\x0a\xff\xff\xff\xff\x0f",
    "a varint without an end": lambda size: b"\x08" + b"\xff" * (size - 1),
}
"""By shape, a message of that many bytes."""


@pytest.mark.parametrize("shape", sorted(DEEP))
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_nesting_and_lengths_without_an_end_are_refused(
    daemon: Daemon, office: Office, customer: System, verb: str, shape: str
):
    channels = {Listener.OPERATOR: office.alice.channel, Listener.CUSTOMER: customer.channel}
    channel = channels.get(VERBS[verb].listener)
    largest = MESSAGE_LIMIT if channel else ENROLMENT_LIMIT
    with pytest.raises(Invalid):
        raw_call(channel or daemon.channel(Listener.ENROLMENT), verb, DEEP[shape](largest))


@pytest.fixture(scope="module")
def customer(daemon: Daemon) -> System:
    made = joined(Office(daemon))
    made.open(acquire(1))
    return made


# ------------------------------------------------------------------------------------------- streams and connections
class Pushing:
    """Sends the same link for as long as it is taken, and reads nothing."""

    def __init__(self, daemon: Daemon, system: System, most: int) -> None:
        link = session_service_pb2.SessionRequest(link=system.link()).SerializeToString()
        self.taken = 0
        self._most = most
        self._over = threading.Event()
        # A window that does not grow: what is not read fills it at once, and not after megabytes.
        papers = system.papers
        credentials = grpc.ssl_channel_credentials(daemon.authority, papers.key, papers.chain)
        window = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 64 * 1024)]
        channel: Any = grpc.secure_channel(daemon.address(Listener.CUSTOMER), credentials, window)
        self.call = channel.stream_stream(VERBS["SessionService.Session"].path, None, None)(
            self._frames(link), timeout=60
        )

    def _frames(self, link: bytes) -> Iterator[bytes]:
        while self.taken < self._most and not self._over.is_set():
            self.taken += 1
            yield link

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.call.cancel()


def test_a_system_that_never_reads_its_stream_is_not_read_from_either(daemon: Daemon, office: Office):
    """Replies wait for their reader, and the next link for the reply: nothing piles up in licd."""
    deaf, other = joined(office), joined(office)
    deaf.open()
    other.open()
    most = 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Pushing(daemon, deaf, most) as pushing, other.stream() as stream:
        seen = -1
        while pushing.taken != seen:  # until twenty beats of somebody else go by and nothing more was taken
            seen = pushing.taken
            for _ in range(20):
                stream.beat()
        assert 0 < pushing.taken < most
        assert pushing.call.is_active(), "it was ended, not held up"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024
    office.alice.status()


def test_one_system_has_one_stream_however_many_it_opens(daemon: Daemon, office: Office):
    system = joined(office)
    system.open()
    streams = [system.stream() for _ in range(40)]
    with streams[-1] as newest:
        newest.beat()
        for each in streams[:-1]:
            each.rest()
        assert len(daemon.up.daemon.push._by_licence[licence_of(office, system)]) == 1
        newest.beat()


@contextmanager
def raw_connection(daemon: Daemon, office: Office) -> Iterator[ssl.SSLSocket]:
    """A connection to the operators' listener on which a test speaks HTTP/2 itself."""
    folder: Path = daemon.state.operator("alice")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=daemon.authority.decode())
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(folder / "tls.pem", folder / "tls.key")
    host, _, port = daemon.address(Listener.OPERATOR).rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname=host) as secure,
    ):
        secure.sendall(PREFACE)
        yield secure


def frames(secure: ssl.SSLSocket) -> Iterator[tuple[int, bytes]]:
    """Types and payloads of the frames that come, until the connection ends."""
    data = b""
    while chunk := secure.recv(65536):
        data += chunk
        while len(data) >= 9 and len(data) >= 9 + (length := int.from_bytes(data[:3], "big")):
            yield data[3], data[9 : 9 + length]
            data = data[9 + length :]


def test_a_connection_is_told_how_many_calls_and_how_much_metadata_it_may_have(daemon: Daemon, office: Office):
    with raw_connection(daemon, office) as secure:
        payload = next(payload for kind, payload in frames(secure) if kind == SETTINGS and payload)
    told = dict(struct.iter_unpack(">HI", payload))
    assert told[MAX_CONCURRENT_STREAMS] == STREAMS == 256
    assert told[MAX_HEADER_LIST_SIZE] <= 16 * 1024


def test_a_flood_of_pings_ends_its_connection_alone(daemon: Daemon, office: Office):
    ping = bytes([0, 0, 8, PING, 0, 0, 0, 0, 0]) + bytes(8)
    with raw_connection(daemon, office) as secure:
        secure.sendall(ping * 100)
        reasons = [struct.unpack(">II", payload[:8])[1] for kind, payload in frames(secure) if kind == GOAWAY]
    assert ENHANCE_YOUR_CALM in reasons
    office.alice.status()


def test_callers_who_say_nothing_keep_nobody_out(daemon: Daemon, office: Office):
    """Two hundred connections that never finish a handshake."""
    host, _, port = daemon.address(Listener.OPERATOR).rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=PATIENCE) for _ in range(200)]
    try:
        channel = daemon.channel(Listener.OPERATOR, office.alice.papers)
        assert call(channel, STATUS, status_service_pb2.GetStatusRequest()).trust_domain
    finally:
        for each in silent:
            each.close()
