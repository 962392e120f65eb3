"""Real gRPC on loopback, real TLS both ways, the machine's own clock."""

import asyncio
import random  # noqa: TID251 -- seeded
from collections.abc import AsyncIterator
from pathlib import Path

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
