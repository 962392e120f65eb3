"""Files that hold secrets: written whole or not at all, readable by their owner alone.

A crash at any point leaves the old state or the new one: the bytes go to a temporary file beside the target, are
synced, get their name in one step, and the directory is synced.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from licd.keys.errors import KeysError

OWNER_ONLY: Final = 0o600
"""Mode of files with secrets."""
EVERYBODY: Final = 0o644
"""Mode of files without, as certificates."""
_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o022


class KeyFileReason(StrEnum):
    """Why a key file was not read or written. Append-only."""

    MISSING = "MISSING"
    EXISTS = "EXISTS"
    READABLE_BY_OTHERS = "READABLE_BY_OTHERS"
    NOT_A_FILE = "NOT_A_FILE"
    TOO_LARGE = "TOO_LARGE"
    MALFORMED = "MALFORMED"
    PASSPHRASE_MISSING = "PASSPHRASE_MISSING"  # noqa: S105 -- a reason code
    PASSPHRASE_WRONG = "PASSPHRASE_WRONG"  # noqa: S105 -- a reason code
    NOT_PROTECTED = "NOT_PROTECTED"
    WRITABLE_BY_OTHERS = "WRITABLE_BY_OTHERS"
    NOT_OURS = "NOT_OURS"


class KeyFileError(KeysError):
    """A key file was refused. The message names the file and what to do; it never holds a secret."""

    def __init__(self, reason: KeyFileReason, path: Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")
        self.reason = reason
        self.path = path
        self.detail = detail


def write_new(path: Path, data: bytes, mode: int = OWNER_ONLY) -> None:
    """Write a file that must not exist yet. Raises KeyFileError(EXISTS), OSError."""
    with _written_beside(path, data, mode) as temporary:
        try:
            path.hardlink_to(temporary)  # a rename would overwrite; a second name for the same file cannot
        except FileExistsError as error:
            detail = "it exists already, and is not overwritten: move it away or choose another name"
            raise KeyFileError(KeyFileReason.EXISTS, path, detail) from error
    sync_directory(path.parent)


def refuse_existing(path: Path) -> None:
    """Refuse a name that is taken, where more than one file is to be written. Raises KeyFileError(EXISTS)."""
    if path.exists() or path.is_symlink():
        raise KeyFileError(KeyFileReason.EXISTS, path, "it exists already: choose another name")


def replace(path: Path, data: bytes, mode: int = OWNER_ONLY) -> None:
    """Write a file in one step, in place of the one that may be there. For what is renewed, as certificates."""
    with _written_beside(path, data, mode) as temporary:
        temporary.replace(path)
    sync_directory(path.parent)


def read_private(path: Path, most_bytes: int) -> bytes:
    """Read a file that only its owner, who is us or root, may read, in a folder where nobody else may exchange it.

    Raises KeyFileError, OSError. What is looked at is the opened file, so a link may stand in front of it but nothing
    can be swapped in between.
    """
    return _read(path, most_bytes, _OTHERS)


def read_public(path: Path, most_bytes: int) -> bytes:
    """Read a file that others may read and not write, as a certificate that decides whom we believe.

    Raises KeyFileError, OSError.
    """
    return _read(path, most_bytes, _OTHERS_WRITE)


def _read(path: Path, most_bytes: int, refused: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise KeyFileError(KeyFileReason.MISSING, path, "there is no such file") from error
    try:
        _refuse_unfit(os.fstat(descriptor), path, refused)
        _refuse_open_folder(path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > most_bytes:
        raise KeyFileError(KeyFileReason.TOO_LARGE, path, f"more than {most_bytes} bytes: this is no such file")
    return data


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_open_folder(path: Path) -> None:
    """In a folder that others may write to, what is read today may be another file tomorrow."""
    folder = path.resolve().parent
    mode = folder.stat().st_mode
    if mode & _OTHERS_WRITE and not mode & stat.S_ISVTX:
        detail = f"others may write to its folder (mode {stat.S_IMODE(mode):04o}); run: chmod go-w {folder}"
        raise KeyFileError(KeyFileReason.WRITABLE_BY_OTHERS, path, detail)


def _refuse_unfit(status: os.stat_result, path: Path, refused: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(KeyFileReason.NOT_A_FILE, path, "this is no regular file")
    if os.geteuid() not in {status.st_uid, 0} and status.st_uid != 0:  # root looks after the files of licd's user
        detail = f"it belongs to another user (uid {status.st_uid}); run: chown {os.geteuid()} {path}"
        raise KeyFileError(KeyFileReason.NOT_OURS, path, detail)
    mode = stat.S_IMODE(status.st_mode)
    if refused == _OTHERS_WRITE and mode & refused:
        detail = f"others may write to it (mode {mode:04o}); run: chmod go-w {path}"
        raise KeyFileError(KeyFileReason.WRITABLE_BY_OTHERS, path, detail)
    if mode & refused:
        detail = f"others than its owner have rights on it (mode {mode:04o}); run: chmod 600 {path}"
        raise KeyFileError(KeyFileReason.READABLE_BY_OTHERS, path, detail)


@contextmanager
def _written_beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
