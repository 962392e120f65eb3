"""The judge: sees what leaves licd, what reaches the systems, what they do and what is durable, all in true time.

It knows the protocol's formulas and nothing of licd's code. Every permit that ever left licd counts as used until its
very end by whoever it was for: so a cheat that keeps all of them is judged along with everybody.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from licd.v1 import session_pb2
from simulator.clock import Instant, Millis
from simulator.deterministic.machine import EPOCH, MILLION, true_ms
from simulator.deterministic.rows import LicenceRow

RHO_PPM: Final = 200
ACT: Final[Millis] = 1_000
SKEW: Final[Millis] = 500
PAUSE: Final[Millis] = 450
"""How long licd may take from a decision to the answer that tells of it, in this simulation."""
HEARING: Final[Millis] = 6
"""How long a process may take from bytes to their effect, in this simulation."""
TARGET_BYTES: Final = 32


class Promise(StrEnum):
    """Whose breach a violation is; the names of 04-quality."""

    CAP = "S1"
    SUSPEND = "S2"
    TIME = "S3"
    DENY = "S4"
    DURABLE = "S6"
    AUDIT = "S7"
    DIRECTIVES = "S8"
    CLOSED = "S9"
    LIVENESS = "L1"
    INPUT = "L2"
    FORK = "no false fork"


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was broken, and when (true milliseconds of the run)."""

    promise: Promise
    at: Millis
    detail: str

    def __str__(self) -> str:
        return f"{self.promise} at {self.at / 1_000:.3f} s: {self.detail}"


@dataclass(slots=True)
class _History:
    """A licence as the rows said over the run."""

    rows: list[tuple[Millis, LicenceRow]] = field(default_factory=list)

    @property
    def now(self) -> LicenceRow:
        return self.rows[-1][1]

    def since(self, epoch: int) -> Millis | None:
        """When the first row with this epoch or a later one became durable."""
        return next((at for at, row in self.rows if row.epoch >= epoch), None)

    def of(self, epoch: int) -> LicenceRow | None:
        return next((row for _, row in self.rows if row.epoch == epoch), None)

    def stopped_since(self) -> Millis | None:
        """When the stop that is in force began."""
        began: Millis | None = None
        for at, row in self.rows:
            if not row.stopped:
                began = None
            elif began is None:
                began = at
        return began

    def has(self, revision: int) -> bool:
        return any(row.revision == revision for _, row in self.rows)

    def over_since(self, now: Millis) -> Millis | None:
        """Since when every row has said that what happens now happens after the end."""
        began: Millis | None = None
        for at, row in self.rows:
            if EPOCH + now <= row.ends + SKEW + HEARING:
                began = None
            elif began is None:
                began = at
        return began

    def cap_lately(self, now: Millis) -> int:
        """The widest cap in force within one decision's pause."""
        caps = [row.cap for at, row in self.rows if at >= now - PAUSE]
        before = [row.cap for at, row in self.rows if at < now - PAUSE]
        return max([*caps, *before[-1:]])


class Judge:
    """One run's. `violations` is its verdict; `trace` what happened, the same for the same seed."""

    def __init__(self) -> None:
        self.violations: Final[list[Violation]] = []
        self.trace: Final[list[str]] = []
        self.acts = 0
        self.permits = 0
        self.refusals = 0
        self.leases: Final[dict[int, str]] = {}
        self.tampered: Final[set[str]] = set()
        """Machines between which and licd somebody takes frames out, or whose past was put back."""
        self.suspensions_answered: Final[list[tuple[str, int]]] = []
        self._licences: Final[dict[str, _History]] = defaultdict(_History)
        self._first_sent: Final[dict[tuple[str, bytes], Millis]] = {}
        self._until: Final[dict[str, dict[tuple[str, bytes], float]]] = defaultdict(dict)
        self._granted_at: Final[dict[int, Instant]] = {}
        self._no: Final[dict[str, tuple[int, Millis]]] = {}
        self._permit_epoch: Final[dict[str, int]] = defaultdict(int)
        self._silent: Final[set[str]] = set()
        self._told: Final[dict[str, int]] = defaultdict(int)
        self._orders: Final[dict[str, set[int]]] = defaultdict(set)

    def note(self, what: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{true_ms():>7} {what}")

    def blame(self, promise: Promise, detail: str) -> None:
        """Something is wrong."""
        self.violations.append(Violation(promise, true_ms(), detail))
        self.note(f"VIOLATION {promise}: {detail}")

    # ------------------------------------------------------------------------------------------- rows
    def committed(self, rows: list[LicenceRow]) -> None:
        """What is durable from here on."""
        for row in rows:
            history = self._licences[row.licence]
            if history.rows and history.now == row:
                continue
            if history.rows and row.epoch < history.now.epoch:
                self.blame(Promise.SUSPEND, f"{row.licence}: epoch {row.epoch} after {history.now.epoch}")
            history.rows.append((true_ms(), row))
            stands = "withdrawn" if row.withdrawn else row.status
            self.note(f"{row.licence} {stands} epoch {row.epoch} cap {row.cap} revision {row.revision}")

    def licence(self, name: str) -> LicenceRow:
        """As it stands."""
        return self._licences[name].now

    def epoch_answered(self, licence: str, epoch: int) -> None:
        """An operator was told that this epoch is in force."""
        self.suspensions_answered.append((licence, epoch))

    # ------------------------------------------------------------------------------------------- permits
    def sent(self, system: str, key: bytes) -> None:
        """A link (by the hash of its payload) or a unary call (by its id) leaves a system."""
        self._first_sent.setdefault((system, key), true_ms())

    def refused(self, system: str, refusal: session_pb2.Refusal) -> None:
        """An authoritative no leaves licd."""
        self.refusals += 1
        self.note(f"{system} #{refusal.header.sequence} refused {refusal.denial.reason}")

    def permitted(self, system: str, permit: session_pb2.Permit) -> None:
        """A permit leaves licd."""
        self.permits += 1
        header = permit.header
        history = self._licences[header.licence]
        outcomes = "".join(_letter(each) for each in permit.outcomes)
        self.note(f"{system} #{header.sequence} permit epoch {header.epoch} holds {len(permit.leases)} {outcomes}")
        self._judge_epoch(history, header)
        for each in permit.outcomes:
            if each.HasField("grant"):
                self._granted_at.setdefault(each.grant.lease, each.grant.granted_at_ms)
                self.leases.setdefault(each.grant.lease, header.licence)
        terms = history.of(header.epoch)
        if not history.has(permit.revision) or (terms is not None and terms.revision != permit.revision):
            self.blame(Promise.DENY, f"{system}: a permit under revision {permit.revision}, which is not durable")
            return
        if terms is not None:  # else this epoch and the next were made durable together, and nobody saw its row
            self._judge_time(terms, permit)
        self._judge_cap(history, system, permit)

    def _judge_epoch(self, history: _History, header: session_pb2.ReplyHeader) -> None:
        row = history.of(header.epoch)
        if row is not None and row.stopped:
            self.blame(Promise.SUSPEND, f"{header.system}: a permit in epoch {header.epoch}, which is a stop")
        later = history.since(header.epoch + 1)
        if later is not None and true_ms() > later + PAUSE:
            detail = f"epoch {header.epoch + 1} became durable at {later}"
            self.blame(Promise.SUSPEND, f"{header.system}: a permit of epoch {header.epoch} is said; {detail}")
        if history.since(header.epoch) is None:
            self.blame(Promise.DURABLE, f"{header.system}: a permit of epoch {header.epoch}, which is not durable")

    def _judge_time(self, terms: LicenceRow, permit: session_pb2.Permit) -> None:
        header = permit.header
        if not terms.begins <= header.decided_ms < terms.ends:
            self.blame(Promise.TIME, f"{header.system}: decided at {header.decided_ms}, outside of the term")
        now = EPOCH + true_ms()
        if not terms.begins - SKEW <= now <= terms.ends + SKEW + PAUSE:
            self.blame(Promise.TIME, f"{header.system}: permitted at {now}, outside of the term")
        for lease, hard_end in zip(permit.leases, permit.hard_ends_ms, strict=True):
            age = max(0, header.decided_ms - self._granted_at.get(lease, 0))
            grace = min(terms.grace, age) if header.link else 0
            if hard_end > min(header.decided_ms + terms.length + grace, terms.ends):
                self.blame(Promise.TIME, f"{header.system}: lease {lease} ends {hard_end - header.decided_ms} ms on")

    def _judge_cap(self, history: _History, system: str, permit: session_pb2.Permit) -> None:
        header = permit.header
        now = true_ms()
        key = header.link or header.request_id.encode()
        sent = self._first_sent.get((system, key))
        if sent is None:
            self.blame(Promise.DENY, f"{system}: a permit for what it never sent")
            return
        until = self._until[header.licence]
        new = False
        for index, hard_end in enumerate(permit.hard_ends_ms):
            seat = (system, permit.targets[index * TARGET_BYTES : (index + 1) * TARGET_BYTES])
            end = sent + (hard_end - header.decided_ms) * (1 + RHO_PPM / MILLION) + 1
            # A lease that ran on when it was renewed, and not quite until the permit left, has taken no new seat.
            covered = any(end > now - PAUSE for (_, target), end in until.items() if target == seat[1])
            new = new or (not covered and end > now)
            until[seat] = max(until.get(seat, 0.0), end)
        taken = len({target for (_, target), end in until.items() if end > now})
        if new and taken > history.cap_lately(now):
            self.blame(Promise.CAP, f"{header.licence}: {taken} targets may be acted on, the cap is {history.now.cap}")

    # ------------------------------------------------------------------------------------------- systems
    def born(self, machine: str) -> None:
        """A process has started: whatever an earlier one held, it holds nothing before it has heard from licd."""
        self._silent.add(machine)

    def heard_no(self, machine: str, system: str, epoch: int) -> None:
        """A process has got an authoritative no."""
        self._no[machine] = (epoch, true_ms())
        self._told[machine] = max(self._told[machine], epoch)
        self.note(f"{machine} hears no, epoch {epoch}")

    def heard_permit(self, machine: str, epoch: int) -> None:
        """A process has got a permit; it lifts a no that is no younger than it."""
        self._permit_epoch[machine] = max(self._permit_epoch[machine], epoch)
        self._told[machine] = max(self._told[machine], epoch)
        self._silent.discard(machine)
        no = self._no.get(machine)
        if no is not None and epoch >= no[0]:
            del self._no[machine]

    def ordered(self, machine: str, life: str, directive: session_pb2.Directive) -> None:
        """A process has got a directive."""
        self.note(f"{life} ordered {directive.kind} epoch {directive.epoch}")
        self._orders[machine].add(directive.epoch)
        stops = directive.kind in {session_pb2.DIRECTIVE_KIND_SUSPEND, session_pb2.DIRECTIVE_KIND_TERMINATE}
        if stops and directive.epoch > self._permit_epoch[machine]:
            self._no[machine] = (directive.epoch, true_ms())

    def orders_missing(self, machine: str, licence: str) -> list[int]:
        """Which directives a machine knows nothing of: a reply tells of every epoch up to its own."""
        told = max(self._told[machine], 1)
        return sorted(set(range(told + 1, self._licences[licence].now.epoch + 1)) - self._orders[machine])

    def acted(self, machine: str, system: str, target: bytes) -> None:
        """An honest program acts on a target."""
        self.acts += 1
        now = true_ms()
        for licence, until in self._until.items():
            if (system, target) in until:
                self._judge_act(machine, licence, until[system, target], now)
                return
        self.blame(Promise.CLOSED, f"{machine}: acts on a target that no permit of its system ever named")

    def _judge_act(self, machine: str, licence: str, until: float, now: Millis) -> None:
        if machine in self._silent:
            self.blame(Promise.CLOSED, f"{machine}: acts before this process has heard from licd")
        if now > until + HEARING:
            self.blame(Promise.CLOSED, f"{machine}: acts {now - until:.0f} ms after its last permit has run out")
        over = self._licences[licence].over_since(now)
        if over is not None and now > over + self.w_unreachable(
            licence
        ):  # an end drawn nearer is heard of as a stop is
            late = EPOCH + now - self._licences[licence].now.ends
            self.blame(Promise.TIME, f"{machine}: acts {late} ms after the licence's end")
        stopped = self._licences[licence].stopped_since()
        if stopped is not None and now > stopped + self.w_unreachable(licence):
            self.blame(Promise.SUSPEND, f"{machine}: acts {now - stopped} ms after the suspension")
        no = self._no.get(machine)
        if no is not None and now > no[1] + HEARING:
            self.blame(Promise.CLOSED, f"{machine}: acts {now - no[1]} ms after it heard no (epoch {no[0]})")

    def w_unreachable(self, licence: str) -> Millis:
        """(L + G)/(1−ρ) + act, by the widest figures that the licence ever had."""
        longest = max(row.length + row.grace for _, row in self._licences[licence].rows)
        return -(-longest * MILLION // (MILLION - RHO_PPM)) + ACT + PAUSE


def _letter(outcome: session_pb2.Outcome) -> str:
    """G for a grant, e for one that stood already, r for a release, the denial's number otherwise."""
    if outcome.HasField("grant"):
        return "e" if outcome.grant.existing else "g"
    return "r" if outcome.HasField("released") else f"<{outcome.denial.reason}>"
