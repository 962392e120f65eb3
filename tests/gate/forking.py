"""Loads what `licd serve` loads, and forks a process for each program that is asked for: tests.gate.parent asks.

    python -m tests.gate.forking

Each line of the input is a request, JSON, each of the output its answer.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path


def main() -> None:
    """Serves requests until the input ends. In a child it returns when its program does."""
    importlib.import_module("licd.server.command.serve")
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
