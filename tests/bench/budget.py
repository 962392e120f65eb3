"""What one call costs in processor time, by thread, on both sides: a noisy machine moves it far less than a rate.

Run as `python -m tests.bench.budget [NAME...]`: echo, acquire, heartbeat; stream, acquisitions of the SDK in links, and
links, the same from a client that does as little as can be. Of the daemon the threads are told apart: event loop,
ledger (with gRPC's poller), gRPC's core; of this program the sum is shown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.v1 import session_pb2
from tests.bench import clock
from tests.bench.heartbeats import BeatingSystem
from tests.bench.load import Call, rate
from tests.bench.measures import CALLERS_EACH, CONNECTIONS, Requests, acquirers, echoing, run_on_loop
from tests.bench.raw import acquisition
from tests.bench.stage import LICENCE, Enrolled, Stage, enrol_all, issue, staged
from tests.bench.stream import SESSIONS, sessions

SECONDS: Final = 4.0
WARM: Final = 1.0
BEATING: Final = 64
MICROS: Final = 1_000
PYTHON: Final = "python"


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time of a process so far, nanoseconds: its main thread, its other Python threads, and all the rest."""

    main: int
    python: int
    rest: int

    def since(self, earlier: Spent) -> Spent:
        """What came to it."""
        return Spent(self.main - earlier.main, self.python - earlier.python, self.rest - earlier.rest)


def spent(pid: int) -> Spent:
    """As the kernel's scheduler counts it. Threads of gRPC's core give themselves names."""
    main = python = rest = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            took = int((task / "schedstat").read_text().split()[0])
            name = (task / "comm").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has ended meanwhile
        if task.name == str(pid):
            main += took
        elif name.startswith(PYTHON):
            python += took
        else:
            rest += took
    return Spent(main, python, rest)


class TradingSystem(BeatingSystem):
    """A system whose every link acquires as many targets as it gives back. It keeps nothing on its disk."""

    async def trade(self) -> None:
        """One link and its reply."""
        given = [session_pb2.Operation(release=session_pb2.Release(lease=lease)) for lease in self.held]
        self.held = []
        reply = await self.say([*given, *(session_pb2.Operation(acquire=acquisition()) for _ in range(CALLERS_EACH))])
        self.held = list(session_pb2.Permit.FromString(reply.payload).leases)
        assert len(self.held) == CALLERS_EACH


Load = Callable[[Stage], AbstractAsyncContextManager[Sequence[Call]]]


def _systems(stage: Stage, kind: str, count: int) -> list[Enrolled]:
    return enrol_all(stage, LICENCE, [f"{kind}-{number}" for number in range(count)])


@asynccontextmanager
async def _echo(stage: Stage) -> AsyncIterator[Sequence[Call]]:
    async with echoing(stage, _systems(stage, "echo", CONNECTIONS)) as calls:
        yield calls


@asynccontextmanager
async def _acquire(stage: Stage) -> AsyncIterator[Sequence[Call]]:
    requests = Requests()
    async with acquirers(_systems(stage, "unary", CONNECTIONS), requests) as calls:
        requests.fill()
        yield calls


@asynccontextmanager
async def _heartbeat(stage: Stage) -> AsyncIterator[Sequence[Call]]:
    systems = [BeatingSystem(each) for each in _systems(stage, "beat", BEATING)]
    for system in systems:
        await system.begin()
    yield [system.beat for system in systems]
    for system in systems:
        await system.close()


@asynccontextmanager
async def _stream(stage: Stage) -> AsyncIterator[Sequence[Call]]:
    async with sessions(stage, [f"stream-{number}" for number in range(SESSIONS)], CALLERS_EACH) as calls:
        yield calls


@asynccontextmanager
async def _links(stage: Stage) -> AsyncIterator[Sequence[Call]]:
    systems = [TradingSystem(each) for each in _systems(stage, "trade", SESSIONS)]
    for system in systems:
        await system.begin()
    yield [system.trade for system in systems]
    for system in systems:
        await system.close()


LOADS: Final[dict[str, Load]] = {
    "echo": _echo,
    "acquire": _acquire,
    "heartbeat": _heartbeat,
    "stream": _stream,
    "links": _links,
}
EACH: Final[dict[str, int]] = {"links": CALLERS_EACH}
"""How many acquisitions one call is."""


async def _measured(stage: Stage, name: str) -> str:
    server = stage.echo.pid if name == "echo" else stage.daemon.pid
    async with LOADS[name](stage) as calls:
        await rate(calls, WARM)
        before, own, started = spent(server), spent(os.getpid()), clock.seconds()
        a_second = await rate(calls, SECONDS)
        took = clock.seconds() - started
        served, asked = spent(server).since(before), spent(os.getpid()).since(own)
    count = a_second * took * EACH.get(name, 1)
    figures = (served.main, served.python, served.rest, served.main + served.python + served.rest)
    client = asked.main + asked.python + asked.rest
    columns = "".join(f"{each / count / MICROS:9.0f}" for each in (*figures, client))
    return f"{name:10}{columns}{count:9.0f}"


def main(wanted: Sequence[str]) -> None:
    print(f"{'µs a call':10}{'loop':>9}{'ledger':>9}{'grpc':>9}{'server':>9}{'client':>9}{'calls':>9}")
    with staged() as stage:
        issue(stage, "bench-customer", LICENCE)
        for name in wanted or LOADS:
            print(run_on_loop(lambda name=name: _measured(stage, name)), flush=True)  # type: ignore[misc]


if __name__ == "__main__":
    main(sys.argv[1:])
