"""One run of one target in a process of its own: guided where atheris is there, by chance alone where it is not."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.fuzz import seeded
from tests.fuzz.registry import opened
from tests.fuzz.target import REGRESSIONS

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / "build" / "fuzz"
SLACK_SECONDS: Final = 300
"""For a target to open and to close, on a machine that others use too."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run. found are files with inputs, below tests/fuzz/regressions; error is why it did not run."""

    target: str
    engine: str
    seed: int
    seconds: float
    executions: int
    coverage: int
    corpus: int
    found: list[str]
    error: str = ""

    @property
    def is_good(self) -> bool:
        """Nothing was found, and something was looked at."""
        return not self.found and not self.error and self.executions > 0

    def line(self) -> str:
        """As JSON, on one line."""
        return json.dumps(asdict(self) | {"good": self.is_good})


def has_atheris() -> bool:
    """Whether coverage can guide: there are wheels for Linux on x86-64."""
    return importlib.util.find_spec("atheris") is not None


def run(name: str, seconds: float, seed: int, say: Callable[[str], None]) -> Result:
    """Fuzzes one target. say is told what the engine prints when something is wrong."""
    return _guided(name, seconds, seed, say) if has_atheris() else _by_chance(name, seconds, seed, say)


# ------------------------------------------------------------------------------------------------------------ guided
def _guided(name: str, seconds: float, seed: int, say: Callable[[str], None]) -> Result:
    corpus = BUILD / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()  # noqa: TID251 -- a run takes real time
    with tempfile.TemporaryDirectory() as artefacts:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.guided",
            name,
            str(corpus),
            artefacts,
            str(int(seconds)),
            str(seed),
        ]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, check=False, timeout=seconds + SLACK_SECONDS, text=True,
                errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Result(name, "atheris", seed, seconds, 0, 0, 0, [], error="it did not end in time")
        found = [str(_kept(name, path.read_bytes())) for path in sorted(Path(artefacts).iterdir())]
    spent = time.monotonic() - started  # noqa: TID251 -- as above
    error = "" if found or done.returncode == 0 else f"exit code {done.returncode}"
    if found or error:
        say(done.stdout[-4000:] + done.stderr[-4000:])
    executions = _last(r"stat::number_of_executed_units:\s*(\d+)", done.stderr) or _last(r"#(\d+)\s", done.stderr)
    coverage, kept = _last(r"cov: (\d+)", done.stderr), len(list(corpus.iterdir()))
    return Result(name, "atheris", seed, round(spent, 1), executions, coverage, kept, found, error)


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def _kept(name: str, data: bytes) -> Path:
    """Keeps an input that did harm where every later `make test` runs it again."""
    path = REGRESSIONS / name / f"{sha256(data).hexdigest()[:16]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path.relative_to(ROOT)


# --------------------------------------------------------------------------------------------------------- by chance
def _by_chance(name: str, seconds: float, seed: int, say: Callable[[str], None]) -> Result:
    started = time.monotonic()  # noqa: TID251 -- a run takes real time
    count = 0
    found: list[str] = []
    with opened(name) as target:
        for data in seeded.inputs(target, seed):
            if time.monotonic() - started >= seconds:  # noqa: TID251 -- as above
                break
            count += 1
            try:
                seeded.judge(target, data)
            except Exception as error:  # noqa: BLE001 -- whatever it is: it is what was looked for
                found.append(str(_kept(name, data)))
                say(f"{name}: {error!r}")
                break
    spent = round(time.monotonic() - started, 1)  # noqa: TID251 -- as above
    return Result(name, "chance", seed, spent, count, 0, len(target.seeds), found)


def forget_corpus(name: str) -> None:
    """Begins again from the valid samples alone."""
    shutil.rmtree(BUILD / "corpus" / name, ignore_errors=True)
