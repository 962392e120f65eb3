"""Runs the tests that lie beside the policies: NAME.test.toml holds cases for NAME.toml.

A case has a name, what is given, and what is expected. Every policy file has at least one case: a figure that nobody
tests is changed without anybody noticing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from licd.policy.folder import TEST_SUFFIX, gather, template_paths
from licd.policy.policies import Policies
from licd.policy.problems import Problem, shown
from licd.policy.reader import Reader
from licd.policy.source import Source, read
from licd.policy.trials import TRIALS, Answer, NotAsked, template_trial


def check(folder: Path) -> list[Problem]:
    """Every problem of the policies and every case that fails, in order of file and line; empty when all is well.

    Cases are run only when the policies can be read; until then only the form of the test files is looked at.
    """
    policies, problems = gather(folder)
    for path in [f"{name}.toml" for name in TRIALS] + template_paths(folder):
        problems += _check_file(folder, path, policies)
    return sorted(problems)


def count_cases(folder: Path) -> int:
    """How many cases lie beside the policies; for the last line of a report."""
    paths = [f"{name}.toml" for name in TRIALS] + template_paths(folder)
    sources = [read(folder, _test_of(path)) for path in paths]
    return sum(len(source.data.get("case", ())) for source in sources if not isinstance(source, Problem))


def _check_file(folder: Path, path: str, policies: Policies | None) -> list[Problem]:
    return run_cases(read(folder, _test_of(path)), _asking(path, policies))


def run_cases(source: Source | Problem, ask: Callable[[Reader], Answer] | None) -> list[Problem]:
    """Every problem of a test file and every case that fails; ask is None where nobody can answer yet."""
    if isinstance(source, Problem):
        return [source]
    problems: list[Problem] = []
    reader = Reader(source, problems)
    names: set[str] = set()
    for case in reader.tables("case", least=1):
        name = case.text("name")
        if name in names:
            case.note("name", f'another case is named "{name}" too')
        names.add(name)
        _run(case, name, ask)
    reader.done()
    return problems


def _run(case: Reader, name: str, ask: Callable[[Reader], Answer] | None) -> None:
    given, expected = case.table_at("given"), case.raw("expect")
    case.done()
    if ask is None or expected is None:
        return
    try:
        answer = ask(given)
    except NotAsked:
        return
    given.done()
    if type(answer) is not type(expected) or answer != expected:
        case.note("expect", f"{name}: expected {shown(expected)}, got {shown(answer)}")


def _asking(path: str, policies: Policies | None) -> Callable[[Reader], Answer] | None:
    if policies is None:
        return None
    name = Path(path).stem
    trial = TRIALS[name] if path == f"{name}.toml" else template_trial(policies.templates[name])
    return partial(trial, policies)


def _test_of(path: str) -> str:
    return path.removesuffix(".toml") + TEST_SUFFIX
