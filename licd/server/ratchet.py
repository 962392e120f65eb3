"""What licd has answered, kept elsewhere: the size of the log and the highest epoch of each licence.

Epochs are written and synced before the answer to whatever raised them. A database that was put back from an older
backup is behind it, and one whose log was cut back: licd then starts read-only, until `licd reconcile`. A line each:

    SIZE LICENCE EPOCH     a directive was answered, and the log had that size
    grown SIZE SIZE        the log had that size when a batch was answered; written over in place, so that it costs one
                           write that is not synced: a size that was torn is there twice and differs, and says nothing
    restored AT SIZE       the rows were put back from a backup; those they replaced had a log of that size, 0 = unknown
    behind AT WHY          nothing was granted from AT on, because the rows are behind
    lost LICENCE EPOCH     a reconciliation found no rows of it; the name is not to be used again below that epoch
    reconciled AT SIZE     a baseline: what stands above, but epochs and lost ones, is settled

Without a baseline a file is new, or not the one that belongs to these rows, and they count as behind it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from licd.core.time import Instant
from licd.ledger.database import Connection
from licd.ledger.ledger import BatchFigures
from licd.ledger.log import read_head
from licd.ledger.rows import LICENCES
from licd.ledger.transaction import Committed

logger = structlog.get_logger("licd.ratchet")

SIZE_DIGITS: Final = 20


@dataclass(slots=True)
class High:
    """The highest that was ever answered.

    unsettled says why the rows count as behind whatever they hold; silent_since is the instant from which on nothing
    can have been granted that they do not hold, 0 when that is not known.
    """

    log_size: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    unsettled: str = ""
    silent_since: Instant = 0

    def ever_answered(self) -> dict[str, int]:
        """Every epoch that was ever answered, of licences that were lost before too."""
        names = self.epochs.keys() | self.lost.keys()
        return {name: max(self.epochs.get(name, 0), self.lost.get(name, 0)) for name in names}


class Ratchet:
    """The file of a daemon that serves. What cannot be written is kept and written with the next batch."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file can be neither read nor made."""
        self.high: Final = read_high(path)
        self._file: Final = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = _cut_torn_line(self._file)
        self._grown_at: int | None = None
        self._waiting = ""
        self._writing: Final = threading.Lock()

    def committed(self, done: Committed, figures: BatchFigures) -> None:
        """Called on the writing thread before the answers of a batch go out."""
        lines = "".join(f"{done.log_size} {each.licence} {each.epoch}\n" for each in done.directives)
        try:
            if lines:
                self._append(lines)
            if done.entries:
                self._note_grown(done.log_size)
        except OSError as error:
            # The change is durable, and a suspension that is answered late helps nobody.
            logger.error("the ratchet was not written; until it is, keep every backup", error=str(error))  # noqa: TRY400

    def failed(self, why: str) -> None:
        """Nothing was changed."""

    def note_restored(self, at: Instant, replaced_size: int) -> None:
        """Before rows are put back. Raises OSError."""
        self._append(f"restored {at} {replaced_size}\n")

    def note_behind(self, at: Instant, why: str) -> None:
        """From now on nothing is granted from these rows. Raises OSError."""
        self._append(f"behind {at} {' '.join(why.split())}\n")

    def settle(self, at: Instant, log_size: int, lost: Mapping[str, int]) -> None:
        """A new baseline: rows with this log hold all that was answered, or say that it is lost. Raises OSError."""
        tombstones = [f"lost {licence} {epoch}\n" for licence, epoch in sorted(lost.items())]
        self._append("".join([*tombstones, f"reconciled {at} {log_size}\n"]))

    def _note_grown(self, log_size: int) -> None:
        """Over the size noted last, if nothing was written after it."""
        line = _grown(log_size)
        with self._writing:
            if self._waiting:
                return
            at = self._size if self._grown_at is None else self._grown_at
            if os.pwrite(self._file, line, at) < len(line):
                os.ftruncate(self._file, at)
                self._size, self._grown_at = at, None
                return
            self._size, self._grown_at = at + len(line), at

    def _append(self, lines: str) -> None:
        with self._writing:
            self._waiting += lines
            self._grown_at = None
            self._write()

    def _write(self) -> None:
        """Everything that waits, or nothing of it."""
        data = self._waiting.encode()
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._size + written)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._waiting = ""

    def close(self) -> None:
        """The file is complete as it is."""
        os.close(self._file)


def _grown(log_size: int) -> bytes:
    """Always of one length."""
    return f"grown {log_size:0{SIZE_DIGITS}d} {log_size:0{SIZE_DIGITS}d}\n".encode()


def _cut_torn_line(file: int) -> int:
    """Takes away what a write that was never answered left of its line. Returns the size of what is whole."""
    content = os.pread(file, os.fstat(file).st_size, 0)
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.ftruncate(file, whole)
    return whole


def read_high(path: Path) -> High:
    """What the file says. A line that cannot be read leaves the rows unsettled: it may have been any epoch."""
    high = High(unsettled=f"{path} has no baseline: it is new, or not the one that belongs to these rows")
    content = path.read_bytes() if path.exists() else b""
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            _take(high, line.decode("ascii").split(" "))
        except ValueError:
            high.unsettled = f"line {number} of {path} cannot be read"
    return high


def _take(high: High, words: list[str]) -> None:
    match words:
        case ["restored", at, size]:
            _unsettle(high, int(at), "the rows were put back from a backup")
            high.log_size = max(high.log_size, int(size))
        case ["behind", at, *why]:
            _unsettle(high, int(at), " ".join(why) or "the rows are behind, and the file does not say in what")
        case ["lost", licence, epoch]:
            high.epochs.pop(licence, None)
            high.lost[licence] = max(high.lost.get(licence, 0), int(epoch))
        case ["reconciled", _, size]:
            high.log_size, high.unsettled, high.silent_since = int(size), "", 0
        case ["grown", size, again]:
            high.log_size = max(high.log_size, int(size)) if int(size) == int(again) else high.log_size
        case [size, licence, epoch]:
            high.log_size = max(high.log_size, int(size))
            high.epochs[licence] = max(high.epochs.get(licence, 0), int(epoch))
        case _:
            raise ValueError(words)


def _unsettle(high: High, at: Instant, why: str) -> None:
    high.unsettled = why
    high.silent_since = high.silent_since or at


def behind(high: High, connection: Connection) -> str:
    """In what the database is older than what was answered; empty when in nothing."""
    return high.unsettled or rows_behind(high, connection)


def rows_behind(high: High, connection: Connection) -> str:
    """As `behind`, by what the rows themselves hold."""
    head = read_head(connection)
    size = head.size if head else 0
    if size < high.log_size:
        return f"the log has {size} entries and {high.log_size} were answered"
    for licence, epoch in sorted(high.epochs.items()):
        found = LICENCES.get(connection, licence)
        if found is None or found.epoch < epoch:
            have = f"epoch {found.epoch}" if found else "nothing"
            return f"of licence {licence} there is {have} and epoch {epoch} was answered"
    for licence, epoch in sorted(high.lost.items()):
        found = LICENCES.get(connection, licence)
        if found is not None and found.epoch <= epoch:
            return f"licence {licence} was issued anew at epoch {found.epoch}; before it was lost it had epoch {epoch}"
    return ""
