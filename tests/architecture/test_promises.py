"""No attack loses its test, and docs/promises.md names only tests that are there."""

import ast
import re

from tests.architecture.sources import ROOT, tree
from tests.attacks.faults import FAULTS
from tests.attacks.table import ATTACKS, NOT_YET, OURS

FOLDER = ROOT / "tests" / "attacks"
PROMISES = ROOT / "docs" / "promises.md"
NAMED = re.compile(r"`((?:tests|simulator)/[\w/]+\.py)(?:::(\w+))?`")
PROMISED = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "L1", "L2"]
ROWS = re.compile(r"^\| (?:\*\*)?([SL]\d)\b", re.MULTILINE)


def names_in(path: str) -> set[str]:
    """The names of the tests in a file of ours."""
    file = ROOT / path
    if not file.is_file():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree(file)) if isinstance(node, functions) and node.name.startswith("test_")}


def test_every_attack_has_its_test_and_is_called_by_its_name() -> None:
    named = [each for tests in (ATTACKS | OURS).values() for each in tests]
    missing = [each for each in named if each.split("::")[1] not in names_in(f"tests/attacks/{each.split('::')[0]}")]
    assert missing == []
    assert all((ATTACKS | OURS).values())
    assert len(set(named)) == len(named)


def test_the_protocols_list_is_the_tables() -> None:
    """28 attacks have a test; what licd cannot be attacked by yet says why."""
    assert len(ATTACKS) == 28
    assert set(NOT_YET) == {"false pseudonym in an inquiry"}


def test_every_attack_was_seen_to_fail_with_a_planted_fault() -> None:
    named = {each.split("::")[1] for tests in (ATTACKS | OURS).values() for each in tests}
    faulted = {test for fault in FAULTS for test in fault.tests}
    assert sorted(named - faulted) == []
    assert sorted(faulted - named) == []


def test_every_test_that_the_promises_name_exists() -> None:
    found = NAMED.findall(PROMISES.read_text(encoding="utf-8"))
    assert len(found) > 40
    assert [path for path, _ in found if not (ROOT / path).is_file()] == []
    assert [f"{path}::{test}" for path, test in found if test and test not in names_in(path)] == []


def test_every_promise_is_on_the_page_and_every_attack_too() -> None:
    text = PROMISES.read_text(encoding="utf-8")
    assert sorted(set(ROWS.findall(text))) == sorted(PROMISED)
    assert [each for each in (*ATTACKS, *OURS, *NOT_YET) if each not in text] == []
