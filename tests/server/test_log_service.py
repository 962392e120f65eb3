"""Whoever reads the log, however long it is and however slowly he reads, keeps nobody else from anything."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from licd.core.errors import Invalid, NotFound
from licd.evidence.checkpoint import Checkpoint
from licd.evidence.export import verify_export
from licd.evidence.merkle import verify_consistency, verify_inclusion
from licd.ledger import queries
from licd.ledger.database import Row, SqliteConnection
from licd.ledger.verbs.customers import CreateCustomer
from licd.server.caller import Caller, Listener
from licd.server.log_proofs import LogProofs
from licd.server.reader import InlineReader
from licd.server.services import logs
from licd.server.services.logs import LogService
from licd.v1 import licence_service_pb2
from licd.v1 import log_service_pb2 as pb
from tests.daemon import PATIENCE, VERBS, Daemon
from tests.ledger.rig import Rig, keeper
from tests.office import Office

ENTRIES = 3_000
READER = Caller(Listener.OPERATOR, None, b"", "")


class Counting(SqliteConnection):
    """A reader's connection that counts the rows it has read."""

    def __init__(self, path: Any) -> None:
        super().__init__(path, readonly=True)
        self.rows = 0

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        found = super().execute(text, arguments)
        self.rows += len(found)
        return found


def write(rig: Rig, entries: int) -> None:
    first = rig.ledger.log_size
    commands: Iterable[CreateCustomer] = (CreateCustomer(f"c{first + n}", "x", "alice") for n in range(entries))
    rig.ledger.execute(list(commands))


@pytest.fixture
def long(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "licd.db")
    write(rig, ENTRIES)
    yield rig
    rig.close()


@pytest.fixture
def connection(long: Rig) -> Counting:
    return Counting(long.path)


@pytest.fixture
def service(connection: Counting) -> LogService:
    return service_over(InlineReader(connection))


def service_over(reader: InlineReader) -> LogService:
    return LogService(reader, keeper().origin, LogProofs(reader))


def stated(note: str) -> Checkpoint:
    return keeper().verifier.open(note.encode())


async def test_a_proof_reads_some_hundred_rows_of_a_long_log(service: LogService, connection: Counting):
    await service.get_entry(pb.GetEntryRequest(index=5), READER)
    for index in (0, 5, 1_700, ENTRIES - 1):
        connection.rows = 0
        found = await service.get_entry(pb.GetEntryRequest(index=index), READER)
        assert connection.rows < 600
        head = stated(found.checkpoint)
        verify_inclusion(found.entry.leaf_hash, index, head.size, found.inclusion_proof, head.root)


async def test_the_first_proof_gives_others_their_turn(long: Rig, connection: Counting):
    write(long, 12_000)
    turns = []

    class Turns(InlineReader):
        async def run(self, query: Any, /) -> Any:
            connection.rows = 0
            answer = query(connection)
            turns.append(connection.rows)
            return answer

    await service_over(Turns(connection)).get_entry(pb.GetEntryRequest(index=5), READER)
    assert max(turns) < 11_000
    assert sum(turns) > ENTRIES + 11_000


async def test_proofs_hold_while_the_log_grows(service: LogService, long: Rig):
    older = stated((await service.get_checkpoint(pb.GetCheckpointRequest(), READER)).checkpoint)
    for more in (1, 255, 256, 700):
        write(long, more)
        found = await service.get_checkpoint(pb.GetCheckpointRequest(old_size=older.size), READER)
        newer = stated(found.checkpoint)
        verify_consistency(older.size, newer.size, older.root, newer.root, found.consistency_proof)
        entry = await service.get_entry(pb.GetEntryRequest(index=newer.size - 1), READER)
        verify_inclusion(entry.entry.leaf_hash, newer.size - 1, newer.size, entry.inclusion_proof, newer.root)
    with pytest.raises(NotFound):
        await service.get_entry(pb.GetEntryRequest(index=newer.size), READER)


async def test_a_kind_of_entry_that_there_is_not_is_refused_with_those_there_are(service: LogService):
    with pytest.raises(Invalid, match=r"'lease\.grantd' is no kind of entry; one of .*lease\.granted") as refused:
        await service.list_entries(pb.ListEntriesRequest(kind="lease.grantd"), READER)
    assert refused.value.field == "kind"
    listed = await service.list_entries(pb.ListEntriesRequest(kind="lease.granted"), READER)
    assert list(listed.entries) == []


async def rest(portions: AsyncIterator[pb.ExportLogResponse]) -> list[str]:
    return [line async for portion in portions for line in portion.lines]


async def test_an_export_nobody_reads_on_lets_the_write_ahead_log_be_emptied(service: LogService, long: Rig):
    portions = service.export_log(pb.ExportLogRequest(), READER)
    begun = [*(await anext(portions)).lines]
    write(long, 500)
    with sqlite3.connect(long.path, timeout=0) as beside:
        [(busy, left, _)] = beside.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    beside.close()
    assert (busy, left) == (0, 0)
    report = verify_export(begun + await rest(portions), keeper().verifier)
    assert report.final.size == ENTRIES


def test_a_portion_of_an_export_fits_a_message_whatever_the_entries_hold():
    wide, narrow = iter(["w" * 400_000] * 50), iter(["n"] * 500)
    assert sum(map(len, logs.next_portion(wide))) < 2_000_000
    assert len(logs.next_portion(narrow)) == logs.LINES_AT_ONCE
    assert len(logs.next_portion(iter(["last"]))) == 1
    assert logs.next_portion(iter([])) == []


def test_a_suspension_does_not_wait_for_those_who_read(daemon: Daemon, office: Office, monkeypatch: pytest.MonkeyPatch):
    licence = office.licence()
    scope = licence_service_pb2.SuspensionScope(licence=licence)
    begun, go_on, listed = threading.Event(), threading.Event(), queries.listed

    def slow(*given: Any, **more: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return listed(*given, **more)

    monkeypatch.setattr(logs, "listed", slow)
    path = VERBS["LogService.ListEntries"].path
    reading: Any = office.alice.channel.unary_unary(path, None, None)
    waiting = reading.future(pb.ListEntriesRequest().SerializeToString(), timeout=PATIENCE)
    try:
        assert begun.wait(PATIENCE)
        preview = licence_service_pb2.PreviewSuspensionRequest(scope=scope)
        assert office.bob.call("LicenceService.PreviewSuspension", preview).licences == [licence]
        done = office.bob.suspend(licence)
        asked = licence_service_pb2.GetSuspensionRequest(suspension=done.suspension)
        assert office.bob.call("LicenceService.GetSuspension", asked).settled
        assert not waiting.done()
    finally:
        go_on.set()
    waiting.result()
