"""Schemes of codes: who made a list of purposes or offences, and in which version. A code reads scheme:code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from licd.policy.reader import Reader

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Scheme:
    """Where a list of codes comes from."""

    name: str
    title: str
    version: str
    source: str


def read_schemes(reader: Reader) -> Iterator[tuple[Scheme, Reader]]:
    """Each [scheme.NAME] with what all have in common; the caller reads the rest and says done()."""
    count = 0
    for name, table in reader.named("scheme"):
        table.name(name)
        yield Scheme(name, table.text("title"), table.text("version"), table.text("source")), table
        count += 1
    if not count:
        reader.note(None, "there must be at least one [scheme.NAME]")


def qualified(scheme: Scheme, code: str, reader: Reader, key: str | None = None) -> str:
    """scheme:code; notes a code that is not one word."""
    if not _CODE.fullmatch(code):
        reader.note(key, f'the code "{code}" must be letters, digits, - and _, beginning with a letter')
    return f"{scheme.name}:{code}"


def read_descriptions(scheme: Scheme, reader: Reader) -> dict[str, str]:
    """A table of code = "description", to its end."""
    found = {}
    for code in reader.table:
        found[qualified(scheme, code, reader, code)] = reader.text(code)
    return found
