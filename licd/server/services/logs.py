"""LogService: entries with proofs, checkpoints, and the whole log for whoever checks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any, Final

from licd.core.errors import Invalid, NotFound
from licd.evidence.entry import ErasedField, decode
from licd.evidence.export import export_lines
from licd.evidence.merkle import consistency_proof, inclusion_proof
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.log import leaf_hashes, read_entries, read_head
from licd.ledger.queries import Page, checkpoints, listed
from licd.ledger.records import LoggedEntry
from licd.ledger.rows import LOG_ENTRIES
from licd.server.caller import Caller
from licd.server.reader import Reader
from licd.v1 import log_service_pb2 as pb
from licd.v1 import operator_pb2

LINES_AT_ONCE: Final = 200


class LogService:
    """What licd has done, for those who check it."""

    def __init__(self, reader: Reader, origin: str, open_copy: Callable[[], Connection]) -> None:
        """open_copy gives a connection of its own for an export, which may take long."""
        self._reader: Final = reader
        self._origin: Final = origin
        self._open_copy: Final = open_copy

    async def list_entries(self, request: pb.ListEntriesRequest, caller: Caller) -> pb.ListEntriesResponse:
        """In the order of the log, or newest first."""
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

        def query(connection: Connection) -> pb.GetEntryResponse:
            head = read_head(connection)
            found = LOG_ENTRIES.get(connection, request.index)
            if head is None or found is None:
                raise NotFound(f"the log has no entry {request.index}", field="index")
            leaves = leaf_hashes(connection, head.size)
            return pb.GetEntryResponse(
                entry=entry_message(found),
                inclusion_proof=inclusion_proof(leaves, found.index, head.size),
                checkpoint=head.checkpoint.decode(),
            )

        return await self._reader.run(query)

    async def get_checkpoint(self, request: pb.GetCheckpointRequest, caller: Caller) -> pb.GetCheckpointResponse:
        """The newest checkpoint, with a consistency proof where an older size is named."""

        def query(connection: Connection) -> pb.GetCheckpointResponse:
            head = read_head(connection)
            if head is None:
                raise NotFound("the log is empty")
            if not 0 <= request.old_size <= head.size:
                raise Invalid(f"from 0 to {head.size}", field="old_size")
            proof: tuple[bytes, ...] = ()
            if request.old_size:
                proof = consistency_proof(leaf_hashes(connection, head.size), request.old_size, head.size)
            return pb.GetCheckpointResponse(checkpoint=head.checkpoint.decode(), consistency_proof=proof)

        return await self._reader.run(query)

    async def export_log(self, request: pb.ExportLogRequest, caller: Caller) -> AsyncIterator[pb.ExportLogResponse]:
        """The whole log as lines, checkpoints between; `licctl log verify` checks them offline."""
        connection = self._open_copy()
        try:
            # In the reader's thread, a portion at a time: a long log must not keep the loop from pushing a suspension.
            lines = await self._reader.run(lambda _: exported(connection, self._origin))
            while portion := await self._reader.run(lambda _: list(islice(lines, LINES_AT_ONCE))):
                yield pb.ExportLogResponse(lines=portion)
        finally:
            connection.close()


def exported(connection: Connection, origin: str) -> Iterator[str]:
    """The export format of licd.evidence.export, from one consistent view."""
    connection.execute("BEGIN")
    head = read_head(connection)
    notes = [each.note for each in checkpoints(connection)]
    if head is not None and head.size:
        notes.append(head.checkpoint)
    lines = ((line.leaf_hash, line.body) for line in read_entries(connection))
    return export_lines(origin, lines, notes)


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
