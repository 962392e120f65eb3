"""What core decides, licd must ask: a rule that only tests call is a rule that licd does not keep."""

import ast
from collections.abc import Iterator
from itertools import chain

from tests.architecture.sources import name, python_files, tree

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, str]]:
    """Every function and method of licd/core, with its file."""
    for path in python_files("licd/core"):
        for node in ast.walk(tree(path)):
            if isinstance(node, Function) and not node.name.startswith("__"):
                yield name(path), node.name


def mentioned() -> set[str]:
    """Every name that licd says without defining it there."""
    found: set[str] = set()
    for node in chain.from_iterable(ast.walk(tree(path)) for path in python_files("licd")):
        match node:
            case ast.Name(id=said) | ast.Attribute(attr=said):
                found.add(said)
    return found


def test_every_function_of_core_is_called_by_licd() -> None:
    known = mentioned()
    unused = sorted(f"{path}: {function}" for path, function in functions() if function not in known)
    assert unused == [], "only tests call these; licd does something else"


def test_the_names_that_licd_says_are_found() -> None:
    known = mentioned()
    assert {"recall", "acquire_lease", "restore"} <= known
    assert "a_name_that_nobody_says" not in known
