"""What callers of a daemon were told, as they heard it: what must be true ever after, whatever happens to it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from licd.evidence.checkpoint import parse_checkpoint
from licd.evidence.note import parse_note
from licd.v1 import session_pb2
from licd.v1.denial_pb2 import DenialReason
from tests.gate.history import History, Span, now

MINUTE = 60_000
TARGET = 32


@dataclass
class Seat:
    """A lease as permits have shown it: it may be used from the first decision until the latest hard end."""

    licence: str
    target: bytes
    start: int
    end: int


@dataclass
class Told:
    """Kept outside of the daemon. Any thread may add to it."""

    customers: set[str] = field(default_factory=set)
    licences: set[str] = field(default_factory=set)
    suspensions: set[str] = field(default_factory=set)
    epochs: dict[str, int] = field(default_factory=dict)
    seats: dict[int, Seat] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    denials: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    permitted: set[tuple[str, int]] = field(default_factory=set)
    """Under which epoch of which licence there was a permit."""
    full: list[tuple[str, int]] = field(default_factory=list)
    """Which licence was said to have no seat, and when by licd's clock."""
    history: History = field(default_factory=History)
    problems: list[str] = field(default_factory=list)
    answers: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self) -> None:
        """One more answer came."""
        with self.lock:
            self.answers += 1

    def problem(self, text: str) -> None:
        """Something no caller should have seen."""
        with self.lock:
            self.problems.append(text)

    def take_problems(self) -> list[str]:
        """What was noted since the last look."""
        with self.lock:
            found, self.problems = self.problems, []
        return found

    def epoch(self, licence: str, epoch: int) -> None:
        """A licence was seen at an epoch. Desks and systems hear at different times, so only the highest counts."""
        with self.lock:
            self.epochs[licence] = max(self.epochs.get(licence, 0), epoch)

    def done(self, licence: str, kind: str, subject: int, asked: int) -> None:
        """Something was answered as done, now, that was asked for then."""
        with self.lock:
            self.history.done(licence, kind, subject, Span(asked, now()))

    def permit(self, permit: session_pb2.Permit, asked: int) -> None:
        """A permit came, for something that was first asked for then."""
        header, span = permit.header, Span(asked, now())
        self.epoch(header.licence, header.epoch)
        with self.lock:
            self.history.read(header.licence, header.epoch, span)
            self.permitted.add((header.licence, header.epoch))
            targets = (permit.targets[at : at + TARGET] for at in range(0, len(permit.targets), TARGET))
            for lease, target, end in zip(permit.leases, targets, permit.hard_ends_ms, strict=True):
                seat = self.seats.setdefault(lease, Seat(header.licence, target, header.decided_ms, end))
                seat.end = max(seat.end, end)
            for outcome in permit.outcomes:
                match outcome.WhichOneof("result"):
                    case "denial":
                        self._denied(header, outcome.denial.reason)
                    case "grant" if outcome.grant.granted_at_ms == header.decided_ms:
                        self.history.done(header.licence, "lease.granted", outcome.grant.lease, span)
                    case "released":
                        self.released.add(outcome.released.lease)
                    case _:
                        pass
            if header.sequence:
                self.sequences[header.system] = max(self.sequences.get(header.system, 0), header.sequence)

    def refusal(self, refusal: session_pb2.Refusal) -> None:
        """A refusal came."""
        self.epoch(refusal.header.licence, refusal.header.epoch)
        with self.lock:
            if refusal.header.sequence:
                system = refusal.header.system
                self.sequences[system] = max(self.sequences.get(system, 0), refusal.header.sequence)
                return
            self._denied(refusal.header, refusal.denial.reason)

    def _denied(self, header: session_pb2.ReplyHeader, reason: DenialReason.ValueType) -> None:
        name = DenialReason.Name(reason).removeprefix("DENIAL_REASON_")
        if reason is DenialReason.DENIAL_REASON_CONCURRENT_CAP:
            self.full.append((header.licence, header.decided_ms))
        self.denials[header.system.rpartition("/")[2], name, header.decided_ms // MINUTE] += 1

    def checkpoint(self, note: bytes) -> None:
        """A signed checkpoint was shown. Two of one size must have one root."""
        stated = parse_checkpoint(parse_note(note).text)
        with self.lock:
            known = self.checkpoints.setdefault(stated.size, stated.root)
            if known != stated.root:
                self.problems.append(f"two checkpoints over {stated.size} entries have two roots")
