"""The trust bundle that systems hold, and the ratchet that remembers what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import func, select

from licd.core.time import DAY
from licd.ledger import tables
from licd.ledger.database import Statement
from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.patient import Patient, span
from licd.server.ratchet import behind, read_high
from licd.server.snapshot import Snapshot

SOON: Final = 30 * DAY
NEW_BUNDLE: Final = "have the holders of the root keys sign a new trust bundle"


def check_bundle(patient: Patient) -> Iterator[Finding]:
    """Past its end systems believe nothing new."""
    bundle = patient.trust().bundle
    left = bundle.expires_at_ms - patient.now
    if left <= 0:
        yield fail(f"bundle {bundle.version} is over since {span(-left)}: systems believe nothing new", NEW_BUNDLE)
    elif left < SOON:
        yield warn(f"bundle {bundle.version} holds for {span(left)} more", f"before then, {NEW_BUNDLE}")
    else:
        yield ok(f"bundle {bundle.version} holds for {span(left)} more; its chain is whole")


def check_ratchet(patient: Patient) -> Iterator[Finding]:
    """Whether the rows are behind what was answered, and whether the ratchet could tell."""
    path = patient.state.root / patient.config().ratchet
    high = read_high(path)
    with patient.rows() as rows:
        why = behind(high, rows)
        unknown = sorted(name for name, epoch in _directed(rows).items() if high.epochs.get(name, 0) < epoch)
    if why:
        todo = f"licd starts read-only; restore a newer backup, or: licd reconcile --state {patient.state.root}"
        yield fail(f"the rows are behind what was answered: {why}", todo)
    elif unknown:
        todo = f"is {path} on a full or read-only disk? keep every backup until licd has written it again"
        yield warn(f"the ratchet does not know the last epochs of {', '.join(unknown[:5])}", todo)
    else:
        yield ok("the rows hold all that was answered")
    if path.exists() and path.stat().st_dev == patient.state.root.stat().st_dev:
        what = "the ratchet is on the database's own disk: whoever puts that disk back puts it back too"
        yield warn(what, f"move {path} to another disk and say so in licd.toml (ratchet = ...)")


def _directed(rows: Snapshot) -> dict[str, int]:
    """The highest epoch that a directive was made for, by licence."""
    column = tables.directive.c
    statement = Statement(select(column.licence, func.max(column.epoch)).group_by(column.licence), rows.dialect)
    return {str(name): int(epoch) for name, epoch in rows.execute(statement.text, statement.arguments({}))}
