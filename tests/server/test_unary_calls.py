"""What a system does by calls of their own, and what its papers are worth."""

from hashlib import sha256

import pytest

from licd.core.errors import Forbidden, Forked, RequestIdReused, Unauthenticated
from licd.keys.certificate_request import make_private_key, make_request
from licd.v1 import session_pb2
from tests.daemon import Daemon, new_id
from tests.office import Office
from tests.wired_system import System, acquire, enrolled_anew, joined, licence_of, reason


def test_a_unary_lease_needs_a_session_and_lasts_for_the_permit_length_only(office: Office):
    system = joined(office)
    assert reason(system.read(system.acquire(1).denial)) == "NO_SESSION"
    system.open()
    permit = system.read(system.acquire(1).permit)
    assert isinstance(permit, session_pb2.Permit)
    assert permit.hard_ends_ms[0] - permit.header.decided_ms == 20_000
    assert (permit.header.sequence, permit.header.link) == (0, b"")


def test_asking_again_by_unary_call_extends_nothing(system: System):
    first = system.read(system.acquire(1).permit)
    again = system.read(system.acquire(1).permit)
    assert list(again.hard_ends_ms) == list(first.hard_ends_ms)
    assert again.outcomes[0].grant.existing


def test_the_same_unary_request_gets_the_same_permit(system: System):
    request_id = new_id()
    first, again = system.acquire(1, request_id), system.acquire(1, request_id)
    assert again.permit.payload == first.permit.payload
    assert system.read(first.permit).header.request_id == request_id
    with pytest.raises(RequestIdReused):
        system.acquire(2, request_id)


def test_a_lease_can_be_given_back_while_suspended(office: Office, system: System):
    system.open(acquire(1))
    office.alice.suspend(licence_of(office, system))
    released = system.release(system.held[0]).released
    assert released.free_at_ms > 0
    assert reason(system.release(1 << 63).denial) == "LEASE_NOT_FOUND"


def test_a_licence_is_checked_and_others_answer_as_missing(office: Office, system: System):
    standing = system.check().standing
    assert (standing.live, standing.limit) == (0, 4)
    assert reason(system.check(office.licence()).denial) == "LICENCE_NOT_FOUND"
    office.alice.suspend(licence_of(office, system))
    checked = system.check()
    assert reason(checked.denial) == "LICENCE_SUSPENDED"
    assert checked.HasField("licence")


def test_a_certificate_is_renewed_while_suspended_and_for_the_same_key_only(office: Office, system: System):
    office.alice.suspend(licence_of(office, system))
    system.papers = system.renew()
    system.channel = system.connect()
    assert reason(system.check().denial) == "LICENCE_SUSPENDED"
    with pytest.raises(Forbidden):
        system.renew(make_request(make_private_key()))


def test_after_a_new_enrolment_the_old_papers_are_worth_nothing(daemon: Daemon, office: Office, system: System):
    with system.stream() as stream:
        stream.beat(acquire(1))
        anew = enrolled_anew(office, system)
        before = daemon.metric("licd_refused_total", listener="customer", why="UNAUTHENTICATED")
        stream.send(system.link())
        with pytest.raises(Unauthenticated):
            stream.reply()
    with pytest.raises(Unauthenticated):
        system.check()
    with pytest.raises(Unauthenticated):
        system.stream().frame()
    assert daemon.metric("licd_refused_total", listener="customer", why="UNAUTHENTICATED") == before + 3
    assert isinstance(anew.open(), session_pb2.Permit)


def test_a_reply_from_an_earlier_enrolment_does_not_show_licd_to_be_behind(
    daemon: Daemon, office: Office, system: System
):
    """Its owner could make licd read-only for everybody."""
    for _ in range(3):
        system.open()
    old_reply, old_sequence = system.last_reply, system.sequence
    assert old_reply is not None
    anew = enrolled_anew(office, system)
    anew.open()
    link = anew.link(sequence=old_sequence + 1, previous=sha256(old_reply.payload).digest(), opens=True)
    anew.last_reply = old_reply
    with pytest.raises(Forked):
        anew.send_open(link)
    assert daemon.up.daemon.impediments() == ()


def test_a_unary_permit_does_not_show_licd_to_be_behind(daemon: Daemon, office: Office, system: System):
    permit = system.acquire(1).permit
    anew = enrolled_anew(office, system)
    anew.last_reply = permit
    link = anew.link(previous=sha256(permit.payload).digest(), opens=True)
    with pytest.raises(Forked):
        anew.send_open(link)
    assert daemon.up.daemon.impediments() == ()
