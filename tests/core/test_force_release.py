"""An operator ends one lease; its target cannot come straight back."""

import pytest

from licd.core.acquire_lease import Granted
from licd.core.bounds import epsilon
from licd.core.errors import NotFound
from licd.core.model import DirectiveKind
from licd.core.reasons import Denied, Reason
from licd.core.time import DAY, HOUR, MINUTE
from tests.builders import GRACE, LENGTH, TIMING, make_ask
from tests.core.rig import BEAT, Rig

EPSILON = epsilon(LENGTH, GRACE, TIMING)


def test_a_force_released_lease_ends_at_once_and_its_seat_cools():
    rig = Rig()
    lease = rig.grant()
    rig.keep(MINUTE)
    permit_end = rig.renew().leases[0].hard_end
    ended = rig.force_release(lease.id, HOUR)
    assert (ended.ended_at, ended.end_reason) == (rig.now, "force-released")
    assert ended.free_at == permit_end + EPSILON
    assert ended.barred_until == ended.free_at + HOUR
    assert rig.renew(held=[lease.id]).ended == ((lease.id, Reason.FORCE_RELEASED),)


@pytest.mark.parametrize("system", ["a", "b"])
@pytest.mark.parametrize("cool_down", [0, HOUR])
def test_a_force_released_target_is_barred_for_every_system_until_its_time(system: str, cool_down: int):
    rig = Rig()
    lease = rig.grant(1, "a")
    ended = rig.force_release(lease.id, cool_down)
    denied = rig.refuse(1, system)
    assert (denied.reason, denied.retry_at) == (Reason.FORCE_RELEASED, ended.barred_until)
    rig.now = ended.barred_until - 1
    assert rig.refuse(1, system).reason is Reason.FORCE_RELEASED
    rig.now = ended.barred_until
    assert isinstance(rig.acquire(1, system), Granted)


def test_the_bar_outlasts_the_cooling_also_after_the_figures_were_narrowed():
    # Else the target would regain its cooling seat in between.
    rig = Rig(grace=DAY)
    lease = rig.grant()
    rig.keep(HOUR)
    rig.amend(grace=0)
    rig.renew()
    ended = rig.force_release(lease.id, 1)
    assert ended.barred_until == ended.free_at + 1


def test_the_bar_survives_a_link_that_asks_for_the_target():
    rig = Rig()
    lease = rig.grant()
    rig.force_release(lease.id, HOUR)
    permit = rig.renew("a", make_ask(1), held=[lease.id])
    [outcome] = permit.outcomes
    assert isinstance(outcome, Denied)
    assert outcome.reason is Reason.FORCE_RELEASED


def test_other_targets_are_not_barred():
    rig = Rig()
    rig.force_release(rig.grant(1).id, HOUR)
    assert isinstance(rig.acquire(2), Granted)


def test_a_bar_is_told_as_a_bar_though_the_cap_is_full():
    rig = Rig(cap=1)
    rig.force_release(rig.grant(1).id, HOUR)
    assert rig.refuse(1).reason is Reason.FORCE_RELEASED
    assert rig.refuse(2).reason is Reason.CONCURRENT_CAP


def test_the_order_to_stop_names_the_lease_and_its_system_under_a_new_epoch():
    rig = Rig()
    lease = rig.grant(1, "b")
    before = rig.state.licence.epoch
    rig.state.take_changes()
    rig.force_release(lease.id)
    [directive] = rig.state.take_changes().directives
    assert (directive.kind, directive.epoch) == (DirectiveKind.FORCE_RELEASE, before + 1)
    assert (directive.leases, directive.deployment) == ((lease.id,), "b")
    assert rig.state.licence.epoch == before + 1


def test_only_a_live_lease_can_be_force_released():
    rig = Rig()
    lease = rig.grant()
    with pytest.raises(NotFound, match="no live lease 999"):
        rig.force_release(999)
    rig.now += BEAT
    rig.release(lease.id)
    with pytest.raises(NotFound):
        rig.force_release(lease.id)
    assert rig.state.licence.epoch == 1
