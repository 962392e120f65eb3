"""This machine's clock, against what licd has decided at. No time server is asked: licd must judge without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from licd.core.bounds import CLOCK_JUMP
from licd.core.time import DAY, MINUTE, SECOND, Instant
from licd.ledger.ledger import ANCHOR_ID
from licd.ledger.log import read_head
from licd.ledger.rows import CLOCK_ANCHORS
from licd.ledger.timekeeper import TOLERANCE, ClockAnchor, Timekeeper
from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient, span
from licd.server.state_dir import in_use

MADE: Final[Instant] = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * SECOND
LAST_SANE: Final[Instant] = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * SECOND
LONG_IDLE: Final = 30 * DAY
KEPT_SINCE: Final = "0007"
"""The schema that first keeps both clocks as they are read now."""
QUIET: Final = 30 * MINUTE
"""A daemon writes at least every ten minutes, when it forgets old answers."""
SET_IT: Final = "set the clock (timedatectl status; chronyc tracking) and keep it by NTP"


def check_clock(patient: Patient) -> Iterator[Finding]:
    """A sane year, not behind the highest instant that was ever decided at, and in step with the boot clock."""
    shown = datetime.fromtimestamp(patient.now // SECOND, tz=UTC).isoformat()
    if not MADE <= patient.now < LAST_SANE:
        yield fail(f"it shows {shown}, which cannot be", SET_IT)
        return
    with patient.rows() as rows:
        head = read_head(rows)
        anchor = CLOCK_ANCHORS.get(rows, ANCHOR_ID) if rows.revision() >= KEPT_SINCE else None
    yield from _against_anchor(patient, anchor)
    yield from _against_mark(patient, head.clock_mark if head else 0, shown)
    yield from _against_bundle(patient)


def _against_mark(patient: Patient, mark: Instant, shown: str) -> Iterator[Finding]:
    late = mark - patient.now
    if late > TOLERANCE:
        what = f"it is {span(late)} behind the highest instant licd has decided at; nothing is granted until then"
        yield fail(what, f"{SET_IT}; if it was ahead before and is right now: licctl clock accept")
    elif -late > LONG_IDLE:
        yield warn(f"it shows {shown}; licd last decided {span(-late)} ago", f"if that is not so, {SET_IT}")
    elif -late > QUIET and in_use(patient.state):
        what = f"licd works here, and has written nothing for {span(-late)}"
        yield warn(what, "look at its log, and at licctl status: is the disk full, is it behind, is the clock doubted?")
    else:
        yield ok(f"it shows {shown}, and is not behind what was decided")


def _against_anchor(patient: Patient, anchor: ClockAnchor | None) -> Iterator[Finding]:
    if anchor is None or patient.clock is None:
        return
    keeper = Timekeeper(patient.clock, anchor=anchor)
    doubt, move = keeper.look().doubt, keeper.move()
    if not doubt:
        return
    todo = f"{SET_IT}; then licctl clock accept"
    if abs(move) > CLOCK_JUMP:
        todo += f", which moves licd's time by {span(abs(move))} and takes two persons unless the clock is put right"
    yield fail(f"{doubt}; nothing is granted until it is accepted", todo)


def _against_bundle(patient: Patient) -> Iterator[Finding]:
    issued = patient.trust().bundle.issued_at_ms
    if patient.now < issued:
        yield fail(f"it is {span(issued - patient.now)} behind the newest trust bundle's making", SET_IT)
