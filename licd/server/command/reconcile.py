"""`licd reconcile`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from licd.ledger.verbs.reconcile import CODE, Reconciled
from licd.server.backup import stamp
from licd.server.command.exits import one_line
from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import PassphraseFile, State, Yes, passphrase_in, single
from licd.server.reconcile import Outcome
from licd.server.reconcile import reconcile as reconcile_state
from licd.server.state_dir import StateDirectory


def reconcile(state: State, yes: Yes = False, passphrase_file: PassphraseFile = None) -> None:  # noqa: FBT002 -- a flag
    """Settle a database that is behind what licd has answered, so that licd grants again.

    Every licence of which an answer is lost goes beyond its last epoch and is suspended; to reinstate it takes two
    persons. One that is in step stays in force, if no lease that these rows do not know can still be acted on.
    """
    log_to_stderr()
    outcome = reconcile_state(StateDirectory(state), passphrase_in(passphrase_file), act=yes)
    if outcome.found is None:
        typer.echo("nothing to reconcile: the rows hold all that was answered")
        return
    for line in _lines(state, outcome, outcome.found, done=yes):
        typer.echo(line)


def _lines(state: Path, outcome: Outcome, found: Reconciled, *, done: bool) -> Iterator[str]:
    yield f"behind: {one_line(outcome.why)}"
    verb = "suspended" if done else "would be suspended"
    for gap in found.gaps:
        yield f"licence {gap.licence}: here at epoch {gap.had}, answered to {gap.answered}; {verb} ({CODE})"
    for licence in found.doubted:
        yield f"licence {licence}: in step, but leases may be out that are not known here; {verb} ({CODE})"
    for licence, epoch in sorted(found.lost.items()):
        yield f"licence {licence}: lost, answered to epoch {epoch}; do not issue under this name again"
    if done:
        yield f"reconciled as {found.suspension or 'a log entry'}; licd grants again. Reinstating takes two persons"
        return
    if found.doubted:
        yield from _waiting(state, outcome, found)
    yield "nothing was changed; to do it: --yes"


def _waiting(state: Path, outcome: Outcome, found: Reconciled) -> Iterator[str]:
    if outcome.silent_since:
        yield f"those in step stay in force if you wait until {stamp(found.quiet_at)}: no lease of theirs is left then"
    else:
        yield f"those in step can stay in force: start licd ({state}), which grants nothing now, stop it and ask again"


app = single(reconcile)
