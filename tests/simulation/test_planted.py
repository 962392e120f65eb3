"""The simulation can fail: each planted fault is found at the seed that once found it."""

import pytest

from simulator.deterministic.judge import Promise
from simulator.deterministic.many import ALONE
from simulator.deterministic.run import run
from simulator.deterministic.world import Shape
from tests.simulation.planted import FAULTS, OF_REPLICAS

pytestmark = pytest.mark.timeout(600)

FOUND: dict[str, tuple[int, Promise]] = {
    "seat_freed_at_release": (0, Promise.CAP),
    "cap_counts_live_leases_only": (0, Promise.CAP),
    "cooling_seats_forgotten_at_a_restart": (8, Promise.CAP),
    "grace_does_not_grow_with_age": (0, Promise.TIME),
    "suspension_stops_nothing": (0, Promise.SUSPEND),
    "stored_permit_is_said_again": (0, Promise.SUSPEND),
    "stored_unary_permit_is_said_again": (1, Promise.TIME),
    "epochs_begin_anew_at_a_reinstatement": (0, Promise.SUSPEND),
    "late_frames_are_forks": (25, Promise.FORK),
    "commits_are_not_synced": (0, Promise.DURABLE),
    "grants_are_not_logged": (0, Promise.AUDIT),
    "clock_is_never_doubted": (4, Promise.TIME),
    "deadline_counted_from_the_reply": (2, Promise.CLOSED),
    "links_are_written_down_later": (1, Promise.FORK),
    "a_no_is_not_heard": (0, Promise.CLOSED),
    "deadlines_on_a_clock_that_sleeps": (16, Promise.CLOSED),
    "grace_goes_on_across_a_reboot": (2, Promise.CLOSED),
    "overlays_narrow_no_right": (0, Promise.TIME),
    "overlays_are_forgotten_at_a_restart": (0, Promise.TIME),
    "a_copy_outlives_the_turns_of_others": (2, Promise.CAP),
    "the_log_goes_on_from_the_own_end": (0, Promise.AUDIT),
}
"""By fault: the seed, and the promise that it breaks first there. `python -m tests.simulation` searches afresh."""


def test_every_fault_has_its_seed() -> None:
    assert set(FOUND) == set(FAULTS)


@pytest.mark.parametrize("name", FOUND)
def test_a_planted_fault_is_found(name: str) -> None:
    seed, promise = FOUND[name]
    with FAULTS[name]():
        outcome = run(seed, Shape(replicas=3) if name in OF_REPLICAS else ALONE)
    assert promise in {violation.promise for violation in outcome.violations}
