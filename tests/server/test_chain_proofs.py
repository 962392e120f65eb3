"""What a customer can show licd about licd: a reply that was a step of his chain, and nothing else."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from licd.core.errors import Forked
from licd.keys.envelope import seal
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.v1 import deployment_service_pb2, session_pb2
from tests.daemon import Daemon
from tests.office import Office
from tests.wired_system import System, acquire, enrolled_anew, joined, reason


def go_with_two_copies(cheat: System) -> None:
    """Two links with one number, which nobody honest sends."""
    first, second = cheat.link(opens=True), cheat.link(opens=True)
    cheat.send_open(first)
    with pytest.raises(Forked):
        cheat.send_open(second)


def test_a_customer_who_was_fenced_and_revoked_cannot_stop_licd_for_the_others(own_daemon: Callable[..., Daemon]):
    office = Office(own_daemon())
    cheat, honest = joined(office), joined(office)
    go_with_two_copies(cheat)
    refusal = cheat.send_open(cheat.link(opens=True, sequence=1_000_000)).reply
    revoke = deployment_service_pb2.RevokeDeploymentRequest(
        deployment=cheat.deployment, reason_code="manual", detail="two copies were seen"
    )
    office.alice.call("DeploymentService.RevokeDeployment", revoke)
    cheat.last_reply = refusal
    following = cheat.link(opens=True, sequence=1_000_001, previous=sha256(refusal.payload).digest())
    answer = cheat.read(cheat.send_open(following).reply)
    assert reason(answer) == "DEPLOYMENT_REVOKED"
    assert list(office.alice.status().impediments) == []
    assert isinstance(honest.open(acquire(1)), session_pb2.Permit)


def test_a_reply_of_an_earlier_enrolment_shows_nothing_whatever_its_time(own_daemon: Callable[..., Daemon]):
    """After a clock was set back, replies of the earlier enrolment look younger than the later one."""
    office = Office(own_daemon())
    earlier = joined(office)
    earlier.open()
    later = enrolled_anew(office, earlier)
    state = office.daemon.state
    signer = read_key_file(state.key(KeyPurpose.PERMIT_ONLINE), None)
    assert earlier.last_reply is not None
    permit = session_pb2.Permit.FromString(earlier.last_reply.payload)
    permit.header.sequence, permit.header.decided_ms = 9, office.daemon.clock.wall()
    later.last_reply = seal(Kind.PERMIT, permit.SerializeToString(), signer)
    previous = sha256(later.last_reply.payload).digest()
    with pytest.raises(Forked):
        later.send_open(later.link(opens=True, sequence=10, previous=previous))
    assert list(office.alice.status().impediments) == []
