"""The asynchronous face, on a virtual clock, over a network and a disk in memory."""

import asyncio
import logging
from typing import Any

import pytest

from licd.client.answers import Authorisation, Basis, Denied, Reason, StopCause
from licd.client.callbacks import Callbacks
from licd.client.errors import DirectoryInUse, LeaseDenied, LeaseStopped, NoAnswer, NotEnrolled, SystemClosed
from licd.client.lease import Lease
from licd.client.notices import LeaseLost, Reinstated, Suspended
from licd.client.numbers import pseudonym
from licd.client.status import InForce
from licd.client.system import System
from licd.client.transport import Method
from licd.keys.kinds import KeyPurpose
from tests.client.conftest import Opened
from tests.client.fake_licd import DAY, ISSUER, NOW, SECOND, SYSTEM, FakeLicd, bundle_envelope, key, made_signer
from tests.client.rig import BOOT, target
from tests.client.virtual import MemoryDisk, MemoryNetwork, VirtualClock, settle

PURPOSE = "licd:serious-crime"


def usable(lease: Lease) -> bool:
    return lease.usable


async def test_a_lease_holds_for_as_long_as_its_block_runs(opened: Opened, licd: FakeLicd, clock: VirtualClock) -> None:
    async with opened() as system:
        async with system.lease(target(), purpose=PURPOSE, region="DE") as lease:
            assert usable(lease)
            assert lease.check() == 20 * SECOND
            await clock.advance(60 * SECOND)
            assert lease.check() > 20 * SECOND
            assert (lease.region, lease.granted_at, lease.number) == ("DE", NOW, 101)
        assert not usable(lease)
        with pytest.raises(LeaseStopped) as stopped:
            lease.check()
        assert stopped.value.stopped.cause is StopCause.RELEASED
        await settle()
        assert licd.seats == {}


async def test_a_number_becomes_a_pseudonym_and_the_region_of_its_plan_and_never_leaves(
    opened: Opened, licd: FakeLicd, disk: MemoryDisk
) -> None:
    number = "+491711234567"
    async with opened() as system:
        ends_at = NOW + DAY
        async with system.lease(
            number,
            purpose=PURPOSE,
            offence="eu:31",
            authorisation=Authorisation("7 Gs 12/26", ends_at),
            claims=[("FR", Basis.PRESENT_LOCATION)],
            attested_not_protected=True,
        ):
            [operation] = licd.links[-1].operations
        asked = operation.acquire
        assert asked.target == pseudonym(disk.files["pseudonym.key"], number) == system.pseudonym_of(number)
        claims = [(claim.region, Basis(claim.basis)) for claim in asked.regions]
        assert claims == [("DE", Basis.NUMBER_PLAN), ("FR", Basis.PRESENT_LOCATION)]
        assert (asked.purpose, asked.offence, asked.attested_not_protected) == (PURPOSE, "eu:31", True)
        assert (asked.authorisation.reference, asked.authorisation.expires_at_ms) == ("7 Gs 12/26", ends_at)
    assert not any(number.encode() in link.SerializeToString() for link in licd.links)


async def test_a_number_of_no_region_is_denied_without_asking_licd(opened: Opened, licd: FakeLicd) -> None:
    async with opened() as system:
        links = len(licd.links)
        with pytest.raises(LeaseDenied) as denied:
            await system.acquire("+80012345678", purpose=PURPOSE)
        assert denied.value.denied.reason is Reason.REGION_UNKNOWN
        assert len(licd.links) == links


async def test_overrides_decide_a_region_where_the_plan_does_not(opened: Opened, licd: FakeLicd) -> None:
    async with opened(number_overrides={"+800": "CH"}) as system, system.lease("+80012345678", purpose=PURPOSE):
        assert licd.links[-1].operations[0].acquire.regions[0].region == "CH"


@pytest.mark.parametrize(
    ("asked", "terms"),
    [
        ("0171 1234567", {}),
        ("+491711234567", {"region": "DE"}),
        (b"short", {"region": "DE"}),
    ],
)
async def test_what_names_no_target_is_an_error(opened: Opened, asked: str | bytes, terms: Any) -> None:
    async with opened() as system:
        with pytest.raises(ValueError, match=r"number|region|pseudonym") as error:
            await system.acquire(asked, purpose=PURPOSE, **terms)
        assert "1711234567" not in str(error.value)


async def test_a_denial_carries_what_the_caller_needs_to_go_on(opened: Opened, licd: FakeLicd) -> None:
    licd.cap = 1
    async with opened() as system:
        await system.acquire(target("one"), purpose=PURPOSE)
        with pytest.raises(LeaseDenied, match="CONCURRENT_CAP") as error:
            await system.acquire(target("two"), purpose=PURPOSE)
        denied = error.value.denied
        assert (denied.live, denied.limit, [seat.lease for seat in denied.seats]) == (1, 1, [101])
        assert error.value.retry_at == NOW + 30 * SECOND


async def test_sixteen_callers_share_two_links(opened: Opened, licd: FakeLicd) -> None:
    licd.cap = 100
    async with opened() as system:
        links = len(licd.links)
        await asyncio.gather(*(system.acquire(target(f"{each}"), purpose=PURPOSE) for each in range(16)))
        assert len(licd.links) - links == 2


async def test_giving_a_lease_back_says_when_its_seat_is_free(opened: Opened) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        released = await lease.release()
        assert released.free_at == NOW + 21 * SECOND
        assert await lease.release() == released


async def test_who_stops_waiting_gets_no_lease_behind_his_back(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, clock: VirtualClock
) -> None:
    async with opened() as system:
        network.lose_replies = True
        waiting = asyncio.create_task(system.acquire(target(), purpose=PURPOSE))
        await settle()
        waiting.cancel()
        await settle()
        network.lose_replies = False
        await clock.advance(10 * SECOND)
        assert waiting.cancelled()
        assert licd.seats == {}
        assert system.status.leases == 0


async def test_waits_for_licd_as_long_as_it_takes(opened: Opened, network: MemoryNetwork, clock: VirtualClock) -> None:
    network.reachable = False
    async with opened() as system:
        waiting = asyncio.create_task(system.acquire(target(), purpose=PURPOSE))
        await clock.advance(60 * SECOND)
        assert not waiting.done()
        assert not system.status.connected
        assert system.status.contact_detail == "unreachable"
        network.reachable = True
        await clock.advance(6 * SECOND)
        lease = await waiting
        assert usable(lease)
        assert system.status.connected
        assert system.status.contact_detail == ""


class Told:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.suspended: list[Suspended] = []
        self.reinstated: list[Reinstated] = []
        self.lapsing: list[tuple[Lease, int]] = []
        self.lost: list[tuple[Lease, LeaseLost]] = []

    def callbacks(self) -> Callbacks:
        return Callbacks(
            on_suspended=self.suspended.append,
            on_reinstated=self.reinstated.append,
            on_lapsing=lambda lease, remaining: self.lapsing.append((lease, remaining)),
            on_lost=lambda lease, lost: self.lost.append((lease, lost)),
        )


async def test_the_program_is_told_of_suspension_and_reinstatement(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork
) -> None:
    told = Told()
    async with opened(callbacks=told.callbacks()) as system, system.lease(target(), purpose=PURPOSE) as lease:
        network.push(licd.suspend())
        await settle()
        assert [notice.stopped_leases for notice in told.suspended] == [1]
        with pytest.raises(LeaseStopped, match="LICENCE_SUSPENDED, suspected misuse"):
            lease.check()
        refused = system.status.refused
        assert refused == told.suspended[0].denied
        with pytest.raises(LeaseDenied, match="LICENCE_SUSPENDED"):
            await system.acquire(target("other"), purpose=PURPOSE)
        network.push(licd.reinstate())
        await settle()
        assert len(told.reinstated) == 1
        assert usable(lease)
        assert system.status.refused is None
    assert len(licd.acknowledgements) == 1


async def test_the_program_is_told_of_a_lease_that_runs_out_and_is_lost(
    opened: Opened, network: MemoryNetwork, clock: VirtualClock
) -> None:
    told = Told()
    async with opened(callbacks=told.callbacks()) as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        network.cut()
        await clock.advance(lease.check() - 1)
        assert told.lapsing == [(lease, 10 * SECOND)]
        assert told.lost == []
        assert usable(lease)
        await clock.advance(1)
        assert [(each, lost.stopped.cause) for each, lost in told.lost] == [(lease, StopCause.LAPSED)]
        assert not usable(lease)


async def test_a_check_fails_when_the_time_is_up_even_before_anybody_noticed(
    opened: Opened, network: MemoryNetwork, clock: VirtualClock
) -> None:
    async with opened() as system:
        lease = await system.acquire(target(), purpose=PURPOSE)
        clock.now += 20 * SECOND  # SIGSTOP: no task has run
        with pytest.raises(LeaseStopped, match="LAPSED"):
            lease.check()
        assert not usable(lease)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_callback_that_raises_is_logged_and_stops_nothing(
    opened: Opened, licd: FakeLicd, network: MemoryNetwork, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a mistake of the program")

    async def fails_later(*_: object) -> None:
        raise RuntimeError("a mistake of the program")

    wrong: Any = fails_later if asynchronous else fails
    callbacks = Callbacks(on_suspended=wrong, on_reinstated=wrong, on_lost=wrong, on_lapsing=wrong)
    with caplog.at_level(logging.ERROR, "licd.client"):
        async with opened(callbacks=callbacks) as system:
            lease = await system.acquire(target(), purpose=PURPOSE)
            network.push(licd.suspend())
            await settle()
            network.push(licd.reinstate())
            await settle()
            assert usable(lease)
            assert system.status.failure is None
    assert caplog.text.count("a mistake of the program") >= 2


async def test_a_callback_may_use_the_system(opened: Opened, licd: FakeLicd, network: MemoryNetwork) -> None:
    releases = []
    async with opened(callbacks=Callbacks(on_suspended=lambda notice: releases.append(system.status))) as system:
        await system.acquire(target(), purpose=PURPOSE)
        network.push(licd.suspend())
        await settle()
        assert [status.leases for status in releases] == [0]


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
        assert await system.renew_certificate()


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
