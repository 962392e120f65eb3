"""`licd restore`: puts rows back from a backup. What licd has answered since is lost, so it starts read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from licd.core.errors import Invalid
from licd.keys.errors import KeysError
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import certificates_from_pem, certificates_to_pem
from licd.keys.private_file import sync_directory
from licd.ledger.log import read_head
from licd.ledger.records import LogHead
from licd.server.backup import stamp
from licd.server.backup_file import DATABASE, BackupFile, Manifest, opened_backup
from licd.server.clock import SystemClock
from licd.server.config import read_config
from licd.server.growing import growing
from licd.server.ratchet import Ratchet, behind, read_high, rows_behind
from licd.server.rows_check import EMPTY, SoundRows, check_rows
from licd.server.snapshot import Snapshot
from licd.server.state_dir import DirectoryLock, StateDirectory

RATCHET: Final = "ratchet"
SUFFIXES: Final = ("-wal", "-shm", "")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. kept is where the replaced database is; None when there was none.

    behind says in what the rows are older than what licd has answered, why that licd starts read-only for it.
    """

    manifest: Manifest
    kept: Path | None
    replaced_size: int
    behind: str
    missing: tuple[str, ...] = ()


def restore(state: StateDirectory, backup: Path) -> Restored:
    """Raises Invalid, DirectoryInUse, LogRefused, OSError; then the rows are what they were."""
    with opened_backup(backup) as opened:
        if state.exists() and read_config(state.root).database.url:
            problem = "the rows are on a database server: restore into a new directory, and `licd import` its licd.db"
            raise Invalid(problem, field="state")
        if state.exists():
            return _into(state, opened)
        return _anew(state, opened)


# ------------------------------------------------------------------------------ into a state directory that is there
def _into(state: StateDirectory, backup: BackupFile) -> Restored:
    with DirectoryLock(state):
        config = read_config(state.root)
        if backup.manifest.trust_domain != config.trust_domain:
            raise Invalid(f"it is of {backup.manifest.trust_domain}, and this is {config.trust_domain}", field="backup")
        with _beside(state.database) as folder:
            backup.take_out(folder, frozenset({DATABASE}))
            sound = _checked(folder / DATABASE, config.trust_domain)
            _refuse_stranger(state, sound)
            replaced = _head_of(state.database)
            ratchet_path = state.root / config.ratchet
            if replaced is None or _may_lose(replaced, sound.head):
                _note_restored(ratchet_path, replaced or EMPTY)
            kept = _swap(state, folder / DATABASE)
    size = replaced.size if replaced else 0
    return Restored(backup.manifest, kept, size, _behind(ratchet_path, state.database))


def _may_lose(replaced: LogHead, restored: LogHead) -> bool:
    """Every batch moves the clock's mark in the log's head: only the very same head says that nothing came after."""
    return (replaced.size, replaced.checkpoint, replaced.clock_mark) != (
        restored.size,
        restored.checkpoint,
        restored.clock_mark,
    )


def _note_restored(path: Path, replaced: LogHead) -> None:
    """Before the rows change: a crash in between leaves a licd that is read-only, not one that forgot."""
    ratchet = Ratchet(path)
    try:
        ratchet.note_restored(SystemClock().wall(), replaced.size)
    finally:
        ratchet.close()


def _refuse_stranger(state: StateDirectory, sound: SoundRows) -> None:
    """Trust domains are chosen by people and can be the same; authorities are not.

    One that the two have in common is enough: rows may be from before an authority changed, or from after.
    """
    here = [state.authority[0], *(certificate for certificate, _ in state.authorities())]
    own = [certificates_from_pem(each.read_bytes())[:1] for each in here if each.exists()]
    if not any(sound.trust.had_authority(certificates_to_pem(each).decode()) for each in own):
        raise Invalid("it is of another installation: its authority is not this one's", field="backup")


def _head_of(database: Path) -> LogHead | None:
    """Where the log of the database that is replaced ends; None when that cannot be known any more."""
    with contextlib.suppress(Invalid, sqlite3.Error), Snapshot(database) as rows:
        return read_head(rows)
    return None


def _swap(state: StateDirectory, new: Path) -> Path | None:
    """The log of the old database goes first: beside the new one it would be taken for the new one's."""
    kept = state.root / f"replaced-{stamp(SystemClock().wall())}"
    old = [path for suffix in SUFFIXES if (path := Path(f"{state.database}{suffix}")).exists()]
    if old:
        kept.mkdir(mode=0o700)
    for path in old:
        path.rename(kept / path.name)
    new.rename(state.database)
    sync_directory(state.root)
    return kept if old else None


def _behind(ratchet: Path, database: Path) -> str:
    """In which respects: what the rows themselves show, and else that it cannot be known."""
    high = read_high(ratchet)
    with Snapshot(database) as rows:
        return rows_behind(high, rows) or behind(high, rows)


# ----------------------------------------------------------------------------------- where nothing is yet
def _anew(state: StateDirectory, backup: BackupFile) -> Restored:
    """A whole state directory, on a new machine for instance. Nobody there knows what was answered since."""
    with growing(state.root) as grown:
        backup.take_out(grown.root)
        config = read_config(grown.root)
        sound = _checked(grown.database, config.trust_domain)
        _refuse_stranger(grown, sound)
        for certificate in grown.root.rglob("*.pem"):
            certificate.chmod(0o644)
        _note_restored(grown.root / config.ratchet, EMPTY)
        needed = [*_secrets(grown), grown.root / config.policies]
        missing = tuple(os.path.relpath(path, grown.root) for path in needed if not path.exists())
    return Restored(backup.manifest, None, 0, _behind(state.root / config.ratchet, state.database), missing)


def _secrets(state: StateDirectory) -> list[Path]:
    """What a daemon signs with."""
    online = (KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE)
    keys = [path for purpose in online for path in (state.keys(purpose) or [state.key(purpose)])]
    authorities = [key for _, key in state.authorities()] or [state.authority[1]]
    return [*keys, *authorities, state.server[1]]


def _checked(database: Path, trust_domain: str) -> SoundRows:
    try:
        with Snapshot(database) as rows:
            return check_rows(rows, trust_domain)
    except (sqlite3.Error, KeysError) as error:
        raise Invalid(f"the database in it does not hold: {error}", field="backup") from error


@contextmanager
def _beside(database: Path) -> Iterator[Path]:
    """A folder on the database's file system, gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=database.parent, prefix=".restore."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
