"""Real gRPC on loopback, real TLS both ways, the machine's own clock."""

import asyncio
import random  # noqa: TID251 -- seeded
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from licd.client import sync
from licd.client.callbacks import Callbacks
from licd.client.errors import NoAnswer
from licd.client.grpc_transport import GrpcNetwork
from licd.client.notices import Suspended
from licd.client.pace import Pace
from licd.client.system import System
from licd.client.transport import Credentials, Method
from licd.core.errors import Forbidden, OverQuota
from licd.keys.certificate_request import make_private_key
from licd.keys.pem_files import private_key_to_pem
from tests.client.fake_licd import SYSTEM, FakeLicd
from tests.client.rig import target
from tests.client.served import ServedLicd, served
from tests.client.virtual import AUTHORITY_PEM
from tests.gate.proxy import SlowRoad

PURPOSE = "licd:serious-crime"


@pytest.fixture
async def server(licd: FakeLicd) -> AsyncIterator[ServedLicd]:
    async with served(licd) as made:
        yield made


async def enrolled(server: ServedLicd, directory: Path) -> None:
    name = await System.enrol(server.join_token(), directory, clock=server.clock, randomness=random.Random(1).randbytes)
    assert name == SYSTEM


async def eventually(condition: object) -> None:
    """Wait, within the test's own time limit, until this callable says yes."""
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
            await asyncio.sleep(0)


async def test_a_system_enrols_leases_is_suspended_and_reinstated(
    server: ServedLicd, licd: FakeLicd, tmp_path: Path
) -> None:
    await enrolled(server, tmp_path)
    told: list[Suspended] = []
    settings = Callbacks(on_suspended=told.append)
    async with System.open(tmp_path, clock=server.clock, callbacks=settings) as system:
        async with system.lease(target(), purpose=PURPOSE) as lease:
            assert 0 < lease.check() <= 20_000
            await asyncio.gather(*(system.acquire(target(f"{each}"), purpose=PURPOSE) for each in range(5)))
            server.push(licd.suspend())
            await eventually(lambda: told)
            assert not lease.usable
            await eventually(lambda: licd.acknowledgements)
            server.push(licd.reinstate())
            await eventually(lambda: lease.usable)
        unary = await system.acquire_unary(target("unary"), purpose=PURPOSE)
        assert unary.usable
        await unary.release()
        assert (await system.check_licence()).terms == system.licence
        identity = server.callers[-1]["peer_spiffe_id"]
        assert identity == [b"spiffe://licd.example/customer/acme/system/north"]
        assert await system.renew_certificate()
        await eventually(lambda: system.status.connected)
        assert (await system.acquire(target("after"), purpose=PURPOSE)).usable
    assert licd.seats == {}


async def test_a_stream_that_licd_ends_is_opened_again(server: ServedLicd, licd: FakeLicd, tmp_path: Path) -> None:
    await enrolled(server, tmp_path)
    async with System.open(tmp_path, clock=server.clock, pace=Pace(backoff=2)) as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        links = len(licd.links)
        server.down[-1].put_nowait(None)
        await eventually(lambda: len(licd.links) > links)
        assert lease.usable
        assert licd.sessions == 1


async def test_the_blocking_face_enrols_and_leases_in_threads_of_its_own(
    server: ServedLicd, licd: FakeLicd, tmp_path: Path
) -> None:
    token = server.join_token()
    chance = random.Random(1).randbytes

    def use() -> int:
        sync.System.enrol(token, tmp_path, clock=server.clock, randomness=chance)
        with (
            sync.System.open(tmp_path, clock=server.clock) as system,
            system.lease(target(), purpose=PURPOSE, limit=20) as lease,
        ):
            return lease.check()

    assert 0 < await asyncio.to_thread(use) <= 20_000
    assert licd.seats == {}


async def test_the_errors_of_licd_come_through_and_silence_is_silence(server: ServedLicd) -> None:
    network = GrpcNetwork()
    transport = network.enrolment(server.enrolment_address, server.network.authority_pem)
    server.error = Forbidden("the join token was used already", field="join_secret")
    with pytest.raises(Forbidden, match="used already") as forbidden:
        await transport.call(Method.ENROL, b"", 5_000)
    assert forbidden.value.field == "join_secret"
    server.error = OverQuota("slowly", retry_after=1500)
    with pytest.raises(OverQuota) as quota:
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 5_000)
    assert quota.value.retry_after == 1500
    server.error, server.silent = None, True
    with pytest.raises(NoAnswer, match="DEADLINE"):
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 50)
    waiting = asyncio.create_task(transport.call(Method.GET_TRUST_BUNDLE, b"", 50_000))
    await eventually(lambda: len(server.callers) == 4)
    await transport.close()
    with pytest.raises(NoAnswer):
        await waiting
    with pytest.raises(NoAnswer):
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 50)


async def test_nobody_listening_is_silence() -> None:
    transport = GrpcNetwork().enrolment("127.0.0.1:1", AUTHORITY_PEM)
    with pytest.raises(NoAnswer, match="UNAVAILABLE"):
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 5_000)
    stream = await transport.stream()
    with pytest.raises(NoAnswer):
        await stream.receive()
    with pytest.raises(NoAnswer):
        await stream.send(b"")
    await stream.close()
    await transport.close()


async def test_a_connection_comes_about_over_a_road_on_which_each_round_trip_takes_more_than_a_second(
    server: ServedLicd,
) -> None:
    with SlowRoad(address_of(server.enrolment_address)) as road:
        road.delay = 0.6
        transport = GrpcNetwork().enrolment(f"127.0.0.1:{road.port}", server.network.authority_pem)
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 30_000)
        await transport.close()


async def test_a_dial_is_a_new_attempt_however_often_licd_was_not_there_before(server: ServedLicd) -> None:
    async with Gateway(address_of(server.enrolment_address)) as gateway:
        transport = GrpcNetwork().enrolment(f"127.0.0.1:{gateway.port}", server.network.authority_pem)
        for _ in range(8):
            stream = await transport.stream()
            with pytest.raises(NoAnswer):
                await stream.receive()
            await stream.close()
        tried = gateway.knocks
        assert tried == 8, "each dial is one attempt"
        gateway.open = True
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 5_000)
        assert gateway.knocks == tried + 1
        await transport.close()


def address_of(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


class Gateway:
    """Hangs up on who comes, until it is open; then it carries bytes on."""

    def __init__(self, to: tuple[str, int]) -> None:
        self.to = to
        self.open = False
        self.knocks = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._served: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocks += 1
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        if self.open:
            there, back = await asyncio.open_connection(*self.to)
            await asyncio.gather(self._one_way(reader, back), self._one_way(there, writer))
        writer.close()

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while portion := await reader.read(1 << 16):
                writer.write(portion)
        writer.close()

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._served)


async def test_a_server_of_another_authority_is_not_talked_to(server: ServedLicd) -> None:
    transport = GrpcNetwork().enrolment(server.enrolment_address, AUTHORITY_PEM)
    with pytest.raises(NoAnswer, match="UNAVAILABLE"):
        await transport.call(Method.GET_TRUST_BUNDLE, b"", 5_000)
    await transport.close()
    assert server.callers == []


async def test_who_shows_no_certificate_of_the_installation_does_not_come_in(server: ServedLicd) -> None:
    credentials = Credentials(
        server.network.authority_pem, AUTHORITY_PEM, private_key_to_pem(make_private_key()).decode()
    )
    transport = GrpcNetwork().customers(server.network.customer_address, credentials)
    with pytest.raises(NoAnswer):
        await transport.call(Method.CHECK_LICENCE, b"", 5_000)
    await transport.close()
    assert server.callers == []


async def test_a_message_above_256_kib_is_refused_by_the_sender(server: ServedLicd) -> None:
    transport = GrpcNetwork().enrolment(server.enrolment_address, server.network.authority_pem)
    with pytest.raises(Exception, match="larger than max"):
        await transport.call(Method.GET_TRUST_BUNDLE, b"x" * (256 * 1024 + 1), 5_000)
    await transport.close()
