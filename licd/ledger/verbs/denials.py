"""Denials in the log: ten per system, reason and minute as entries of their own, the rest as one counted entry.

So every denial is accounted for, and a customer cannot fill the disk with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from licd.core.reasons import Denied
from licd.core.time import MINUTE
from licd.ledger.records import DenialTally
from licd.ledger.rows import DENIAL_TALLIES
from licd.ledger.transaction import Transaction

TOLD_IN_FULL: Final = 10


def log_denial(tx: Transaction, licence: str, deployment: str, denied: Denied, target: bytes = b"") -> None:
    """Accounts for one denial."""
    minute = tx.now // MINUTE
    reason = denied.reason.name
    tally = tx.get(DENIAL_TALLIES, deployment, reason)
    if tally is not None and tally.minute != minute:
        _close(tx, tally)
        tally = None
    told, counted = (tally.told, tally.counted) if tally else (0, 0)
    if told < TOLD_IN_FULL:
        told += 1
        tx.log(
            "denied",
            ("licence", licence),
            ("system", deployment),
            ("reason", reason),
            ("target", target),
            ("detail", denied.detail),
        )
    else:
        counted += 1
    tx.put(DenialTally(deployment, reason, licence, minute, told, counted))


def _close(tx: Transaction, tally: DenialTally) -> None:
    if not tally.counted:
        return
    tx.log(
        "denied.counted",
        ("licence", tally.licence),
        ("system", tally.deployment),
        ("reason", tally.reason),
        ("minute", tally.minute),
        ("count", tally.counted),
    )


def close_tallies(tx: Transaction, tallies: list[DenialTally]) -> None:
    """Logs what was merely counted in minutes that are over. The tallies were seen earlier: each is looked at anew."""
    minute = tx.now // MINUTE
    for seen in tallies:
        tally = tx.get(DENIAL_TALLIES, seen.deployment, seen.reason)
        if tally is not None and tally.minute < minute and tally.counted:
            _close(tx, tally)
            tx.put(replace(tally, counted=0))
