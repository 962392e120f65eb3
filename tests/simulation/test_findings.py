"""What the simulation found, where a seed of the whole plan would not stay: few misfortunes, the mistake put back."""

import pytest

from licd.ledger.timekeeper import Timekeeper
from simulator.deterministic.judge import Promise
from simulator.deterministic.run import run
from tests.simulation.planted import put

pytestmark = pytest.mark.timeout(600)


def test_a_clock_that_is_ahead_when_the_machine_starts_ends_no_licence_for_good() -> None:
    only = ("licd_loses_power", "licds_clock_jumps")
    with put(Timekeeper, "unvouched", property(lambda _: 0)):
        found = run(0, only=only).violations
    assert {(each.promise, each.detail) for each in found} == {
        (Promise.LIVENESS, f"system-{number}: the licence is active, to it: the licence's term is over")
        for number in range(1, 5)
    }
    assert run(0, only=only).violations == ()
