"""licd under load for a while: what a call leaves behind in memory."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from licd.server.state_dir import StateDirectory
from tests.eventually import boot_ms, let_pass
from tests.gate.judge import Judge, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.row import Row, Trial
from tests.gate.stage import made_state
from tests.gate.told import Told

BAR = 200.0
"""Bytes of resident memory a call, over the second half, beyond what the database itself has grown by: SQLite keeps up
to 64 MiB of it in memory, and every grant and end is an entry of the log. A leaked stream or permit is kilobytes."""
PAGE = 4096
LEAST = 30
"""Seconds. Less is all warm-up, and says nothing."""


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def entries_bytes(state: StateDirectory) -> int:
    """How large the database is, what waits in its log of changes included: by its own count of pages."""
    with closing(sqlite3.connect(f"file:{state.database}?mode=ro", uri=True)) as rows:
        return int(rows.execute("PRAGMA page_count").fetchone()[0]) * PAGE


def slope(calls: Sequence[int], sizes: Sequence[int]) -> float:
    """Bytes a call, by least squares over the second half."""
    half = len(calls) // 2
    return statistics.linear_regression(calls[half:], sizes[half:]).slope


def under_load(trial: Trial) -> None:
    """A cycle is a second of it."""
    state = made_state(trial.folder)
    process = trial.daemon(state).start()
    told = Told()
    crowd = Crowd.gather(process, told, trial.chance)
    calls, memory, rows = list[int](), list[int](), list[int]()
    callers = [each.live for each in crowd.holders] + [each.live for each in crowd.askers]
    with Load(told, callers) as load:
        begun = boot_ms()
        for _ in trial.each():
            let_pass(1)
            calls.append(told.answers)
            memory.append(resident(process.pid))
            rows.append(entries_bytes(state))
        trial.need(not load.over, "nobody was answered any more")
        seconds = (boot_ms() - begun) / 1_000
        process.kill()
    judge = Judge(crowd.caps, verifier_of(state))
    trial.violated(*judge.look(state, told, trial.folder / "judged"))
    grown, of_rows = slope(calls, memory), slope(calls, rows)
    trial.figures |= {
        "calls": told.answers,
        "calls/s": round(told.answers / seconds),
        "MiB at the end": round(memory[-1] / (1 << 20), 1),
        "bytes a call": round(grown),
        "of these the database's": round(of_rows),
        "bar beyond it": BAR,
    }
    if trial.cycles >= LEAST:
        trial.need(grown - of_rows <= BAR, f"memory grows by {grown:.0f} bytes a call, the database by {of_rows:.0f}")


ROWS = (Row("soak", "L2", "load for a minute and a half; slope of resident memory", 90, 4, (), under_load, takes=95),)
