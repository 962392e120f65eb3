"""The same world as the walks, searched and shrunk: `--hypothesis-profile=nightly` looks at 5 000 ways."""

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from licd.core.model import LicenceStatus
from tests.core.walk import MINUTE, PAUSES, ROOMY
from tests.core.world import PURPOSES, START, SYSTEMS, TARGETS, World

pytestmark = pytest.mark.timeout(3_600)

a_system = st.sampled_from(SYSTEMS)
an_acquisition = st.tuples(
    st.just("acquire"), st.integers(0, TARGETS - 1), st.sampled_from(PURPOSES), st.sampled_from((0, 0, 5_000, 40_000))
)
a_release = st.tuples(st.just("release"), st.integers(0, 3), st.just(""), st.just(0))
wishes = st.lists(an_acquisition | a_release, max_size=3)
held = st.sampled_from((-1, 0, 1, 2, 5))
limits = st.sampled_from((1, 2, 4, 99))


class Licence(RuleBasedStateMachine):
    @initialize(figures=st.sampled_from((START, ROOMY)))
    def start(self, figures):
        self.world = World(figures)

    @rule(duration=st.sampled_from(PAUSES) | st.integers(1, 2 * MINUTE))
    def pause(self, duration):
        self.world.advance(duration)

    @rule(system=a_system, wish=an_acquisition)
    def unary(self, system, wish):
        self.world.unary(system, wish)

    @rule(system=a_system, which=st.integers(0, 3))
    def release(self, system, which):
        self.world.release(system, which)

    @rule(system=a_system, keep=held, wishes=wishes, opens=st.booleans())
    def link(self, system, keep, wishes, opens):
        self.world.link(system, keep, wishes, opens=opens)

    @rule(system=a_system, beats=st.integers(1, 8))
    def beat(self, system, beats):
        for _ in range(beats):
            self.world.advance(4_000)
            self.world.link(system)

    @rule()
    def suspend(self):
        self.world.suspend()

    @precondition(lambda self: self.world.state.licence.status is LicenceStatus.SUSPENDED)
    @rule()
    def reinstate(self):
        self.world.reinstate()

    @rule(cap=st.integers(0, 5))
    def change_the_cap(self, cap):
        self.world.amend(cap=cap)

    @rule(length=st.sampled_from((3_000, 10_000, 20_000)), grace=st.sampled_from((0, 30_000, 86_400_000)))
    def change_the_figures(self, length, grace):
        self.world.amend(length=length, grace=grace)

    @rule(distinct=limits, churn=limits, period=st.sampled_from((MINUTE, 3 * MINUTE)))
    def change_the_volume(self, distinct, churn, period):
        self.world.amend(distinct=((distinct, 2 * period),), churn=((churn, period),))

    @rule(purposes=st.frozensets(st.sampled_from(PURPOSES)))
    def change_the_purposes(self, purposes):
        self.world.amend(purposes=purposes)

    @rule(which=st.integers(0, 4), cool_down=st.sampled_from((0, 1, MINUTE)))
    def force_release(self, which, cool_down):
        self.world.force_release(which, cool_down)

    @rule()
    def reap(self):
        self.world.reap()

    @rule()
    def restart(self):
        self.world.restart()


TestLicence = Licence.TestCase
TestLicence.settings = settings(stateful_step_count=40)
