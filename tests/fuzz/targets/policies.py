"""Policy files: whatever stands in them, either every file is right or each fault is told at its line."""

from __future__ import annotations

import random  # noqa: TID251 -- seeded
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from licd.policy import check
from licd.policy.folder import gather
from licd.policy.problems import PolicyError
from tests.fuzz.mutation import of_text
from tests.fuzz.target import Part, Target, promise, refused_with

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
        policies, problems = gather(self.path)
        promise((policies is None) == bool(problems), "policies are in force although something is wrong with them")
        lines = (self.path / name).read_bytes().count(b"\n") + 1
        for each in problems:
            promise(each.line >= 1, "a fault before the first line")
            promise(not each.file.endswith(name) or each.line <= lines, "a fault after the last line")
        with refused_with(PolicyError):
            check(self.path)
        if policies is not None:
            promise(
                not policies.roles.may_call(frozenset({"nobody"}), "StatusService.GetStatus"), "a role that nobody has"
            )


def one_of_them(data: bytes, chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """The first byte says which file the rest is."""
    if not data:
        return chance.choice(samples)
    others = [each[1:] for each in samples]
    return data[:1] + mutate_text(data[1:], chance, others)


@contextmanager
def opened() -> Iterator[Target]:
    """The target."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "policies"
        shutil.copytree(SHIPPED, path)
        samples = tuple(bytes([at]) + (SHIPPED / each).read_bytes() for at, each in enumerate(FILES))
        yield Target("policies", (Part("file", samples, Folder(path).run, one_of_them),), covers=("licd/policy",))
