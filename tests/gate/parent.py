"""A process that has loaded licd and forks daemons: loading is most of a start, and kill rows start by the hundred.

    python -m tests.gate.parent

A daemon made so is a process of its own, with its own id, killed and traced as any other; before its first step it has
nothing but licd's modules in memory. Each line of the input is a request, JSON, each of the output its answer.
"""

from __future__ import annotations

import gc
import json
import os
import random
import runpy
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

RUN, DIED = "run", "died"


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
        if self.returncode is None and select.select([self.descriptor], [], [], 0)[0]:
            self._buried()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self.descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self._buried()
        assert self.returncode is not None
        return self.returncode

    def _buried(self) -> None:
        self.returncode = self.parent.ask(what=DIED, pid=self.pid)["code"]
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
            [sys.executable, "-m", "tests.gate.parent"],
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
        made = self.ask(what=RUN, module=module, arguments=list(arguments), log=str(log))
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


def main() -> None:
    """Serves requests until the input ends. In a child it returns when its program does."""
    import licd.server.command.serve  # noqa: F401, PLC0415 -- what all of this is for

    gc.collect()
    gc.freeze()  # a child's collections leave it alone, and so it stays shared
    held: int | None = None
    for line in sys.stdin.buffer:
        match json.loads(line):
            case {"what": "run", "module": str(module), "arguments": list(arguments), "log": str(log)}:
                released, held = os.pipe()
                pid = os.fork()
                if not pid:
                    os.close(held)
                    _become(module, arguments, log, released)
                    return
                os.close(released)
                _answer(pid=pid)
            case {"what": "go"} if held is not None:
                os.close(held)
                held = None
                _answer()
            case {"what": "died", "pid": int(pid)}:
                _, status = os.waitpid(pid, 0)
                _answer(code=os.waitstatus_to_exitcode(status))
            case request:
                raise ValueError(request)


def _answer(**answer: int) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _become(module: str, arguments: Sequence[str], log: str, released: int) -> None:
    """In the child: its own output, nothing of the parent's conversation, and the program."""
    with Path(log).open("ab") as out, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    random.seed()
    os.read(released, 1)  # the end of it: whoever wants to trace this process does so now
    os.close(released)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
