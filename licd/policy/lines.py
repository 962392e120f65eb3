"""Finds the line of every key and element of a TOML text.

tomllib tells no positions. This scanner takes a text that tomllib has already accepted, so it looks only for where
things begin and end and leaves every question of validity to tomllib. Grammar: TOML 1.0.0, https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]+")
_STRINGS = (
    re.compile(r'"""(?:\\[\s\S]|(?!""")[^\\])*"""(?:"{0,2})'),
    re.compile(r"'''(?:(?!''')[\s\S])*'''(?:'{0,2})"),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)


def locate(text: str) -> Mapping[KeyPath, int]:
    """The line, from 1, of every table, key and array element; () is the first line of the text.

    A path is what one would write to index the parsed value: ("case", 2, "given", "region").
    """
    return _Scanner(text.replace("\r\n", "\n")).document()


class _Scanner:
    """Walks over one text, once. where holds what has been found, elements how long each array of tables is."""

    __slots__ = ("breaks", "elements", "position", "text", "where")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.breaks = [found.start() for found in re.finditer("\n", text)]
        self.where: dict[KeyPath, int] = {(): 1}
        self.elements: dict[KeyPath, int] = {}

    def document(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text[self.position] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.where

    def _header(self) -> KeyPath:
        line = self._line()
        of_array = self.text.startswith("[[", self.position)
        self.position += 1 + of_array
        keys = self._keys()
        self.position += 1 + of_array
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._last_element((*path, key))
            self.where.setdefault(path, line)
        path = (*path, keys[-1])
        if of_array:
            self.where.setdefault(path, line)
            self.elements[path] = self.elements.get(path, -1) + 1
            path = self._last_element(path)
        self.where[path] = line
        return path

    def _last_element(self, path: KeyPath) -> KeyPath:
        return (*path, self.elements[path]) if path in self.elements else path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.where.setdefault(path, line)
        self.position += 1  # =
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        """A dotted key, and the blanks after it."""
        keys = []
        while True:
            self._skip(_SPACE)
            keys.append(self._key())
            self._skip(_SPACE)
            if self.text[self.position] != ".":
                return keys
            self.position += 1

    def _key(self) -> str:
        bare = _BARE_KEY.match(self.text, self.position)
        if bare:
            self.position = bare.end()
            return bare[0]
        quoted = self._string()
        return str(tomllib.loads(f"key = {quoted}")["key"])

    def _value(self, path: KeyPath) -> None:
        match self.text[self.position]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._string()
            case _:
                self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self.position += 1
        while self.text[self._skip(_BLANK)] != "]":
            self.where[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            if self.text[self._skip(_BLANK)] == ",":
                self.position += 1
        self.position += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.position += 1
        # Blanks with line breaks are allowed here since TOML 1.1.
        while self.text[self._skip(_BLANK)] != "}":
            self._pair(path)
            if self.text[self._skip(_BLANK)] == ",":
                self.position += 1
        self.position += 1

    def _string(self) -> str:
        for kind in _STRINGS:
            found = kind.match(self.text, self.position)
            if found:
                self.position = found.end()
                return found[0]
        raise ValueError(f"line {self._line()}: a text that tomllib accepted has no string here")

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.position)
        self.position = found.end() if found else self.position
        return self.position

    def _line(self) -> int:
        return bisect.bisect_left(self.breaks, self.position) + 1
