"""After `licd restore`, before `licd reconcile`: licd stops and grants nothing, and says no more than it knows."""

from collections.abc import Callable

import pytest

from licd.core.errors import Behind
from licd.server.ratchet import Ratchet
from licd.v1 import licence_service_pb2 as pb
from tests.daemon import Daemon
from tests.office import Office
from tests.wired_system import joined, licence_of

EARLIER_EPOCHS = 3


@pytest.fixture
def restored(own_daemon: Callable[..., Daemon]) -> tuple[Office, str]:
    """A daemon whose rows are older than what it has answered: of the licence, three epochs are lost."""
    daemon = own_daemon()
    office = Office(daemon)
    system = joined(office)
    system.open()
    licence = licence_of(office, system)
    state, now = daemon.state, daemon.clock.wall()
    daemon.stop()
    path = state.root / "ratchet"
    ratchet = Ratchet(path)
    ratchet.note_restored(now, 0)
    ratchet.close()
    with path.open("a") as lines:
        lines.write(f"1 {licence} {1 + EARLIER_EPOCHS}\n")
    return Office(own_daemon()), licence


def test_a_suspension_is_unconfirmed_until_no_lost_permit_can_be_out(restored: tuple[Office, str]):
    office, licence = restored
    done = office.alice.suspend(licence)
    assert done.licences[0].epoch == 1 + EARLIER_EPOCHS + 1
    found = office.alice.call("LicenceService.GetSuspension", pb.GetSuspensionRequest(suspension=done.suspension))
    assert [each.state for each in found.systems] == [pb.STOP_STATE_UNCONFIRMED]
    assert not found.settled


def test_nobody_new_is_taken_in(restored: tuple[Office, str]):
    office, licence = restored
    with pytest.raises(Behind):
        office.alice.customer()
    office.alice.suspend(licence)
    with pytest.raises(Behind):
        office.reinstate(licence)
