"""Random walks: whatever is lost, repeated, suspended or restarted, nothing is acted on that licd has not allowed."""

import random  # noqa: TID251 -- seeded

import pytest

from licd.client.answers import Granted
from licd.client.session.events import FrameReceived, ReleaseAsked, StreamBroken
from licd.client.session.hold import HoldState
from licd.client.session.standing import FOR_GOOD
from licd.v1 import session_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.client.fake_licd import NOW, SECOND, FakeLicd, directive_frame
from tests.client.rig import BOOT, Rig, link_in

STEPS = 120


class Watched(FakeLicd):
    """Remembers, for every lease, the latest end that any permit ever gave it, and when the licence was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.cap = 40
        self.latest_end: dict[int, int] = {}
        self.frames: list[bytes] = []
        """Everything ever sent down, to be replayed."""

    def _list(self, permit: session_pb2.Permit):
        super()._list(permit)
        for lease, end in zip(permit.leases, permit.hard_ends_ms, strict=True):
            self.latest_end[lease] = max(end, self.latest_end.get(lease, 0))


class Walk:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.licd = Watched()
        self.rig = Rig(self.licd, seed=seed).start()
        self.told_to_stop = 0
        """Epoch of the newest stop that was delivered and not lifted since."""

    def step(self):
        rig, chance = self.rig, self.random
        match chance.randrange(14):
            case 0 | 1 | 2:
                rig.ask(f"target {chance.randrange(12)}")
            case 3:
                if rig.holds:
                    rig.feed(ReleaseAsked(chance.choice(list(rig.holds))))
            case 4:
                rig.lose_replies = chance.random() < 0.5
            case 5:
                rig.reachable = chance.random() < 0.7
                if not rig.reachable and rig.stream:
                    rig.cut()
            case 6:
                if rig.stream:
                    number, rig.stream = rig.stream, 0
                    rig.feed(StreamBroken(number, "by chance"))
            case 7:
                self.suspend()
            case 8:
                if self.licd.refused is not None:
                    self.push(self.licd.reinstate())
            case 9:
                if self.licd.seats:
                    self.push(self.licd.force_release(chance.choice(list(self.licd.seats))))
            case 10:
                if self.licd.frames:
                    rig.push(chance.choice(self.licd.frames))
            case 11:
                if chance.random() < 0.3:
                    self.restart()
            case 12:
                rig.sent[:] = []
            case _:
                self.licd.session = "another" if chance.random() < 0.3 else self.licd.session
        if chance.random() < 0.7:
            self.rig.settle()
        self.rig.advance(chance.choice([0, 1, 200, SECOND, 5 * SECOND, 21 * SECOND]))
        self.check()

    def suspend(self):
        if self.licd.refused is None:
            self.push(self.licd.suspend())

    def push(self, envelope: Envelope):
        frame = directive_frame(envelope)
        self.licd.frames.append(frame)
        if self.rig.stream and self.random.random() < 0.6:
            self.rig.feed(FrameReceived(frame))

    def restart(self):
        self.rig = self.rig.restart(seed=self.random.randrange(10**6))
        self.rig.wall = NOW + self.rig.now - BOOT
        self.rig.start()

    def check(self):
        rig = self.rig
        time_at_licd = NOW + rig.now - BOOT
        for hold in rig.holds.values():
            if rig.usable(hold):
                assert time_at_licd < self.licd.latest_end[hold.lease], "acted on a lease beyond what licd decided"
                assert rig.machine.view.standing.refused is None, "acted on a lease while refused"
                assert hold.state is HoldState.HELD


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_acted_on_that_licd_has_not_allowed_and_all_is_well_again_afterwards(seed: int):
    walk = Walk(seed)
    for _ in range(STEPS):
        walk.step()
    rig, licd = walk.rig, walk.licd
    rig.mend()
    rig.lose_replies = False
    if licd.refused is not None:
        licd.reinstate()
    rig.advance(20 * SECOND)
    refused = rig.machine.view.standing.refused
    assert refused is None or refused.denied.reason in FOR_GOOD
    op = rig.ask("afterwards")
    rig.settle()
    assert isinstance(rig.outcomes[op], Granted)
    assert {hold.lease for hold in rig.holds.values() if rig.usable(hold)} == set(licd.seats)
    assert licd.links[-1].sequence == len(licd.links)


def test_a_walk_sends_no_link_that_is_not_the_outstanding_one():
    walk = Walk(10**6)
    for _ in range(STEPS):
        walk.step()
        for effect in walk.rig.sent:
            link = link_in(effect)
            outstanding = walk.rig.machine.view.chain.outstanding
            if link is not None and outstanding is not None and effect is walk.rig.sent[-1]:
                assert link.payload == outstanding.envelope.payload
