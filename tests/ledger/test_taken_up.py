"""After a reconciliation a chain goes on from a reply that licd gave and has lost: once, and for nobody else."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from licd.core.errors import Behind
from licd.core.time import MINUTE, SECOND
from licd.ledger.rows import LEASES
from licd.ledger.verbs.answer_link import AnswerLink, ForkSeen, Reply
from licd.ledger.verbs.reconcile import Reconcile
from licd.v1.session_pb2 import Permit, Refusal
from tests.ledger.rig import Rig, wish
from tests.ledger.system import PaperSystem, backed


@pytest.fixture
def rig(file_rig: Rig) -> Rig:
    """Rows put back from a backup of the file."""
    return file_rig


@pytest.fixture
def system(rig: Rig) -> PaperSystem:
    rig.licence()
    system = PaperSystem(rig, "alpha")
    system.open()
    return system


@pytest.fixture
def restored(rig: Rig, system: PaperSystem, tmp_path: Path) -> Iterator[Rig]:
    """A licd whose rows end before the system's last three links, reconciled when no lost lease was left."""
    system.acquire(wish(1))
    rig.file.backup(tmp_path / "backup.db")
    system.acquire(wish(2))
    system.beat()
    system.beat()
    rig.clock.advance(10 * MINUTE)
    rig.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "restored.db")
    found = Rig(tmp_path / "restored.db", rig.clock, seed=9)
    found.do(Reconcile({}, 99, frozenset(), 1, rig.clock.wall() - 10 * MINUTE, "restored", "test"))
    rig.clock.advance(SECOND)
    again = found.reopened()
    yield again
    again.close()


def next_link(system: PaperSystem, salt: str = "") -> AnswerLink:
    """As a system that reconnects sends it: with its last reply beside."""
    link = backed(system.link(salt=salt), system.sequence, system.last_reply)
    assert link.claim.backed is not None
    decided = Permit.FromString(system.last_reply).header.decided_ms
    return replace(link, claim=replace(link.claim, backed=replace(link.claim.backed, decided=decided)))


def test_the_chain_is_taken_up_and_goes_on(restored: Rig, system: PaperSystem) -> None:
    reply = restored.do(next_link(system))
    assert isinstance(reply, Reply)
    assert isinstance(system.take(reply), (Permit, Refusal))
    assert isinstance(restored.do(system.link()), Reply)
    assert restored.ledger.impediments() == ()


def test_a_lease_that_the_rows_do_not_know_is_ended(restored: Rig, system: PaperSystem) -> None:
    held = list(system.held)
    permit = system.take(restored.do(next_link(system)))
    assert isinstance(permit, Permit)
    assert len(held) == 2
    assert {each.lease for each in permit.ended} == set(held)  # the one it knows has lapsed meanwhile
    assert list(permit.leases) == []


def test_a_known_lease_cools_until_the_lost_permits_have_run_out(restored: Rig, system: PaperSystem) -> None:
    before = system.last_reply
    decided = Permit.FromString(before).header.decided_ms
    lease = system.held[0]
    system.held = []
    restored.do(next_link(system))
    found = LEASES.get(restored.connection, lease)
    assert found is not None
    assert found.seat_until >= decided


def test_a_copy_that_comes_after_it_is_a_fork(restored: Rig, system: PaperSystem) -> None:
    link = next_link(system)
    restored.do(link)
    assert isinstance(restored.do(next_link(system, salt="copy")), ForkSeen)


def test_without_the_lost_reply_nothing_is_taken_up(restored: Rig, system: PaperSystem) -> None:
    assert isinstance(restored.do(system.link()), ForkSeen)


def test_rows_that_were_never_reconciled_are_behind(rig: Rig, system: PaperSystem, tmp_path: Path) -> None:
    rig.file.backup(tmp_path / "backup.db")
    system.beat()
    again = Rig(tmp_path / "backup.db", rig.clock, seed=9)
    assert isinstance(again.ask(next_link(system))[0], Behind)
    again.close()


def test_what_is_lost_after_the_reconciliation_is_behind_again(
    restored: Rig, system: PaperSystem, tmp_path: Path
) -> None:
    restored.file.backup(tmp_path / "second.db")
    system.take(restored.do(next_link(system)))
    again = Rig(tmp_path / "second.db", restored.clock, seed=10)
    assert isinstance(again.ask(next_link(system))[0], Behind)
    again.close()
