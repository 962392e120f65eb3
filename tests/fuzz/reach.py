"""Which of licd's own lines and branches do the inputs reach? Runs samples, kept inputs and regressions once each."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.fuzz.registry import TARGETS
from tests.fuzz.target import Target

MOST: Final = 500
"""Inputs of one target that are run: what comes later adds little, and coverage makes each slow."""
GROUPS: Final = {
    "licd/keys": "licd/keys/*.py",
    "licd/wire": "licd/wire/*.py",
    "licd/policy": "licd/policy/*.py",
    "licd/evidence": "licd/evidence/*.py",
    "licd/client/session": "licd/client/session/*.py",
    "licd/cli, file readers": "licd/cli/t*_file.py,licd/cli/*_check.py,licd/cli/settings.py,"
    "licd/cli/operator_request.py",
    "SDK, file readers": "licd/client/state_file.py,licd/client/slots.py,licd/client/joining.py",
    "licd/server, file readers": "licd/server/config.py,licd/server/backup_file.py,licd/server/ratchet.py",
    "licd/server/services": "licd/server/services/*.py",
}


def report() -> int:
    """Prints a line for each group. Returns the exit code."""
    from tests.fuzz import runs  # noqa: PLC0415 -- not before coverage is on

    coverage: Any = importlib.import_module("coverage")
    measured = coverage.Coverage(branch=True, source=["licd"], omit=["licd/v1/*"], data_file=None)
    measured.start()
    registry = importlib.import_module("tests.fuzz.registry")
    for name in TARGETS:
        with registry.opened(name) as target:
            count = 0
            for data in itertools.islice(inputs(target, runs.BUILD / "corpus" / name), MOST):
                count += 1
                with suppress(Exception):  # what it finds is for the runs to say
                    target.check(data)
            print(f"{name:12} {count} inputs")
    measured.stop()
    for group, patterns in GROUPS.items():
        figures(measured, group, patterns)
    return 0


def inputs(target: Target, corpus: Path) -> Iterator[bytes]:
    """Samples first, then what did harm once, then what was worth keeping."""
    yield from target.seeds
    for path in (*target.regressions(), *(sorted(corpus.iterdir()) if corpus.is_dir() else ())):
        yield path.read_bytes()


def figures(measured: Any, group: str, patterns: str) -> None:
    """One line: statements and branches together, as coverage counts them."""
    lines = reached = branches = taken = 0
    for pattern in patterns.split(","):
        for path in sorted(Path().glob(pattern)):
            numbers = measured._analyze(str(path)).numbers
            lines += numbers.n_statements
            reached += numbers.n_executed
            branches += numbers.n_branches
            taken += numbers.n_executed_branches
    print(f"{group:28} lines {100 * reached / max(lines, 1):5.1f} %   branches {100 * taken / max(branches, 1):5.1f} %")
