"""The real daemon, as its own process: made, started, killed, started again, stopped. Always by its own process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

from simulator.clock import SECOND, Clock, Millis, sleep
from simulator.papers import OperatorPapers

_ENTRY: Final = "from licd.server.command import main; main()"
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_READY_WITHIN: Final[Millis] = 120 * SECOND
_STOPPED_WITHIN: Final[Millis] = 60 * SECOND
_LOOK_EVERY: Final[Millis] = 100
_PORTS: Final = 4
_REMOVALS: Final = 10
_LAST_LINES: Final = 15


OPERATORS: Final = ("alice", "bob", "carol")
"""As many as the strictest example policy wants for one decision."""


class DaemonFailed(RuntimeError):
    """The daemon could not be made or started; the message ends with what it said itself."""


class Daemon:
    """One state directory and, while it runs, the process that serves it."""

    def __init__(
        self, state: Path, clock: Clock, environment: Mapping[str, str] | None = None, *, base_port: int = 0
    ) -> None:
        """What the environment says goes over licd.toml. base_port: the first of four; 0: whatever is free then."""
        self.state: Final = state
        self._base_port: Final = base_port
        self._environment: Final = dict(environment or {})
        self._clock: Final = clock
        self._log: Final = state.with_suffix(".log")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def operators_address(self) -> str:
        """Where its operators' listener is."""
        return f"127.0.0.1:{self._base_port + 2}"

    async def make(self, policies: Path) -> None:
        """Run `licd init`. Raises DaemonFailed."""
        port = str(self._base_port or free_ports())
        names = [word for name in OPERATORS for word in ("--operator", name)]
        await self._run("init", "--state", str(self.state), "--base-port", port, "--policies", str(policies), *names)

    async def share(self) -> None:
        """Move the rows from the file to the database that the environment names. Raises DaemonFailed."""
        file = self.state / "licd.db"
        await self._run("import", "--state", str(self.state), "--from", str(file))
        file.unlink()

    async def replicate(self, to: Daemon) -> None:
        """Make the state directory of one more replica, with the operators' own beside it. Raises DaemonFailed."""
        arguments = ["--name", to.state.name, "--base-port", str(to._base_port)]
        await self._run("add-replica", "--state", str(self.state), "--to", str(to.state), *arguments)
        shutil.copytree(self.state / "operators", to.state / "operators")
        for settings in (to.state / "operators").glob("*/licctl.toml"):
            text = settings.read_text(encoding="utf-8")
            there = re.sub(r'(?m)^address = ".*"$', f'address = "{to.operators_address}"', text)
            settings.write_text(there, encoding="utf-8")

    async def migrate(self) -> None:
        """Bring the database's schema to what this licd knows. Raises DaemonFailed."""
        await self._run("migrate", "--state", str(self.state))

    async def _run(self, *arguments: str) -> None:
        process = await self._spawn(*arguments)
        if await process.wait():
            raise DaemonFailed(f"licd {arguments[0]} failed:\n{self._said()}")

    async def start(self) -> None:
        """Run `licd serve` and wait until it says that it serves. Raises DaemonFailed."""
        self._process = await self._spawn("serve", "--state", str(self.state))
        deadline = self._clock.boot_ms() + _READY_WITHIN
        papers = OperatorPapers.read(self.state, "alice")
        while not await _serves(papers):
            if self._process.returncode is not None or self._clock.boot_ms() > deadline:
                await self.stop(hard=True)
                raise DaemonFailed(f"licd serve did not come up:\n{self._said()}")
            await sleep(self._clock, _LOOK_EVERY)

    async def stop(self, *, hard: bool = False) -> None:
        """Stop the process that `start` started, by SIGTERM, or SIGKILL if hard or if it does not listen."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOPPED_WITHIN / SECOND)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        """A process of its own session: an interrupt of the simulator's is not the daemon's."""
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _ENTRY,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"GRPC_VERBOSITY": "NONE"} | self._environment,
            )

    def _said(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:])
        return ""


@asynccontextmanager
async def temporary_folder(prefix: str, clock: Clock) -> AsyncIterator[Path]:
    """A folder that is gone afterwards, also when a thread that was given up still writes its last file into it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        for _ in range(_REMOVALS - 1):
            try:
                shutil.rmtree(folder)
                break
            except OSError:
                await sleep(clock, _LOOK_EVERY)
        else:
            shutil.rmtree(folder)


def free_ports() -> int:
    """The first of four ports in a row that nobody listens on just now."""
    while True:
        with contextlib.ExitStack() as held:
            first = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            try:
                for port in range(first + 1, first + _PORTS):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            if first + _PORTS <= 65_000:
                return int(first)


async def _serves(papers: OperatorPapers) -> bool:
    async with papers.channel() as channel:
        try:
            check: Any = channel.unary_unary(_HEALTH)
            raw = await check(health_pb2.HealthCheckRequest().SerializeToString(), timeout=1)
        except grpc.aio.AioRpcError:
            return False
        answer = health_pb2.HealthCheckResponse.FromString(raw)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
