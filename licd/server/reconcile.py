"""`licd reconcile`: rows that are behind what licd has answered get to where nothing can be answered otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from licd.core.errors import LicdError
from licd.core.time import Instant
from licd.ledger.ledger import Ledger
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.reconcile import Reconcile, Reconciled
from licd.server.clock import SystemClock
from licd.server.config import read_config
from licd.server.offline import offline_ledger
from licd.server.ratchet import Ratchet, behind
from licd.server.state_dir import DirectoryLock, StateDirectory
from licd.server.transfer import rows_of

ACTOR: Final = "licd reconcile"


@dataclass(frozen=True, slots=True)
class Outcome:
    """why is empty when there was nothing to reconcile; silent_since is 0 when it is not known."""

    why: str
    silent_since: Instant
    found: Reconciled | None


def reconcile(state: StateDirectory, passphrase: bytes | None, *, act: bool) -> Outcome:
    """Says what would be done, or does it and sets a new baseline. Raises DirectoryInUse while a daemon works here."""
    with DirectoryLock(state):
        config = read_config(state.root)
        ratchet = Ratchet(state.root / config.ratchet)
        try:
            with rows_of(state) as rows:
                why = behind(ratchet.high, rows)
            if not why:
                return Outcome("", 0, None)
            with offline_ledger(state, config, passphrase) as ledger:
                found = _reconciled(ledger, ratchet, why, act=act)
            return Outcome(why, ratchet.high.silent_since, found)
        finally:
            ratchet.close()


def _reconciled(ledger: Ledger, ratchet: Ratchet, why: str, *, act: bool) -> Reconciled:
    now = SystemClock().wall()
    high = ratchet.high
    command = Reconcile(
        answered=high.ever_answered(),
        answered_size=high.log_size,
        mourned=frozenset(high.lost.keys() - high.epochs.keys()),
        rows_size=ledger.log_size,
        silent_since=high.silent_since or now,
        why=why,
        actor=ACTOR,
    )
    if not act:
        return _executed(ledger, _Look(command))
    ledger.observe(ratchet)
    found = _executed(ledger, command)
    ratchet.settle(now, ledger.log_size, found.lost)
    return found


@dataclass(frozen=True, slots=True)
class _Look:
    """What a reconciliation would do."""

    inner: Reconcile
    grants: bool = False
    urgent: bool = False

    def run(self, tx: Transaction) -> Reconciled:
        return self.inner.look(tx)


def _executed(ledger: Ledger, command: Reconcile | _Look) -> Reconciled:
    outcome = ledger.execute([command])[0]
    if isinstance(outcome, LicdError):
        raise outcome
    return cast("Reconciled", outcome)
