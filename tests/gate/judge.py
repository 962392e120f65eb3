"""Looks at the rows of a daemon that is down, knowing only what callers were told. Shares no code with the ledger."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from licd.cli.log_check import ed25519
from licd.evidence.checkpoint import LogVerifier
from licd.evidence.entry import Entry, Field, decode
from licd.evidence.note import VerifierKey
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose
from licd.server.state_dir import StateDirectory
from tests.daemon import TRUST_DOMAIN
from tests.gate.history import Deed
from tests.gate.told import Told

TOLD_IN_FULL = 10
FOREVER = 1 << 62
BEGIN_EPOCHS = frozenset({"licence.suspended", "licence.reinstated"})


class Judge:
    """Remembers the log as it was at the last look: it may only have grown."""

    def __init__(self, caps: dict[str, int], verifier: LogVerifier) -> None:
        self.caps = caps
        self.verifier = verifier
        self._leaves: list[bytes] = []
        self._denied: Counter[tuple[str, str, int]] = Counter()
        self._epochs: dict[str, int] = {}
        self._logged_epochs: dict[str, int] = {}
        self._stopped: set[tuple[str, int]] = set()
        self._deeds: dict[str, dict[Deed, int]] = defaultdict(dict)

    @property
    def entries(self) -> int:
        """How long the log was at the last look."""
        return len(self._leaves)

    def look(self, state: StateDirectory, told: Told, scratch: Path) -> list[str]:
        """What is wrong; empty when nothing is."""
        with closing(_opened(state, scratch)) as rows:
            found = [*_damage(rows), *_missing(rows, told), *self._behind(rows, told)]
            found += [*self._log(rows, told), *self._permitted(told), *self._unlogged(rows, told)]
            found += [*self._overfull(_rows_seats(rows), "rows"), *self._overfull(_told_seats(told), "permits")]
            found += [*told.history.against(self._deeds), *self._grudged(_rows_seats(rows), told)]
        return [*found, *told.take_problems()]

    def _behind(self, rows: sqlite3.Connection, told: Told) -> Iterator[str]:
        """Epochs and sequences go one way."""
        epochs = dict(rows.execute("SELECT id, epoch FROM licence"))
        for licence, epoch in told.epochs.items():
            if epochs.get(licence, 0) < epoch:
                yield f"{licence} is at epoch {epochs.get(licence)}, and {epoch} was answered"
        for licence, epoch in self._epochs.items():
            if epochs.get(licence, 0) < epoch:
                yield f"the epoch of {licence} went back from {epoch} to {epochs.get(licence)}"
        self._epochs = epochs
        sequences = dict(rows.execute("SELECT deployment, sequence FROM session"))
        for system, sequence in told.sequences.items():
            name = system.rpartition("/")[2]
            if sequences.get(name, 0) < sequence:
                yield f"{name}'s chain is at {sequences.get(name)}, and link {sequence} was answered"

    def _log(self, rows: sqlite3.Connection, told: Told) -> Iterator[str]:
        """Every entry matches its leaf, the tree its checkpoint, and it extends what was seen before."""
        before, self._leaves = self._leaves, []
        tree = Tree()
        roots = dict(told.checkpoints)
        found = rows.execute('SELECT "index", leaf_hash, body FROM log_entry ORDER BY "index"')
        for expected, (index, leaf, body) in enumerate(found):
            if index != expected:
                yield f"entry {expected} of the log is missing"
                return
            if index < len(before):
                if leaf != before[index]:
                    yield f"entry {index} of the log was rewritten"
            else:
                yield from self._entry(index, leaf, body)
            self._leaves.append(leaf)
            tree.append(leaf)
            root = roots.pop(tree.size, None)
            if root is not None and root != tree.root():
                yield f"the log does not extend the checkpoint over {tree.size} entries"
        if roots or tree.size < len(before):
            yield f"the log has {tree.size} entries, and {max([*roots, len(before)])} were shown"
        [(note, size)] = rows.execute("SELECT checkpoint, size FROM log_head").fetchall()
        stated = self.verifier.open(note)
        if (stated.size, size, stated.root) != (tree.size, tree.size, tree.root()):
            yield f"the checkpoint is over {stated.size} entries with another root than the {tree.size} there are"

    def _entry(self, index: int, leaf: bytes, body: bytes) -> Iterator[str]:
        entry = decode(body)
        if sha256(b"\x00" + entry.leaf_data()).digest() != leaf:
            yield f"entry {index} does not match its leaf"
        kind = _text(entry, "kind")
        if entry.field("epoch") is not None and entry.field("licence") is not None:
            yield from self._in_order(index, kind, _text(entry, "licence"), int(_text(entry, "epoch")))
        if kind == "lease.granted" or kind in BEGIN_EPOCHS:
            about = int(_text(entry, "lease" if kind == "lease.granted" else "epoch"))
            self._deeds[_text(entry, "licence")][kind, about] = index
        if kind in {"denied", "denied.counted"}:
            minute = int(_text(entry, "at")) // 60_000 if kind == "denied" else int(_text(entry, "minute"))
            number = 1 if kind == "denied" else int(_text(entry, "count"))
            self._denied[_text(entry, "system"), _text(entry, "reason"), minute] += number

    def _in_order(self, index: int, kind: str, licence: str, epoch: int) -> Iterator[str]:
        """Epochs rise along the log, and in one that a suspension began nothing is granted."""
        if epoch < self._logged_epochs.get(licence, 0):
            yield f"entry {index} is of epoch {epoch} of {licence}, after {self._logged_epochs[licence]}"
        self._logged_epochs[licence] = epoch
        if kind == "licence.suspended":
            self._stopped.add((licence, epoch))
        if kind == "lease.granted" and (licence, epoch) in self._stopped:
            yield f"entry {index}: a lease was granted under epoch {epoch} of {licence}, which is suspended"

    def _permitted(self, told: Told) -> Iterator[str]:
        """No permit was decided after a suspension, until a newer epoch."""
        for licence, epoch in told.permitted & self._stopped:
            yield f"a permit was decided under epoch {epoch} of {licence}, which is suspended"

    def _unlogged(self, rows: sqlite3.Connection, told: Told) -> Iterator[str]:
        """Each denial is an entry, or counted for one that comes when its minute is over."""
        waiting = Counter[tuple[str, str, int]]()
        for name, reason, minute, counted in rows.execute(
            "SELECT deployment, reason, minute, counted FROM denial_tally"
        ):
            waiting[name, reason, minute] += counted
        for denial, number in told.denials.items():
            if self._denied[denial] + waiting[denial] < number:
                yield f"{number} denials {denial} were answered, {self._denied[denial]} + {waiting[denial]} are logged"

    def _overfull(self, seats: Iterable[tuple[str, bytes, int, int]], where: str) -> Iterator[str]:
        """At no instant more seats, cooling ones included, than the cap. A target that returns keeps its seat."""
        spans: dict[str, dict[bytes, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for licence, target, start, end in seats:
            spans[licence][target].append((start, end))
        for licence, targets in spans.items():
            most = _most_at_once(targets.values())
            if most > self.caps.get(licence, FOREVER):
                yield f"{licence} had {most} seats at once by its {where}, of {self.caps[licence]}"

    def _grudged(self, seats: Iterable[tuple[str, bytes, int, int]], told: Told) -> Iterator[str]:
        """Nobody was told that all seats were taken when they were not: a seat that was free is a promise as well."""
        spans: dict[str, list[tuple[int, int, bytes]]] = defaultdict(list)
        for licence, target, start, end in seats:
            spans[licence].append((start, end, target))
        for licence, at in told.full:
            taken = len({target for start, end, target in spans[licence] if start <= at < end})
            if taken < self.caps.get(licence, 0):
                yield f"{licence}: at {at} no seat was said to be free, and {taken} of {self.caps[licence]} were taken"


class Tree:
    """RFC 6962's tree, by the roots of its perfect subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        """One more leaf hash."""
        self.size += 1
        self._peaks.append((1, leaf))
        while len(self._peaks) > 1 and self._peaks[-1][0] == self._peaks[-2][0]:
            (width, right), (_, left) = self._peaks.pop(), self._peaks.pop()
            self._peaks.append((2 * width, sha256(b"\x01" + left + right).digest()))

    def root(self) -> bytes:
        """MTH of everything so far."""
        if not self._peaks:
            return sha256(b"").digest()
        found = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            found = sha256(b"\x01" + left + found).digest()
        return found


def rows_of(state: StateDirectory, folder: Path) -> StateDirectory:
    """A copy of the rows of a daemon that is down, as it left them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for suffix in ("", "-wal"):
        source = state.database.with_name(state.database.name + suffix)
        if source.exists():
            shutil.copyfile(source, folder / source.name)
    return StateDirectory(folder)


def _opened(state: StateDirectory, scratch: Path) -> sqlite3.Connection:
    """A copy, so that looking recovers nothing in the original."""
    return sqlite3.connect(rows_of(state, scratch).database)


def _damage(rows: sqlite3.Connection) -> Iterator[str]:
    if (found := rows.execute("PRAGMA quick_check").fetchall()) != [("ok",)]:
        yield f"SQLite finds damage: {found[:3]}"


def _missing(rows: sqlite3.Connection, told: Told) -> Iterator[str]:
    """Whatever was answered is there."""
    answered: dict[str, set[str] | set[int]] = {
        "customer": told.customers,
        "licence": told.licences,
        "suspension": told.suspensions,
        "lease": set(told.seats),
    }
    for table, known in answered.items():
        there = {row[0] for row in rows.execute(f"SELECT id FROM {table}")}  # noqa: S608 -- names of ours
        if lost := [each for each in known if each not in there]:
            yield f"{len(lost)} answered rows of {table} are lost: {lost[:3]}"
    ended = {row[0] for row in rows.execute("SELECT id FROM lease WHERE ended_at > 0")}
    if living := told.released - ended:
        yield f"leases whose release was answered live again: {sorted(living)[:3]}"


def _rows_seats(rows: sqlite3.Connection) -> Iterator[tuple[str, bytes, int, int]]:
    for licence, target, start, ended, free in rows.execute(
        "SELECT licence, target, granted_at, ended_at, free_at FROM lease"
    ):
        yield licence, target, start, free if ended else FOREVER


def _told_seats(told: Told) -> Iterator[tuple[str, bytes, int, int]]:
    for seat in told.seats.values():
        yield seat.licence, seat.target, seat.start, seat.end


def _most_at_once(targets: Iterable[list[tuple[int, int]]]) -> int:
    steps: list[tuple[int, int]] = []
    for spans in targets:
        until = -1
        for start, end in sorted(spans):
            if start > until:
                steps += [(start, 1), (end, -1)]
            elif end > until:
                steps += [(until, 1), (end, -1)]
            until = max(until, end)
    most = now = 0
    for _, change in sorted(steps):  # at one instant what ends comes before what begins
        now += change
        most = max(most, now)
    return most


def _text(entry: Entry, name: str) -> str:
    field = entry.field(name)
    assert isinstance(field, Field)
    return field.value.decode()


def verifier_of(state: StateDirectory) -> LogVerifier:
    """Believes checkpoints by this installation's evidence key alone."""
    origin = f"{TRUST_DOMAIN}/licd/log"
    key = read_key_file(state.key(KeyPurpose.EVIDENCE), None)
    return LogVerifier(origin, (VerifierKey(origin, key.public_key),), ed25519)
