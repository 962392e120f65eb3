"""`make gate`: every row on real processes, some at a time; the table, and build/gate.json."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exc
from typing import Final

from tests.eventually import boot_ms
from tests.gate.row import ROOT_RIGHTS, Row, Tool, Trial
from tests.gate.rows import (
    clocks,
    drain,
    full_disk,
    fuzzing,
    kill,
    partition,
    patroni,
    power_cut,
    replicas,
    restore,
    simulation,
    soak,
)

MODULES = (simulation, kill, power_cut, full_disk, partition, clocks, drain, restore, soak, replicas, fuzzing)
ROWS: tuple[Row, ...] = tuple(row for module in MODULES for row in module.ROWS)
REPORT = Path("build/gate.json")
NIGHTLY: tuple[Row, ...] = patroni.ROWS
"""What waits too long for `make gate`; `make nightly` runs it."""
NIGHTLY_REPORT = Path("build/nightly.json")
ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "gate"
"""What a row's systems wrote to standard error, and all that a row leaves in which something was wrong."""
LANES = 2
"""Rows that wait for leases and processes, at once."""
BEHIND = 3
"""Patient rows at once: all that are long, so that none is left over when the others are done."""
ENDS_WITHIN = 30
_RUNNING: Final[set[subprocess.Popen[bytes]]] = set()


@dataclass
class Outcome:
    """What a row came to. failed says why it did not run to its end."""

    row: str
    promise: str
    method: str
    cycles: int
    violations: int
    seed: int
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    failed: str = ""

    @property
    def good(self) -> bool:
        """Whether it ran, all of it, and nothing was violated."""
        return not self.failed and not self.violations and self.cycles > 0


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 on any violation or row that could not run, 2 for a row that does not exist."""
    parser = argparse.ArgumentParser(prog="python -m tests.gate", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(row.name for row in (*ROWS, *NIGHTLY)))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--cycles", type=int, default=0, help="instead of the row's own")
    parser.add_argument("--smoke", action="store_true", help="a very few cycles each")
    parser.add_argument("--nightly", action="store_true", help="the rows of make nightly, when none is named")
    parser.add_argument("--lanes", type=int, default=LANES, help="rows that run at once, patient ones apart")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    known = {row.name: row for row in (*ROWS, *NIGHTLY)}
    if unknown := sorted(set(asked.rows) - set(known)):
        print(f"no such row: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    seed = asked.seed if asked.seed is not None else int.from_bytes(os.urandom(4), "big")
    rows = [known[name] for name in asked.rows] or list(NIGHTLY if asked.nightly else ROWS)
    wanted = {row.name: asked.cycles or (row.smoke if asked.smoke else row.cycles) for row in rows}
    if asked.alone:
        print(json.dumps(asdict(_run(rows[0], seed, wanted[rows[0].name]))))
        return 0
    report, begun = Report(rows, NIGHTLY_REPORT if asked.nightly else None), boot_ms()
    with ThreadPoolExecutor(asked.lanes) as lanes, ThreadPoolExecutor(BEHIND) as behind:
        started = [
            (behind if row.patient else lanes).submit(_in_a_process, row, seed, wanted[row.name])
            for row in sorted(rows, key=lambda row: -row.takes)
        ]
        try:
            print(HEAD, flush=True)
            for ended in as_completed(started):
                report.take(ended.result(), (boot_ms() - begun) / 1_000)
        except KeyboardInterrupt:
            _stop(started)
    _tell(report.outcomes, (boot_ms() - begun) / 1_000)
    if len(report.outcomes) < len(rows):
        print(f"stopped: {len(rows) - len(report.outcomes)} rows had not ended", flush=True)
        return 1
    return 0 if all(outcome.good for outcome in report.outcomes) else 1


def absent(tools: Sequence[Tool]) -> str:
    """What is not there, and how it comes there."""
    missing = [each for each in tools if not _there(each)]
    return "; ".join(f"{each.path} is absent: {each.install}" for each in missing)


def _there(tool: Tool) -> bool:
    if tool is ROOT_RIGHTS:
        return os.geteuid() == 0
    return Path(tool.path).exists() or shutil.which(tool.path) is not None


def _in_a_process(row: Row, seed: int, cycles: int) -> Outcome:
    """Each row in a process of its own: one that hangs is ended, and takes nothing along."""
    outcome = Outcome(row.name, row.promise, row.method, 0, 0, seed, 0.0)
    if why := absent(row.tools):
        outcome.failed = why
        return outcome
    begun = boot_ms()
    command = [sys.executable, "-m", "tests.gate", "--alone", "--seed", str(seed), "--cycles", str(cycles), row.name]
    if row.patient:
        command = ["nice", "-n", str(row.patient), *command]
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{row.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "0"},  # a row starts programs while its callers call
        )
    _RUNNING.add(process)
    _stand_back(process.pid, row.patient)
    try:
        said, _ = process.communicate(timeout=row.seconds)
        return Outcome(**json.loads(said))
    except subprocess.TimeoutExpired:
        outcome.failed = f"hung for {row.seconds} s"
        _ask_to_end(process)
    except json.JSONDecodeError:
        outcome.failed = f"ended with {process.returncode} and no result"
    finally:
        with suppress(ProcessLookupError):  # what a row starts is of its group: nothing of it stays
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _RUNNING.discard(process)
    outcome.seconds = (boot_ms() - begun) / 1_000
    return outcome


def _stand_back(pid: int, by: int) -> None:
    """A session of its own is a group of its own where the kernel shares time out by groups: nice counts within it."""
    with suppress(OSError):  # a kernel without such groups goes by nice alone
        Path(f"/proc/{pid}/autogroup").write_text(str(by))


def _stop(started: Sequence[Future[Outcome]]) -> None:
    """Ends what runs, and lets nothing more begin."""
    for each in started:
        each.cancel()
    asked: set[subprocess.Popen[bytes]] = set()
    deadline = boot_ms() + ENDS_WITHIN * 1_000
    while wait(started, timeout=0.2).not_done:
        for process in tuple(_RUNNING):
            if boot_ms() > deadline:
                process.kill()
            elif process not in asked:
                asked.add(process)
                process.terminate()


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, which what runs in the background would not hear: it takes down its mounts and namespaces."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_WITHIN)


def _run(row: Row, seed: int, cycles: int) -> Outcome:
    """Here and now. What it leaves is kept where something is wrong."""
    begun = boot_ms()
    with TemporaryDirectory(prefix=f"licd-gate-{row.name}-", ignore_cleanup_errors=True) as folder:
        trial = Trial.of(row.name, Path(folder), seed, cycles)
        failed = ""
        try:
            row.run(trial)
        except Exception:  # noqa: BLE001 -- told in the table, and the gate fails
            failed = format_exc()
        finally:
            trial.ending.close()
        if failed or trial.violations:
            kept = KEPT / f"{row.name}-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True, ignore_dangling_symlinks=True)
    return Outcome(
        row.name,
        row.promise,
        row.method,
        trial.done,
        trial.violations,
        seed,
        (boot_ms() - begun) / 1_000,
        trial.figures,
        trial.told,
        failed,
    )


class Report:
    """The rows that have ended, in the table's order, in a file from the moment each of them ends."""

    def __init__(self, rows: Sequence[Row], file: Path | None = None) -> None:
        self._file: Final = file or REPORT
        self._order: Final = [row.name for row in rows]
        self._ended: Final[dict[str, Outcome]] = {}

    @property
    def outcomes(self) -> list[Outcome]:
        """Of the rows that have ended."""
        return [self._ended[name] for name in self._order if name in self._ended]

    def take(self, outcome: Outcome, seconds: float) -> None:
        """Prints the row and writes the file anew: a run that is stopped keeps what it has come to."""
        self._ended[outcome.row] = outcome
        print(_line(outcome), flush=True)
        running = [name for name in self._order if name not in self._ended]
        content = {"seconds": seconds, "running": running, "rows": [asdict(each) for each in self.outcomes]}
        self._file.parent.mkdir(exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(content, indent=2) + "\n")
        new.replace(self._file)


HEAD = f"{'promise':14} {'row':10} {'method':58} {'cycles':>7} {'violations':>10} {'seed':>11} {'s':>6}"


def _line(each: Outcome) -> str:
    return (
        f"{each.promise:14} {each.row:10} {each.method:58} {each.cycles:7} {each.violations:10} {each.seed:11} "
        f"{each.seconds:6.1f}"
    )


def _tell(outcomes: Sequence[Outcome], seconds: float) -> None:
    print()
    print(HEAD)
    for each in outcomes:
        print(_line(each))
    for each in outcomes:
        figures = ", ".join(f"{name} {value:g}" for name, value in each.figures.items())
        print(f"  {each.row}: {figures}")
        for text in each.told:
            print(f"    VIOLATED {text}")
        if each.failed:
            print(f"    DID NOT RUN {each.failed}")
        if not each.good:
            print(f"    again: make gate GATE={each.row} SEED={each.seed}")
    print(f"{sum(each.good for each in outcomes)} of {len(outcomes)} rows hold, {seconds:.0f} s")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a run that is stopped stops its rows, also in the background
        signal.signal(number, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
