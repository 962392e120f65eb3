"""Time, disk and network of the shell's tests: all in memory, all told what to do."""

import asyncio
from collections.abc import Awaitable, Callable

from licd.client.errors import DirectoryInUse, NoAnswer
from licd.client.transport import Credentials, Method, Stream, Transport
from licd.keys.certificate_request import check_request
from licd.keys.identity import SystemIdentity
from licd.keys.pem_files import certificates_to_pem
from licd.keys.pki import Authority, issue_leaf, make_authority
from licd.v1 import denial_pb2, enrolment_service_pb2, session_pb2, session_service_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain
from tests.client.fake_licd import (
    DAY,
    DOMAIN,
    LICENCE,
    NOW,
    SYSTEM,
    FakeLicd,
    bundle_envelope,
    licence_envelope,
)
from tests.client.rig import BOOT


class VirtualClock:
    """Moves only when told to, and wakes who sleeps on the way."""

    def __init__(self) -> None:
        self.now = BOOT
        self.boot = "boot-1"
        self.sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def boot_ms(self) -> int:
        return self.now

    def wall_ms(self) -> int:
        return NOW + self.now - BOOT

    def boot_id(self) -> str:
        return self.boot

    async def sleep_until(self, boot_ms: int) -> None:
        if boot_ms <= self.now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.append((boot_ms, future))
        await future

    async def advance(self, duration: int) -> None:
        until = self.now + duration
        await settle()
        while due := [at for at, future in self.sleepers if at <= until and not future.done()]:
            self.now = max(self.now, min(due))
            for at, future in self.sleepers:
                if at <= self.now and not future.done():
                    future.set_result(None)
            self.sleepers = [each for each in self.sleepers if not each[1].done()]
            await settle()
        self.now = until
        await settle()


async def settle() -> None:
    """Let every task run until each waits for something."""
    for _ in range(60):
        await asyncio.sleep(0)


class MemoryDisk:
    """Files in a dictionary. `gate` is awaited before each write; `fails` makes writes raise; `writes` counts them."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = files if files is not None else {}
        self.locked = False
        self.fails: OSError | None = None
        self.gate: Callable[[], Awaitable[None]] | None = None
        self.writes = 0

    def lock(self) -> None:
        if self.locked:
            raise DirectoryInUse("in use")
        self.locked = True

    def unlock(self) -> None:
        self.locked = False

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    async def replace(self, name: str, data: bytes) -> None:
        await self._before()
        self.files[name] = data

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        await self._before()
        old = self.files[name]
        assert offset + len(data) <= len(old), "written past the end of the file"
        self.files[name] = old[:offset] + data + old[offset + len(data) :]

    async def remove(self, name: str) -> None:
        await self._before()
        self.files.pop(name, None)

    async def _before(self) -> None:
        if self.gate is not None:
            await self.gate()
        if self.fails is not None:
            raise self.fails
        self.writes += 1


def made_authority() -> Authority:
    counter = iter(range(1, 1000))
    return make_authority(
        DOMAIN, "test", now_ms=NOW, life_ms=365 * DAY, randomness=lambda count: next(counter).to_bytes(count, "big")
    )


AUTHORITY = made_authority()
AUTHORITY_PEM = certificates_to_pem([AUTHORITY.certificate]).decode()


class MemoryNetwork:
    """Both listeners of a licd for one system, without a wire in between."""

    def __init__(self, licd: FakeLicd, clock: VirtualClock, authority: Authority = AUTHORITY) -> None:
        self.licd = licd
        self.clock = clock
        self.authority = authority
        self.authority_pem = certificates_to_pem([authority.certificate]).decode()
        self.customer_address = "licd.example:7002"
        self.certificates_at: Callable[[], int] = clock.wall_ms
        self.reachable = True
        self.lose_replies = False
        self.streams: list[MemoryStream] = []
        self.calls: list[Method] = []
        self.credentials: list[Credentials] = []
        self.authorities: list[str] = []
        self.error: BaseException | None = None
        """Raised by the next calls instead of an answer."""
        self.bundles = [bundle_envelope()]
        self.certificate_life = 1_800 * 1_000
        self.spoil: Callable[[enrolment_service_pb2.EnrolResponse], None] = lambda response: None
        self.enrolled: list[enrolment_service_pb2.EnrolRequest] = []
        self.closed = 0

    def enrolment(self, address: str, authority: str) -> Transport:
        assert address == "licd.example:7001"
        self.authorities.append(authority)
        return MemoryTransport(self)

    def customers(self, address: str, credentials: Credentials) -> Transport:
        assert address == "licd.example:7002"
        self.credentials.append(credentials)
        return MemoryTransport(self)

    def answer(self, method: Method, request: bytes) -> bytes:
        self.licd.now_ms = self.clock.wall_ms()
        match method:
            case Method.ENROL:
                return self._enrol(enrolment_service_pb2.EnrolRequest.FromString(request)).SerializeToString()
            case Method.GET_TRUST_BUNDLE:
                held = enrolment_service_pb2.GetTrustBundleRequest.FromString(request).held_version
                trust = TrustBundleChain(bundles=self.bundles[held:])
                return enrolment_service_pb2.GetTrustBundleResponse(trust=trust).SerializeToString()
            case Method.OPEN_SESSION:
                opening = session_service_pb2.OpenSessionRequest.FromString(request)
                reply = self.licd.answer(opening.link)
                return session_service_pb2.OpenSessionResponse(reply=reply).SerializeToString()
            case Method.CHECK_LICENCE:
                return self._check_licence().SerializeToString()
            case Method.RENEW_CERTIFICATE:
                csr = session_service_pb2.RenewCertificateRequest.FromString(request).csr
                return session_service_pb2.RenewCertificateResponse(
                    certificate_chain_pem=self.leaf(csr), authorities_pem=self.authority_pem
                ).SerializeToString()
            case Method.ACQUIRE_LEASE:
                return self._acquire(session_service_pb2.AcquireLeaseRequest.FromString(request)).SerializeToString()
            case Method.RELEASE_LEASE:
                released = session_service_pb2.ReleaseLeaseRequest.FromString(request)
                self.licd.seats.pop(released.lease, None)
                return session_service_pb2.ReleaseLeaseResponse().SerializeToString()
            case Method.SESSION:
                raise AssertionError("the stream is no call")

    def _enrol(self, request: enrolment_service_pb2.EnrolRequest) -> enrolment_service_pb2.EnrolResponse:
        self.enrolled.append(request)
        receipt = session_pb2.EnrolmentReceipt(
            system=SYSTEM, licence=LICENCE, enrolment=str(len(self.enrolled)), public_key=request.public_key
        ).SerializeToString()
        response = enrolment_service_pb2.EnrolResponse(
            system=SYSTEM,
            certificate_chain_pem=self.leaf(request.csr),
            receipt=receipt,
            trust=TrustBundleChain(bundles=self.bundles),
            licence=licence_envelope(),
            authorities_pem=self.authority_pem,
            customer_address=self.customer_address,
        )
        self.spoil(response)
        self.licd.enrol(request.public_key, receipt)
        return response

    def leaf(self, csr: bytes) -> str:
        leaf = issue_leaf(
            self.authority,
            check_request(csr),
            SystemIdentity("acme", "north"),
            now_ms=self.certificates_at(),
            life_ms=self.certificate_life,
            randomness=lambda count: b"\x11" * count,
        )
        return certificates_to_pem([leaf]).decode()

    def _check_licence(self) -> session_service_pb2.CheckLicenceResponse:
        licence = licence_envelope(revision=self.licd.revision)
        if self.licd.refused is not None:
            return session_service_pb2.CheckLicenceResponse(denial=self.licd.refused, licence=licence)
        standing = session_service_pb2.Standing(epoch=self.licd.epoch, live=len(self.licd.seats), limit=self.licd.cap)
        return session_service_pb2.CheckLicenceResponse(standing=standing, licence=licence)

    def _acquire(self, request: session_service_pb2.AcquireLeaseRequest) -> session_service_pb2.AcquireLeaseResponse:
        return self.licd.answer_unary(request)

    def push(self, envelope: Envelope) -> None:
        """Send a directive down the open stream."""
        frame = session_service_pb2.SessionResponse(directive=envelope).SerializeToString()
        self.streams[-1].down.put_nowait(frame)

    def cut(self) -> None:
        """Every stream breaks, and nothing gets through."""
        self.reachable = False
        for stream in self.streams:
            stream.down.put_nowait(NoAnswer("cut"))
        self.streams.clear()


class MemoryTransport:
    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network

    async def call(self, method: Method, request: bytes, within: int) -> bytes:
        network = self.network
        network.calls.append(method)
        await asyncio.sleep(0)
        if network.error is not None:
            raise network.error
        if not network.reachable:
            raise NoAnswer("unreachable")
        answer = network.answer(method, request)
        if network.lose_replies:
            await network.clock.sleep_until(network.clock.now + within)
            raise NoAnswer("timed out")
        return answer

    async def stream(self) -> Stream:
        await asyncio.sleep(0)
        if not self.network.reachable:
            raise NoAnswer("unreachable")
        stream = MemoryStream(self.network)
        self.network.streams.append(stream)
        return stream

    async def close(self, within: int = 0) -> None:
        self.network.closed += 1


class MemoryStream:
    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network
        self.down: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    async def send(self, frame: bytes) -> None:
        network = self.network
        await asyncio.sleep(0)
        if self not in network.streams:
            raise NoAnswer("the stream has ended")
        network.licd.now_ms = network.clock.wall_ms()
        request = session_service_pb2.SessionRequest.FromString(frame)
        if request.WhichOneof("frame") == "acknowledgement":
            network.licd.acknowledge(request.acknowledgement)
            return
        reply = network.licd.answer(request.link)
        if not network.lose_replies:
            self.down.put_nowait(session_service_pb2.SessionResponse(reply=reply).SerializeToString())

    async def receive(self) -> bytes | None:
        frame = await self.down.get()
        if isinstance(frame, Exception):
            raise frame
        return frame

    async def close(self) -> None:
        if self in self.network.streams:
            self.network.streams.remove(self)


def suspended() -> denial_pb2.Denial:
    return denial_pb2.Denial(reason=denial_pb2.DENIAL_REASON_LICENCE_SUSPENDED, detail="suspected misuse")
