"""licd's own log: entries become leaves of one tree; every batch ends in a signed checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import asc, bindparam, select

from licd.core.model import Entry
from licd.core.time import MINUTE, Instant
from licd.evidence.canonical import MAX_SIZE
from licd.evidence.checkpoint import Checkpoint, LogVerifier, parse_checkpoint, sign_checkpoint
from licd.evidence.entry import Entry as RecordedEntry
from licd.evidence.entry import ErasedField, decode, encode, seal_columns
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import Frontier
from licd.evidence.note import Signer, parse_note
from licd.ledger import tables
from licd.ledger.database import Connection, Statement
from licd.ledger.records import LogCheckpoint, LoggedEntry, LogHead
from licd.ledger.rows import LOG_CHECKPOINTS, LOG_ENTRIES, LOG_HEADS
from licd.ledger.told import FactErased, Told

HEAD_ID: Final = 1
SALT_BYTES: Final = 16
HEAD_FIELDS: Final = ("kind", "at")
CHECKPOINT_HISTORY: Final = MINUTE
READ_AT_ONCE: Final = 10_000


class LogRefused(Exception):
    """The log does not match its checkpoint: licd does not start on it.

    index names the first bad entry, or the first that can be bad: those before end are in doubt. None: no entry is.
    """

    def __init__(self, problem: str, index: int | None = None, end: int | None = None) -> None:
        super().__init__(_where(index, end) + problem)
        self.index = index


def _where(index: int | None, end: int | None) -> str:
    if index is None:
        return ""
    if end is None or end == index + 1:
        return f"entry {index}: "
    return f"entries {index} to {end - 1}, first candidate {index}: "


@dataclass(frozen=True, slots=True)
class LogKeeper:
    """Who keeps the log: its origin line, who signs checkpoints now (several while a key changes), how they check."""

    origin: str
    signers: Callable[[], Sequence[Signer]]
    verifier: LogVerifier


class Log:
    """The end of the log, in memory; what is appended is written in the caller's transaction."""

    def __init__(self, keeper: LogKeeper, head: LogHead | None) -> None:
        self._keeper: Final = keeper
        self.size: int = head.size if head else 0
        self._frontier = Frontier.from_bytes(head.frontier) if head else Frontier()
        self.checkpoint: bytes = head.checkpoint if head else b""
        self._history_at: Instant = head.at if head else 0

    def append(
        self,
        connection: Connection,
        entries: Sequence[Entry],
        now: Instant,
        mark: Instant,
        random: Callable[[int], bytes],
    ) -> None:
        """Writes the entries, the head and a checkpoint over them. With no entries only the head's clock mark moves.

        Must be followed by commit; after a rollback this object is to be thrown away.
        """
        lines = _lines(entries, self.size, now, random)
        if lines:
            self._frontier = self._frontier.extend([line.leaf_hash for line in lines])
            self.size += len(lines)
            checkpoint = Checkpoint(self._keeper.origin, self.size, self._frontier.root())
            self.checkpoint = sign_checkpoint(checkpoint, self._keeper.signers()).encode()
            LOG_ENTRIES.put(connection, lines)
            if now - self._history_at >= CHECKPOINT_HISTORY:
                LOG_CHECKPOINTS.put(connection, [LogCheckpoint(self.size, now, self.checkpoint)])
                self._history_at = now
        head = LogHead(HEAD_ID, self.size, self._frontier.to_bytes(), self.checkpoint, self._history_at, mark)
        LOG_HEADS.put(connection, [head])


def _lines(entries: Sequence[Entry], first: int, now: Instant, random: Callable[[int], bytes]) -> list[LoggedEntry]:
    """The entries with their time, sealed. Randomness for all salts is taken at once."""
    count = sum(len(entry.fields) + len(HEAD_FIELDS) for entry in entries)
    salts = random(SALT_BYTES * count) if count else b""
    at = b"%d" % now
    lines: list[LoggedEntry] = []
    used = 0
    for index, entry in enumerate(entries, first):
        names, values = zip(*entry.fields, strict=True) if entry.fields else ((), ())
        end = used + SALT_BYTES * (len(HEAD_FIELDS) + len(names))
        content = [
            entry.kind.encode(),
            at,
            *[v if type(v) is bytes else v.encode() if isinstance(v, str) else b"%d" % v for v in values],
        ]
        leaf, encoded = seal_columns((*HEAD_FIELDS, *names), content, salts[used:end])
        used = end
        lines.append(LoggedEntry(index, now, entry.kind, _licence_of(entry), leaf, encoded))
    return lines


def _licence_of(entry: Entry) -> str:
    """The licence an entry is about, by which it is listed; empty for one that is about none."""
    name, value = entry.fields[0] if entry.fields else ("", "")
    if name == "licence":
        return str(value)
    return next((str(value) for name, value in entry.fields if name == "licence"), "")


def read_head(connection: Connection) -> LogHead | None:
    """Where the log ends; None for a log that was never written."""
    return LOG_HEADS.get(connection, HEAD_ID)


def check_log(connection: Connection, keeper: LogKeeper) -> LogHead | None:
    """Recomputes the whole log against its checkpoints, and compares the rows of rights with what it says.

    Raises LogRefused naming the first bad entry, or the first bad row.
    """
    head = read_head(connection)
    if head is None:
        _refuse_headless(connection)
        return None
    frontier, trusted, told = Frontier(), 0, Told()
    stated = _roots_stated(connection, head, keeper)
    for index, line in enumerate(read_entries(connection)):
        entry = _check_line(index, line)
        try:
            told.take(line.kind, entry)
        except FactErased as error:
            raise LogRefused(str(error), index) from error
        frontier = frontier.append(line.leaf_hash)
        root = stated.get(frontier.size)
        if root is not None:
            if root != frontier.root():
                problem = f"the tree over {frontier.size} entries is not the one in the checkpoint"
                raise LogRefused(problem, trusted, frontier.size)
            trusted = frontier.size
    if frontier.size != head.size:
        problem = f"the log has {frontier.size} entries, its head says {head.size}"
        raise LogRefused(problem, min(frontier.size, head.size))
    if frontier.to_bytes() != head.frontier:
        raise LogRefused("the head's frontier is not that of the entries; the log could not be gone on with")
    contradicted = next(told.contradicted(connection), None)
    if contradicted is not None:
        raise LogRefused(f"{contradicted}: it was changed behind licd's back")
    return head


def _roots_stated(connection: Connection, head: LogHead, keeper: LogKeeper) -> dict[int, bytes]:
    """The root at every size for which there is a checkpoint; the newest one's signature is checked."""
    noted = LOG_CHECKPOINTS.find(connection, "all", LOG_CHECKPOINTS.select)
    roots = {each.size: _stated(_unverified, each.note, each.size) for each in noted}
    if head.size:
        roots[head.size] = _stated(keeper.verifier.open, head.checkpoint, head.size)
    return roots


def _unverified(note: bytes) -> Checkpoint:
    """What a kept checkpoint says: the newest one's signature covers all that the older ones state."""
    return parse_checkpoint(parse_note(note).text)


def _stated(read: Callable[[bytes], Checkpoint], note: bytes, size: int) -> bytes:
    try:
        checkpoint = read(note)
    except EvidenceInvalid as error:
        raise LogRefused(f"the checkpoint over {size} entries does not verify: {error}") from error
    if checkpoint.size != size:
        raise LogRefused(f"the checkpoint kept for {size} entries is over {checkpoint.size}")
    return checkpoint.root


def _refuse_headless(connection: Connection) -> None:
    if next(read_entries(connection), None) is not None:
        raise LogRefused("there are entries and no head over them", 0)
    for table in (tables.trust_bundle, tables.operator, tables.customer, tables.licence):
        first = Statement(select(table).limit(1), connection.dialect)
        if connection.execute(first.text, first.arguments({})):
            raise LogRefused(f"there are rows in {table.name} and no log of how they came there", 0)


def _check_line(index: int, line: LoggedEntry) -> RecordedEntry:
    if line.index != index:
        raise LogRefused(f"is missing; the next one there is {line.index}", index)
    try:
        entry = decode(line.body)
    except EvidenceInvalid as error:
        raise LogRefused(str(error), index) from error
    if entry.leaf_hash() != line.leaf_hash or encode(entry) != line.body:
        raise LogRefused("its content does not match its leaf", index)
    for name, listed in (("kind", line.kind), ("at", str(line.at)), ("licence", line.licence)):
        field = entry.field(name)
        if not isinstance(field, ErasedField) and listed != (field.value.decode() if field else ""):
            raise LogRefused(f"it is listed under another {name} than it has", index)
        if isinstance(field, ErasedField) and name == "kind":
            raise LogRefused("its kind is erased, and nobody can say what it changed", index)
    return entry


def read_entries(connection: Connection, start: int = 0, end: int = MAX_SIZE) -> Iterator[LoggedEntry]:
    """Every entry from start on and before end, in order, read in portions: no statement stays open between them."""
    index = tables.log_entry.c.index

    def portion() -> object:
        columns = select(*tables.log_entry.columns)
        within = columns.where(index >= bindparam("start"), index < bindparam("end"))
        return within.order_by(asc(index)).limit(READ_AT_ONCE)

    while True:
        found = LOG_ENTRIES.find(connection, "portion", portion, start=start, end=end)  # type: ignore[arg-type]
        yield from found
        if len(found) < READ_AT_ONCE:
            return
        start = found[-1].index + 1


def leaf_hashes(connection: Connection, start: int, end: int) -> list[bytes]:
    """The leaf hashes of the entries start to end - 1."""
    column = tables.log_entry.c
    wanted = select(column.leaf_hash).where(column.index >= start, column.index < end)
    statement = Statement(wanted.order_by(asc(column.index)), connection.dialect)
    return [bytes(row[0]) for row in connection.execute(statement.text, statement.arguments({}))]
