"""Fixtures of the shell's tests: a licd, a network to it, a disk with an enrolled system on it."""

import base64
import hashlib
import json
import random  # noqa: TID251 -- seeded
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from licd.client.system import System
from tests.client.fake_licd import DOMAIN, FakeLicd, bundle_envelope
from tests.client.virtual import AUTHORITY, MemoryDisk, MemoryNetwork, VirtualClock, settle

Opened = Callable[..., AbstractAsyncContextManager[System]]


def join_token(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "v": 1,
        "trust_domain": DOMAIN,
        "enrolment": "licd.example:7001",
        "ca": base64.b64encode(AUTHORITY.certificate.public_bytes(Encoding.DER)).decode(),
        "bundle_sha256": hashlib.sha256(bundle_envelope().payload).hexdigest(),
        "secret": "only-once",
        "deployment": "north",
    }
    text = json.dumps(fields | changes).encode()
    return "LICD-JOIN-1." + base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.fixture
def licd() -> FakeLicd:
    return FakeLicd()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def network(licd: FakeLicd, clock: VirtualClock) -> MemoryNetwork:
    return MemoryNetwork(licd, clock)


@pytest.fixture
async def disk(network: MemoryNetwork, clock: VirtualClock) -> MemoryDisk:
    """A disk with an enrolled system on it."""
    made = MemoryDisk()
    await System.enrol(
        join_token(), "unused", disk=made, network=network, clock=clock, randomness=random.Random(1).randbytes
    )
    network.calls.clear()
    return made


@pytest.fixture
def opened(disk: MemoryDisk, network: MemoryNetwork, clock: VirtualClock) -> Opened:
    """Opens the system on the disk, and lets it get as far as it can at this instant."""

    @asynccontextmanager
    async def open_system(**settings: Any) -> AsyncIterator[System]:
        given: dict[str, Any] = {
            "disk": disk,
            "network": network,
            "clock": clock,
            "randomness": random.Random(2).randbytes,
        }
        system = System.open("unused", region="DE", **(given | settings))
        await system.start()
        await settle()
        try:
            yield system
        finally:
            if not system.status.failure:
                await system.close()

    return open_system
