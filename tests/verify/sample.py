"""Logs made by hand: entries with the fields that licd writes, exported and signed as licd does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from licd.evidence import merkle
from licd.evidence.checkpoint import Checkpoint, sign_checkpoint
from licd.evidence.entry import Sealed, seal
from licd.evidence.export import export_lines
from licd.evidence.note import Signer
from licd.verify.main import main
from tests.evidence.sample import LOG_SIGNER, ORIGIN

KEY = LOG_SIGNER.key.encode()
START = 1_800_000_000_000
SECOND = 1_000
FREE = 40 * SECOND


def sealed(number: int, kind: str, at: int, fields: dict[str, str | int | bytes]) -> Sealed:
    named = {"kind": kind, "at": at} | fields
    pairs = [(name, v if isinstance(v, bytes) else str(v).encode()) for name, v in named.items()]
    return seal(pairs, b"".join(number.to_bytes(8, "big") + place.to_bytes(8, "big") for place in range(len(pairs))))


@dataclass
class Story:
    """A log of one licence, told entry by entry; every step is a second."""

    entries: list[Sealed] = field(default_factory=list)
    at: int = START
    epoch: int = 1
    licence: str = "north-1"

    def tell(self, kind: str, **fields: str | int | bytes) -> int:
        """Adds an entry about the licence. Returns its number."""
        told: dict[str, str | int | bytes] = {"licence": self.licence, "epoch": self.epoch}
        self.entries.append(sealed(len(self.entries), kind, self.at, told | fields))
        self.at += SECOND
        return len(self.entries) - 1

    def enrol(self, system: str) -> int:
        return self.tell("deployment.enrolled", system=system, enrolment=1, key=b"k" * 32)

    def grant(self, system: str, lease: int) -> int:
        return self.tell("lease.granted", system=system, lease=lease, target=b"t" * 32, hard_end=self.at + FREE)

    def end(self, system: str, lease: int, reason: str = "lapsed", *, free_at: int = 0) -> int:
        return self.tell("lease.ended", system=system, lease=lease, reason=reason, free_at=free_at or self.at + FREE)

    def suspend(self) -> int:
        self.epoch += 1
        return self.tell("licence.suspended", actor="alice", code="manual", detail="", suspension="s")

    def reinstate(self) -> int:
        lifted = self.epoch
        self.epoch += 1
        return self.tell("licence.reinstated", actor="alice", code="manual", detail="", lifted_epoch=lifted)

    def acknowledge(self, system: str, *, active: int = 0, epoch: int = 0) -> int:
        return self.tell(
            "directive.acknowledged",
            system=system,
            acknowledged=epoch or self.epoch,
            directive=b"d" * 32,
            stopped_at=self.at,
            active=active,
            ended=1,
        )

    def later(self, millis: int = FREE + SECOND) -> None:
        """Time passes, and something else is an entry."""
        self.at += millis
        self.tell("chain.head", system="elsewhere", sequence=9, head=b"h" * 32)

    @property
    def leaves(self) -> list[bytes]:
        return [each.leaf_hash for each in self.entries]

    def checkpoint(self, size: int = -1, signer: Signer = LOG_SIGNER) -> bytes:
        leaves = self.leaves[:size] if size >= 0 else self.leaves
        origin = signer.key.name
        return sign_checkpoint(Checkpoint(origin, len(leaves), merkle.root_of(leaves)), (signer,)).encode()

    def lines(self, checkpoints: Sequence[int] = ()) -> list[str]:
        pairs = [(each.leaf_hash, each.encoded) for each in self.entries]
        return list(export_lines(ORIGIN, pairs, [*map(self.checkpoint, checkpoints), self.checkpoint()]))

    def save(self, folder: Path, name: str = "north.log", checkpoints: Sequence[int] = ()) -> Path:
        return write(folder / name, self.lines(checkpoints))


def write(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def stopped_story() -> tuple[Story, int]:
    """Two systems with leases, a third without; a suspension; one acknowledges, one lets run out."""
    story = Story()
    for name in ("one", "two", "three"):
        story.enrol(name)
    story.grant("one", 11)
    story.grant("two", 21)
    story.grant("two", 22)
    story.end("two", 22, "released")
    stop = story.suspend()
    story.end("one", 11, "stopped")
    story.acknowledge("one")
    story.end("two", 21)
    story.later()
    return story, stop


def verify(claim: str, file: Path, *more: object, key: str = KEY) -> int:
    return main([claim, str(file), "--key", key, *map(str, more)])
