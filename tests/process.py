"""`licd serve` as it is really run, in a process of its own; started, killed and started again, always by its id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import grpc

from licd.server.caller import Listener
from licd.server.clock import SystemClock
from licd.server.state_dir import StateDirectory
from tests.daemon import PATIENCE, ROOT, Papers, open_channel
from tests.eventually import eventually
from tests.gate.parent import Child, Parent

STOPS_WITHIN = 40.0


class DidNotStart(Exception):
    """It ended before it served; `code` is how."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"licd serve ended with {code}: {said}")
        self.code = code


@dataclass
class Process:
    """One state directory and, while it runs, the process on it.

    before is what starts it in its place (strace, faketime, ip netns exec), and must become it by exec, so that the id
    stays; host is how callers reach it. With a parent it is forked from that, as it is; before is then what traces it.
    """

    state: StateDirectory
    before: Sequence[str] = ()
    host: str = "localhost"
    environment: Mapping[str, str] = field(default_factory=dict)
    clock: SystemClock = field(default_factory=SystemClock)
    log: Path | None = None
    module: str = "licd.server"
    ports: dict[str, int] = field(default_factory=dict)
    channels: list[grpc.Channel] = field(default_factory=list)
    process: subprocess.Popen[bytes] | Child | None = None
    parent: Parent | None = None

    def start(self, *before: str, patience: float = 3 * PATIENCE) -> Process:
        """Returns when it serves. before goes before all else, this time only. Raises DidNotStart."""
        log = self.log or self.state.root.parent / "licd.log"
        with log.open("ab") as out:
            begun = out.tell()
            process = self.process = self._begun(before, log, out)

        def told() -> bool:
            return process.poll() is not None or self._ports_in(log, begun)

        eventually(told, patience, "licd serves")
        if process.returncode is not None:
            self._hang_up()
            raise DidNotStart(process.returncode, self.said(log, begun)[-600:])
        return self

    def _begun(self, before: Sequence[str], log: Path, out: IO[bytes]) -> subprocess.Popen[bytes] | Child:
        arguments = ("serve", "--state", str(self.state.root))
        if self.parent is not None:
            return self.parent.run(self.module, arguments, log, before)
        return subprocess.Popen(
            [*before, *self.before, sys.executable, "-m", self.module, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=os.environ | {"GRPC_VERBOSITY": "NONE"} | dict(self.environment),
        )

    def _ports_in(self, log: Path, begun: int) -> bool:
        for line in self.said(log, begun).splitlines():
            if line.startswith("{") and line.endswith("}"):
                said = json.loads(line)
                if said["event"] == "licd serves":
                    self.ports = {each.value: said[each.value] for each in Listener} | {"metrics": said["metrics"]}
                    return True
        return False

    @staticmethod
    def said(log: Path, begun: int = 0) -> str:
        """What it logged from there on."""
        with log.open("rb") as file:
            file.seek(begun)
            return file.read().decode(errors="replace")

    @property
    def pid(self) -> int:
        """The id of the process that runs."""
        assert self.process is not None
        return self.process.pid

    @property
    def runs(self) -> bool:
        """Whether it does."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL. Harmless for one that has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._hang_up()

    def send(self, number: signal.Signals) -> None:
        """A signal to it."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.send(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Waits until it has ended by itself. Returns its exit code."""
        assert self.process is not None
        code = self.process.wait(STOPS_WITHIN)
        self._hang_up()
        return code

    def _hang_up(self) -> None:
        for channel in self.channels:
            channel.close()
        self.channels.clear()

    def address(self, listener: Listener) -> str:
        """host:port."""
        return f"{self.host}:{self.ports[listener.value]}"

    def channel(self, listener: Listener, papers: Papers | None = None) -> grpc.Channel:
        """A new connection; it is closed when the process ends."""
        made = open_channel(self.address(listener), self.state.authority[0].read_bytes(), papers)
        self.channels.append(made)
        return made
