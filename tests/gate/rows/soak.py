"""licd under load for a while: what a call leaves behind in memory."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.eventually import boot_ms, let_pass
from tests.gate.judge import Judge, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.row import Row, Trial
from tests.gate.stage import made_state
from tests.gate.told import Told

BAR = 400.0
"""Bytes of resident memory a call, over the second half. A call here leaves a log entry or two in the page cache of the
database (up to 64 MiB of them); a leaked stream, permit or row would be kilobytes."""
PAGE = 4096


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def slope(samples: list[tuple[int, int]]) -> float:
    """Bytes a call, by least squares over the second half."""
    half = samples[len(samples) // 2 :]
    return statistics.linear_regression([each[0] for each in half], [each[1] for each in half]).slope


def under_load(trial: Trial) -> None:
    """A cycle is a second of it."""
    state = made_state(trial.folder)
    process = trial.daemon(state).start()
    told = Told()
    crowd = Crowd.gather(process, told, trial.chance)
    samples: list[tuple[int, int]] = []
    callers = [each.live for each in crowd.holders] + [each.live for each in crowd.askers]
    with Load(told, callers) as load:
        begun = boot_ms()
        for _ in trial.each():
            let_pass(1)
            samples.append((told.answers, resident(process.pid)))
        trial.need(not load.over, "nobody was answered any more")
        seconds = (boot_ms() - begun) / 1_000
        process.kill()
    judge = Judge(crowd.caps, verifier_of(state))
    trial.violated(*judge.look(state, told, trial.folder / "judged"))
    trial.figures |= {
        "calls": told.answers,
        "calls/s": round(told.answers / seconds),
        "MiB at the end": round(samples[-1][1] / (1 << 20), 1),
        "bytes a call": round(slope(samples)) if len(samples) > 3 else 0,
        "bar": BAR,
    }
    if trial.cycles >= 30:  # less is all warm-up, and says nothing
        trial.need(slope(samples) <= BAR, f"memory grows by {slope(samples):.0f} bytes a call")


ROWS = (Row("soak", "L2", "load for a minute and a half; slope of resident memory", 90, 4, (), under_load),)
