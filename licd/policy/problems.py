"""What is wrong with a policy, said so that the person who wrote it can find the place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from licd.core.errors import Invalid


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, at one line of one file. Reads `policies/roles.toml:12: ...`.

    refers: it is about what another file says, and may be that file's fault.
    """

    file: str
    line: int
    message: str
    refers: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class PolicyError(Invalid):
    """Policies that cannot be used. problems holds all that was found, in order of file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shown(value: object) -> str:
    """A value of a policy file as it could stand there."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    try:
        return str(value)
    except ValueError:  # a number of more digits than Python writes out; in hexadecimal it can be read
        return "a number that is too long"


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """The sentence for a word that nobody knows, with the nearest word that somebody does."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f'unknown {what} "{word}"' + (f'; did you mean "{near[0]}"?' if near else "")
