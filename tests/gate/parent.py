"""The hand on a process that has loaded licd and forks daemons (tests.gate.forking): loading is most of a start.

A daemon made so is a process of its own, with its own id, killed and traced as any other; before its first step it has
nothing but licd's modules in memory.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon import PATIENCE, ROOT
from tests.eventually import eventually


@dataclass
class Child:
    """A forked process, as subprocess.Popen shows one. Its id is its own until `poll` or `wait` has seen it end."""

    parent: Parent
    pid: int
    descriptor: int
    """Readable once it has ended."""
    tracer: subprocess.Popen[bytes] | None = None
    returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if self.returncode is None and self._has_ended(0):
            self._buried()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not self._has_ended(None if timeout is None else timeout * 1_000):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self._buried()
        assert self.returncode is not None
        return self.returncode

    def _has_ended(self, within_ms: float | None) -> bool:
        """By poll: select knows no descriptor beyond 1 023, and this process may have opened more."""
        waiting = select.poll()
        waiting.register(self.descriptor, select.POLLIN)
        return bool(waiting.poll(within_ms))

    def _buried(self) -> None:
        self.returncode = self.parent.ask(what="died", pid=self.pid)["code"]
        os.close(self.descriptor)
        if self.tracer is not None:
            self.tracer.wait(PATIENCE)

    def send_signal(self, number: int) -> None:
        """Harmless for one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Parent:
    """Runs until it is closed; then nobody sees its children end any more."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.gate.forking"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"},
        )

    def ask(self, **request: Any) -> Any:
        """One request and its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, module: str, arguments: Sequence[str], log: Path, tracer: Sequence[str] = ()) -> Child:
        """`python -m MODULE ARGUMENTS...`, its output into a file. A tracer has hold of it before its first step."""
        made = self.ask(what="run", module=module, arguments=list(arguments), log=str(log))
        child = Child(self, made["pid"], os.pidfd_open(made["pid"]))
        if tracer:
            child.tracer = subprocess.Popen([*tracer, "-p", str(child.pid)])
            eventually(lambda: _is_traced(child.pid), PATIENCE, "it is traced", every=0.002)
        self.ask(what="go")
        return child

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


def _is_traced(pid: int) -> bool:
    return "\nTracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
