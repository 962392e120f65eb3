"""licd does not start on a log that is not what it signed, and says where it stops being it."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from licd.core.time import MINUTE
from licd.evidence import entry as evidence
from licd.evidence.export import verify_export
from licd.evidence.merkle import Frontier
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from licd.ledger.log import LogRefused, check_log, read_entries, read_head
from licd.ledger.queries import checkpoints
from licd.ledger.records import LoggedEntry
from licd.ledger.rows import LOG_ENTRIES, LOG_HEADS
from licd.ledger.verbs.customers import CreateCustomer
from licd.server.log_keeping import log_keeper
from licd.server.services.logs import exported
from tests.ledger.rig import DOMAIN, Rig, keeper

ENTRIES = 12


@pytest.fixture
def rig(file_rig: Rig) -> Rig:
    """Rows changed below licd, in the words of one database."""
    return file_rig


@pytest.fixture
def logged(rig: Rig) -> Rig:
    """Twelve entries in twelve batches, a checkpoint kept each third."""
    for number in range(ENTRIES):
        rig.do(CreateCustomer(f"customer-{number}", f"Customer {number}", "alice"))
        rig.clock.advance(MINUTE // 3)
    rig.close()
    return rig


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def refused(rig: Rig) -> LogRefused:
    with pytest.raises(LogRefused) as raised:
        Rig(rig.place, rig.clock)
    return raised.value


def test_starts_on_a_log_that_is_as_it_was(logged: Rig):
    again = Rig(logged.place, logged.clock)
    assert again.ledger.log_size == ENTRIES
    again.do(CreateCustomer("one-more", "", "alice"))
    assert again.reopened().ledger.log_size == ENTRIES + 1


FLIP = "UPDATE log_entry SET body = CAST(substr(body, 1, length(body) - 1) || x'ff' AS BLOB) WHERE \"index\" = 7"
SWAP = (
    'UPDATE log_entry SET "index" = -1 WHERE "index" = 7',
    'UPDATE log_entry SET "index" = 7 WHERE "index" = 8',
    'UPDATE log_entry SET "index" = 8 WHERE "index" = -1',
)


@pytest.mark.parametrize(
    ("statements", "index"),
    [
        ((FLIP,), 7),
        (("UPDATE log_entry SET body = x'00' WHERE \"index\" = 7",), 7),
        (('UPDATE log_entry SET leaf_hash = zeroblob(32) WHERE "index" = 7',), 7),
        (("UPDATE log_entry SET kind = 'nothing.happened' WHERE \"index\" = 7",), 7),
        (("UPDATE log_entry SET licence = 'north-1' WHERE \"index\" = 7",), 7),
        (('UPDATE log_entry SET at = at + 1 WHERE "index" = 7',), 7),
        (('DELETE FROM log_entry WHERE "index" = 0',), 0),
        (('DELETE FROM log_entry WHERE "index" = 7',), 7),
        (('DELETE FROM log_entry WHERE "index" = 11',), ENTRIES - 1),
        (("DELETE FROM log_entry",), 0),
        (("DELETE FROM log_head",), 0),
        (("DELETE FROM log_head", "DELETE FROM log_entry", "DELETE FROM log_checkpoint"), 0),
        (("UPDATE log_head SET size = size - 1",), None),
        (("UPDATE log_head SET size = size + 1",), None),
        (("UPDATE log_head SET checkpoint = CAST(replace(checkpoint, 'log', 'gol') AS BLOB)",), None),
        (("UPDATE log_head SET checkpoint = (SELECT note FROM log_checkpoint LIMIT 1)",), None),
        (("UPDATE log_head SET frontier = zeroblob(length(frontier))",), None),
        (("UPDATE log_checkpoint SET note = x'20' WHERE size = (SELECT min(size) FROM log_checkpoint)",), None),
    ],
)
def test_refuses_a_changed_log_and_names_the_first_bad_entry(
    logged: Rig, statements: tuple[str, ...], index: int | None
):
    change(logged.path, *statements)
    found = refused(logged)
    assert found.index == index
    if index is not None:
        assert f"entry {index}" in str(found)


def test_refuses_swapped_entries_and_names_the_first_that_can_be_meant(logged: Rig):
    """Each fits its own leaf: only the roots tell, and there is one each third entry."""
    change(logged.path, *SWAP)
    found = refused(logged)
    assert found.index is not None
    assert found.index == 7
    assert "first candidate" in str(found)


def rewritten(rig: Rig, change_line: Callable[[bytes], bytes]) -> None:
    """Changes entry 7 and makes leaf, frontier and head agree with it again, as somebody without the key can."""
    again = Rig(rig.place, rig.clock)
    lines = list(read_entries(again.connection))
    body = change_line(lines[7].body)
    lines[7] = replace(lines[7], body=body, leaf_hash=evidence.decode(body).leaf_hash())
    frontier = Frontier().extend([line.leaf_hash for line in lines])
    head = read_head(again.connection)
    assert head is not None
    again.connection.begin()
    LOG_ENTRIES.put(again.connection, [lines[7]])
    LOG_HEADS.put(again.connection, [replace(head, frontier=frontier.to_bytes())])
    again.connection.commit()
    again.close()


def test_refuses_an_entry_that_was_rewritten_with_its_leaf(logged: Rig):
    rewritten(logged, lambda body: body.replace(b"alice", b"mallo"))
    found = refused(logged)
    assert found.index == 7


def test_an_erased_value_changes_nothing(logged: Rig):
    again = Rig(logged.place, logged.clock)
    line = list(read_entries(again.connection))[7]
    erased(again, line, {"actor", "at"})
    assert again.reopened().ledger.log_size == ENTRIES


@pytest.mark.parametrize("name", ["kind", "customer"])
def test_what_an_entry_changed_cannot_be_erased(logged: Rig, name: str):
    """Else whoever changes a row erases what the log says of it."""
    again = Rig(logged.place, logged.clock)
    erased(again, list(read_entries(again.connection))[7], {name})
    again.close()
    assert "is erased" in str(refused(logged))


def erased(rig: Rig, line: LoggedEntry, names: set[str]) -> None:
    body = evidence.encode(evidence.erase(evidence.decode(line.body), names))
    rig.connection.begin()
    LOG_ENTRIES.put(rig.connection, [replace(line, body=body)])
    rig.connection.commit()


def test_refuses_a_log_that_somebody_else_has_signed(logged: Rig):
    connection = Rig(logged.place, logged.clock).connection
    stranger = log_keeper(DOMAIN, MemorySigner(KeyPurpose.EVIDENCE, b"x" * 32))
    with pytest.raises(LogRefused):
        check_log(connection, stranger)
    assert check_log(connection, keeper()) is not None


def test_a_rotated_evidence_key_still_counts(logged: Rig):
    connection = Rig(logged.place, logged.clock).connection
    old = MemorySigner(KeyPurpose.EVIDENCE, b"e" * 32)
    new = log_keeper(DOMAIN, MemorySigner(KeyPurpose.EVIDENCE, b"n" * 32), [old.public_key])
    assert check_log(connection, new) is not None


def test_an_empty_database_has_an_empty_log(rig: Rig):
    assert rig.ledger.log_size == 0
    assert rig.reopened().ledger.log_size == 0


def test_a_checkpoint_is_kept_for_each_minute_and_the_export_verifies(logged: Rig):
    again = Rig(logged.place, logged.clock)
    assert [each.size for each in checkpoints(again.connection, 11)] == [1, 4, 7, 10]
    lines = list(exported(again.connection, keeper().origin))
    report = verify_export(lines, keeper().verifier)
    assert (report.final.size, report.checkpoints) == (ENTRIES, 5)


def test_a_batch_that_logs_nothing_leaves_the_checkpoint_as_it_is(rig: Rig):
    rig.licence()
    before = read_head(rig.connection)
    assert before is not None
    rig.enrolled("alpha")
    rig.clock.advance(MINUTE)
    size = rig.ledger.log_size
    rig.look(lambda tx: setattr(tx, "wrote", True))
    after = read_head(rig.connection)
    assert after is not None
    assert (after.size, after.clock_mark) == (size, before.clock_mark + MINUTE)
    assert rig.reopened().ledger.log_size == size
