"""The runbook names only commands that exist: it is read at night."""

import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from licd.cli.main import NOUNS
from licd.server.command.entry import VERBS
from tests.architecture.sources import ROOT

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
README = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
SPANS = [re.sub(r"\s+", " ", span) for span in re.findall(r"`(lic(?:ctl|d) [^`]+)`", TEXT + README)]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words lead to, and what is left of them."""
    program, *rest = words
    if program == "licd":
        modules = {name: module for name, module, *_ in VERBS}
        assert rest[0] in modules, f"licd has no verb {rest[0]}"
        found: Any = typer.main.get_command(importlib.import_module(f"licd.server.command.{modules[rest.pop(0)]}").app)
    else:
        modules = {name: module for name, module, *_ in NOUNS}
        assert rest[0] in modules, f"licctl has no noun {rest[0]}"
        found = typer.main.get_command(importlib.import_module(f"licd.cli.{modules[rest.pop(0)]}").app)
    while hasattr(found, "commands") and rest:
        assert rest[0] in found.commands, f"there is no {' '.join(words)}"
        found = found.commands[rest.pop(0)]
    return found, rest


def options_of(command: Any) -> Iterator[str]:
    for parameter in command.params:
        yield from parameter.opts
        yield from parameter.secondary_opts


def test_the_runbook_names_many_commands() -> None:
    assert len(SPANS) > 30


@pytest.mark.parametrize("span", sorted({span for span in SPANS if "…" not in span.split()[1]}))
def test_a_command_in_the_runbook_exists_with_its_options(span: str) -> None:
    command, rest = command_of(span.split())
    assert not hasattr(command, "commands"), f"{span}: which of {', '.join(command.commands)}?"
    used = {word for word in rest if word.startswith("--")}
    assert used - set(options_of(command)) == set()


def test_every_link_inside_the_runbook_leads_somewhere() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^## (\w+)$", TEXT, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", TEXT)) - anchors == set()
