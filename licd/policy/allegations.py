"""policies/allegations.toml: until when allegations are answered, in which words, and who looks at reporters.

Rules
- An answer is due after the acknowledgement, and no later than policy lets it be shown.
- Looking at who reported takes two persons at least, and one of the purposes that are named.
- There are no answers but those that are named: one that is written for one reporter says something about one customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from licd.core.allegation import Deadlines
from licd.core.time import DAY, HOUR, Millis
from licd.policy.reader import Reader

LONGEST_TEXT: Final = 1000


@dataclass(frozen=True, slots=True)
class AllegationPolicy:
    """The whole file. persons permit a look at an identity, the one who asks included; it is permitted for life."""

    deadlines: Deadlines
    persons: int
    life: Millis
    purposes: Mapping[str, str]
    answers: Mapping[str, str]


def read_allegations(reader: Reader) -> AllegationPolicy:
    """Reads the file."""
    deadline, disclosure = reader.table_at("deadline"), reader.table_at("disclosure")
    deadlines = Deadlines(
        acknowledge=deadline.span("acknowledge_days", DAY, most=31),
        answer=deadline.span("answer_days", DAY, most=366),
        show_after=deadline.span("show_after_days", DAY, least=0, most=366),
    )
    if deadlines.answer < deadlines.acknowledge:
        deadline.note("answer_days", "an answer is due after the acknowledgement, not before it")
    if deadlines.show_after > deadlines.answer:
        deadline.note("show_after_days", "an answer that is due would not be shown yet")
    policy = AllegationPolicy(
        deadlines=deadlines,
        persons=disclosure.whole("persons", least=2, most=10),
        life=disclosure.span("hours", HOUR, most=7 * 24),
        purposes=_texts(reader, "purpose", "description"),
        answers=_texts(reader, "answer", "text"),
    )
    deadline.done()
    disclosure.done()
    return policy


def _texts(reader: Reader, kind: str, key: str) -> Mapping[str, str]:
    found = {}
    for name, table in reader.named(kind):
        found[table.name(name)] = text = table.text(key)
        if len(text) > LONGEST_TEXT:
            table.note(key, f"at most {LONGEST_TEXT} characters")
        table.done()
    if not found:
        reader.note(kind if reader.has(kind) else None, f"there must be at least one [{kind}.NAME]")
    return MappingProxyType(found)
