"""One bad command fails alone, and what the database refuses is told as what it is."""

import sqlite3
from typing import Any

import pytest

from licd.core.errors import (
    AlreadyExists,
    DatabaseFailed,
    DiskFull,
    Held,
    LicdError,
    NotFound,
)
from licd.core.model import LicenceStatus
from licd.core.time import DAY
from licd.ledger.rows import CUSTOMERS, LICENCES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.approvals import RejectApproval, RequestApproval
from licd.ledger.verbs.customers import BanCustomer, CreateCustomer
from licd.ledger.verbs.leases import ReleaseLease
from licd.ledger.verbs.licences import IssueLicence, SuspendLicence, SuspensionScope, TerminateLicence
from tests.ledger.rig import Rig, Try, terms, wish
from tests.ledger.system import PaperSystem


def customer(name: str) -> CreateCustomer:
    return CreateCustomer(name, name, "alice")


def suspend(licence: str) -> SuspendLicence:
    return SuspendLicence(SuspensionScope(licence=licence), "manual", "because", "alice")


def half_done(name: str, error: Exception) -> Try:
    """A command that writes, logs, changes a licence, and then fails."""

    def work(tx: Transaction) -> None:
        customer(f"half-{name}").run(tx)
        suspend("north-1").run(tx)
        raise error

    return Try(work)


ERRORS: list[Exception] = [NotFound("nothing"), ValueError("a bug"), KeyError("k"), OverflowError(), RecursionError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "between", "last"])
def test_a_command_that_fails_leaves_nothing_and_takes_nobody_with_it(rig: Rig, error: Exception, place: int):
    rig.licence()
    before = rig.ledger.log_size
    commands: list[Any] = [customer("east"), customer("west")]
    commands.insert(place, half_done("east", error))
    outcomes = rig.ask(*commands)
    assert isinstance(outcomes.pop(place), LicdError)
    assert [made.id for made in outcomes] == ["east", "west"]
    again = rig.reopened()
    assert [made.id for made in CUSTOMERS.where(again.connection)] == ["east", "north", "west"]
    assert again.kinds()[before:] == ["customer.created", "customer.created"]
    found = LICENCES.get(again.connection, "north-1")
    assert found is not None
    assert found.status is LicenceStatus.ACTIVE


def test_the_licence_that_a_failed_command_touched_is_read_anew(rig: Rig):
    rig.licence()
    outcomes = rig.ask(half_done("one", ValueError()), Try(lambda tx: tx.state("north-1").licence.status))
    assert outcomes[1] is LicenceStatus.ACTIVE
    assert rig.look(lambda tx: tx.state("north-1").licence.epoch) == 1


def test_a_command_sees_what_earlier_ones_of_its_batch_have_done(rig: Rig):
    made = IssueLicence(terms("east-1", "east", rig.clock.wall()), "alice")
    outcomes = rig.ask(customer("east"), made, suspend("east-1"), Try(lambda tx: tx.state("east-1").licence.status))
    assert outcomes[3] is LicenceStatus.SUSPENDED


def test_a_failure_after_others_have_changed_the_same_licence_keeps_their_change(rig: Rig):
    rig.licence()
    outcomes = rig.ask(suspend("north-1"), half_done("two", ValueError()))
    assert outcomes[0].licences[0].status is LicenceStatus.SUSPENDED
    assert rig.look(lambda tx: tx.state("north-1").licence.status) is LicenceStatus.SUSPENDED


def test_a_batch_is_one_commit(rig: Rig):
    before = rig.connection.commits
    rig.ask(*[customer(f"customer-{number}") for number in range(100)])
    assert rig.connection.commits == before + 1
    done, figures = rig.told.batches[-1]
    assert (figures.commands, figures.entries, len(done.rows)) == (100, 100, 100)


def test_a_batch_that_only_looks_is_told_to_nobody_and_commits_where_there_may_be_a_standby(rig: Rig):
    rig.licence()
    before, told = rig.connection.commits, len(rig.told.batches)
    rig.look(lambda tx: tx.state("north-1"))
    assert rig.connection.commits == before + rig.ledger.shared
    assert len(rig.told.batches) == told


def test_licences_that_are_only_looked_at_do_not_pile_up(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    for number in range(5):
        rig.licence(f"licence-{number}")
    monkeypatch.setattr("licd.ledger.transaction.STATES_KEPT", 2)
    for name in [f"licence-{number}" for number in range(5)]:
        rig.do(Try(lambda tx, name=name: tx.state(name)))  # type: ignore[misc]
    assert len(list(rig.states)) == 2


def test_a_commit_that_fails_once_is_made_up_command_by_command(rig: Rig):
    rig.connection.fail("commit")
    outcomes = rig.ask(customer("east"), customer("west"))
    assert [made.id for made in outcomes] == ["east", "west"]
    assert rig.told.failures == ["database"]
    assert rig.kinds() == ["customer.created", "customer.created"]


def test_what_poisons_a_batch_fails_by_itself(rig: Rig):
    poison = Try(lambda tx: tx.connection.execute("SELECT no_such_column FROM customer"))
    outcomes = rig.ask(customer("east"), poison, customer("west"))
    assert [type(each) for each in outcomes[::2]] == [type(outcomes[0])] * 2
    assert isinstance(outcomes[1], DatabaseFailed)
    assert sorted(each.id for each in CUSTOMERS.where(rig.connection)) == ["east", "west"]


def overflowing(tx: Transaction) -> None:
    """Writes a number that the database cannot hold: found out when the batch is written, not when it is decided."""
    tx.put(customer("wide").run(tx).__class__("wide", "", banned=False, ban_reason="", created_at=1 << 70, version=1))


def test_a_row_that_cannot_be_written_fails_alone_and_the_ledger_goes_on(rig: Rig):
    outcomes = rig.ask(customer("east"), Try(overflowing), customer("west"))
    assert isinstance(outcomes[1], LicdError)
    assert [made.id for made in (outcomes[0], outcomes[2])] == ["east", "west"]
    assert rig.do(customer("south")).id == "south"


def test_an_entry_that_cannot_be_sealed_fails_alone_and_the_ledger_goes_on(rig: Rig):
    outcomes = rig.ask(customer("east"), Try(lambda tx: tx.log("twice", ("a", 1), ("a", 2))))
    assert outcomes[0].id == "east"
    assert isinstance(outcomes[1], LicdError)
    assert rig.do(customer("south")).id == "south"


@pytest.mark.parametrize("where", ["begin", "execute", "executemany", "commit"])
def test_a_database_error_undoes_everything_and_is_told_as_unknown(rig: Rig, where: str):
    rig.licence()
    size = rig.ledger.log_size
    rig.states.clear()
    rig.connection.fail(where, times=2)
    outcome = rig.ask(suspend("north-1"))[0]
    assert isinstance(outcome, DatabaseFailed)
    assert "unknown" in str(outcome)
    rig.connection.faults.clear()
    assert rig.ledger.log_size == size
    assert rig.look(lambda tx: tx.state("north-1").licence.status) is LicenceStatus.ACTIVE
    assert rig.do(suspend("north-1")).licences[0].epoch == 2


def test_a_commit_whose_answer_was_lost_is_seen_when_rows_are_read_anew(rig: Rig):
    rig.licence()
    rig.connection.fail("committed")
    assert isinstance(rig.ask(suspend("north-1"))[0], DatabaseFailed)
    assert rig.look(lambda tx: tx.state("north-1").licence.status) is LicenceStatus.SUSPENDED
    rig.reopened()


def test_a_link_whose_commit_failed_was_never_answered(rig: Rig):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    link = system.link([wish(1)], opens=True)
    rig.connection.fail("commit")
    assert isinstance(rig.ask(link)[0], DatabaseFailed)
    assert rig.look(lambda tx: len(tx.state("north-1").seats.live)) == 0
    system.send(link)
    assert rig.look(lambda tx: len(tx.state("north-1").seats.live)) == 1


class Deaf:
    """An observer that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def committed(self, done: Any, figures: Any) -> None:
        raise self.error

    def failed(self, why: str) -> None:
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a bug")], ids=["disk", "bug"])
def test_an_observer_that_fails_stops_nobody(rig: Rig, error: Exception):
    rig.ledger._observers.insert(0, Deaf(error))
    assert rig.do(customer("east")).id == "east"
    assert len(rig.told.batches) == 1
    rig.connection.fail("commit")
    assert isinstance(rig.ask(customer("west"))[0], DatabaseFailed)
    assert rig.told.failures == ["database"]


def test_signing_that_is_held_is_told_as_such_and_leaves_nothing(rig: Rig):
    rig.do(customer("north"))
    rig.held = True
    outcome = rig.ask(IssueLicence(terms("north-1", "north", rig.clock.wall()), "alice"))[0]
    assert isinstance(outcome, Held)
    rig.held = False
    rig.licence()


FULL = sqlite3.OperationalError("database or disk is full")


def test_a_full_disk_refuses_grants_and_still_takes_a_suspension(rig: Rig):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    rig.space.room = False
    rig.connection.fail("commit", FULL)
    link = system.link([wish(1)], opens=True)
    outcomes = rig.ask(link, suspend("north-1"))
    assert isinstance(outcomes[0], DiskFull)
    assert outcomes[1].licences[0].status is LicenceStatus.SUSPENDED
    assert not rig.space.set_aside
    assert rig.told.failures == ["disk_full"]
    assert any("disk" in each for each in rig.ledger.impediments())
    assert isinstance(rig.ask(link)[0], DiskFull)


def test_the_reserve_is_for_what_stops_somebody_and_for_nothing_else(rig: Rig):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    system.open(wish(1))
    [held] = rig.look(lambda tx: list(tx.state("north-1").seats.live.values()))
    rig.space.room = False
    rig.connection.fail("commit", FULL)
    rig.ask(customer("east"))
    asked = RequestApproval("LicenceService.RenewLicence", b"", "alice", "", 1, "", 2, DAY)
    others = (customer("east"), ReleaseLease("alpha", held.id), asked, RejectApproval("A-1", "bob", "no"))
    assert [type(each) for each in rig.ask(*others)] == [DiskFull] * len(others)
    assert rig.ask(suspend("north-1"))[0].licences[0].status is LicenceStatus.SUSPENDED


def test_grants_go_on_when_the_reserve_is_set_aside_again(rig: Rig):
    rig.licence()
    system = PaperSystem(rig, "alpha")
    rig.space.room = False
    rig.connection.fail("commit", FULL)
    assert isinstance(rig.ask(system.link(opens=True))[0], DiskFull)
    rig.space.room = True
    system.open(wish(1))
    assert rig.ledger.impediments() == ()


def test_a_reserve_that_is_used_up_is_told(rig: Rig):
    rig.licence()
    rig.connection.fail("commit", FULL, times=2)
    rig.space.room = False
    assert isinstance(rig.ask(suspend("north-1"))[0], DiskFull)
    assert rig.look(lambda tx: tx.state("north-1").licence.status) is LicenceStatus.ACTIVE


def test_the_same_name_twice_in_one_batch_is_made_once(rig: Rig):
    outcomes = rig.ask(customer("east"), customer("east"))
    assert isinstance(outcomes[1], AlreadyExists)


def test_a_ban_reaches_the_tombstones_too(rig: Rig):
    """The kept copy of a licence says the same as its rows."""
    rig.licence()
    rig.licence("north-2")
    rig.do(TerminateLicence("north-2", "misuse", "because", "alice"))
    rig.do(BanCustomer("north", "manual", "because", "alice"))
    kept = {state.licence.id: state.banned for state in rig.states}
    assert kept == {"north-1": True, "north-2": True}
