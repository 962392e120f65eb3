"""Misuse rules by themselves: a file that somebody works on, or the text of the one in force."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from licd.policy.cases import run_cases
from licd.policy.folder import TEST_SUFFIX
from licd.policy.misuse import MisusePolicy, read_misuse
from licd.policy.misuse_trial import signals_of
from licd.policy.problems import PolicyError, Problem
from licd.policy.reader import Reader
from licd.policy.source import Source, parsed, read
from licd.policy.suspension import read_suspension

MISUSE: Final = "misuse.toml"
SUSPENSION: Final = "suspension.toml"


def read_rules(path: Path) -> MisusePolicy:
    """The rules of a file; the reasons to suspend are those of the suspension.toml beside it.

    Raises PolicyError with every problem.
    """
    return _rules(read(path.parent, path.name), read(path.parent, SUSPENSION))


def rules_of_texts(misuse: str, suspension: str) -> MisusePolicy:
    """The rules of a text, with that of the reasons to suspend. Raises PolicyError."""
    return _rules(parsed(MISUSE, MISUSE, misuse), parsed(SUSPENSION, SUSPENSION, suspension))


def check_rules(path: Path) -> tuple[list[Problem], int]:
    """What is wrong with a file of rules, and which cases beside it fail; and how many cases there are."""
    tests = read(path.parent, path.name.removesuffix(".toml") + TEST_SUFFIX)
    try:
        policy = read_rules(path)
    except PolicyError as refused:
        return [*refused.problems, *run_cases(tests, None)], 0
    problems = run_cases(tests, lambda given: signals_of(policy.rules, policy.brake, given))
    return problems, 0 if isinstance(tests, Problem) else len(tests.data.get("case", ()))


def _rules(misuse: Source | Problem, suspension: Source | Problem) -> MisusePolicy:
    problems = [each for each in (misuse, suspension) if isinstance(each, Problem)]
    if isinstance(misuse, Problem) or isinstance(suspension, Problem):
        raise PolicyError(problems)
    reasons = Reader(suspension, problems)
    codes = read_suspension(reasons).suspend
    reader = Reader(misuse, problems)
    reader.flag("example")
    policy = read_misuse(reader, codes)
    reader.done()
    if problems:
        raise PolicyError(problems)
    return policy
