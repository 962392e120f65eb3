"""What is measured: each a ratio of medians over rounds that alternate with their yardstick."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import uvloop

from licd.v1 import session_service_pb2
from licd.v1.enrolment_service_pb2 import GetTrustBundleRequest
from tests.bench import clock, echo
from tests.bench.load import Call, alternate
from tests.bench.raw import OPTIONS, RawSystem, acquisition
from tests.bench.stage import Enrolled, Stage

T = TypeVar("T")

CONNECTIONS: Final = 16
CALLERS_EACH: Final = 16
PREPARED: Final = 6_000
ACQUIRE: Final = "/licd.v1.SessionService/AcquireLease"
PERMIT_TAG: Final = 0x0A


@dataclass(frozen=True, slots=True)
class Measured:
    """One key of the report. sides are the medians the ratio was made of, with their unit.

    goal None: the figure is reported and has no goal. absent says why there is no figure.
    """

    key: str
    ratio: float
    goal: float | None
    higher_is_better: bool
    sides: dict[str, float] = field(default_factory=dict)
    unit: str = ""
    note: str = ""
    absent: str = ""

    def report(self) -> dict[str, object]:
        """What goes into the report file."""
        return {
            "ratio": None if self.absent else self.ratio,
            "goal": self.goal,
            "better": "higher" if self.higher_is_better else "lower",
            "verdict": self.verdict,
            "unit": self.unit,
            "sides": self.sides,
            "note": self.note,
            "absent": self.absent,
        }

    @property
    def verdict(self) -> str:
        """Met, MISSED, absent, or reported where there is no goal."""
        if self.absent:
            return "absent"
        if self.goal is None:
            return "reported"
        return "met" if (self.ratio >= self.goal if self.higher_is_better else self.ratio <= self.goal) else "MISSED"


@asynccontextmanager
async def echoing(
    stage: Stage, systems: Sequence[Enrolled], callers_each: int = CALLERS_EACH
) -> AsyncIterator[list[Call]]:
    """Callers of the empty echo: as many connections and callers as the other side has."""
    async with AsyncExitStack() as stack:
        calls: list[Call] = []
        for each in systems:
            channel = grpc.aio.secure_channel(f"127.0.0.1:{stage.echo_port}", each.credentials, options=OPTIONS)
            stack.push_async_callback(channel.close)
            calls += [_echo_call(channel)] * callers_each
        yield calls


def _echo_call(channel: grpc.aio.Channel) -> Call:
    stub: Any = channel.unary_unary(echo.PATH)
    request = GetTrustBundleRequest(held_version=1).SerializeToString()

    async def call() -> object:
        answer: bytes = await stub(request)
        assert answer == request
        return answer

    return call


class Requests:
    """Requests for leases on ever new targets, made ahead: a round's time is for the daemon."""

    def __init__(self) -> None:
        self._ready: deque[bytes] = deque()

    def fill(self) -> None:
        """Makes enough for a round."""
        while len(self._ready) < PREPARED:
            asked = session_service_pb2.AcquireLeaseRequest(request_id=clock.request_id(), acquisition=acquisition())
            self._ready.append(asked.SerializeToString())

    def take(self) -> bytes:
        """The next."""
        if not self._ready:
            self.fill()
        return self._ready.popleft()


def acquiring(system: RawSystem, requests: Requests) -> Call:
    """One lease by a unary call; looked at no further than that it is a permit."""
    stub: Any = system.channel.unary_unary(ACQUIRE)

    async def call() -> object:
        answer: bytes = await stub(requests.take())
        assert answer[0] == PERMIT_TAG, session_service_pb2.AcquireLeaseResponse.FromString(answer)
        return answer

    return call


@asynccontextmanager
async def acquirers(
    enrolled: Sequence[Enrolled], requests: Requests, each: int = CALLERS_EACH
) -> AsyncIterator[list[Call]]:
    """Callers of AcquireLease, each system with its session open."""
    systems = [RawSystem(one) for one in enrolled]
    for system in systems:
        await system.open()
    yield [acquiring(system, requests) for system in systems for _ in range(each)]
    for system in systems:
        await system.close()


async def acquire_vs_echo(stage: Stage, systems: Sequence[Enrolled]) -> Measured:
    """Durable, signed, logged, metered unary AcquireLease against the empty echo."""
    requests = Requests()
    async with acquirers(systems, requests) as acquires, echoing(stage, systems) as echoes:
        ours, floor = await alternate(acquires, echoes, requests.fill)
    return Measured("acquire_vs_echo", ours / floor, 0.70, True, {"acquire": ours, "echo": floor}, "calls/s")


def run_on_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs to its end on an event loop of its own, as fast as the daemon's."""
    return uvloop.run(main())
