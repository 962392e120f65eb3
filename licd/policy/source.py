"""One policy file as it was read: its bytes' hash, its parsed content, and where each part of it stands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from licd.core.toml_text import TomlInvalid, parse_toml
from licd.policy.lines import KeyPath, locate
from licd.policy.problems import Problem

_LINE = re.compile(r"\(at line (\d+)")


@dataclass(frozen=True, slots=True)
class Source:
    """A policy file. path is relative to the folder of policies, file is how a person finds it."""

    path: str
    file: str
    text: str
    data: Mapping[str, Any]
    where: Mapping[KeyPath, int]

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def line(self, path: KeyPath) -> int:
        """The line of a part, or of the nearest part around it."""
        while path not in self.where:
            path = path[:-1]
        return self.where[path]


def read(folder: Path, path: str) -> Source | Problem:
    """Reads and parses one file; what stands in the way comes back as a problem at its line."""
    file = str(folder / path)
    try:
        text = (folder / path).read_bytes().decode()
    except FileNotFoundError:
        return Problem(file, 1, "the file is missing; every folder of policies has one")
    except OSError as error:
        return Problem(file, 1, f"the file cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return Problem(file, error.object.count(b"\n", 0, error.start) + 1, "the file is not UTF-8")
    return parsed(path, file, text)


def parsed(path: str, file: str, text: str) -> Source | Problem:
    """Parses what stands, or stood, in a file."""
    try:
        data = parse_toml(text)
        where = locate(text)
    except TomlInvalid as error:
        return Problem(file, _line_of(error, text), f"not TOML: {_LINE.split(str(error))[0].strip()}")
    except RecursionError:
        return Problem(file, 1, "not a policy: nested too deeply")
    return Source(path, file, text, data, where)


def _line_of(error: TomlInvalid, text: str) -> int:
    told = _LINE.search(str(error))
    return int(told[1]) if told else text.count("\n") + 1
