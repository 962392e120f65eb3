"""The index over a licence's leases, against counting by hand."""

from licd.core.seats import Seats, Window
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from tests.builders import NOW, target
from tests.core.rig import Rig


def test_a_window_forgets_what_came_back_and_went_again():
    window = Window(HOUR, {})
    window.left(target(1), NOW)
    window.came(target(1))
    assert window.gone == {}
    window.left(target(1), NOW + 5)
    window.settle(NOW + HOUR)
    assert set(window.gone) == {target(1)}
    window.settle(NOW + 5 + HOUR)
    assert window.gone == {}


def test_a_window_does_not_grow_with_a_target_that_comes_and_goes():
    # A customer can do this some thousand times a second for as long as the period is.
    window = Window(30 * DAY, {})
    for turn in range(10_000):
        window.left(target(1), NOW + turn)
        window.came(target(1))
    window.left(target(1), NOW + 10_000)
    assert len(window._ends) < 200
    assert window.next_leaves(NOW) == NOW + 10_000 + 30 * DAY


def test_the_cooling_heap_does_not_grow_with_a_target_that_comes_and_goes():
    rig = Rig(cap=1)
    for _ in range(1_000):
        rig.release(rig.grant(1).id)
        rig.now += 6 * SECOND
    assert len(rig.state.seats._cooling_heap) < 200
    assert rig.state.seats.next_free(rig.now) == next(iter(rig.state.seats.cooling.values())).free_at


def test_the_order_in_which_grants_are_counted_does_not_matter():
    seats = Seats()
    for instant in (NOW + 3, NOW + 1, NOW + 2):
        seats.count_grant(instant)
    assert [seats.churn(NOW + 3, back) for back in (1, 2, 3)] == [1, 2, 3]
    assert seats.churn_leaves(NOW + 3, 2) == NOW + 4


def test_a_lease_found_again_by_its_number_is_the_newest_version_of_it():
    rig = Rig()
    lease = rig.grant()
    assert rig.state.seats.by_id[lease.id].ended_at == 0
    rig.release(lease.id)
    assert rig.state.seats.by_id[lease.id].ended_at == rig.now
    again = rig.grant()
    assert set(rig.state.seats.by_id) == {again.id}
    assert set(rig.state.seats.of("a")) == {again.id}


def test_reaping_ends_what_has_lapsed_and_nothing_else():
    rig = Rig()
    kept = rig.grant(2)
    rig.unary(1)
    rig.now += 10 * SECOND
    rig.renew(held=[kept.id])
    rig.now += 10 * SECOND
    assert rig.state.reap(rig.now) == 1
    assert set(rig.state.seats.live) == {kept.target}
    assert rig.state.reap(rig.now) == 0
    rig.now += MINUTE
    assert rig.state.reap(rig.now) == 1
    assert rig.occupied == 0
