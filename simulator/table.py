"""Reads one table of a scenario strictly: what is wrong, absent or unknown is noted, with where it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeVar

from simulator.clock import SECOND, Millis

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,38})[a-z0-9]")
_MISSING: Final = object()


class Table:
    """One table. A value that is wrong is noted in `problems`, and its default, or an empty one, is returned."""

    def __init__(self, where: str, values: Mapping[str, Any], problems: list[str]) -> None:
        self.where: Final = where
        self.problems: Final = problems
        self._values: Final = values
        self._read: Final[set[str]] = set()

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def note(self, key: str, problem: str) -> None:
        """Say what is wrong with a key."""
        self.problems.append(f"{self.where}: {key} {problem}")

    def text(self, key: str, *, default: str | None = None, choices: Collection[str] | None = None) -> str:
        """A text that is not empty."""
        value = self._value(key, default)
        if not isinstance(value, str) or (not value and default is None):
            return self._wrong(key, value, "a text that is not empty", "")
        if choices is not None and value not in choices and value != default:
            self.note(key, unknown(value, choices))
        return value

    def name(self, key: str, *, default: str | None = None) -> str:
        """A name as licd wants them: 3 to 40 lower-case letters, digits and hyphens."""
        value = self.text(key, default=default)
        if value and not _NAME.fullmatch(value):
            self.note(key, f'must be 3 to 40 lower-case letters, digits and hyphens, not "{value}"')
        return value

    def whole(self, key: str, *, default: int | None = None, least: int = 0, most: int = 10**9) -> int:
        """A whole number."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            return self._wrong(key, value, f"a whole number from {least} to {most}", default or 0)
        return value

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Either true or false."""
        value = self._value(key, default)
        return value if isinstance(value, bool) else self._wrong(key, value, "true or false", default=False)

    def share(self, key: str, *, default: float) -> float:
        """A probability."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            return self._wrong(key, value, "a number from 0 to 1", default)
        return float(value)

    def span(self, key: str, *, default: Millis | None = None, least: Millis = 0, most: Millis = 10**12) -> Millis:
        """A number of seconds, with decimals, as milliseconds."""
        seconds = self._value(key, None if default is None else default / SECOND)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            return self._wrong(key, seconds, "a number of seconds", default or 0)
        value = round(seconds * SECOND)
        if not least <= value <= most:
            return self._wrong(key, seconds, f"from {least / SECOND:g} to {most / SECOND:g} seconds", default or 0)
        return value

    def texts(self, key: str, *, default: list[str] | None = None) -> tuple[str, ...]:
        """A list of texts, each once."""
        value = self._value(key, default)
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            return self._wrong(key, value, "a list of texts", ())
        if len(set(value)) != len(value):
            self.note(key, "must name each once")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table below this one; an empty one when it is missing."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            value = self._wrong(key, value, "a table", {})
        return Table(f"{self.where}.{key}", value, self.problems)

    def tables(self, key: str) -> Iterator[Table]:
        """An array of tables, written [[key]]."""
        value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            value = self._wrong(key, value, f"an array of tables, [[{key}]]", [])
        for number, each in enumerate(value, start=1):
            yield Table(f"[[{key}]] {number}", each, self.problems)

    def done(self) -> None:
        """Note every key that nobody has asked for."""
        for key in self._values:
            if key not in self._read:
                self.problems.append(f"{self.where}: {unknown(key, self._read, what='key')}")

    def _value(self, key: str, default: Any) -> Any:
        self._read.add(key)
        value = self._values.get(key, _MISSING)
        return default if value is _MISSING else value

    def _wrong(self, key: str, value: Any, wanted: str, default: T) -> T:
        given = "is missing" if value is None else f"is {value!r}"
        self.note(key, f"{given}; it must be {wanted}")
        return default


def unknown(word: str, known: Collection[str], *, what: str = "value") -> str:
    """The sentence for a word that nobody knows, with the nearest that somebody does."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    choice = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(known))}"
    return f'unknown {what} "{word}"; {choice}'
