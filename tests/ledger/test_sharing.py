"""Two ledgers on one PostgreSQL database: each goes on with what the other has decided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random  # noqa: TID251 -- seeded
from typing import Any

import psycopg
import pytest

from licd.core.errors import DatabaseFailed, LicdError
from licd.core.model import Deployment
from licd.core.time import SECOND
from licd.ledger.ledger import Ledger
from licd.ledger.load import load_state
from licd.ledger.log import check_log
from licd.ledger.postgres import PostgresConnection
from licd.ledger.sharing import DatabaseClock
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.clock import Beat
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.deployments import RevokeDeployment
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope
from licd.v1.session_pb2 import Permit, Refusal
from tests.eventually import eventually
from tests.ledger.rig import NOON, TIMING, HandClock, Rig, Store, keeper, wish
from tests.ledger.system import PaperSystem
from tests.ledger.test_once import once, request_id
from tests.ledger.test_reload import LICENCES, Chance, seen

PATIENCE = 20.0


@contextmanager
def two_on(store: Store) -> Iterator[tuple[Rig, Rig]]:
    clock = HandClock()
    first, second = Rig(store, clock, seed=1), Rig(store, clock, seed=2)
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def two(server_store: str) -> Iterator[tuple[Rig, Rig]]:
    with two_on(server_store) as made:
        yield made


@pytest.fixture(params=["server_store", "memory_store"], ids=["postgres", "memory"])
def either_two(request: pytest.FixtureRequest) -> Iterator[tuple[Rig, Rig]]:
    """Where no ledger waits for the other, the simulation's server is as PostgreSQL."""
    with two_on(request.getfixturevalue(request.param)) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Within:
    """A command that says whose licence it looks at."""

    within: str
    work: Callable[[Transaction], Any]
    grants: bool = False
    urgent: bool = False

    def run(self, tx: Transaction) -> Any:
        return self.work(tx)


def moved(system: PaperSystem, rig: Rig) -> PaperSystem:
    system.rig = rig
    return system


def suspend(licence: str) -> SuspendLicence:
    return SuspendLicence(SuspensionScope(licence=licence), "manual", "d", "alice")


def test_each_goes_on_with_what_the_other_has_decided(either_two: tuple[Rig, Rig]):
    first, second = either_two
    first.licence(cap=1)
    alpha, beta = PaperSystem(first, "alpha"), PaperSystem(first, "beta")
    alpha.open(wish(1))
    denied = moved(beta, second).open(wish(2))
    assert isinstance(denied, Permit)
    assert not beta.held
    second.do(suspend("north-1"))
    assert isinstance(moved(alpha, first).beat(), Refusal)
    assert isinstance(moved(alpha, second).beat(), Refusal)


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_is_used_only_while_it_is_what_the_rows_say(either_two: tuple[Rig, Rig], seed: int):
    chance, random = Chance(either_two[0], seed), Random(seed)
    for _ in range(60):
        chance.rig = random.choice(either_two)
        for system in chance.systems:
            system.rig = chance.rig
        chance.step()
        for rig in either_two:
            compare_current(rig)
    for rig in either_two:
        assert check_log(rig.connection, keeper()) is not None


def compare_current(rig: Rig) -> None:
    """Every copy that this ledger would go on with."""
    now = rig.clock.wall()
    turns: dict[str, int] = dict(rig.connection.execute("SELECT licence, turn FROM licence_turn"))
    for licence in LICENCES:
        kept = rig.states.get(licence, turns[licence] + 1)
        fresh = load_state(rig.connection, licence, now, TIMING)
        if kept is not None:
            assert fresh is not None
            assert seen(kept, now) == seen(fresh, now)


def test_a_copy_outlives_the_batches_of_others_at_other_licences(either_two: tuple[Rig, Rig]):
    first, second = either_two
    first.licence("north-1")
    first.licence("north-2")
    alpha, beta = PaperSystem(first, "alpha", "north-1"), PaperSystem(first, "beta", "north-2")
    alpha.open(wish(1))
    beta.open(wish(1))
    alpha.beat()
    kept = next(each for each in first.states if each.licence.id == "north-1")
    moved(beta, second).beat()
    alpha.beat()
    assert any(each is kept for each in first.states)


def test_a_command_that_looks_further_than_it_said_is_decided_all_the_same(rig_on_server: Rig):
    rig = rig_on_server
    rig.licence("north-1")
    rig.licence("north-2")
    PaperSystem(rig, "alpha", "north-1").open()

    def looks(tx: Transaction) -> tuple[str, str]:
        tx.log("looked", ("by", "alpha"))
        return tx.state_of("alpha").licence.id, tx.state("north-2").licence.id

    assert rig.do(Within("alpha", looks)) == ("north-1", "north-2")
    assert rig.kinds().count("looked") == 1


def test_a_ledger_waits_for_its_turn_at_a_licence_and_not_at_another(two: tuple[Rig, Rig]):
    first, second = two
    for licence in LICENCES:
        first.licence(licence)
    alpha, beta = PaperSystem(first, "alpha", "north-1"), PaperSystem(first, "beta", "north-2")
    alpha.open()
    beta.open()
    with deciding(first, "alpha") as done:
        assert isinstance(moved(beta, second).beat(wish(1)), Permit)
        with in_a_thread(lambda: moved(alpha, second).beat(wish(1))) as waiting:
            eventually(lambda: blocked(second) == 1, PATIENCE, "it waits")
            assert not waiting.done()
            done.set()
            assert isinstance(waiting.result(PATIENCE), Permit)


def test_a_suspension_waits_for_whoever_decides_and_nobody_decides_beside_it(two: tuple[Rig, Rig]):
    first, second = two
    first.licence()
    alpha = PaperSystem(first, "alpha")
    alpha.open()
    with deciding(first, "alpha") as done, in_a_thread(lambda: second.do(suspend("north-1"))) as waiting:
        eventually(lambda: blocked(second) == 1, PATIENCE, "it waits")
        done.set()
        waiting.result(PATIENCE)
    assert isinstance(alpha.beat(), Refusal)


def test_a_ledger_that_stands_still_within_a_batch_holds_a_suspension_up_no_longer_than_its_locks(
    two: tuple[Rig, Rig],
):
    first, second = two
    first.licence()
    alpha = PaperSystem(first, "alpha")
    alpha.open()
    with deciding(first, "alpha", ends=False) as done:
        second.do(suspend("north-1"))
        done.set()
    assert isinstance(alpha.beat(), Refusal)


def test_the_databases_clock_decides(either_two: tuple[Rig, Rig]):
    assert either_two[0].look(lambda tx: tx.now) == NOON
    clock = DatabaseClock(HandClock(NOON + 5 * 3_600 * SECOND), NOON)
    assert clock.wall() == NOON


def test_no_replica_decides_before_what_another_has_decided_at(either_two: tuple[Rig, Rig]):
    first, second = either_two
    first.clock.advance(60 * SECOND)
    first.do(CreateCustomer("a", "A", "alice"))
    first.clock.jump(-500)
    assert second.look(lambda tx: tx.now) == NOON + 60 * SECOND


def test_a_connection_that_was_lost_between_batches_is_made_anew(two: tuple[Rig, Rig]):
    first, second = two
    end_session(first, second)
    first.do(CreateCustomer("a", "A", "alice"))
    assert second.look(lambda tx: tx.customer("a").name) == "A"


def test_a_reader_whose_connection_was_lost_reads_on_a_new_one(two: tuple[Rig, Rig]):
    first, _ = two
    first.do(CreateCustomer("a", "A", "alice"))
    with closing(PostgresConnection(str(first.place), readonly=True)) as reader:
        [(pid,)] = reader.execute("SELECT pg_backend_pid()")
        with psycopg.connect(str(first.place)) as beside:
            beside.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        assert reader.execute("SELECT id FROM customer") == [("a",)]


def test_what_is_lost_within_a_batch_is_unknown_and_the_next_batch_goes_on(two: tuple[Rig, Rig]):
    first, second = two

    def loses(tx: Transaction) -> None:
        end_session(first, second)
        tx.customer("nobody")

    with pytest.raises(DatabaseFailed):
        first.do(Within("", loses))
    first.do(CreateCustomer("a", "A", "alice"))
    assert second.kinds() == ["customer.created"]


def test_a_commit_that_the_server_warns_of_is_not_taken_for_done(two: tuple[Rig, Rig]):
    first, _ = two
    with psycopg.connect(str(first.place)) as beside:
        beside.execute(
            "CREATE FUNCTION hand.warn() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$"
        )
        beside.execute(
            "CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON customer DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION hand.warn()"
        )
    try:
        with pytest.raises(DatabaseFailed):
            first.do(CreateCustomer("a", "A", "alice"))
    finally:
        with psycopg.connect(str(first.place)) as beside:
            beside.execute("DROP FUNCTION hand.warn CASCADE")


def test_an_answer_that_is_told_again_waits_for_the_standby_as_it_did_at_first(two: tuple[Rig, Rig]):
    """It may lie on the primary alone: whoever ended the first wait left it there, and nobody was answered."""
    first, second = two
    request = partial(once, "carol", request_id(first.clock.wall(), 1))
    with standby_is_away(first):
        for rig in (first, second, second):
            with in_a_thread(partial(rig.ask, request())) as waiting:
                eventually(lambda: ended_waits(first) == 1, PATIENCE, "it waits for the standby")
                [outcome] = waiting.result(PATIENCE)
                assert isinstance(outcome, DatabaseFailed)
    [outcome] = second.ask(request())
    assert not isinstance(outcome, LicdError)


@contextmanager
def standby_is_away(rig: Rig) -> Iterator[None]:
    """The server waits, at each commit, for a standby that there is not."""
    with psycopg.connect(str(rig.place), autocommit=True) as beside:
        try:
            beside.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            beside.execute("SELECT pg_reload_conf()")
            yield
        finally:
            beside.execute("ALTER SYSTEM RESET synchronous_standby_names")
            beside.execute("SELECT pg_reload_conf()")


def ended_waits(rig: Rig) -> int:
    """Ends what waits for a standby. How many did."""
    with psycopg.connect(str(rig.place)) as beside:
        return len(
            beside.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            ).fetchall()
        )


def test_observers_of_one_are_told_what_another_has_changed_and_once(either_two: tuple[Rig, Rig]):
    first, second = either_two
    first.licence()
    PaperSystem(first, "alpha")
    first.do(RevokeDeployment("alpha", "manual", "d", "alice"))
    told_before = len(second.told.batches)
    hear(second.ledger)
    hear(second.ledger)
    [(done, figures)] = second.told.batches[told_before:]
    assert figures.commands == 0
    assert [row.status for row in done.rows if isinstance(row, Deployment)] == ["revoked"]
    assert [each.kind for each in done.directives] == ["revoke"]
    assert len(first.told.batches) == len([each for each, _ in first.told.batches if each.entries])


def hear(ledger: Ledger) -> None:
    ledger.hurry()
    ledger.execute([Beat()])


def test_a_cap_holds_when_both_grant_at_once(two: tuple[Rig, Rig]):
    first, second = two
    first.licence(cap=5, systems=4, churn=0)
    systems = [PaperSystem(first, f"system-{n}") for n in range(4)]
    for system in systems:
        system.open()
    asks = [(systems[n], two[n % 2]) for n in range(4)]

    def hammer(index: int) -> None:
        for number in range(6):
            with locks[index % 2]:
                moved(asks[index][0], asks[index][1]).beat(wish(10 * index + number))

    locks = threading.Lock(), threading.Lock()
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(hammer, index) for index in range(4)]:
            each.result(PATIENCE)
    assert sum(len(system.held) for system in systems) == 5
    assert second.look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 5


def end_session(rig: Rig, by: Rig) -> None:
    """The server ends a ledger's session, as when it is started anew."""
    [(pid,)] = rig.connection.execute("SELECT pg_backend_pid()")
    with psycopg.connect(str(by.place)) as beside:
        beside.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def blocked(rig: Rig) -> int:
    """How many sessions of the database wait for a lock."""
    with psycopg.connect(str(rig.place)) as beside:
        [(number,)] = beside.execute(
            "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE NOT l.granted AND a.datname = current_database()"
        )
    return int(number)


@contextmanager
def deciding(rig: Rig, deployment: str, *, ends: bool = True) -> Iterator[threading.Event]:
    """A batch of this ledger that has its turn and does not end before it is told."""
    go_on, here = threading.Event(), threading.Event()

    def stays(tx: Transaction) -> None:
        tx.state_of(deployment)
        here.set()
        assert go_on.wait(PATIENCE)
        tx.log("stayed")

    with in_a_thread(lambda: rig.ask(Within(deployment, stays))) as staying:
        assert here.wait(PATIENCE)
        yield go_on
        go_on.set()
        [outcome] = staying.result(PATIENCE)
        assert (outcome is None) == ends, outcome


@contextmanager
def in_a_thread(work: Callable[[], Any]) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)
