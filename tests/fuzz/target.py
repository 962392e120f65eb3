"""What is fuzzed: a target has parts, and a part is one reader with valid samples of what it reads."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

Mutator: TypeAlias = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
"""Changes a sample; the others are there to be spliced in."""

REGRESSIONS = Path(__file__).with_name("regressions")
LONGEST = 1 << 16


class Violation(AssertionError):
    """licd did what it promises never to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """One reader. check raises Violation, or anything outside of the family of errors it was told of."""

    name: str
    samples: tuple[bytes, ...]
    check: Callable[[bytes], None]
    mutate: Mutator


@dataclass(frozen=True)
class Target:
    """What is fuzzed together. An input is the number of a part, one byte, and the bytes for its reader.

    The order of parts is append-only: the files under regressions count on it.
    """

    name: str
    parts: tuple[Part, ...]
    covers: tuple[str, ...] = field(default=())

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        """Every valid sample, as an input."""
        return tuple(bytes([at]) + each for at, part in enumerate(self.parts) for each in part.samples)

    def check(self, data: bytes) -> None:
        """Runs one input. Raises what must not be."""
        if data:
            self.parts[data[0] % len(self.parts)].check(data[1:])

    def mutate(self, data: bytes, chance: random.Random) -> bytes:
        """Another input for the same part, built like a valid one for the most part."""
        if not data:
            return chance.choice(self.seeds)
        at = data[0] % len(self.parts)
        part = self.parts[at]
        body = data[1:] if chance.randrange(20) else chance.choice(part.samples)
        for _ in range(1 + chance.randrange(3)):
            body = part.mutate(body, chance, part.samples)
        return bytes([at]) + body[:LONGEST]

    def regressions(self) -> list[Path]:
        """Inputs that once did harm."""
        return sorted((REGRESSIONS / self.name).glob("*.bin"))


@contextmanager
def refused_with(*family: type[Exception]) -> Iterator[None]:
    """What is inside may refuse with these errors and with no other."""
    try:
        yield
    except family:
        return


def promise(held: object, words: str) -> None:
    """Raises Violation unless it holds. An assert would go with python -O."""
    if not held:
        raise Violation(words)
