import ast
import re

from tests.architecture.sources import ROOT, calls, imports, name, python_files, tree

LONGEST_MODULE = 400
LONGEST_TABLE_OF_CASES = 600
OURS = ("licd", "simulator", "tests", ".ci")
OPENING = re.compile(r'"""[^\n]+\n[^\n]+("""|\n""")\n?')


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*OURS)}
    assert {path: length for path, length in lengths.items() if length > _longest(path)} == {}


def _longest(path: str) -> int:
    return LONGEST_TABLE_OF_CASES if path.startswith("tests/") else LONGEST_MODULE


def test_each_package_opens_with_two_lines_its_question_and_what_it_may_import() -> None:
    packages = [*(ROOT / "licd").rglob("__init__.py"), ROOT / "simulator" / "__init__.py"]
    assert len(packages) > 1
    assert [name(path) for path in packages if not OPENING.match(path.read_text(encoding="utf-8"))] == []


def test_nobody_mocks() -> None:
    mocks = [f"{name(path)}:{line}" for path in python_files(*OURS) for line, what in imports(path) if is_mock(what)]
    assert mocks == []


def is_mock(imported: str) -> bool:
    return imported.startswith(("unittest.mock", "mock.", "pytest_mock")) or imported == "mock"


def test_core_and_evidence_call_nothing_that_reaches_outside() -> None:
    # What no import contract sees, because it is built in.
    outside = {"open", "print", "input", "exec", "eval", "compile", "breakpoint", "__import__"}
    found = [
        f"{name(path)}:{node.lineno} {called}"
        for path in python_files("licd/core", "licd/evidence")
        for called, node in calls(path)
        if called in outside
    ]
    assert found == []


def test_no_test_sleeps() -> None:
    tests = [path for path in python_files("tests") if ROOT / "tests" / "bench" not in path.parents]
    found = [
        f"{name(path)}:{node.lineno} {called}({', '.join(map(ast.unparse, node.args))})"
        for path in tests
        for called, node in calls(path)
        if called in {"time.sleep", "sleep"} or (called == "asyncio.sleep" and not yields_only(node))
    ]
    assert found == []


def yields_only(call: ast.Call) -> bool:
    """`asyncio.sleep(0)` lets others run; it waits for no clock."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_only_the_daemon_starts_a_grpc_server() -> None:
    found = [
        f"{name(path)}:{node.lineno}"
        for path in python_files("licd", "simulator")
        for called, node in calls(path)
        if called in {"grpc.server", "grpc.aio.server", "aio.server"} and not name(path).startswith("licd/server/")
    ]
    assert found == []


def test_only_the_error_family_itself_derives_from_its_root() -> None:
    # Derived elsewhere it would reach the caller as INTERNAL. A kind of Invalid may stand elsewhere: it keeps the code.
    home = ROOT / "licd" / "core" / "errors.py"
    found = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in python_files("licd", "simulator")
        if path != home
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and "LicdError" in {ast.unparse(base).split(".")[-1] for base in node.bases}
    ]
    assert found == []
