"""Entries of the log → what the transparency report hears of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from licd.core.errors import Invalid
from licd.core.report import HEARD, Told
from licd.evidence.entry import Entry, Field

WORDS: Final = {
    "denied": "reason",
    "denied.counted": "reason",
    "licence.suspended": "code",
    "licence.terminated": "code",
    "case.moved": "to",
    "case.determined": "determination",
    "signal.raised": "done",
}
"""Which field of a kind is its word."""


def told_of(entries: Iterable[tuple[int, Entry]]) -> Iterator[Told]:
    """What there is to count. A field that was erased counts as not said. Raises Invalid."""
    for index, entry in entries:
        kind = _text(entry, "kind")
        if kind not in HEARD:
            continue
        try:
            yield Told(
                at=_number(entry, "at"),
                kind=kind,
                subject=_text(entry, kind.partition(".")[0]),
                word=_text(entry, WORDS[kind]) if kind in WORDS else "",
                times=_number(entry, "count") if kind == "denied.counted" else 1,
                due=(_number(entry, "acknowledge_by"), _number(entry, "answer_by")),
            )
        except ValueError as error:
            raise Invalid(f"entry {index} of kind {kind}: {error}") from error


def _text(entry: Entry, name: str) -> str:
    found = entry.field(name)
    return found.value.decode() if isinstance(found, Field) else ""


def _number(entry: Entry, name: str) -> int:
    return int(_text(entry, name) or "0")
