"""Conditions of misuse rules: a small, total part of CEL (https://cel.dev), checked when a policy is read.

What is let through has a value for whatever facts there are, in a time that its length bounds:
- Comparisons, and, or, not, plus, minus, times over whole numbers. No macros, hence no loops; no division, hence
  nothing undefined; no functions, texts or lists.
- Facts and the numbers in a condition are at most MOST, and one side of a comparison multiplies once at most: nothing
  runs over 64 bits (TEXT_LIMIT terms of MOST each, squared, are less than 2**63).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cel_expr_python import cel

from licd.core.misuse import MOST
from licd.policy.problems import unknown

TEXT_LIMIT: Final = 600
OPERATORS: Final = ("_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_-_", "-_", "_*_")

_CHARACTERS: Final = re.compile(r"[a-z0-9_\s()&|!<>=+*-]*")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_NUMBER: Final = re.compile(r"(?<![a-z0-9_])[0-9][a-z0-9_]*")
_SIDES: Final = re.compile(r"[<>=!&|]+")
_TOLD: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([a-z0-9_]+)'")


class ConditionRefused(ValueError):
    """A text that is no condition; says what is wrong with it, and where where that is known."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was let through. names are the facts it speaks of."""

    text: str
    names: frozenset[str]
    holds: Callable[[Mapping[str, int]], bool]


class Conditions:
    """Compiles conditions over these facts."""

    def __init__(self, facts: Iterable[str]) -> None:
        self._facts: Final = frozenset(facts)
        self._environment: Final = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_configuration(self._facts)))

    def compile(self, text: str) -> Condition:
        """Raises ConditionRefused."""
        self._refuse_costly(text)
        names = frozenset(_NAME.findall(text)) - {"true", "false"}
        for name in sorted(names - self._facts):
            raise ConditionRefused(unknown("fact", name, self._facts))
        if not names:
            raise ConditionRefused("it speaks of no fact: it would hold always, or never")
        try:
            compiled = self._environment.compile(text)
        except RuntimeError as error:
            raise ConditionRefused(_words(str(error))) from error
        if compiled.return_type() != cel.Type.BOOL:
            raise ConditionRefused("it is a number; compare it with something")

        def holds(facts: Mapping[str, int]) -> bool:
            return compiled.eval(data={name: facts[name] for name in names}).value() is True

        return Condition(text, names, holds)

    def _refuse_costly(self, text: str) -> None:
        if len(text) > TEXT_LIMIT:
            raise ConditionRefused(f"too expensive: {len(text)} characters, of {TEXT_LIMIT} at most")
        end = _CHARACTERS.match(text)
        if end is not None and end.end() < len(text):
            raise ConditionRefused(
                f"{text[end.end()]!r} is not part of a condition: names of facts, whole numbers, "
                "&& || ! == != < <= > >= + - * and parentheses are"
            )
        for number in _NUMBER.findall(text):
            if not number.isdecimal() or len(number) > len(str(MOST)) or int(number) > MOST:
                raise ConditionRefused(f"{number[:20]} is no whole number up to {MOST}")
        if any(side.count("*") > 1 for side in _SIDES.split(text)):
            raise ConditionRefused("one side of a comparison multiplies once at most: more could run over 64 bits")


def _configuration(facts: Iterable[str]) -> str:
    functions = "\n".join(f'    - name: "{each}"' for each in OPERATORS)
    variables = "\n".join(f'  - name: "{each}"\n    type_name: int' for each in sorted(facts))
    return (
        f'name: "misuse"\nstdlib:\n  disable_macros: true\n  include_functions:\n{functions}\nvariables:\n{variables}\n'
    )


def _words(error: str) -> str:
    """The first of CEL's own complaints, with the place within the condition."""
    if "recursion" in error:
        return "too expensive: it is nested too deeply, or has too many parts on one level"
    found = _TOLD.search(error)
    if found is None:
        return f"not a condition: {error.splitlines()[0]}"
    line, column, words = found.groups()
    where = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"{where}: {words.removesuffix(' (in container )')}"
