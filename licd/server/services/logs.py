"""LogService: entries with proofs, checkpoints, and the whole log for whoever checks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from licd.core.entry_kinds import ENTRY_KINDS
from licd.core.errors import Invalid, NotFound
from licd.evidence.entry import ErasedField, decode
from licd.evidence.export import export_lines
from licd.evidence.merkle import consistency_ranges, inclusion_ranges, range_root
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.log import read_entries, read_head
from licd.ledger.queries import Page, checkpoints, listed
from licd.ledger.records import LoggedEntry, LogHead
from licd.ledger.rows import LOG_ENTRIES
from licd.server.caller import Caller
from licd.server.log_proofs import LogProofs
from licd.server.reader import Reader
from licd.v1 import log_service_pb2 as pb
from licd.v1 import operator_pb2

LINES_AT_ONCE: Final = 200
CHARACTERS_AT_ONCE: Final = 1 << 20


class LogService:
    """What licd has done, for those who check it."""

    def __init__(self, reader: Reader, origin: str, proofs: LogProofs) -> None:
        self._reader: Final = reader
        self._origin: Final = origin
        self._proofs: Final = proofs

    async def list_entries(self, request: pb.ListEntriesRequest, caller: Caller) -> pb.ListEntriesResponse:
        """In the order of the log, or newest first."""
        if request.kind and request.kind not in ENTRY_KINDS:
            known = ", ".join(sorted(ENTRY_KINDS))
            raise Invalid(f"{request.kind[:60]!r} is no kind of entry; one of {known}", field="kind")
        page = Page.of(request.page.page_size, request.page.page_token)
        column = tables.log_entry.c
        wanted: list[Any] = [column.kind == request.kind] if request.kind else []
        if request.licence:
            wanted.append(column.licence == request.licence)
        found, token = await self._reader.run(
            lambda connection: listed(connection, LOG_ENTRIES, page, wanted, descending=request.descending)
        )
        return pb.ListEntriesResponse(
            entries=[entry_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def get_entry(self, request: pb.GetEntryRequest, caller: Caller) -> pb.GetEntryResponse:
        """One entry, and the proof that it is in the tree of the newest checkpoint."""

        def query(connection: Connection) -> tuple[LogHead | None, LoggedEntry | None]:
            return read_head(connection), LOG_ENTRIES.get(connection, request.index)

        head, found = await self._reader.run(query)
        if head is None or found is None or found.index >= head.size:
            raise NotFound(f"the log has no entry {request.index}", field="index")
        return pb.GetEntryResponse(
            entry=entry_message(found),
            inclusion_proof=await self._roots(inclusion_ranges(found.index, head.size)),
            checkpoint=head.checkpoint.decode(),
        )

    async def get_checkpoint(self, request: pb.GetCheckpointRequest, caller: Caller) -> pb.GetCheckpointResponse:
        """The newest checkpoint, with a consistency proof where an older size is named."""
        head = await self._reader.run(read_head)
        if head is None:
            raise NotFound("the log is empty")
        if not 0 <= request.old_size <= head.size:
            raise Invalid(f"from 0 to {head.size}", field="old_size")
        proof = await self._roots(consistency_ranges(request.old_size, head.size))
        return pb.GetCheckpointResponse(checkpoint=head.checkpoint.decode(), consistency_proof=proof)

    async def _roots(self, ranges: Iterator[tuple[int, int]]) -> list[bytes]:
        """The roots over these ranges of leaves."""
        return await self._proofs.run(lambda _, roots: [range_root(start, end, roots) for start, end in ranges])

    async def export_log(self, request: pb.ExportLogRequest, caller: Caller) -> AsyncIterator[pb.ExportLogResponse]:
        """The whole log as lines, checkpoints between; `licctl log verify` checks them offline.

        A portion at a time in the reader's turns. Between them nothing is held: whoever stops reading keeps neither
        the loop from pushing a suspension nor the database from tidying its write-ahead log.
        """
        lines = await self._reader.run(lambda connection: exported(connection, self._origin))
        while portion := await self._reader.run(lambda _: next_portion(lines)):
            yield pb.ExportLogResponse(lines=portion)


def exported(connection: Connection, origin: str) -> Iterator[str]:
    """The export format of licd.evidence.export, up to the head as it is now: what comes later is not in it."""
    head = read_head(connection)
    size = head.size if head else 0
    lines = ((line.leaf_hash, line.body) for line in read_entries(connection, end=size))
    return export_lines(origin, lines, _notes(connection, head))


def _notes(connection: Connection, head: LogHead | None) -> Iterator[bytes]:
    if head is not None and head.size:
        yield from (each.note for each in checkpoints(connection, head.size))
        yield head.checkpoint


def next_portion(lines: Iterator[str]) -> list[str]:
    """The next lines, as many as fit a message well."""
    portion: list[str] = []
    characters = 0
    for line in lines:
        portion.append(line)
        characters += len(line)
        if len(portion) >= LINES_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            break
    return portion


def entry_message(line: LoggedEntry) -> pb.LogEntry:
    """An entry with its fields in words; bytes as hex."""
    fields = [
        pb.LogField(name=field.name, erased=True)
        if isinstance(field, ErasedField)
        else pb.LogField(name=field.name, value=_shown(field.value))
        for field in decode(line.body).fields
    ]
    return pb.LogEntry(index=line.index, entry=line.body, leaf_hash=line.leaf_hash, fields=fields)


def _shown(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()
