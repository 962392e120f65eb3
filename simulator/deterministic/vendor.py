"""A machine of the vendor's: licd, the way to its rows, what it remembers elsewhere; how it dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from licd.server.inprocess import (
    Host,
    InProcess,
    LicdError,
    MemoryDatabase,
    MemoryRatchet,
    Premises,
    ServerRows,
    StoreFailed,
)
from simulator.chance import Random
from simulator.deterministic.loop import Process
from simulator.deterministic.machine import Machine
from simulator.deterministic.network import ServerEnd

ADDRESS: Final = "192.0.2.7"
REAP_EVERY: Final = 5.0
FORGET_EVERY: Final = 60.0
LONG: Final = 0.02
"""How often, of all pauses of the writer, one is a long one."""


class Crashed(BaseException):
    """licd's process ended inside a statement. No code of licd's may catch it: there is nobody left to."""


class Vendor:
    """One licd on one machine, through any number of lives; alone with its rows or one of several replicas."""

    def __init__(
        self, premises: Premises, machine: Machine, chance: Random, database: MemoryDatabase | ServerRows
    ) -> None:
        self.machine: Final = machine
        self.database: Final = database
        self.ratchet: Final = MemoryRatchet()
        self.held = False
        self.unplugged = False
        self.lives = 0
        self.crash_in: int | None = None
        """After so many more statements licd crashes inside the next."""
        self.on_death: Callable[[Vendor], None] = lambda _: None
        self._premises: Final = premises
        self._chance: Final = chance
        self._process: Process | None = None
        self._inside: InProcess | None = None
        self.database.before = self._before

    # ------------------------------------------------------------------------------------------- life
    async def start(self) -> None:
        """A new life on the rows as they are, which may end where it begins. Raises LogRefused."""
        self.lives += 1
        self.unplugged = False
        process = Process(f"licd/{self.lives}")
        try:
            await process.run(self._begin(process))
        except (Crashed, StoreFailed):  # or cannot even begin, without its database
            process.kill()

    async def _begin(self, process: Process) -> None:
        host = Host(
            clock=self.machine,
            random=self._chance.randbytes,
            pause=self._pause,
            call_soon=asyncio.get_running_loop().call_soon,
            held=lambda: self.held,
        )
        self._inside = InProcess(self._premises, self.database, host, self.ratchet)
        self._process = process
        process.run(self._work(self._inside))
        if isinstance(self.database, ServerRows):
            process.run(self._inside.daemon.jobs.follow())
            process.run(self._inside.daemon.jobs.hear(self.database.server.announcements))

    async def _work(self, inside: InProcess) -> None:
        """The recurring jobs, on virtual time."""
        turn = 0
        while True:
            await asyncio.sleep(REAP_EVERY)
            turn += 1
            try:
                await inside.daemon.jobs.observe()
                await inside.daemon.jobs.reap()
                if turn % int(FORGET_EVERY / REAP_EVERY) == 0:
                    await inside.daemon.jobs.forget()
            except LicdError:
                continue  # as its schedule does: the next turn makes it up

    async def _pause(self) -> None:
        longest = 0.2 if self._chance.random() < LONG else 0.004
        await asyncio.sleep(longest * self._chance.random())

    def _before(self, statement: str) -> None:
        if self.crash_in is None:
            return
        self.crash_in -= 1
        if self.crash_in < 0:
            self.crash_in = None
            self.die()
            if isinstance(self.database, ServerRows):
                self.database.rollback()  # the server sees the connection end, and the other replicas go on
            raise Crashed(statement)

    def die(self, *, unplugged: bool = False) -> None:
        """Ends licd's process now. unplugged: the machine goes with it, and nobody says so to anybody."""
        process, self._process, self._inside = self._process, None, None
        self.crash_in = None
        self.unplugged = unplugged
        if process is not None:
            process.kill()
            self.on_death(self)

    def lose_power(self) -> None:
        """Its machine goes, and comes back: no connection is reset."""
        self.die(unplugged=True)
        self.machine.reboot()

    def heal(self) -> None:
        """Nothing is in its way any more."""
        self.held = False
        self.crash_in = None
        self.machine.set_right()
        if isinstance(self.database, ServerRows):
            self.database.cut = False

    async def gone(self) -> None:
        """Leaves the rows as a crash does: what was not committed is lost."""
        await asyncio.sleep(0)
        self.database.rollback()

    # ------------------------------------------------------------------------------------ as the network sees it
    def process(self) -> Process | None:
        """The process that serves."""
        return self._process

    async def call(self, path: str, request: bytes, certificate: bytes | None) -> bytes:
        """Raises LicdError; CancelledError when licd crashes meanwhile."""
        try:
            return await self._serving().call(path, request, certificate, ADDRESS)
        except Crashed as crash:
            raise asyncio.CancelledError from crash

    async def stream(self, path: str, frames: ServerEnd, certificate: bytes | None) -> None:
        """As call."""
        try:
            await self._serving().stream(path, frames, certificate, ADDRESS)
        except Crashed as crash:
            raise asyncio.CancelledError from crash

    def impediments(self) -> tuple[str, ...]:
        """Why licd grants nothing now."""
        return self._inside.daemon.impediments() if self._inside is not None else ("down",)

    def _serving(self) -> InProcess:
        if self._inside is None:
            raise asyncio.CancelledError
        return self._inside
