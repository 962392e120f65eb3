"""The file that remembers what was answered."""

import resource
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from licd.ledger.database import SqliteConnection
from licd.ledger.ledger import BatchFigures
from licd.ledger.log import read_head
from licd.ledger.records import IssuedDirective
from licd.ledger.rows import LOG_HEADS
from licd.ledger.transaction import Committed
from licd.ledger.verbs.operators import AddOperator
from licd.server.ratchet import Ratchet, behind, read_high
from licd.server.snapshot import Snapshot
from licd.server.state_dir import StateDirectory
from tests.server.command.desk import at_work

FIGURES = BatchFigures(1, 1, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """With a baseline."""
    path = tmp_path / "ratchet"
    ratchet = Ratchet(path)
    ratchet.settle(1, 3, {})
    ratchet.close()
    return path


def batch(size: int, licence: str, epoch: int) -> Committed:
    directive = IssuedDirective(licence, epoch, "suspend", 1, "manual", "", "", "", b"")
    return Committed(directives=[directive], log_size=size)


def test_keeps_the_highest_epoch_of_each_licence(path: Path) -> None:
    ratchet = Ratchet(path)
    for size, licence, epoch in ((4, "one", 2), (5, "one", 3), (6, "two", 2)):
        ratchet.committed(batch(size, licence, epoch), FIGURES)
    ratchet.close()
    high = read_high(path)
    assert (high.log_size, high.epochs, high.unsettled) == (6, {"one": 3, "two": 2}, "")


def test_a_torn_last_line_counts_for_nothing_and_does_not_run_into_the_next(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"99")
    assert read_high(path).log_size == 3
    ratchet = Ratchet(path)
    ratchet.committed(batch(4, "one", 2), FIGURES)
    ratchet.close()
    high = read_high(path)
    assert (high.log_size, high.epochs, high.unsettled) == (4, {"one": 2}, "")


@pytest.mark.parametrize(
    "line", ["nonsense\n", "4 one\n", "x one 2\n", "4 one two three\n", "\n", "4 one 2.5\n", "\xff\n"]
)
def test_a_line_that_cannot_be_read_leaves_the_rows_unsettled(path: Path, line: str) -> None:
    path.write_bytes(path.read_bytes() + line.encode("latin-1"))
    assert "line 2" in read_high(path).unsettled


def test_rows_that_are_behind_for_no_reason_told_are_behind(path: Path) -> None:
    """Found by fuzzing: an empty reason was read as none."""
    path.write_text("reconciled 5 9\nbehind 7 \n")
    assert read_high(path).unsettled


def test_without_a_baseline_the_rows_count_as_behind(state: StateDirectory) -> None:
    ratchet = state.root / "ratchet"
    with Snapshot(state.database) as rows:
        assert behind(read_high(ratchet), rows) == ""
        ratchet.unlink()
        assert "no baseline" in behind(read_high(ratchet), rows)


def test_silence_counts_from_the_first_mark_after_the_baseline(path: Path) -> None:
    ratchet = Ratchet(path)
    ratchet.note_behind(50, "a system\nproved it")
    ratchet.note_restored(70, 9)
    ratchet.close()
    high = read_high(path)
    assert (high.silent_since, high.log_size) == (50, 9)
    assert high.unsettled == "the rows were put back from a backup"
    Ratchet(path).settle(80, 5, {"gone": 7})
    high = read_high(path)
    assert (high.silent_since, high.log_size, high.unsettled, high.lost) == (0, 5, "", {"gone": 7})


def test_names_the_licence_whose_rows_are_older(state: StateDirectory) -> None:
    with at_work(state) as desk:
        desk.issue("one")
        desk.suspend("one")
    ratchet = Ratchet(state.root / "ratchet")
    ratchet.committed(batch(1, "one", 5), FIGURES)
    ratchet.close()
    with Snapshot(state.database) as rows:
        assert behind(read_high(state.root / "ratchet"), rows) == (
            "of licence one there is epoch 2 and epoch 5 was answered"
        )


def test_a_name_that_was_lost_and_is_issued_anew_below_its_epoch_is_behind(state: StateDirectory) -> None:
    Ratchet(state.root / "ratchet").settle(1, 3, {"one": 4})
    with at_work(state) as desk:
        desk.issue("one")
    with Snapshot(state.database) as rows:
        assert "issued anew at epoch 1" in behind(read_high(state.root / "ratchet"), rows)


def test_what_a_full_disk_refused_is_written_with_the_next_batch(path: Path) -> None:
    ratchet = Ratchet(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 3, limits[1]))  # room for three bytes of the line
    try:
        with capture_logs() as said:
            ratchet.committed(batch(4, "one", 2), FIGURES)
        assert path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "ratchet was not written" in said[0]["event"]
    ratchet.committed(batch(5, "one", 3), FIGURES)
    ratchet.close()
    assert path.read_bytes().startswith(before + b"4 one 2\n5 one 3\n")


def test_the_size_of_the_log_is_noted_with_every_batch_and_takes_no_more_room_for_that(path: Path) -> None:
    ratchet = Ratchet(path)
    ratchet.committed(Committed(entries=1, log_size=4), FIGURES)
    size = path.stat().st_size
    for log_size in range(5, 500):
        ratchet.committed(Committed(entries=1, log_size=log_size), FIGURES)
    assert (path.stat().st_size, read_high(path).log_size) == (size, 499)
    ratchet.committed(batch(500, "one", 2), FIGURES)
    ratchet.committed(Committed(entries=1, log_size=501), FIGURES)
    ratchet.close()
    assert Ratchet(path).high.log_size == 501
    assert read_high(path).epochs == {"one": 2}


def test_a_size_that_was_torn_by_a_power_cut_says_nothing(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"grown %020d %020d\n" % (1_999, 999))
    high = read_high(path)
    assert (high.log_size, high.unsettled) == (3, "")


def test_a_log_that_was_cut_back_to_a_kept_checkpoint_is_noticed(state: StateDirectory) -> None:
    """Nothing in such a log is wrong, but that its end is gone: here an operator whom somebody wants forgotten."""
    with at_work(state) as desk:
        desk.issue("one")
        with Snapshot(state.database) as found:
            head = read_head(found)
        desk.run(AddOperator("mallory", ("licence-officer",), b"k" * 32, "id", b"c" * 32, "alice"))
    assert head is not None
    rows = SqliteConnection(state.database)
    rows.begin()
    rows.execute('DELETE FROM log_entry WHERE "index" >= ?', (head.size,))
    rows.execute("DELETE FROM operator WHERE id = 'mallory'")
    LOG_HEADS.put(rows, [head])
    rows.commit()
    rows.close()
    with Snapshot(state.database) as found:
        assert f"the log has {head.size} entries and {head.size + 1} were answered" in behind(
            read_high(state.root / "ratchet"), found
        )


def test_is_its_owners_alone(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
