"""The asynchronous face, on a virtual clock, over a network and a disk in memory."""

import asyncio
import logging
from typing import Any

import pytest

from licd.client.answers import Authorisation, Basis, Reason, StopCause
from licd.client.callbacks import Callbacks
from licd.client.errors import LeaseDenied, LeaseStopped
from licd.client.lease import Lease
from licd.client.notices import LeaseLost, Reinstated, Suspended
from licd.client.numbers import pseudonym
from tests.client.conftest import Opened
from tests.client.fake_licd import DAY, NOW, SECOND, FakeLicd
from tests.client.rig import target
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
        (b"t" * 32, {"offence": "region" * 30}),
        (b"t" * 32, {"claims": [("DE", Basis.DECLARED)] * 5}),
        (b"t" * 32, {"authorisation": Authorisation("region", -1)}),
    ],
)
async def test_what_names_no_target_is_an_error(opened: Opened, asked: str | bytes, terms: Any) -> None:
    async with opened() as system:
        with pytest.raises(ValueError, match=r"number|region|pseudonym|characters|authorisation") as error:
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
        before = system.status
        assert (before.connected, before.contact_detail) == (False, "unreachable")
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
