"""Acquire–release churn: a client that keeps every permit never runs more targets than the cap, on any schedule."""

from collections.abc import Callable
from random import Random  # noqa: TID251 -- seeded
from typing import Any

import pytest

from licd.core.acquire_lease import Granted
from licd.core.link import Operation, Permit, Release
from licd.core.state import LicenceState
from licd.core.time import SECOND
from tests.builders import make_ask
from tests.core.rig import Rig
from tests.daemon import Daemon
from tests.office import Office
from tests.wired_system import System, acquire, joined, release

pytestmark = pytest.mark.timeout(300)

SCHEDULES = 10_000
CHUNK = 1_000
STEPS = 16
LENGTH = 3 * SECOND
PAUSES = (0, 1, 400, 1_000, 2_999, 3_000, 4_000, 4_001)


class Hoarder:
    """Keeps the end of every permit it ever got, by target, stretched by the slowest clock it may have."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.cap = self.random.randrange(1, 4)
        self.rig = Rig(cap=self.cap, length=LENGTH, grace=self.random.choice((0, 2 * SECOND)))
        self.ends: dict[bytes, int] = {}
        self.most = 0

    def churn(self) -> int:
        """Takes all steps. Returns the most targets that could be run at one time."""
        for _ in range(STEPS):
            self.rig.now += self.random.choice(PAUSES)
            self.random.choice((self.unary, self.link, self.link, self.give_back))()
            running = sum(1 for end in self.ends.values() if end > self.rig.now)
            self.most = max(self.most, running)
        return self.most

    def unary(self) -> None:
        system = self.random.choice("ab")
        outcome = self.rig.unary(self.random.randrange(6), system)
        if isinstance(outcome, Granted):
            self.keep(outcome.lease.target, outcome.hard_end)

    def link(self) -> None:
        system = self.random.choice("ab")
        own = list(self.rig.state.seats.of(system))
        held = [lease for lease in own if self.random.random() < 0.6]
        wishes: list[Operation] = [make_ask(self.random.randrange(6)) for _ in range(self.random.randrange(3))]
        back: list[Operation] = [Release(lease) for lease in own if self.random.random() < 0.3]
        operations = [*wishes, *back] if self.random.random() < 0.5 else [*back, *wishes]
        permit = self.rig.link(system, *operations, held=held)
        assert isinstance(permit, Permit)
        for each in permit.leases:
            self.keep(each.target, each.hard_end)
        for outcome in permit.outcomes:
            if isinstance(outcome, Granted):
                self.keep(outcome.lease.target, outcome.hard_end)

    def give_back(self) -> None:
        system = self.random.choice("ab")
        own = list(self.rig.state.seats.of(system))
        if own:
            self.rig.release(self.random.choice(own), system)

    def keep(self, target: bytes, hard_end: int) -> None:
        decided, timing = self.rig.now, self.rig.state.timing
        slow = (hard_end - decided) * 1_000_000 // (1_000_000 - timing.rate_error_ppm) + timing.act
        self.ends[target] = max(self.ends.get(target, 0), decided + slow)


@pytest.mark.parametrize("chunk", range(SCHEDULES // CHUNK))
def test_acquire_release_churn_over_10_000_random_schedules(chunk: int):
    """The decision alone, for the number; the next test takes the whole road. The last one shows that it can fail."""
    full = 0
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        hoarder = Hoarder(seed)
        assert hoarder.churn() <= hoarder.cap, f"Hoarder({seed}).churn()"
        full += hoarder.most == hoarder.cap
    assert full > CHUNK * 9 // 10, "schedules that never fill the cap prove nothing"


def test_acquire_release_churn_on_the_wire(own_daemon: Callable[..., Daemon]):
    """A client of its own code that stops at no permit's end but the last, against the real daemon."""
    daemon = own_daemon(requests_per_second=1_000)
    office = Office(daemon)
    walks = [Walk(joined(office, office.licence(cap=2, grace_ms=0)), Random(seed)) for seed in range(6)]
    for walk in walks:
        walk.system.open()
    for _ in range(40):
        daemon.clock.passed += walks[0].chance.choice((0, 0, 1_000, 7_000, 20_001))
        for walk in walks:
            walk.step()
            assert walk.running() <= 2
    assert min(walk.most for walk in walks) == 2, "a walk that never fills the cap proves nothing"


class Walk:
    """One client's way, and the end of every permit it ever got."""

    def __init__(self, system: System, chance: Random) -> None:
        self.system = system
        self.chance = chance
        self.ends: dict[bytes, int] = {}
        self.most = 0

    def step(self) -> None:
        number = self.chance.randrange(6)
        if self.chance.random() < 0.3:
            answer = self.system.acquire(number)
            if answer.HasField("permit"):
                self.keep(self.system.read(answer.permit))
            return
        wishes = [acquire(number)] + [release(each) for each in self.system.held if self.chance.random() < 0.5]
        self.chance.shuffle(wishes)
        held = [each for each in self.system.held if self.chance.random() < 0.7]
        with self.system.stream() as stream:
            self.keep(stream.beat(*wishes, held=held))

    def keep(self, permit: Any) -> None:
        for each in permit.outcomes:
            if each.HasField("grant"):
                self.note(each.grant.target, each.grant.hard_end_ms)
        for at, end in enumerate(permit.hard_ends_ms):
            self.note(permit.targets[32 * at : 32 * at + 32], end)

    def note(self, name: bytes, end: int) -> None:
        self.ends[name] = max(self.ends.get(name, 0), end)

    def running(self) -> int:
        now = self.system.daemon.clock.wall()
        running = sum(end > now for end in self.ends.values())
        self.most = max(self.most, running)
        return running


def test_freed_at_release_a_cap_of_two_would_be_passed(monkeypatch):
    # The hole that the whole rule is about: with it, the same schedules find it.
    end = LicenceState.end

    def end_and_free(state: LicenceState, lease, now, reason, *, barred_until=0):
        ended = end(state, lease, now, reason, barred_until=barred_until)
        state.seats.cooling.pop(ended.target, None)
        return ended

    monkeypatch.setattr(LicenceState, "end", end_and_free)
    passed = [hoarder for hoarder in map(Hoarder, range(100)) if hoarder.churn() > hoarder.cap]
    assert len(passed) > 50
