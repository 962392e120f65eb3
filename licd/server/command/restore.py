"""`licd restore`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from licd.server.backup import stamp
from licd.server.command.exits import one_line
from licd.server.command.log_lines import log_to_stderr
from licd.server.command.options import State, single
from licd.server.restore import Restored
from licd.server.restore import restore as restore_state
from licd.server.state_dir import StateDirectory


def restore(
    state: State,
    backup: Annotated[Path, typer.Argument(metavar="BACKUP", help="A file that `licd backup` made.")],
) -> None:
    """Put the database back from a backup, or make a whole state directory of it where there is none.

    Refuses while licd serves. The database that was there is put aside, and settings and keys stay as they are. What
    licd answered after the backup is lost: it starts read-only until `licd reconcile`.
    """
    log_to_stderr()
    done = restore_state(StateDirectory(state), backup)
    for line in _lines(state, done):
        typer.echo(line)


def _lines(state: Path, done: Restored) -> Iterator[str]:
    manifest = done.manifest
    yield f"restored {state}: {manifest.log_size} log entries, as of {stamp(manifest.made_at_ms)}"
    if done.kept is not None:
        yield f"the database that was there is in {done.kept}; its log had {done.replaced_size or 'unknown'} entries"
    for name in done.missing:
        yield f"missing: {name}; put it there, mode 0600, before licd starts"
    if not done.behind:
        yield "nothing that licd has answered is lost"
        return
    yield f"behind what licd has answered: {one_line(done.behind)}"
    yield "lost with it: what came after that moment, as operators who were disabled, approvals, and leases"
    yield f"licd starts read-only: it suspends, and grants nothing. Next: licd reconcile --state {state}"


app = single(restore)
