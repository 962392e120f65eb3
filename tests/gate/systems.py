"""Customer systems on the SDK, in a process of their own, which act as long as the SDK lets them.

    python -m tests.gate.systems DIRECTORY... --targets N

Each line of the output is an event, JSON. `acting` and `stopped` say when (boot clock) a lease became usable and when
it was last acted on: the time is taken before the lease is asked, so that a process that is stopped in between accuses
nobody. `refused` and `broken` say what else a program would see.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from licd.client import ClientError, LeaseDenied, LeaseStopped, StopCause, System
from licd.client.answers import Basis
from licd.client.clock import SYSTEM_CLOCK
from licd.client.lease import Lease
from licd.core.errors import LicdError
from tests.wired_system import PURPOSE, target

WATCH_EVERY = 50
ACT_EVERY = 10
"""Milliseconds."""
MAY_COME_BACK = {StopCause.REFUSED, StopCause.WAITING}


def tell(event: str, **more: Any) -> None:
    """One line; whoever reads it has all of it."""
    print(json.dumps({"event": event, "at": SYSTEM_CLOCK.boot_ms()} | more), flush=True)


async def main(arguments: list[str]) -> None:
    """Until standard input ends; then the systems are closed as a program that ends closes them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--targets", type=int, default=1)
    asked = parser.parse_args(arguments)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with asyncio.TaskGroup() as group:
        living = [group.create_task(live(each, asked.targets)) for each in asked.directories]
        await ended.wait()
        for each in living:
            each.cancel()


async def live(directory: Path, targets: int) -> None:
    """One system, from start to close."""
    with suppress(asyncio.CancelledError):
        async with System.open(directory, region="NO", software="gate") as system, asyncio.TaskGroup() as group:
            tell("open", system=system.name)
            group.create_task(watch(system))
            for index in range(targets):
                group.create_task(pursue(system, index))


async def watch(system: System) -> None:
    """Tells when it is in touch with licd, and when it is not."""
    connected = False
    while True:
        if system.status.connected != connected:
            connected = not connected
            tell("connected" if connected else "disconnected", system=system.name)
        await SYSTEM_CLOCK.sleep_until(SYSTEM_CLOCK.boot_ms() + WATCH_EVERY)


async def pursue(system: System, index: int) -> None:
    """One target, for as long as it can be had."""
    number = int(system.name.rpartition("-")[2]) * 1_000 + index
    who = {"system": system.name, "target": index}
    while True:
        try:
            lease = await system.acquire(target(number), purpose=PURPOSE, claims=[("NO", Basis.NUMBER_PLAN)])
        except LeaseDenied as denied:
            tell("refused", reason=denied.denied.reason.name, **who)
            await SYSTEM_CLOCK.sleep_until(SYSTEM_CLOCK.boot_ms() + 200)
        except (ClientError, LicdError) as error:
            tell("broken", error=repr(error), **who)
            await SYSTEM_CLOCK.sleep_until(SYSTEM_CLOCK.boot_ms() + 200)
        else:
            await act(lease, who)


async def act(lease: Lease, who: dict[str, Any]) -> None:
    """Act on it until it is lost for good."""
    acting, last = False, 0
    while True:
        before = SYSTEM_CLOCK.boot_ms()
        try:
            left = lease.check()
        except LeaseStopped as stopped:
            cause = stopped.stopped.cause
            if acting:
                tell("stopped", cause=cause.name, last=last, **who)
            acting = False
            if cause not in MAY_COME_BACK:
                return
        else:
            last = before
            if not acting:
                tell("acting", left=left, **who)
            acting = True
        await SYSTEM_CLOCK.sleep_until(before + ACT_EVERY)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
