"""Takes values out of one table of a policy file by key, checks them, and notes what is wrong instead of stopping.

After a problem a reader hands back something harmless of the right type, so that one run finds every problem of a
file. Whatever was built on the way must not be used once anything has been noted: load() sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from licd.core.time import Millis
from licd.policy.lines import KeyPath
from licd.policy.problems import Problem, shown, unknown
from licd.policy.source import Source

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_MANY = 1_000_000_000


class Reader:
    """One table of one file, and the list in which its problems are noted."""

    __slots__ = ("_asked", "path", "problems", "source", "table")

    def __init__(self, source: Source, problems: list[Problem], path: KeyPath = (), table: Any = None) -> None:
        self.source = source
        self.problems = problems
        self.path = path
        self.table: Mapping[str, Any] = source.data if table is None else table
        self._asked: set[str] = set()

    # ------------------------------------------------------------------------------------------------- noting
    def note(self, key: str | None, message: str, *, element: int | None = None, refers: bool = False) -> None:
        """Notes a problem at the line of a key, of an element of its array, or of the table itself."""
        path = self.path if key is None else (*self.path, key)
        line = self.source.line(path if element is None else (*path, element))
        self.problems.append(Problem(self.source.file, line, message, refers))

    def sound(self) -> bool:
        """Whether nothing has been noted in this file so far, so that its values can be held against each other."""
        return not any(problem.file == self.source.file for problem in self.problems)

    def done(self) -> None:
        """Notes every key that nobody asked for."""
        for key in self.table:
            if key not in self._asked:
                self.note(key, unknown("key", key, self._asked))

    def has(self, key: str) -> bool:
        """Whether the key is there; unset and empty differ."""
        self._asked.add(key)
        return key in self.table

    # ------------------------------------------------------------------------------------------------- single values
    def text(self, key: str, *, default: str | None = None, choices: Collection[str] | None = None) -> str:
        """A text that is not blank, one of choices if they are given."""
        value = self._take(key, default)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.note(key, f"{key} must be a text that is not blank, got {shown(value)}")
            return ""
        if choices is not None and value not in choices:
            self.note(key, unknown(key, value, choices) + f" (one of {', '.join(sorted(choices))})")
        return value

    def whole(self, key: str, *, least: int = 0, most: int = _MANY, default: int | None = None) -> int:
        """A whole number from least to most."""
        value = self._take(key, default)
        if value is None:
            return least
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            wanted = f"≥ {least}" if most == _MANY else f"from {least} to {most}"
            self.note(key, f"{key} must be a whole number {wanted}, got {shown(value)}")
            return least
        return value

    def span(self, key: str, unit: Millis, *, least: int = 1, most: int = _MANY, default: int | None = None) -> Millis:
        """A duration in whole units; the key's name says which."""
        return unit * self.whole(key, least=least, most=most, default=default)

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """True or false."""
        value = self._take(key, default)
        if value is not None and not isinstance(value, bool):
            self.note(key, f"{key} must be true or false, got {shown(value)}")
        return value is True

    def thousandths(self, key: str, *, least: int, most: int) -> int:
        """A number of at most three decimals, times 1000; so are least and most."""
        value = self._take(key, None)
        if value is None:
            return least
        exact = Decimal(repr(value)) * 1000 if type(value) in {int, float} else None
        if exact is None or not exact.is_finite() or exact != int(exact) or not least <= exact <= most:
            wanted = f"a number from {least / 1000:g} to {most / 1000:g} with at most three decimals"
            self.note(key, f"{key} must be {wanted}, got {shown(value)}")
            return least
        return int(exact)

    # ------------------------------------------------------------------------------------------------- several values
    def texts(
        self, key: str, *, default: list[str] | None = None, choices: Collection[str] | None = None, least: int = 1
    ) -> tuple[str, ...]:
        """A list of different texts, each one of choices if they are given."""
        value = self._take(key, default)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            self.note(key, f"{key} must be a list of texts that are not blank, got {shown(value)}")
            return ()
        if len(value) < least:
            self.note(key, f"{key} must name at least {least}; an empty list permits nothing")
        for index, item in enumerate(value):
            if item in value[:index]:
                self.note(key, f'{key} names "{item}" twice', element=index)
            if choices is not None and item not in choices:
                self.note(key, unknown(key, item, choices), element=index)
        return tuple(value)

    def table_at(self, key: str) -> Reader:
        """The table under a key; an empty one when it is missing."""
        value = self._take(key, None)
        if value is not None and not isinstance(value, dict):
            self.note(key, f"{key} must be a table, got {shown(value)}")
        return Reader(self.source, self.problems, (*self.path, key), value if isinstance(value, dict) else {})

    def tables(self, key: str, *, least: int = 0) -> Iterator[Reader]:
        """Each table of an array of tables."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.note(key, f"{key} must be an array of tables, [[{key}]]")
            return
        if len(value) < least:
            self.note(key if key in self.table else None, f"there must be at least {least} [[{key}]]")
        for index, item in enumerate(value):
            yield Reader(self.source, self.problems, (*self.path, key, index), item)

    def named(self, key: str, *, default: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Reader]]:
        """Each table of a table of tables, with its name: [category.low] under "category"."""
        value = self._take(key, default)
        if value is None:
            return
        if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
            self.note(key, f"{key} must hold tables, [{key}.NAME]")
            return
        for name, item in value.items():
            yield name, Reader(self.source, self.problems, (*self.path, key, name), item)

    def name(self, name: str) -> str:
        """Notes a name that is not made of small letters, digits, - and _."""
        if not _NAME.fullmatch(name):
            self.note(None, f'"{name}" must be small letters, digits, - and _, beginning with a letter')
        return name

    def raw(self, key: str) -> Any:
        """A value as it was parsed; for what may be of several types."""
        return self._take(key, None)

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        value = self.table.get(key, default)
        if value is None:
            self.note(None, f"{key} is missing")
        return value
