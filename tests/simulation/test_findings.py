"""What the simulation found, where a seed of the whole plan would not stay: few misfortunes, the mistake put back."""

from functools import partial
from typing import Any

import pytest

from licd.core.state import kept_seat
from licd.ledger import kept_seats
from licd.ledger.timekeeper import Timekeeper
from licd.server.certificates import Certificates
from simulator.clock import Instant
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


def test_a_lease_that_may_have_run_out_while_the_machine_was_off_passes_no_cap_narrowed_since() -> None:
    only = ("licd_loses_power", "a_licence_is_amended")

    def running_on(*which: Any, **_: bool) -> Any:
        return kept_seat(*which, permits_run_on=True)

    with put(kept_seats, "kept_seat", running_on):
        found = run(1, only=only).violations
    assert [(each.promise, each.detail) for each in found] == [
        (Promise.CAP, "licence-1: 2 targets may be acted on, the cap is 1")
    ]
    assert run(1, only=only).violations == ()


def test_a_certificate_that_is_renewed_while_licds_clock_is_wrong_is_good_when_it_is_right() -> None:
    """A system's own clock is wrong as well, far ahead: so it asks for another certificate long before it is due."""
    only = ("a_wall_clock_is_set", "licds_clock_jumps", "a_system_restarts")
    right = Certificates.__init__

    def dated_by_the_wall(self: Certificates, authorities: Any, life: int, wall: Any, random: Any, held: Any) -> None:
        right(self, authorities, life, partial(_wall_of, authorities), random, held)

    with put(Certificates, "__init__", dated_by_the_wall):
        found = run(3, only=only).violations
    assert [each.promise for each in found] == [Promise.LIVENESS]
    assert "system-2 is not connected: UNAUTHENTICATED: this certificate has ended" in found[0].detail
    assert run(3, only=only).violations == ()


def _wall_of(authorities: Any) -> Instant:
    """The wall clock, as those who look at authorities read it."""
    return authorities._wall()  # type: ignore[no-any-return]
