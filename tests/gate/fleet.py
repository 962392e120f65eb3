"""A process of customer systems, as seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from licd.client.sync import System
from tests.daemon import PATIENCE, ROOT
from tests.eventually import boot_ms, eventually
from tests.office import Office

Who = tuple[str, int]


def enrolled(office: Office, licence: str, folder: Path, number: int) -> list[Path]:
    """So many directories of systems of one licence."""
    directories = []
    for index in range(number):
        name = f"gate-{licence}-{index}"
        System.enrol(office.alice.invite(licence, name), folder / name)
        directories.append(folder / name)
    return directories


class Fleet:
    """Starts with the block and ends with it. before is what starts it in its place and becomes it by exec."""

    def __init__(
        self,
        directories: Sequence[Path],
        targets: int = 1,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = [*before, sys.executable, "-m", "tests.gate.systems", *map(str, directories)]
        self.command += ["--targets", str(targets)]
        self.environment = os.environ | {"GRPC_VERBOSITY": "NONE"} | dict(environment or {})
        self.leases = len(directories) * targets
        self.acting: dict[Who, int] = {}
        self.last: dict[Who, int] = {}
        self.connected: dict[str, int] = {}
        self.causes: list[str] = []
        self.refusals: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.process: subprocess.Popen[bytes]
        self._reader: threading.Thread

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            who = (event.get("system", ""), event.get("target", -1))
            match event["event"]:
                case "acting":
                    self.acting[who] = event["at"]
                case "stopped":
                    self.last[who] = max(self.last.get(who, 0), event["last"])
                    self.causes.append(event["cause"])
                    self.acting.pop(who, None)
                case "connected":
                    self.connected[who[0]] = event["at"]
                case "disconnected":
                    self.connected.pop(who[0], None)
                case "refused":
                    self.refusals.append(event["reason"])
                case _:
                    pass

    def all_act(self, limit: float) -> int:
        """Waits until every lease is acted on. Returns how many milliseconds that took."""
        begun = boot_ms()
        eventually(lambda: len(self.acting) == self.leases, limit, f"all {self.leases} leases are acted on")
        return boot_ms() - begun

    def in_touch(self, since: int, limit: float) -> None:
        """Waits until every system has come to licd after this boot instant."""
        systems = len({who for who, _ in self.acting})

        def all_came() -> bool:
            return len(self.connected) == systems and min(self.connected.values()) > since

        eventually(all_came, limit, "every system is in touch with licd")

    def none_acts(self, limit: float) -> int:
        """Waits until every lease has stopped. Returns the boot instant of the last act."""
        eventually(lambda: not self.acting, limit, "every lease has stopped")
        return max(self.last.values())

    def send(self, number: signal.Signals) -> None:
        """A signal to the process."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a crash."""
        self.process.kill()
        self._end()

    def close(self) -> None:
        """As a program that ends."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self._end()

    def _end(self) -> None:
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.close()
        else:
            self._end()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
