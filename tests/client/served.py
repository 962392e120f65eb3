"""The fake licd behind real gRPC listeners on loopback, with real TLS both ways."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_status import rpc_status

from licd.client.clock import SystemClock
from licd.client.transport import Method
from licd.core.errors import LicdError
from licd.keys.certificate_request import make_private_key
from licd.keys.identity import ServerIdentity
from licd.keys.pem_files import certificates_to_pem, private_key_to_pem
from licd.keys.pki import Authority, issue_leaf, make_authority
from licd.v1 import session_service_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.wire.errors import to_status
from tests.client.conftest import join_token
from tests.client.fake_licd import DAY, DOMAIN, NOW, FakeLicd
from tests.client.virtual import MemoryNetwork

CUSTOMER_CALLS = (
    Method.OPEN_SESSION,
    Method.ACQUIRE_LEASE,
    Method.RELEASE_LEASE,
    Method.CHECK_LICENCE,
    Method.RENEW_CERTIFICATE,
)


class OffsetClock(SystemClock):
    """This machine's boot clock, with licd's made-up time as the wall clock."""

    def __init__(self) -> None:
        self.begun = self.boot_ms()

    def wall_ms(self) -> int:
        return NOW + self.boot_ms() - self.begun


def chance(count: int) -> bytes:
    return b"\x5a" * count


class ServedLicd:
    """Two listeners. `error` is raised by every call; what goes down streams is counted."""

    def __init__(self, licd: FakeLicd, clock: OffsetClock) -> None:
        real_now = SystemClock().wall_ms()
        self.clock = clock
        life = 2_000 * DAY
        self.authority: Authority = make_authority(DOMAIN, "test", now_ms=real_now, life_ms=life, randomness=chance)
        self.network = MemoryNetwork(licd, clock, self.authority)  # type: ignore[arg-type]
        self.network.certificate_life = 1_000 * DAY
        self.network.certificates_at = SystemClock().wall_ms
        self.licd = licd
        self.error: LicdError | None = None
        self.silent = False
        self.callers: list[dict[str, Any]] = []
        self.down: list[asyncio.Queue[bytes | None]] = []
        self.servers: list[grpc.aio.Server] = []
        self.enrolment_address = ""

    async def start(self) -> None:
        key = make_private_key()
        leaf = issue_leaf(
            self.authority,
            key.public_key(),
            ServerIdentity("one"),
            now_ms=SystemClock().wall_ms(),
            life_ms=DAY,
            randomness=chance,
            addresses=["127.0.0.1"],
        )
        pair = [(private_key_to_pem(key), certificates_to_pem([leaf]))]
        plain = grpc.ssl_server_credentials(pair)
        mutual = grpc.ssl_server_credentials(pair, self.network.authority_pem.encode(), require_client_auth=True)
        self.enrolment_address = await self._serve((Method.ENROL, Method.GET_TRUST_BUNDLE), plain, streams=False)
        self.network.customer_address = await self._serve(CUSTOMER_CALLS, mutual, streams=True)

    async def _serve(self, methods: tuple[Method, ...], credentials: Any, *, streams: bool) -> str:
        server = grpc.aio.server()
        handlers: dict[str, dict[str, Any]] = {}
        for method in methods:
            service, name = method.value[1:].split("/")
            handlers.setdefault(service, {})[name] = grpc.unary_unary_rpc_method_handler(self._unary(method))
        if streams:
            service, name = Method.SESSION.value[1:].split("/")
            handlers[service][name] = grpc.stream_stream_rpc_method_handler(self._session)
        server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(service, each) for service, each in handlers.items())
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        self.servers.append(server)
        return f"127.0.0.1:{port}"

    def _unary(self, method: Method) -> Callable[[bytes, Any], Any]:
        async def handle(request: bytes, context: Any) -> bytes:
            self.callers.append(context.auth_context())
            if self.error is not None:
                await context.abort_with_status(rpc_status.to_status(to_status(self.error)))
            if self.silent:
                await asyncio.Event().wait()
            return self.network.answer(method, request)

        return handle

    async def _session(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        down: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.down.append(down)
        reading = asyncio.create_task(self._read(requests, down))
        try:
            while (frame := await down.get()) is not None:
                yield frame
        finally:
            reading.cancel()
            self.down.remove(down)

    async def _read(self, requests: AsyncIterator[bytes], down: asyncio.Queue[bytes | None]) -> None:
        async for frame in requests:
            request = session_service_pb2.SessionRequest.FromString(frame)
            self.licd.now_ms = self.clock.wall_ms()
            if request.WhichOneof("frame") == "acknowledgement":
                self.licd.acknowledge(request.acknowledgement)
            else:
                reply = self.licd.answer(request.link)
                down.put_nowait(session_service_pb2.SessionResponse(reply=reply).SerializeToString())

    def push(self, envelope: Envelope) -> None:
        self.down[-1].put_nowait(session_service_pb2.SessionResponse(directive=envelope).SerializeToString())

    def join_token(self) -> str:
        """One that leads here."""
        authority = self.authority.certificate.public_bytes(Encoding.DER)
        return join_token(enrolment=self.enrolment_address, ca=base64.b64encode(authority).decode())

    async def stop(self) -> None:
        for server in self.servers:
            await server.stop(None)


@asynccontextmanager
async def served(licd: FakeLicd) -> AsyncIterator[ServedLicd]:
    made = ServedLicd(licd, OffsetClock())
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
