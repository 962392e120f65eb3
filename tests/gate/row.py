"""What a row of the gate is, and what it has to run with."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from licd.server.state_dir import StateDirectory
from tests.gate.parent import Parent
from tests.process import Process

MOST_TOLD = 20
"""Violations kept word for word; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program or file that a row needs, and the line that installs it."""

    path: str
    install: str


ROOT_RIGHTS = Tool("root", "run it as root")
STRACE = Tool("strace", "apt-get install strace")
FUSE = Tool("fusermount3", "apt-get install fuse3 libfuse3-3")
FUSE_DEVICE = Tool("/dev/fuse", "modprobe fuse, or start the container with --device /dev/fuse")
IP = Tool("ip", "apt-get install iproute2")
NFT = Tool("nft", "apt-get install nftables")
UNSHARE = Tool("unshare", "apt-get install util-linux")
FAKETIME = Tool("faketime", "apt-get install faketime")
MOUNT = Tool("mount", "apt-get install mount")


@dataclass
class Trial:
    """One run of a row: where it may write, how long, by which chance; and what it found."""

    folder: Path
    seed: int
    cycles: int
    chance: random.Random
    done: int = 0
    violations: int = 0
    told: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    ending: ExitStack = field(default_factory=ExitStack)
    """What the row has started, and ends with it whatever happens."""

    @classmethod
    def of(cls, row: str, folder: Path, seed: int, cycles: int) -> Trial:
        """The same row and seed make the same choices."""
        return cls(folder, seed, cycles, random.Random(f"licd-gate-v1/{seed}/{row}"))

    def violated(self, *what: str) -> None:
        """A promise was broken: once for each text."""
        self.violations += len(what)
        self.told += what[: MOST_TOLD - len(self.told)]

    def need(self, holds: bool, what: str) -> None:
        """What must hold."""
        if not holds:
            self.violated(what)

    def count(self, figure: str, number: float = 1) -> None:
        """Adds to a figure that the table shows."""
        self.figures[figure] = self.figures.get(figure, 0) + number

    def peak(self, figure: str, number: float) -> None:
        """Keeps the highest."""
        self.figures[figure] = max(self.figures.get(figure, number), number)

    def each(self) -> Iterator[int]:
        """The cycles. One that broke off is not counted as done."""
        for cycle in range(self.cycles):
            yield cycle
            self.done += 1

    def parent(self) -> Parent:
        """One for all daemons of the row."""
        parent = Parent()
        self.ending.callback(parent.close)
        return parent

    def daemon(self, state: StateDirectory, **more: Any) -> Process:
        """One that ends with the row. With parent=trial.parent() its starts take a third of the time."""
        process = Process(state, **more)
        self.ending.callback(process.kill)
        return process


@dataclass(frozen=True, slots=True)
class Row:
    """cycles is what `make gate` runs, smoke what `make test` does so that the gate itself does not rot."""

    name: str
    promise: str
    method: str
    cycles: int
    smoke: int
    tools: tuple[Tool, ...]
    run: Callable[[Trial], None]
    takes: int = 100
    """Seconds, about, on two cores that do nothing else: the longest begin first."""
    patient: int = 0
    """How far it stands back, as nice has it: nothing in it depends on when, and it takes what others leave."""
    seconds: int = 3_600
    """When it has hung: far beyond what it takes on a machine that does ten other things."""
