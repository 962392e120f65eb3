"""Work on targets: steps become acts, and an act ends where its cover does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulator.bench import STEP, Bench, Cover, Job
from simulator.oracle.record import Record
from simulator.oracle.seal import Key
from simulator.oracle.trust import TrustedKeys
from simulator.tap import Tap
from tests.simulator.set_clock import SetClock

ONE, TWO = Cover(b"one"), Cover(b"two")


class Desk:
    """A tap on nothing, and a cover that a test sets."""

    def __init__(self) -> None:
        key = Key(Ed25519PrivateKey.generate().public_key(), 0, 1)
        self.clock = SetClock()
        self.record = Record(TrustedKeys("licd.example", (key,), (key,)))
        self.tap = Tap("customer/north/system/alpha", self.record, self.clock)
        self.cover: Cover | None = ONE

    def job(self) -> Job:
        return Job(self.tap, b"t" * 32, "DK", "sar:search-and-rescue", lambda: self.cover)

    @property
    def acts(self) -> list[tuple[int, int, bytes | None]]:
        return [(act.start, act.end, act.permit) for act in self.record.acts]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_steps_under_one_permit_are_one_act(desk: Desk) -> None:
    job = desk.job()
    for now in (1_000, 1_100, 1_200):
        job.step(now)
    job.stop(1_250)
    assert desk.acts == [(1_000, 1_250, b"one")]


def test_a_new_permit_begins_a_new_act(desk: Desk) -> None:
    job = desk.job()
    job.step(1_000)
    desk.cover = TWO
    job.step(1_100)
    job.stop(1_200)
    assert desk.acts == [(1_000, 1_100, b"one"), (1_100, 1_200, b"two")]


def test_what_goes_on_past_the_permit_is_an_act_of_its_own(desk: Desk) -> None:
    job = desk.job()
    job.step(1_000)
    desk.cover = Cover(b"one", past=True)
    job.step(1_100)
    job.stop(1_200)
    assert desk.acts == [(1_000, 1_100, b"one"), (1_100, 1_200, b"one")]


def test_stops_when_there_is_no_cover_and_does_not_begin_again(desk: Desk) -> None:
    job = desk.job()
    job.step(1_000)
    desk.cover = None
    job.step(1_100)
    assert job.done
    desk.cover = ONE
    job.step(1_200)
    assert desk.acts == [(1_000, 1_100, b"one")]


def test_a_step_lasts_no_longer_than_a_step_however_late_the_next_question_comes(desk: Desk) -> None:
    job = desk.job()
    job.step(1_000)
    desk.cover = None
    job.step(9_000)
    assert desk.acts == [(1_000, 1_000 + STEP, b"one")]


def test_the_bench_begins_at_once_and_ends_when_told(desk: Desk) -> None:
    bench = Bench(desk.clock)
    job = bench.begin(desk.tap, b"t" * 32, "DK", "sar:search-and-rescue", lambda: desk.cover)
    assert list(bench) == [job]
    desk.clock.now = 1_050
    bench.end(job)
    assert desk.acts == [(1_000, 1_050, b"one")]
