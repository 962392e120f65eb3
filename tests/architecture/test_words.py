"""One spelling for the thing itself, and no name that says nothing."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import ROOT, name, python_files, tree

# `licensed` and `licensee` are right in British English too; the noun is licence.
AMERICAN = re.compile(r"[Ll]icense(?![ed])|LICENSE(?![ED])")
SAYS_NOTHING = {"manager", "helper", "helpers", "util", "utils", "base", "common"}


def defined_names(path: Path) -> Iterator[str]:
    """What a file itself names: not what it calls by another's name."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.FunctionDef(name=text) | ast.AsyncFunctionDef(name=text) | ast.ClassDef(name=text):
                yield text
            case ast.arg(arg=text) | ast.alias(asname=str() as text) | ast.Name(id=text, ctx=ast.Store()):
                yield text
            case ast.Attribute(attr=text, ctx=ast.Store()):
                yield text
            case _:
                pass


def proto_names(path: Path) -> list[str]:
    return re.findall(r"\w+", re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8")))


def toml_keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from toml_keys(item)


def names_by_file() -> Iterator[tuple[Path, list[str]]]:
    for path in python_files("licd", "simulator", "tests", ".ci"):
        yield path, [path.stem, *defined_names(path)]
    for path in (ROOT / "proto").rglob("*.proto"):
        yield path, [path.stem, *proto_names(path)]
    for path in (ROOT / "policies").rglob("*.toml"):
        yield path, [path.stem, *toml_keys(tomllib.loads(path.read_text(encoding="utf-8")))]


def test_the_noun_is_spelt_licence_in_every_name_of_ours() -> None:
    found = {name(path): wrong for path, names in names_by_file() if (wrong := set(filter(AMERICAN.search, names)))}
    assert found == {}


@pytest.mark.parametrize("text", ["license_id", "LicenseExpired", "the_license", "LICENSE_KIND", "licenses"])
def test_sees_the_american_noun(text: str) -> None:
    assert AMERICAN.search(text)


@pytest.mark.parametrize("text", ["licence_id", "licensee", "LICENSED_UNTIL", "Licences"])
def test_leaves_british_words_alone(text: str) -> None:
    assert not AMERICAN.search(text)


def words(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def test_no_module_or_class_has_a_name_that_says_nothing() -> None:
    named = [(path, path.stem) for path in python_files("licd", "simulator", "tests")]
    named += [
        (path, node.name)
        for path in python_files("licd", "simulator", "tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    assert [f"{name(path)}: {text}" for path, text in named if words(text) & SAYS_NOTHING] == []
