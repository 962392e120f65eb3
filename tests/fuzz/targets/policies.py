"""Policy files: whatever stands in them, either every file is right or each fault is told at its line."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from licd.policy import Policies, folder, load
from licd.policy.cases import _check_file
from licd.policy.folder import TEST_SUFFIX, gather
from licd.policy.problems import Problem
from licd.policy.source import Source, read
from tests.fuzz.mutation import of_text
from tests.fuzz.target import Part, Target, promise

SHIPPED: Final = Path(__file__).parents[3] / "policies"
FILES: Final = tuple(sorted(str(each.relative_to(SHIPPED)) for each in SHIPPED.rglob("*.toml")))
WORDS: Final = (
    "[role.x]", "verbs", "includes", "changes_nothing", "[category.high]", "example = true", "[[case]]", "[four_eyes]",
    "permit_length_seconds", "grace_seconds", "regions", "default", "ceiling", "ttl_seconds", "[test]",
)  # fmt: skip
mutate_text = of_text(*WORDS)


class Folder:
    """The shipped policies with one file replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, data: bytes) -> None:
        name = FILES[data[0] % len(FILES)] if data else FILES[0]
        (self.path / name).write_bytes(data[1:])
        try:
            self.judge(name)
        finally:
            shutil.copy(SHIPPED / name, self.path / name)

    def judge(self, name: str) -> None:
        """All of it or nothing; and a fault is at a line of a file that is there."""
        if name.endswith(TEST_SUFFIX):
            problems = _check_file(self.path, name.removesuffix(TEST_SUFFIX) + ".toml", in_force())
            self.judge_problems(name, problems)
            return
        policies, problems = gather(self.path)
        promise((policies is None) == bool(problems), "policies are in force although something is wrong with them")
        self.judge_problems(name, problems)
        if policies is not None:
            nobody = policies.roles.may_call(frozenset({"nobody"}), "StatusService.GetStatus")
            promise(not nobody, "a role that nobody has")

    def judge_problems(self, name: str, problems: list[Problem]) -> None:
        lines = (self.path / name).read_bytes().count(b"\n") + 1
        for each in problems:
            promise(each.line >= 1, "a fault before the first line")
            promise(not each.file.endswith(name) or each.line <= lines, "a fault after the last line")


@cache
def in_force() -> Policies:
    return load(SHIPPED)


@cache
def shipped(path: str) -> Source | Problem:
    return read(SHIPPED, path)


def read_unless_shipped(where: Path, path: str) -> Source | Problem:
    """Reads a file; those that nobody changed are read once, for reading costs most."""
    is_same = (where / path).read_bytes() == (SHIPPED / path).read_bytes()
    return shipped(path) if is_same else read(where, path)


def one_of_them(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """The first byte says which file the rest is."""
    if not data:
        return chance.choice(samples)
    others = [each[1:] for each in samples]
    return data[:1] + mutate_text(data[1:], chance, others)


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        path = Path(name) / "policies"
        shutil.copytree(SHIPPED, path)
        patch.setattr(folder, "read", read_unless_shipped)
        samples = tuple(bytes([at]) + (SHIPPED / each).read_bytes() for at, each in enumerate(FILES))
        yield Target("policies", (Part("file", samples, Folder(path).run, one_of_them),), covers=("licd/policy",))
