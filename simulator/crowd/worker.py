"""`python -m simulator.crowd.worker`: a process of systems. One command a line comes in, one answer a line goes out."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import astuple
from typing import Any, Final

import uvloop

from simulator.clock import RealClock
from simulator.crowd.member import Member
from simulator.crowd.watch import Watch

LINE_LIMIT: Final = 1 << 26
BEHIND: Final = 5
"""By how much these processes are nicer than licd's: customers' systems do not run on its processors."""
Answer = dict[str, Any]


class Worker:
    """The systems of this process. Every command is a method of it; what it answers is JSON."""

    def __init__(self) -> None:
        self._clock: Final = RealClock()
        self._watch: Final = Watch()
        self._lost: Final[Counter[str]] = Counter()
        self._members: Final[list[Member]] = []

    async def enrol(self, tokens: dict[str, str], at_once: int) -> Answer:
        """Enrol a system for each token."""
        begun = self._clock.boot_ms()
        made = [(Member(name, self._watch, self._lost), token) for name, token in tokens.items()]
        await _in_turn([member.enrol(token) for member, token in made], at_once)
        self._members.extend(member for member, _ in made)
        return {"took": self._clock.boot_ms() - begun}

    async def open(self, leases: int, at_once: int) -> Answer:
        """Open all sessions and take all leases."""
        begun = self._clock.boot_ms()
        await _in_turn([member.open(leases) for member in self._members], at_once)
        gc.collect()
        gc.freeze()
        return {"took": self._clock.boot_ms() - begun}

    async def look(self, since: int) -> Answer:
        """How it stands, and what has been noted since this boot instant."""
        watch = self._watch
        return {
            "usable": sum(member.usable for member in self._members),
            "connected": sum(member.connected for member in self._members),
            "heard": sum(member.network.heard_at > since for member in self._members),
            "lost": dict(self._lost),
            "frames": watch.frames,
            "dialled": [at for at in watch.dialled if at > since],
            "answered": [at for at in watch.answered if at > since],
            "bad": [astuple(each) for each in watch.bad if each.ended > since],
            "stopped": [member.stopped for member in self._members if member.stopped[0]],
        }

    async def leave(self) -> Answer:
        """End all systems, as a crash would."""
        await _in_turn([member.leave() for member in self._members], 256)
        return {}


async def _in_turn(work: Sequence[Coroutine[Any, Any, None]], at_once: int) -> None:
    turn = asyncio.Semaphore(at_once)

    async def one(each: Coroutine[Any, Any, None]) -> None:
        async with turn:
            await each

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    worker = Worker()
    commands: dict[str, Callable[..., Awaitable[Answer]]] = {
        "enrol": worker.enrol,
        "open": worker.open,
        "look": worker.look,
        "leave": worker.leave,
    }
    while line := await reader.readline():
        asked = json.loads(line)
        answer = await commands[asked.pop("do")](**asked)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until the other side has nothing more to say. Ends at once then: nobody waits for goodbyes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.nice(BEHIND)
    gc.set_threshold(50_000, 50, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
