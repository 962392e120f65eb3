"""What is measured: each a ratio of medians over rounds that alternate with their yardstick."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import grpc.aio
import uvloop

from licd.v1.enrolment_service_pb2 import GetTrustBundleRequest
from tests.bench import echo
from tests.bench.load import rate
from tests.bench.raw import OPTIONS, RawSystem
from tests.bench.stage import Enrolled, Stage

T = TypeVar("T")
Call = Callable[[], Awaitable[object]]

ROUNDS = 5
SECONDS = 2.0
CONNECTIONS = 4
CALLERS_EACH = 16


@dataclass(frozen=True, slots=True)
class Measured:
    """One key of the report. sides are the medians the ratio was made of, with their unit."""

    key: str
    ratio: float
    goal: float
    higher_is_better: bool
    sides: dict[str, float]
    unit: str
    note: str = ""

    def report(self) -> dict[str, object]:
        """What goes into the report file."""
        return {"ratio": self.ratio, "goal": self.goal, "met": self.met, "unit": self.unit, "sides": self.sides}

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.higher_is_better else self.ratio <= self.goal


def echo_calls(
    stage: Stage, systems: list[Enrolled]
) -> tuple[list[grpc.aio.Channel], list[Callable[[], Awaitable[object]]]]:
    """Callers of the empty echo: as many connections and callers as the other side has."""
    channels = [
        grpc.aio.secure_channel(f"127.0.0.1:{stage.echo_port}", each.credentials, options=OPTIONS) for each in systems
    ]
    calls: list[Callable[[], Awaitable[object]]] = []
    for channel in channels:
        calls += [_echo_call(channel)] * CALLERS_EACH
    return channels, calls


def _echo_call(channel: grpc.aio.Channel) -> Callable[[], Awaitable[object]]:
    stub = channel.unary_unary(
        echo.PATH,
        request_serializer=GetTrustBundleRequest.SerializeToString,
        response_deserializer=GetTrustBundleRequest.FromString,
    )
    request = GetTrustBundleRequest(held_version=1)

    async def call() -> object:
        return await stub(request)

    return call


async def acquire_vs_echo(stage: Stage, enrolled: list[Enrolled]) -> Measured:
    """Durable, signed, logged, metered unary AcquireLease against the empty echo."""
    enrolled = enrolled[:CONNECTIONS]
    systems = [RawSystem(each) for each in enrolled]
    for system in systems:
        await system.open()
    channels, echoes = echo_calls(stage, enrolled)
    acquires: list[Callable[[], Awaitable[object]]] = [
        system.acquire for system in systems for _ in range(CALLERS_EACH)
    ]
    ours, floor = await alternate(acquires, echoes)
    for system in systems:
        await system.close()
    for channel in channels:
        await channel.close()
    return Measured("acquire_vs_echo", ours / floor, 0.70, True, {"acquire": ours, "echo": floor}, "calls/s")


async def alternate(
    ours: list[Callable[[], Awaitable[object]]], floor: list[Callable[[], Awaitable[object]]]
) -> tuple[float, float]:
    """Medians of both, round by round in turn, after one uncounted round of each."""
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for side, calls in zip(rates, (ours, floor), strict=True):
            measured = await rate(calls, SECONDS if number else SECONDS / 2)
            if number:
                side.append(measured)
    return statistics.median(rates[0]), statistics.median(rates[1])


def run_on_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs to its end on an event loop of its own, as fast as the daemon's."""
    return uvloop.run(main())
