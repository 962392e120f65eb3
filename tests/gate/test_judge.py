"""The judge sees what it is there to see: each kind of loss is planted in rows that were whole."""

import random  # seeded
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from licd.core.errors import ShuttingDown
from licd.server.state_dir import StateDirectory
from tests.daemon import PATIENCE, serving
from tests.eventually import eventually
from tests.gate.history import Span
from tests.gate.judge import Judge, Tree, verifier_of
from tests.gate.load import Crowd, Load
from tests.gate.stage import made_state
from tests.gate.told import Seat, Told

ANSWERS = 60


class Case:
    """Rows, and what callers were told of them."""

    def __init__(self, state: StateDirectory, told: Told, caps: dict[str, int]) -> None:
        self.state, self.told, self.judge = state, told, Judge(caps, verifier_of(state))

    def look(self) -> list[str]:
        return self.judge.look(self.state, self.told, self.state.root.parent / "judged")

    def execute(self, text: str) -> None:
        """Plants a fault. It names what was answered: the daemon's last moment may have added rows that were not."""
        system, sequence = max(self.told.sequences.items(), key=lambda answered: answered[1])
        licence, epoch = max(self.told.epochs.items(), key=lambda answered: answered[1])
        text = text.format(
            customer=max(self.told.customers),
            lease=max(self.told.seats),
            suspension=max(self.told.suspensions),
            licence=licence,
            before_epoch=epoch - 1,
            system=system.rpartition("/")[2],
            before_sequence=sequence - 1,
            released=max(self.told.released),
        )
        with closing(sqlite3.connect(self.state.database)) as rows, rows:
            assert rows.execute(text).rowcount > 0


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[StateDirectory, Told, dict[str, int]]:
    state, told = made_state(tmp_path_factory.mktemp("worked")), Told()
    with capture_logs(), serving(state) as daemon:
        crowd = Crowd.gather(daemon, told, random.Random(1))
        with Load(told, crowd.callers(), allowed=lambda error: isinstance(error, ShuttingDown)) as load:
            load.until(ANSWERS)
            eventually(lambda: bool(told.released and told.suspensions and told.checkpoints), PATIENCE, "some of each")
            daemon.stop()
    return state, told, crowd.caps


@pytest.fixture
def case(worked: tuple[StateDirectory, Told, dict[str, int]], tmp_path: Path) -> Iterator[Case]:
    state, told, caps = worked
    shutil.copytree(state.root, tmp_path / "state")
    seats = dict(told.seats)
    made = Case(StateDirectory(tmp_path / "state"), told, caps)
    assert made.look() == []
    yield made
    told.seats = seats


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("DELETE FROM customer WHERE id = '{customer}'", "answered rows of customer are lost"),
        ("DELETE FROM lease WHERE id = {lease}", "answered rows of lease are lost"),
        ("DELETE FROM suspension WHERE id = '{suspension}'", "answered rows of suspension are lost"),
        ("UPDATE licence SET epoch = {before_epoch} WHERE id = '{licence}'", "was answered"),
        ("UPDATE licence SET epoch = {before_epoch} WHERE id = '{licence}'", "went back"),
        ("UPDATE session SET sequence = {before_sequence} WHERE deployment = '{system}'", "was answered"),
        ('UPDATE log_entry SET leaf_hash = zeroblob(32) WHERE "index" = 3', "entry 3 of the log was rewritten"),
        ('DELETE FROM log_entry WHERE "index" = 5', "entry 5 of the log is missing"),
        ('DELETE FROM log_entry WHERE "index" > 8', "were shown"),
        ("UPDATE lease SET ended_at = 0 WHERE id = {released}", "live again"),
    ],
)
def test_a_planted_loss_is_seen(case: Case, fault: str, told: str):
    case.execute(fault)
    assert [each for each in case.look() if told in each] != []


def test_a_denial_that_is_nowhere_in_the_log_is_seen(case: Case):
    case.told.denials["system-0", "CONCURRENT_CAP", 1] = 1
    try:
        assert [each for each in case.look() if "denials" in each] != []
    finally:
        del case.told.denials["system-0", "CONCURRENT_CAP", 1]


def test_a_permit_of_a_suspended_epoch_is_seen(case: Case):
    [stopped] = sorted(case.judge._stopped)[:1]
    case.told.permitted.add(stopped)
    try:
        assert [each for each in case.look() if "a permit was decided under epoch" in each] != []
    finally:
        case.told.permitted.discard(stopped)


def test_a_grant_in_a_suspended_epoch_is_seen(case: Case):
    assert list(case.judge._in_order(1, "licence.suspended", "some", 2)) == []
    assert list(case.judge._in_order(2, "lease.granted", "some", 2)) != []
    assert list(case.judge._in_order(3, "licence.reinstated", "some", 3)) == []
    assert list(case.judge._in_order(4, "lease.granted", "some", 3)) == []
    assert list(case.judge._in_order(5, "lease.granted", "some", 2)) != []


def test_one_seat_too_many_in_permits_is_seen(case: Case):
    licence, cap = next(iter(case.judge.caps.items()))
    for number in range(cap + 1):
        case.told.seats[-number - 1] = Seat(licence, b"%032d" % number, 0, 10)
    assert [each for each in case.look() if f"had {cap + 1} seats at once by its permits" in each] != []


def test_a_seat_that_begins_as_another_ends_is_not_too_many(case: Case):
    licence, cap = next(iter(case.judge.caps.items()))
    for number in range(cap + 1):
        case.told.seats[-number - 1] = Seat(licence, b"%032d" % number, 10 * (number == cap), 10 + 10 * (number == cap))
    assert [each for each in case.look() if "seats at once by its permits" in each] == []


def test_two_checkpoints_of_one_size_with_two_roots_are_seen(case: Case):
    size = max(case.told.checkpoints)
    told = dict(case.told.checkpoints)
    case.told.checkpoints[size] = bytes(32)
    try:
        assert [each for each in case.look() if f"does not extend the checkpoint over {size}" in each] != []
    finally:
        case.told.checkpoints = told


def test_a_seat_that_was_free_and_not_given_is_seen(case: Case):
    licence = next(iter(case.judge.caps))
    case.told.full.append((licence, 1))
    try:
        assert [each for each in case.look() if "0 of 5 were taken" in each] != []
    finally:
        case.told.full.pop()


def test_a_deed_that_the_log_has_in_another_order_is_seen(case: Case):
    assert len(case.told.history) > 0
    case.told.history.done("nowhere", "licence.suspended", 2, Span(1, 2))
    try:
        assert [each for each in case.look() if "nowhere: ('licence.suspended', 2) was answered" in each] != []
    finally:
        del case.told.history._done["nowhere"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100])
def test_the_tree_is_rfc_6962s(size: int, naive_root: Callable[[list[bytes]], bytes]):
    tree, leaves = Tree(), [b"%032d" % each for each in range(size)]
    for leaf in leaves:
        tree.append(leaf)
    assert tree.root() == naive_root(leaves)


@pytest.fixture
def naive_root() -> Callable[[list[bytes]], bytes]:
    """Section 2.1 as it stands there."""

    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()

    return root
