"""A whole log as text: JSON Lines, each line in exactly one spelling (ASCII, no spaces, keys in this order).

    {"format":"licd-log/1","origin":ORIGIN}                first line
    {"index":N,"leaf":BASE64,"entry":BASE64}               entry N, from 0 without a gap: leaf hash, stored entry
    {"checkpoint":NOTE}                                    a signed checkpoint over all entries above it
    {"checkpoint":NOTE}                                    last line: the checkpoint over the whole log

Every checkpoint the log has signed may stand among the entries; the more there are, the closer the first bad entry can
be named. The leaf hash says nothing the entry does not; it tells an altered entry from a leaf that was never in the
tree. Checking streams: one line at a time, a frontier of at most 63 hashes.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from licd.evidence import checkpoint, entry, merkle, note
from licd.evidence.canonical import decode_base64, encode_base64
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.merkle import Frontier

FORMAT: Final = "licd-log/1"
MAX_LINE_CHARACTERS: Final = 1 << 23


class LogInvalid(EvidenceInvalid):
    """An exported log is not the log its checkpoints were signed for.

    index -- the first bad entry, or the first that can be bad
    end   -- the entries index to end - 1 are in doubt: index + 1 when the bad entry is certain, index when it is
             no entry but the line before entry `index`
    line  -- the line at which it shows, from 1
    why   -- the reason in words
    """

    def __init__(self, index: int, why: str, *, line: int, end: int) -> None:
        self.index = index
        self.end = end
        self.line = line
        self.why = why
        super().__init__(f"line {line}, {self._where()}: {why}")

    def _where(self) -> str:
        if self.end == self.index:
            return f"before entry {self.index}"
        if self.end == self.index + 1:
            return f"entry {self.index}"
        return f"entries {self.index} to {self.end - 1}, first candidate {self.index}"


@dataclass(frozen=True, slots=True)
class Report:
    """A log found whole: its last checkpoint, how many were checked, and what has been erased from it.

    signed is the note of the last checkpoint, as it stands there.
    """

    final: Checkpoint
    signed: str
    checkpoints: int
    entries_with_erasure: int
    erased_fields: int


def header_line(origin: str) -> str:
    """The first line of an export, without a newline."""
    return _dump({"format": FORMAT, "origin": origin})


def entry_line(index: int, leaf_hash: bytes, encoded: bytes) -> str:
    """The line of one entry."""
    return _dump({"index": index, "leaf": encode_base64(leaf_hash), "entry": encode_base64(encoded)})


def checkpoint_line(signed: bytes) -> str:
    """The line of one signed checkpoint."""
    return _dump({"checkpoint": signed.decode("utf-8")})


def export_lines(origin: str, entries: Iterable[tuple[bytes, bytes]], checkpoints: Iterable[bytes]) -> Iterator[str]:
    """The lines of an export, without newlines: (leaf hash, stored entry) in order, signed checkpoints by size.

    Streams. Raises ValueError when a checkpoint is out of order or the last does not cover the entries exactly,
    NoteInvalid or CheckpointInvalid when one is malformed; signatures and roots are for `verify_export`.
    """
    yield header_line(origin)
    numbered = enumerate(entries)
    count = 0
    for signed in checkpoints:
        size = checkpoint.parse_checkpoint(note.parse_note(signed).text).size
        if size < count:
            raise ValueError(f"the checkpoint of size {size} comes after {count} entries")
        while count < size:
            index, (leaf_hash, encoded) = _next_entry(numbered, size)
            yield entry_line(index, leaf_hash, encoded)
            count += 1
        yield checkpoint_line(signed)
    if next(numbered, None) is not None:
        raise ValueError(f"no checkpoint covers entry {count}")


def verify_export(
    lines: Iterable[str | bytes],
    verifier: LogVerifier,
    held: Iterable[Checkpoint] = (),
    take: Callable[[int, entry.Entry], None] | None = None,
) -> Report:
    """Check an exported log line by line against its signed checkpoints; answer a report or raise LogInvalid.

    Lines may end in one newline. `held` are verified checkpoints of this log that the checker kept from before: the
    export must contain the trees they describe, which is what shows that nothing was cut off or rewritten since;
    ValueError when one of them is of another log. LogInvalid names the first bad entry; when every entry fits its
    own leaf but a root differs, the range since the last root that agreed. `take` is given each entry with its index as
    it comes, when it fits its leaf; nothing is to be believed of it before this function has answered.
    """
    check = _Check(verifier, _held_by_size(held, verifier.origin), take)
    for line in lines:
        check.line(line)
    return check.finish()


def entries_of(lines: Iterable[str | bytes]) -> Iterator[tuple[int, entry.Entry]]:
    """The entries of an export with their indexes, for whoever only reads it. Raises LogInvalid.

    Each must follow the one before and match its leaf; roots and signatures are for `verify_export`.
    """
    check = _Check(LogVerifier("", (), lambda *_: False), [])
    for line in lines:
        found = check.read(line)
        if found is not None:
            yield check.size - 1, found


@dataclass(slots=True)
class _Check:
    """The state of one pass over an export. `trusted` is the size of the last root that agreed."""

    verifier: LogVerifier
    held: list[Checkpoint]
    take: Callable[[int, entry.Entry], None] | None = None
    number: int = 0
    trusted: int = 0
    frontier: Frontier = merkle.EMPTY
    final: Checkpoint | None = None
    final_note: str = ""
    checkpoints: int = 0
    entries_with_erasure: int = 0
    erased_fields: int = 0

    @property
    def size(self) -> int:
        return self.frontier.size

    def line(self, raw: str | bytes) -> None:
        self.number += 1
        text, values = self._parse(raw)
        if self.number == 1:
            self._header(text)
        elif "checkpoint" in values:
            self._checkpoint(text, values)
        else:
            found = self._entry(text, values)
            if self.take is not None:
                self.take(self.size - 1, found)

    def read(self, raw: str | bytes) -> entry.Entry | None:
        """The entry of a line that is one, without a look at checkpoints."""
        self.number += 1
        text, values = self._parse(raw)
        if self.number == 1:
            if values.get("format") != FORMAT:
                raise self._between(f"the first line does not announce a {FORMAT} log")
            return None
        return None if "checkpoint" in values else self._entry(text, values)

    def finish(self) -> Report:
        if self.final is None or self.final.size != self.size:
            raise self._between("the log does not end in a signed checkpoint over all its entries")
        self._open(self.verifier.open, self.final_note)
        if self.held:
            raise self._between(f"the log ends here, but a checkpoint of size {self.held[0].size} is held")
        return Report(self.final, self.final_note, self.checkpoints, self.entries_with_erasure, self.erased_fields)

    def _parse(self, raw: str | bytes) -> tuple[str, dict[str, object]]:
        if len(raw) > MAX_LINE_CHARACTERS:
            raise self._invalid("the line is too long")
        try:
            text = raw.decode("ascii") if isinstance(raw, bytes) else raw
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._invalid("the line is not ASCII JSON") from error
        if not isinstance(values, dict):
            raise self._invalid("the line is not a JSON object")
        return text.removesuffix("\n"), values

    def _header(self, text: str) -> None:
        if text != header_line(self.verifier.origin):
            raise self._between(f"the first line does not announce a {FORMAT} log of {self.verifier.origin!r}")
        self._compare_held()

    def _entry(self, text: str, values: dict[str, object]) -> entry.Entry:
        index = values.get("index")
        if type(index) is not int or index != self.size:
            raise self._invalid(f"entry {self.size} is missing, the line has index {index!r:.40}")
        leaf, encoded = self._bytes(values, "leaf"), self._bytes(values, "entry")
        if text != entry_line(index, leaf, encoded):
            raise self._invalid("the line is not in its canonical form")
        content = self._content(leaf, encoded)
        self.frontier = self.frontier.append(leaf)
        self._compare_held()
        return content

    def _content(self, leaf: bytes, encoded: bytes) -> entry.Entry:
        try:
            content = entry.decode(encoded)
        except entry.EntryInvalid as error:
            raise self._invalid(f"the entry does not decode: {error}") from error
        if content.leaf_hash() != leaf:
            raise self._invalid("the entry does not match its leaf hash")
        erased = sum(isinstance(one, entry.ErasedField) for one in content.fields)
        self.erased_fields += erased
        self.entries_with_erasure += erased > 0
        return content

    def _checkpoint(self, text: str, values: dict[str, object]) -> None:
        signed = values["checkpoint"]
        if not isinstance(signed, str) or text != _dump({"checkpoint": signed}):
            raise self._between("the line is not in its canonical form")
        stated = self._open(self.verifier.open_covered, signed)
        if stated.size != self.size:
            raise self._between(f"the checkpoint is over {stated.size} entries, {self.size} stand above it")
        self._compare(stated, "the signed checkpoint")
        self.final, self.final_note = stated, signed
        self.checkpoints += 1

    def _open(self, read: Callable[[bytes], Checkpoint], signed: str) -> Checkpoint:
        try:
            return read(signed.encode("utf-8"))
        except (EvidenceInvalid, UnicodeEncodeError) as error:
            raise self._between(f"the checkpoint is not valid: {error}") from error

    def _compare_held(self) -> None:
        while self.held and self.held[0].size == self.size:
            self._compare(self.held.pop(0), "the held checkpoint")

    def _compare(self, stated: Checkpoint, which: str) -> None:
        if self.frontier.root() != stated.root:
            why = f"the root over {self.size} entries is not the one in {which}"
            raise LogInvalid(self.trusted, why, line=self.number, end=self.size)
        self.trusted = self.size

    def _bytes(self, values: dict[str, object], key: str) -> bytes:
        text = values.get(key)
        if not isinstance(text, str):
            raise self._invalid(f"the line has no {key!r}")
        try:
            return decode_base64(text)
        except ValueError as error:
            raise self._invalid(f"{key!r} {error}") from error

    def _invalid(self, why: str) -> LogInvalid:
        return LogInvalid(self.size, why, line=self.number, end=self.size + 1)

    def _between(self, why: str) -> LogInvalid:
        return LogInvalid(self.size, why, line=self.number, end=self.size)


def _held_by_size(held: Iterable[Checkpoint], origin: str) -> list[Checkpoint]:
    kept = sorted(held, key=lambda one: one.size)
    for one in kept:
        if one.origin != origin:
            raise ValueError(f"the held checkpoint is of {one.origin!r}, not of {origin!r}")
    return kept


def _next_entry(numbered: Iterator[tuple[int, tuple[bytes, bytes]]], size: int) -> tuple[int, tuple[bytes, bytes]]:
    try:
        return next(numbered)
    except StopIteration:
        raise ValueError(f"a checkpoint covers {size} entries, there are fewer") from None


def _dump(values: dict[str, object]) -> str:
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))
