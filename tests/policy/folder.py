"""A copy of the shipped policies that a test may change."""

import shutil
from pathlib import Path

from licd.policy import Policies, check, load
from licd.policy.lines import KeyPath, locate

SHIPPED = Path(__file__).parents[2] / "policies"


class Folder:
    """A folder of policies. Problems are told without the folder's own path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(SHIPPED, path)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces the first place where old stands; it must stand there."""
        text = self.text(file)
        assert old in text, f"{file} does not contain {old!r}"
        self.write(file, text.replace(old, new, 1))

    def append(self, file: str, more: str) -> None:
        self.write(file, self.text(file) + more)

    def write(self, file: str, text: str) -> None:
        (self.path / file).write_text(text, encoding="utf-8")

    def text(self, file: str) -> str:
        return (self.path / file).read_text(encoding="utf-8")

    def line(self, file: str, *key: str | int) -> int:
        """The line of a key that is there."""
        path: KeyPath = key
        return locate(self.text(file))[path]

    def problems(self) -> list[str]:
        """What check says."""
        return [str(problem).removeprefix(f"{self.path}/") for problem in check(self.path)]

    def load(self) -> Policies:
        return load(self.path)
