"""Long random walks, each step held against the slow oracle; and what must make no difference to them."""

from pathlib import Path

import pytest
from hypothesis import settings

from licd.core.state import LicenceState
from tests import oracle
from tests.core.walk import Walk
from tests.core.walks import STEPS, differ, differences, part
from tests.core.world import World
from tests.oracle import Oracle

pytestmark = pytest.mark.timeout(300)

CHUNK = 250
WALKS = 20_000 if settings().max_examples >= 5_000 else 5_000


@pytest.mark.parametrize("first", range(0, WALKS, CHUNK))
def test_licd_decides_as_the_oracle_does(first: int):
    assert list(differences(first, CHUNK, 1)) == []


def test_a_walk_on_which_licd_differs_is_named(monkeypatch):
    monkeypatch.setattr(Oracle, "busy", lambda self, now: set())
    assert "Walk(0).go(60): AssertionError" in differ(0)


@pytest.mark.parametrize(("shard", "expected"), [("1/1", (0, 10)), ("1/3", (0, 3)), ("2/3", (3, 3)), ("3/3", (6, 4))])
def test_the_parts_of_a_night_are_all_of_it(shard: str, expected: tuple[int, int]):
    assert part(10, shard) == expected


@pytest.mark.parametrize("seed", range(0, 2_000, 50))
@pytest.mark.parametrize("shift", [1, -1_799_000_000_000, 86_400_000 * 365 * 40])
def test_no_answer_depends_on_when_it_is_asked(seed: int, shift: int):
    assert Walk(seed, shift=shift).go(STEPS).trace == Walk(seed).go(STEPS).trace


@pytest.mark.parametrize("seed", range(5, 2_000, 30))
def test_no_answer_depends_on_whether_and_when_lapsed_leases_are_reaped(seed: int):
    assert Walk(seed, left_out=frozenset(("reap",))).go(STEPS).trace == Walk(seed).go(STEPS).trace


@pytest.mark.parametrize("seed", range(7, 2_000, 30))
def test_no_answer_depends_on_whether_licd_was_started_anew(seed: int):
    assert Walk(seed, left_out=frozenset(("restart",))).go(STEPS).trace == Walk(seed).go(STEPS).trace


def test_the_oracle_knows_nothing_of_licd_and_stays_short():
    lines = Path(oracle.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150
    assert [line for line in lines if line.startswith(("import", "from")) and "licd" in line] == []


def test_a_walk_is_repeated_by_its_seed_and_meets_every_answer():
    assert Walk(3).go(STEPS).trace == Walk(3).go(STEPS).trace
    said = {each[2] for seed in range(200) for each in Walk(seed).go(STEPS).trace if each[1] in {"denied", "refused"}}
    assert said == {
        "CHURN_LIMIT",
        "CONCURRENT_CAP",
        "DISTINCT_CAP",
        "FORCE_RELEASED",
        "LICENCE_EXPIRED",
        "LICENCE_SUSPENDED",
        "PURPOSE_NOT_PERMITTED",
        "TARGET_HELD",
        "TERMS_DIFFER",
    }


def test_the_oracle_notices_a_seat_that_is_freed_when_it_is_released(monkeypatch):
    end = LicenceState.end

    def end_and_free(state: LicenceState, lease, now, reason, *, barred_until=0):
        ended = end(state, lease, now, reason, barred_until=barred_until)
        state.seats.cooling.pop(ended.target, None)
        return ended

    monkeypatch.setattr(LicenceState, "end", end_and_free)
    world = World()
    world.unary("a", ("acquire", 1, "test:one", 0))
    with pytest.raises(AssertionError):
        world.release("a", 0)
