"""Whoever lists the log by kind is told which kinds there are: the list is what the code says, no more and no less."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase

from licd.core.entry_kinds import ENTRY_KINDS
from licd.ledger.told import SAYS, SILENT
from tests.architecture.sources import calls, name, python_files, tree

WRITERS = ("record", "log")


def constants() -> dict[str, str]:
    """Texts that core and ledger give a name to."""
    found: dict[str, str] = {}
    for path in python_files("licd/core", "licd/ledger"):
        for node in tree(path).body:
            match node:
                case (
                    ast.AnnAssign(target=ast.Name(id=named), value=ast.Constant(value=str(text)))
                    | ast.Assign(targets=[ast.Name(id=named)], value=ast.Constant(value=str(text)))
                ):
                    found[named] = text
    return found


def patterns(kind: ast.expr, named: dict[str, str]) -> Iterator[str]:
    """What the first argument of a writer can be: a text, or one with a star where it says something that varies."""
    match kind:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=constant) if constant in named:
            yield named[constant]
        case ast.IfExp(body=one, orelse=other):
            yield from patterns(one, named)
            yield from patterns(other, named)
        case ast.JoinedStr(values=parts):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "*" for each in parts)


def written() -> dict[str, list[str]]:
    """Every writing call in core and ledger, and the kinds it may write."""
    named = constants()
    found: dict[str, list[str]] = {}
    for path in python_files("licd/core", "licd/ledger"):
        for called, call in calls(path):
            if "." in called and called.rpartition(".")[2] in WRITERS and call.args:
                found[f"{name(path)}:{call.lineno}"] = list(patterns(call.args[0], named))
    return found


def test_every_kind_that_is_written_can_be_listed_and_every_listed_one_is_written() -> None:
    said = written()
    assert [where for where, kinds in said.items() if not kinds] == [], "of which kind is this entry?"
    every = {kind for kinds in said.values() for kind in kinds}
    assert sorted(kind for kind in every if not any(fnmatchcase(known, kind) for known in ENTRY_KINDS)) == []
    assert sorted(known for known in ENTRY_KINDS if not any(fnmatchcase(known, kind) for kind in every)) == []


def test_what_is_compared_with_the_rows_is_of_kinds_that_there_are() -> None:
    assert {*SAYS, *SILENT} <= ENTRY_KINDS
