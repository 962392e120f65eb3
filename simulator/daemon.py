"""The real daemon, as its own process: made, started, killed, started again, stopped. Always by its own process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
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


class DaemonFailed(RuntimeError):
    """The daemon could not be made or started; the message ends with what it said itself."""


class Daemon:
    """One state directory and, while it runs, the process that serves it."""

    def __init__(self, state: Path, clock: Clock, environment: Mapping[str, str] | None = None) -> None:
        """What the environment says goes over licd.toml."""
        self.state: Final = state
        self._environment: Final = dict(environment or {})
        self._clock: Final = clock
        self._log: Final = state.parent / "licd.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 when it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def make(self, policies: Path) -> None:
        """Run `licd init`. Raises DaemonFailed."""
        arguments = ["init", "--state", str(self.state), "--base-port", str(free_ports()), "--policies", str(policies)]
        process = await self._spawn(*arguments)
        if await process.wait():
            raise DaemonFailed(f"licd init failed:\n{self._said()}")

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
async def temporary_daemon(policies: Path, overlay: Path | None, clock: Clock) -> AsyncIterator[Daemon]:
    """A new daemon in a temporary directory, which is gone afterwards, whatever happens."""
    async with temporary_folder("licd-simulation-", clock) as folder:
        daemon = Daemon(folder / "state", clock)
        try:
            used = folder / "policies"
            shutil.copytree(policies, used)
            if overlay is not None:
                shutil.copytree(overlay, used, dirs_exist_ok=True)
            await daemon.make(used)
            await daemon.start()
            yield daemon
        finally:
            await asyncio.shield(daemon.stop())


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
