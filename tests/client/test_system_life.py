"""How a system closes, crashes, fails and keeps itself fresh: the asynchronous face on a virtual clock."""

import asyncio
import gc
import random  # noqa: TID251 -- seeded

import pytest

from licd.client.answers import Denied, Reason
from licd.client.errors import DirectoryInUse, LeaseDenied, LeaseStopped, NoAnswer, NotEnrolled, SystemClosed
from licd.client.lease import Lease
from licd.client.status import InForce
from licd.client.system import System
from licd.client.transport import Method
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.kinds import KeyPurpose
from tests.client.conftest import Opened
from tests.client.fake_licd import ISSUER, NOW, SECOND, SYSTEM, FakeLicd, bundle_envelope, key, made_signer
from tests.client.rig import BOOT, target
from tests.client.virtual import AUTHORITY_PEM, MemoryDisk, MemoryNetwork, VirtualClock, settle

randbytes = random.Random(3).randbytes
PURPOSE = "licd:serious-crime"


def usable(lease: Lease) -> bool:
    return lease.usable


async def test_a_failure_in_the_background_stops_every_lease_and_says_so(
    opened: Opened, network: MemoryNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        network.streams[-1].down.put_nowait(ZeroDivisionError("nobody foresaw this"))
        await settle()
        assert not usable(lease)
        with pytest.raises(LeaseStopped, match="CLOSED"):
            lease.check()
        assert isinstance(system.status.failure, ZeroDivisionError)
        with pytest.raises(SystemClosed):
            await system.wait_closed()
        with pytest.raises(SystemClosed):
            await system.acquire(target("other"), purpose=PURPOSE)
        await system.close()
    assert "nobody foresaw this" in caplog.text


async def test_closing_gives_everything_back_and_wakes_who_waits(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, disk: MemoryDisk, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        closed = asyncio.create_task(system.wait_closed())
        await system.close()
        await closed
        assert not usable(lease)
        assert licd.seats == {}
        assert not disk.locked
        assert network.streams == []
        assert (await lease.release()).free_at == 0
        with pytest.raises(SystemClosed):
            await system.acquire(target("other"), purpose=PURPOSE)
        with pytest.raises(SystemClosed):
            await system.start()
    assert clock.now == BOOT


async def test_closing_without_contact_takes_no_time(
    opened: Opened, network: MemoryNetwork, clock: VirtualClock
) -> None:
    async with opened() as system:
        network.cut()
        await settle()
        await system.close()
    assert clock.now == BOOT


async def test_a_crash_leaves_a_chain_that_goes_on(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, disk: MemoryDisk, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        network.lose_replies = True
        waiting = asyncio.create_task(system.acquire(target("other"), purpose=PURPOSE))
        await settle()
        await system.abandon()
        assert not usable(lease)
        with pytest.raises(SystemClosed):
            await waiting
    network.lose_replies = False
    async with opened() as again:
        assert again.status.connected
        assert licd.links[-1].HasField("opening")
        assert licd.seats == {}
        assert [link.sequence for link in licd.links] == list(range(1, len(licd.links) + 1))


async def test_nothing_is_sent_that_could_not_be_written_down(
    opened: Opened, licd: FakeLicd, disk: MemoryDisk, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        received = licd.received
        disk.fails = OSError(28, "no space left on device")
        await clock.advance(19 * SECOND)
        assert licd.received == received
        assert usable(lease)
        await clock.advance(SECOND)
        assert not usable(lease)
        disk.fails = None
        await clock.advance(10 * SECOND)
        assert licd.received > received
        assert (await system.acquire(target(), purpose=PURPOSE)).usable
        assert system.status.failure is None


async def test_a_disk_that_hangs_does_not_keep_a_lease_from_stopping(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, disk: MemoryDisk, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        stuck = asyncio.Event()
        disk.gate = stuck.wait  # type: ignore[assignment]
        await clock.advance(6 * SECOND)
        assert usable(lease)
        network.push(licd.suspend())
        await settle()
        assert not usable(lease)
        assert licd.acknowledgements == []
        stuck.set()
        await settle()
        assert len(licd.acknowledgements) == 1
        disk.gate = None


async def test_closing_does_not_wait_for_ever_for_a_disk_that_hangs(
    opened: Opened, disk: MemoryDisk, clock: VirtualClock
) -> None:
    async with opened() as system:
        await system.acquire(target(), purpose=PURPOSE)
        disk.gate = asyncio.Event().wait  # type: ignore[assignment]
        closing = asyncio.create_task(system.close())
        await clock.advance(10 * SECOND)
        assert closing.done()
        disk.gate = None


async def test_a_machine_restored_on_another_host_stops_at_its_next_tick(opened: Opened, clock: VirtualClock) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        clock.boot = "boot-2"
        await clock.advance(6 * SECOND)
        with pytest.raises(LeaseStopped, match="REBOOTED"):
            lease.check()
        assert (await system.acquire(target(), purpose=PURPOSE)).usable


async def test_a_unary_lease_holds_for_the_permit_length_and_is_given_back(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire_unary(target(), purpose=PURPOSE, region="DE")
        assert lease.check() == 20 * SECOND
        assert lease.number in licd.seats
        await lease.release()
        await settle()
        assert Method.RELEASE_LEASE in network.calls
        assert licd.seats == {}
        assert not usable(lease)


async def test_a_unary_denial_and_silence_are_told_apart(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork
) -> None:
    async with opened() as system:
        licd.cap = 0
        with pytest.raises(LeaseDenied, match="CONCURRENT_CAP"):
            await system.acquire_unary(target(), purpose=PURPOSE)
        network.reachable = False
        with pytest.raises(NoAnswer):
            await system.acquire_unary(target(), purpose=PURPOSE)


async def test_asks_how_the_licence_stands(opened: Opened, licd: FakeLicd) -> None:
    async with opened() as system:
        licd.revision = 2
        check = await system.check_licence()
        assert isinstance(check.standing, InForce)
        assert (check.standing.epoch, check.standing.limit) == (1, 10)
        assert check.terms is not None
        assert check.terms.revision == system.licence.revision == system.status.licence_revision == 2
        licd.suspend()
        check = await system.check_licence()
        assert isinstance(check.standing, Denied)
        assert check.standing.reason is Reason.LICENCE_SUSPENDED


async def test_the_certificate_is_renewed_at_two_thirds_of_its_life_and_kept(
    opened: Opened, network: MemoryNetwork, clock: VirtualClock, disk: MemoryDisk
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        before = disk.files["1.channel"]
        await clock.advance(network.certificate_life * 2 // 3 - 60 * SECOND)
        assert Method.RENEW_CERTIFICATE not in network.calls
        await clock.advance(120 * SECOND)
        assert network.calls.count(Method.RENEW_CERTIFICATE) == 1
        assert disk.files["1.channel"] != before
        assert network.credentials[-1].certificate_chain != network.credentials[-2].certificate_chain
        await clock.advance(10 * SECOND)
        assert usable(lease)
        assert system.status.connected
        assert network.closed == 2  # after enrolling, and the connection with the old certificate
        assert await system.renew_certificate()


async def test_a_certificate_for_another_key_is_not_taken(
    opened: Opened, network: MemoryNetwork, disk: MemoryDisk
) -> None:
    async with opened() as system:
        before = disk.files["1.channel"]
        another = make_request(make_private_key())
        honest = network.leaf
        network.leaf = lambda csr: honest(another)  # type: ignore[method-assign]
        assert not await system.renew_certificate()
        assert disk.files["1.channel"] == before
        assert len(network.credentials) == 1


async def test_newer_keys_are_fetched_from_the_enrolment_listener_and_kept(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, clock: VirtualClock, disk: MemoryDisk
) -> None:
    fresh = made_signer(KeyPurpose.PERMIT_ONLINE, "next")
    network.bundles.append(bundle_envelope(2, keys=[key(fresh), key(ISSUER)]))
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        await clock.advance(60 * SECOND)
        licd.signer, licd.bundle_version = fresh, 2
        await clock.advance(45 * SECOND)
        assert system.status.bundle_version == 2
        assert lease.check() > 60 * SECOND
    async with opened() as again:
        assert again.status.bundle_version == 2


async def test_authorities_of_a_newer_bundle_are_accepted_and_one_that_it_drops_is_not_any_more(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        both = [AUTHORITY_PEM, "another authority"]
        network.bundles.append(bundle_envelope(2, tls_authorities_pem=both))
        licd.bundle_version = 2
        await clock.advance(10 * SECOND)
        assert "another authority" in network.credentials[-1].authorities
        assert AUTHORITY_PEM.strip() in network.credentials[-1].authorities
        assert usable(lease)
        assert system.status.connected
        network.bundles.append(bundle_envelope(3, tls_authorities_pem=["another authority"]))
        licd.bundle_version = 3
        await clock.advance(60 * SECOND)
        assert AUTHORITY_PEM.strip() in network.authorities[-1]  # where bundle 3 was had from
        assert network.credentials[-1].authorities == "another authority\n"
        licd.bundle_version = 4
        await clock.advance(60 * SECOND)
        assert network.authorities[-1] == "another authority\n"
    async with opened():
        assert network.credentials[-1].authorities == "another authority\n"
        assert len(network.credentials) == 4


async def test_keys_that_are_needed_at_once_are_fetched_at_once(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, clock: VirtualClock
) -> None:
    fresh = made_signer(KeyPurpose.PERMIT_ONLINE, "next")
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        network.bundles.append(bundle_envelope(2, keys=[key(fresh), key(ISSUER)]))
        licd.signer = fresh
        await clock.advance(15 * SECOND)
        assert system.status.bundle_version == 2
        assert usable(lease)


async def test_the_journal_head_rides_in_every_link(opened: Opened, licd: FakeLicd, clock: VirtualClock) -> None:
    async with opened() as system:
        system.journal_grew(7, b"r" * 32)
        await clock.advance(5 * SECOND)
        assert (licd.links[-1].journal.size, licd.links[-1].journal.root) == (7, b"r" * 32)


async def test_a_directory_is_open_once(opened: Opened, disk: MemoryDisk, network: MemoryNetwork) -> None:
    async with opened():
        second = System.open("unused", disk=disk, network=network)
        with pytest.raises(DirectoryInUse):
            await second.start()
    assert not disk.locked


async def test_an_empty_directory_holds_no_system(network: MemoryNetwork) -> None:
    empty = MemoryDisk()
    with pytest.raises(NotEnrolled):
        await System.open("unused", disk=empty, network=network).start()
    assert not empty.locked


async def test_a_system_that_is_not_open_says_so(network: MemoryNetwork, disk: MemoryDisk) -> None:
    system = System.open("unused", disk=disk, network=network)
    with pytest.raises(SystemClosed, match="not open"):
        await system.acquire(target(), purpose=PURPOSE)


async def test_says_who_it_is(opened: Opened) -> None:
    async with opened() as system:
        status = system.status
        assert (system.name, status.system, status.session) == (SYSTEM, SYSTEM, "session-1")
        assert (status.links, status.last_decided, status.dropped) == (1, NOW, {})


async def test_an_idle_system_is_two_tasks(opened: Opened) -> None:
    before = len(asyncio.all_tasks())
    async with opened() as system:
        await system.acquire(target(), purpose=PURPOSE)
        await settle()
        assert len(asyncio.all_tasks()) - before == 2


@pytest.mark.parametrize("steps", range(30))
async def test_a_crash_at_any_step_of_the_loop_leaves_nothing_that_was_not_awaited(
    disk: MemoryDisk, network: MemoryNetwork, clock: VirtualClock, steps: int
) -> None:
    """What was about to be asked of licd is not asked, and Python has nothing to warn of."""
    system = System.open("unused", region="DE", disk=disk, network=network, clock=clock, randomness=randbytes)
    await system.start()
    for _ in range(steps):
        await asyncio.sleep(0)
    await system.abandon()
    gc.collect()
