"""`licd backup`: everything a licd needs, from one moment, while it serves; checked before it gets its name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from licd import __version__
from licd.core.errors import Invalid
from licd.core.time import SECOND, Instant
from licd.keys.private_file import sync_directory
from licd.server.backup_file import DATABASE, Manifest, hash_of, opened_backup, write_backup
from licd.server.clock import SystemClock
from licd.server.config import FILE_NAME, ServerConfig, read_config
from licd.server.rows_check import SoundRows, check_rows
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from licd.server.transfer import rows_of

PUBLIC: Final = ("tls/*.pem", "operators/default", "operators/*/*.pem", "operators/*/licctl.toml")
SECRET: Final = ("keys/*.key", "root/*.key", "tls/*.key", "operators/*/*.key")


@dataclass(frozen=True, slots=True)
class Made:
    """A backup, and what is in it."""

    path: Path
    size: int
    manifest: Manifest


def make_backup(state: StateDirectory, to: Path, *, with_keys: bool) -> Made:
    """Writes a new file, or one with the time in its name into a directory. All of it or nothing.

    Raises Invalid, LogRefused, BundleError, OSError, sqlite3.Error.
    """
    config = read_config(state.root)
    now = SystemClock().wall()
    target = _target(to, now)
    with _beside(target) as folder:
        copy = folder / DATABASE
        with rows_of(state) as rows:
            rows.copy_to(copy)
        sound = _checked(copy, config.trust_domain)
        sources = {DATABASE: copy, **_sources(state, config, with_keys=with_keys)}
        manifest = _manifest(sources, config, sound, now, with_keys=with_keys)
        file = folder / "backup"
        _write(file, manifest, sources)
        _read_back(file, copy)
        _name(file, target)
    return Made(target, target.stat().st_size, manifest)


def _target(to: Path, now: Instant) -> Path:
    """The file to make. Raises Invalid when it is there, or where no file can be made."""
    target = to / f"licd-{stamp(now)}.backup" if to.is_dir() else to
    if target.exists() or target.is_symlink():
        raise Invalid(f"{target} is there; a backup overwrites nothing", field="to")
    if not target.parent.is_dir():
        raise Invalid(f"there is no directory {target.parent}", field="to")
    return target.absolute()


def stamp(at: Instant) -> str:
    """An instant as file names have it: 20260131T120000Z."""
    return datetime.fromtimestamp(at // SECOND, tz=UTC).strftime("%Y%m%dT%H%M%SZ")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder on the same file system, gone afterwards."""
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(copy: Path, trust_domain: str) -> SoundRows:
    with Snapshot(copy) as rows:
        return check_rows(rows, trust_domain)


def _sources(state: StateDirectory, config: ServerConfig, *, with_keys: bool) -> dict[str, Path]:
    """What goes in beside the database, by name. Policies kept elsewhere are in it as policies/."""
    root = state.root
    found = {FILE_NAME: root / FILE_NAME}
    policies = root / config.policies
    found |= {f"policies/{path.relative_to(policies).as_posix()}": path for path in policies.rglob("*.toml")}
    for pattern in (*PUBLIC, *(SECRET if with_keys else ())):
        found |= {path.relative_to(root).as_posix(): path for path in root.glob(pattern)}
    return {name: found[name] for name in sorted(found) if found[name].is_file()}


def _manifest(
    sources: dict[str, Path], config: ServerConfig, sound: SoundRows, now: Instant, *, with_keys: bool
) -> Manifest:
    return Manifest(
        made_at_ms=now,
        trust_domain=config.trust_domain,
        licd=__version__,
        schema=sound.revision,
        log_size=sound.head.size,
        clock_mark_ms=sound.decided_until,
        with_keys=with_keys,
        files={name: hash_of(path) for name, path in sources.items()},
    )


def _write(file: Path, manifest: Manifest, sources: dict[str, Path]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        write_backup(out, manifest, sources)
        out.flush()
        os.fsync(descriptor)


def _read_back(file: Path, copy: Path) -> None:
    """What was written is what was checked: every hash once more, from the file."""
    copy.unlink()
    with opened_backup(file) as backup:
        backup.take_out(copy.parent, frozenset())


def _name(file: Path, target: Path) -> None:
    try:
        target.hardlink_to(file)  # a rename would overwrite
    except FileExistsError as error:
        raise Invalid(f"{target} is there; a backup overwrites nothing", field="to") from error
    sync_directory(target.parent)
