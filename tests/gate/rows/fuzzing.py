"""Each target of the fuzzer for a minute."""

from __future__ import annotations

from tests.fuzz.registry import TARGETS
from tests.fuzz.runs import run
from tests.gate.row import Row, Trial

SECONDS = 60


def fuzz(trial: Trial) -> None:
    """A cycle is a target, a minute of it; where only one is asked for, as a smoke test is, a few seconds."""
    names = list(TARGETS)
    seconds = SECONDS if trial.cycles >= len(names) else 3
    for cycle in trial.each():
        result = run(names[cycle % len(names)], seconds, trial.seed % 2**31, lambda _: None)
        trial.need(result.is_good, f"{result.target}: {result.error or ', '.join(result.found)}")
        trial.count("executions", result.executions)
        trial.figures[result.target] = result.executions


ROWS = (
    Row("fuzz", "L2 S4 S5", "structured fuzzing, guided by coverage", len(TARGETS), 1, (), fuzz, takes=480, patient=5),
)
