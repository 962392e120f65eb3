"""What a push to everybody takes: to arrive, to be acknowledged, and in memory for each system that is connected."""

from __future__ import annotations

import asyncio
import gc
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.v1 import licence_service_pb2 as pb
from licd.v1 import licence_service_pb2_grpc
from tests.bench import clock
from tests.bench.crowd import Bare, Crowd
from tests.bench.measures import Measured
from tests.bench.stage import Stage, agree, enrol_all, issue

LICENCE: Final = "bench-crowd"
SIZES: Final = (10, 100, 1_000, 2_000, 10_000)
COMPARED: Final = 2_000
ROUNDS: Final = 3
DIRECTIVE_BYTES: Final = 300
ACKNOWLEDGEMENT_BYTES: Final = 330
LOOK_AGAIN: Final = 2.0
"""Seconds between looks: each is a read of every system, which costs licd what many acknowledgements do."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Medians in seconds by how many systems are connected, and the daemon's memory for each of those in KiB."""

    arrival: dict[int, float]
    acknowledged: float
    bare: float
    kib: dict[int, float]


async def spread(stage: Stage, largest: int) -> Spread:
    """Connects ever more systems to one licence, and suspends and reinstates it at each size."""
    await asyncio.to_thread(issue, stage, "bench-crowd", LICENCE)
    crowd, arrival, kib = Crowd(), dict[int, float](), dict[int, float]()
    acknowledged = bare = 0.0
    empty = _resident(stage)
    for size in (each for each in SIZES if each <= largest):
        names = [f"crowd-{number}" for number in range(len(crowd.members), size)]
        await crowd.grow(await asyncio.to_thread(enrol_all, stage, LICENCE, names))
        gc.collect()
        gc.freeze()
        kib[size] = (_resident(stage) - empty) / size
        crowd.acknowledges = False
        arrival[size] = await _median_arrival(stage, crowd)
        if size == COMPARED:
            acknowledged, bare = await _acknowledged_and_bare(stage, crowd)
    await crowd.leave()
    return Spread(arrival, acknowledged, bare, kib)


async def _median_arrival(stage: Stage, crowd: Crowd) -> float:
    took: list[float] = []
    for _ in range(ROUNDS):
        for order in (_suspend, _reinstate):
            crowd.expect()
            started = clock.seconds()
            await asyncio.to_thread(order, stage)
            last = await crowd.everybody()
            if order is _suspend:  # a reinstatement also waits for the second person
                took.append(last - started)
    return statistics.median(took)


async def _acknowledged_and_bare(stage: Stage, crowd: Crowd) -> tuple[float, float]:
    """Of suspensions that everybody acknowledges, and of bare frames that everybody answers, in turn."""
    ours: list[float] = []
    floor: list[float] = []
    bare = Bare(stage, DIRECTIVE_BYTES, ACKNOWLEDGEMENT_BYTES)
    await bare.join(crowd.members)
    crowd.acknowledges = True
    for _ in range(ROUNDS):
        crowd.expect()
        started = clock.now_ms()
        suspension = await asyncio.to_thread(_suspend, stage)
        await crowd.everybody()
        ours.append((await _last_acknowledgement(stage, suspension) - started) / 1000)
        crowd.expect()
        await asyncio.to_thread(_reinstate, stage)
        await crowd.everybody()
        floor.append(await bare.tell())
    await bare.leave()
    return statistics.median(ours), statistics.median(floor)


def _suspend(stage: Stage) -> str:
    with stage.channel("alice") as channel:
        asked = pb.SuspendLicenceRequest(
            request_id=clock.request_id(),
            scope=pb.SuspensionScope(licence=LICENCE),
            reason_code="manual",
            detail="a benchmark",
        )
        return licence_service_pb2_grpc.LicenceServiceStub(channel).SuspendLicence(asked).suspension


def _reinstate(stage: Stage) -> str:
    with stage.channel("alice") as channel:
        stub = licence_service_pb2_grpc.LicenceServiceStub(channel)
        epoch = stub.GetLicence(pb.GetLicenceRequest(licence=LICENCE)).licence.epoch
        asked = pb.ReinstateLicenceRequest(
            request_id=clock.request_id(), licence=LICENCE, epoch=epoch, reason_code="unfounded", detail="a benchmark"
        )
        agree(stage, stub.ReinstateLicence(asked).approval)
    return ""


async def _last_acknowledgement(stage: Stage, suspension: str) -> int:
    """When licd took the last of them, unix milliseconds, as it has written down itself."""
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            found = await asyncio.to_thread(_asked, stage, suspension)
            if all(each.acknowledged_at_ms for each in found.systems):
                return max(each.acknowledged_at_ms for each in found.systems)


def _asked(stage: Stage, suspension: str) -> pb.GetSuspensionResponse:
    with stage.channel("alice") as channel:
        stub = licence_service_pb2_grpc.LicenceServiceStub(channel)
        return stub.GetSuspension(pb.GetSuspensionRequest(suspension=suspension))


def _resident(stage: Stage) -> float:
    """The daemon's resident memory, KiB."""
    status = Path(f"/proc/{stage.daemon.pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def suspend_fanout_vs_bare(found: Spread) -> Measured:
    """Suspend until the last of 2 000 has acknowledged, against a bare frame and its answer on as many streams."""
    sides = {"suspension": found.acknowledged * 1000, "bare": found.bare * 1000}
    return Measured("suspend_fanout_vs_bare", found.acknowledged / found.bare, 1.5, False, sides, "ms")


def fanout_10k_vs_2k(found: Spread) -> Measured:
    """Last arrival of a push at 10 000 streams against that at 2 000."""
    sides = {f"{size:,}".replace(",", " "): took * 1000 for size, took in found.arrival.items()}
    ratio = found.arrival[10_000] / found.arrival[COMPARED]
    return Measured("fanout_10k_vs_2k", ratio, 5.5, False, sides, "ms")


def session_kib(found: Spread) -> Measured:
    """The daemon's memory for each connected system."""
    sides = {f"{size:,}".replace(",", " "): kib for size, kib in found.kib.items() if size >= 1_000}
    largest = max(found.kib)
    return Measured("session_kib", found.kib[largest], None, False, sides, "KiB")
