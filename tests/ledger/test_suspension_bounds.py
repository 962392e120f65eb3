"""What is said of a suspension: nobody acts after it, whatever was given back and taken again before."""

from licd.core.link import Release
from licd.core.time import HOUR, SECOND
from licd.ledger.rows import SUSPENSION_SYSTEMS
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope
from licd.v1.session_pb2 import Permit
from tests.ledger.rig import Rig, wish
from tests.ledger.system import PaperSystem

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")


def test_the_bound_covers_permits_of_a_lease_that_was_given_back_and_taken_again(rig: Rig):
    rig.licence(cap=1, grace=HOUR)
    system = PaperSystem(rig, "alpha")
    system.open()
    (lease,) = system.acquire(wish(1))
    ends = 0
    for _ in range(200):
        rig.clock.advance(19 * SECOND)
        permit = system.beat()
        assert isinstance(permit, Permit)
        ends = permit.hard_ends_ms[0]
    system.beat(Release(lease))
    system.acquire(wish(1))
    done = rig.do(SUSPEND)
    row = SUSPENSION_SYSTEMS.get(rig.connection, done.suspension, "alpha")
    assert row is not None
    assert row.bounded_until >= ends
