"""The database: what reads it, whether it is whole, its schema, and the log in it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from typing import Final

from alembic.script import ScriptDirectory

from licd.keys.kinds import KeyPurpose
from licd.ledger.database import StoreFailed
from licd.ledger.log import LogRefused, check_log
from licd.ledger.revision import SCRIPTS
from licd.ledger.schema import head, revision
from licd.server.doctor.finding import Finding, fail, ok, warn
from licd.server.doctor.keys import described
from licd.server.doctor.patient import Patient
from licd.server.rows_check import evidence_keys, log_checker, trust_of
from licd.server.store import Store

WAL_RESET_FIXED: Final = (3, 51, 3)
RESTORE: Final = "keep the file as evidence, and `licd restore` the newest backup"


def check_sqlite(_: Patient) -> Iterator[Finding]:
    """Older versions can damage a database when two connections write or checkpoint at the same moment."""
    if sqlite3.sqlite_version_info >= WAL_RESET_FIXED:
        yield ok(f"SQLite {sqlite3.sqlite_version}")
        return
    yield warn(
        f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (3.7.0 to 3.51.2): two connections that write or "
        "checkpoint at the same moment can damage the file. licd has one writer, in one thread, alone in its "
        "directory by a lock, and every other connection only reads: so it does not meet it",
        "let no other program write to licd.db; with the next update take a Python with SQLite 3.51.3 or newer",
    )


def check_database(patient: Patient) -> Iterator[Finding]:
    """What SQLite says of the file, and its schema."""
    config = patient.config()
    if config.database.url:
        yield from _check_server(Store.of(patient.state, config))
        return
    path = patient.state.database
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
    with patient.rows() as rows:
        damage, found = rows.damage(quick=True), rows.revision()
    if damage:
        yield fail(f"{path} is damaged: {damage}", RESTORE)
    if mode & 0o077:
        yield warn(f"others may read {path} (mode {mode:04o})", f"chmod 600 {path}")
    if found == head():
        yield ok(f"whole, at schema {found}")
    elif found in _known_revisions():
        yield ok(f"at schema {found}; licd moves it to {head()} at its next start", "make a backup before")
    else:
        what = f"at schema {found or 'none'}, which this licd does not know"
        yield fail(what, "use the licd that made it, or a newer one")


def _check_server(store: Store) -> Iterator[Finding]:
    try:
        found = revision(store.url)
    except StoreFailed as error:
        yield fail(f"{store.place} cannot be reached: {error}", "see that the server runs, and who may connect to it")
        return
    if found == head():
        yield ok(f"{store.place} is at schema {found}")
    else:
        yield fail(f"{store.place} is at schema {found or 'none'}, and this licd at {head()}", "see `licd migrate`")


def _known_revisions() -> set[str]:
    return {each.revision for each in ScriptDirectory(str(SCRIPTS)).walk_revisions()}


def check_log_entries(patient: Patient) -> Iterator[Finding]:
    """Every entry against the signed checkpoint, as a daemon does when it starts."""
    config = patient.config()
    with patient.rows() as rows:
        keys = evidence_keys(trust_of(rows), _own_key(patient))
        try:
            found = check_log(rows, log_checker(config.trust_domain, keys))
        except LogRefused as error:
            yield fail(f"the log does not hold: {error}", f"licd does not start on it; {RESTORE}")
            return
    yield ok(f"{found.size if found else 0} entries, and they are what the signed checkpoint says")


def _own_key(patient: Patient) -> list[bytes]:
    try:
        return [described(path).public_key for path in patient.state.keys(KeyPurpose.EVIDENCE)]
    except (OSError, ValueError):
        return []  # the check of the keys says so
