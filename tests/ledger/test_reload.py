"""What is kept in memory is what would be read from the rows, whatever was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from shutil import copyfile
from typing import Any

import pytest

from licd.core.errors import LicdError
from licd.core.link import Release
from licd.core.state import LicenceState
from licd.core.terms import ConcurrentTargets, Constraint, DistinctTargets, OfflineGrace
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.ledger.load import load_state
from licd.ledger.verbs.customers import BanCustomer, UnbanCustomer
from licd.ledger.verbs.deployments import ReenrolDeployment, RevokeDeployment
from licd.ledger.verbs.leases import AcquireLease, ForceReleaseLease, ReapLeases, ReleaseLease
from licd.ledger.verbs.licences import AmendLicence, SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.overlays import WithdrawOverlay
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.v1.session_pb2 import Permit
from tests.ledger.overlays import lodging, registered
from tests.ledger.rig import TIMING, Rig, target, terms, wish
from tests.ledger.system import PaperSystem

LICENCES = ("north-1", "north-2")
TARGETS = 9
STEPS = 60


def seen(state: LicenceState, now: int) -> dict[str, Any]:
    """Everything of a state that a decision can look at."""
    seats = state.seats
    seats.settle(now)
    limits: list[Any] = [*state.rights.distinct, *state.rights.churn]
    periods = {limit.period for limit in limits}
    return {
        "licence": state.licence,
        "banned": state.banned,
        "overlays": state.overlays,
        "rights": replace(state.rights, distinct=(), churn=()),
        "deployments": state.deployments,
        "sessions": state.sessions,
        "live": seats.live,
        "cooling": seats.cooling,
        "free": seats.next_free(now),
        "barred": {each: until for each, until in seats.barred.items() if until > now},
        "held": {name: seats.of(name) for name in state.deployments if seats.of(name)},
        "distinct": {period: seats.distinct(now, period) for period in periods},
        "leaves": {period: seats.oldest_seen_leaves(now, period) for period in periods},
        "counts": {
            (number, period): seats.counts_already(target(number), now, period)
            for number in range(TARGETS)
            for period in periods
        },
        "taken": {number: tuple(seats.taken(target(number), now)) for number in range(TARGETS)},
        "churn": {period: (seats.churn(now, period), seats.churn_leaves(now, period)) for period in periods},
    }


def compare(rig: Rig) -> None:
    now = rig.clock.wall()
    for state in rig.states:
        fresh = load_state(rig.connection, state.licence.id, now, TIMING)
        assert fresh is not None
        assert seen(state, now) == seen(fresh, now)


class Chance:
    """Does something, again and again."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.random = Random(seed)
        for name in LICENCES:
            rig.licence(name, cap=3, distinct=6, churn=7, length=20 * SECOND, grace=2 * MINUTE)
        self.systems = [PaperSystem(rig, f"{licence}-{n}", licence) for licence in LICENCES for n in range(2)]
        for system in self.systems:
            system.open()
        self.leases: list[int] = [7]
        self.revisions: dict[str, int] = {}

    def step(self) -> None:
        """One thing by chance; what licd refuses is fine."""
        try:
            self.random.choice(self.deeds())()
        except LicdError:
            return

    def deeds(self) -> list[Callable[[], Any]]:
        return [self.beat] * 6 + [
            self.wait,
            self.wait,
            self.unary,
            self.unary,
            self.give_back,
            self.force,
            self.open,
            self.suspend,
            self.reinstate,
            self.reinstate,
            self.amend,
            self.reap,
            self.revoke,
            self.enrol_anew,
            self.ban,
            self.unban,
            self.break_commit,
            self.overlay,
            self.overlay,
            self.withdraw,
            self.terminate,
        ]

    @property
    def system(self) -> PaperSystem:
        return self.random.choice(self.systems)

    @property
    def licence(self) -> str:
        return self.random.choice(LICENCES)

    @property
    def number(self) -> int:
        return self.random.randrange(TARGETS)

    def beat(self) -> None:
        system = self.system
        if system.held and self.random.random() < 0.3:
            system.held.remove(self.random.choice(system.held))
        wishes: list[Any] = [wish(self.number) for _ in range(self.random.randrange(3))]
        if system.held and self.random.random() < 0.2:
            wishes.append(Release(self.random.choice(system.held)))
        system.beat(*wishes)
        self.leases += system.held

    def open(self) -> None:
        self.system.open()

    def wait(self) -> None:
        self.rig.clock.advance(self.random.choice([100, SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, HOUR, 30 * HOUR]))

    def unary(self) -> None:
        self.rig.do(AcquireLease(self.system.name, wish(self.number), "127.0.0.1", "r"))

    def give_back(self) -> None:
        self.rig.do(ReleaseLease(self.system.name, self.random.choice(self.leases)))

    def force(self) -> None:
        self.rig.do(ForceReleaseLease(self.random.choice(self.leases), 5 * MINUTE, "manual", "d", "alice"))

    def suspend(self) -> None:
        self.rig.do(SuspendLicence(SuspensionScope(licence=self.licence), "manual", "d", "alice"))

    def reinstate(self) -> None:
        name = self.licence
        epoch = self.rig.look(lambda tx: tx.state(name).licence.epoch)
        self.rig.do(ReinstateLicence(name, epoch, "unfounded", "d", "alice"))

    def amend(self) -> None:
        name = self.licence
        found = self.rig.look(lambda tx: tx.state(name).licence)
        cap, grace = self.random.choice([1, 2, 3, 4]), self.random.choice([0, MINUTE, 10 * MINUTE])
        new = terms(name, "north", found.terms.not_before, cap=cap, grace=grace, distinct=6, churn=7)
        changed = replace(new, constraints=new.constraints)
        self.rig.do(AmendLicence(name, found.version, changed, "", "", "alice", "amended"))

    def reap(self) -> None:
        self.rig.do(ReapLeases(LICENCES, ()))

    def revoke(self) -> None:
        if self.random.random() < 0.3:
            self.rig.do(RevokeDeployment(self.system.name, "manual", "d", "alice"))

    def enrol_anew(self) -> None:
        index = self.random.randrange(len(self.systems))
        old = self.systems[index]
        licence = old.name[:7]
        self.rig.do(ReenrolDeployment(old.name, "d", "alice"))
        self.rig.clock.advance(1)
        self.systems[index] = PaperSystem(self.rig, old.name, licence)
        self.systems[index].open()

    def ban(self) -> None:
        if self.random.random() < 0.3:
            self.rig.do(BanCustomer("north", "manual", "d", "alice"))

    def unban(self) -> None:
        self.rig.do(UnbanCustomer("north", "unfounded", "d", "alice"))

    def overlay(self) -> None:
        """By one of two references, about both licences or one, narrower or wider than before, or over."""
        if not self.revisions:
            self.rig.do(registered())
        reference = self.random.choice(["EX-1", "EX-2"])
        revision = self.revisions[reference] = self.revisions.get(reference, 0) + 1
        limits: list[Constraint] = [ConcurrentTargets(self.random.randrange(4)), DistinctTargets(5, 2 * DAY)]
        self.rig.do(
            lodging(
                self.rig,
                self.random.choice([*limits, OfflineGrace(self.random.choice([0, HOUR]))]),
                reference=reference,
                revision=revision,
                licence=self.random.choice(["", "", "north-1"]),
                not_after=self.rig.clock.wall() + self.random.choice([HOUR, 300 * DAY, 300 * DAY]),
                may_widen=self.random.random() < 0.8,
            )
        )

    def withdraw(self) -> None:
        if self.random.random() < 0.2:
            self.rig.do(WithdrawOverlay(self.random.choice(["export-qn/EX-1", "export-qn/EX-2"]), "c", "d", "alice"))

    def terminate(self) -> None:
        if self.random.random() < 0.05:
            self.rig.do(TerminateLicence(self.licence, "misuse", "d", "alice"))

    def break_commit(self) -> None:
        self.rig.connection.fail("commit")
        self.beat()


@pytest.mark.parametrize("seed", range(25))
def test_working_copies_are_what_the_rows_say(tmp_path: Path, empty_database: Path, seed: int):
    path = tmp_path / "licd.db"
    copyfile(empty_database, path)
    rig = Rig(path, seed=seed)
    chance = Chance(rig, seed)
    for _ in range(STEPS):
        chance.step()
        compare(rig)
    rig.reopened().close()


def test_leases_survive_a_restart(rig: Rig):
    rig.licence(cap=2)
    system = PaperSystem(rig, "alpha")
    system.open(wish(1), wish(2))
    held = list(system.held)
    rig.clock.advance(5 * SECOND)
    system.beat()
    system.rig = again = rig.reopened()
    permit = system.beat(wish(3))
    assert list(permit.leases) == held  # type: ignore[union-attr]
    assert again.look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 2


def test_a_target_that_regained_its_seat_is_counted_once_after_a_restart_too(rig: Rig):
    """Churn counts newly taken seats: one that was cooling and is taken again by its own target is not new."""
    rig.licence(churn=5)
    system = PaperSystem(rig, "alpha")
    system.open(wish(1))
    for _ in range(3):
        rig.clock.advance(SECOND)
        system.held.clear()
        system.beat()
        system.beat(wish(1))
    count = lambda tx: tx.state("north-1").seats.churn(tx.now, HOUR)  # noqa: E731
    assert rig.look(count) == 1
    assert rig.reopened().look(count) == 1


def test_a_target_is_counted_for_as_long_as_its_seat_was_held_after_a_restart_too(rig: Rig):
    """A released lease may be acted on until its permit has run out: until then its target is in use."""
    rig.licence(distinct=2, length=20 * SECOND, grace=0, cap=9)
    system = PaperSystem(rig, "alpha")
    system.open(wish(1), wish(2))
    system.held.clear()
    system.beat()
    rig.clock.advance(DAY + 10 * SECOND)
    count = lambda tx: tx.state("north-1").seats.distinct(tx.now, DAY)  # noqa: E731
    assert rig.look(count) == 2
    assert rig.reopened().look(count) == 2


def test_a_volume_limit_that_an_amendment_lengthens_counts_what_went_before(rig: Rig):
    """The working copy had forgotten it: the limit before looked back on nothing."""
    rig.licence(cap=5, grace=0)
    system = PaperSystem(rig, "alpha")
    system.open()
    for number in range(4):
        (lease,) = system.acquire(wish(number))
        system.beat(Release(lease))
        rig.clock.advance(2 * MINUTE)
        system.beat()
    rig.do(ReapLeases(("north-1",), ()))
    licence = rig.look(lambda tx: tx.state("north-1").licence)
    new = terms("north-1", "north", licence.terms.not_before, cap=5, grace=0, distinct=4)
    rig.do(AmendLicence("north-1", licence.version, new, "c", "d", "alice", "amended"))
    system.open()
    permit = system.beat(wish(100))
    assert isinstance(permit, Permit)
    assert permit.outcomes[0].WhichOneof("result") == "denial"
    compare(rig)
