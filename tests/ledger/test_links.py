"""One chain per enrolment: what is said again, what is late, what is a copy, and who is behind."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from licd.core.errors import Behind, Forbidden, StaleFrame
from licd.core.model import DeploymentStatus
from licd.core.time import SECOND
from licd.ledger.rows import FORKS, SESSIONS
from licd.ledger.transaction import Command
from licd.ledger.verbs.answer_link import ForkSeen, Reply
from licd.ledger.verbs.deployments import ReenrolDeployment, RevokeDeployment
from licd.ledger.verbs.leases import AcquireLease, ForceReleaseLease, answer_again
from licd.ledger.verbs.licences import AmendLicence, SuspendLicence, SuspensionScope
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.v1.denial_pb2 import DenialReason
from licd.v1.session_pb2 import Permit, Refusal
from tests.ledger.rig import Rig, Try, terms, wish
from tests.ledger.system import PaperSystem, backed

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")
REINSTATE = ReinstateLicence("north-1", 2, "unfounded", "d", "alice")


@pytest.fixture
def system(rig: Rig) -> PaperSystem:
    rig.licence()
    made = PaperSystem(rig, "alpha")
    made.open(wish(1))
    return made


def reason(message: Permit | Refusal) -> str:
    assert isinstance(message, Refusal), message
    return DenialReason.Name(message.denial.reason).removeprefix("DENIAL_REASON_")


def answered(rig: Rig, link: Command[Any]) -> Reply:
    reply = rig.do(link)
    assert isinstance(reply, Reply)
    return reply


def test_the_same_link_gets_the_same_reply_and_is_done_once(rig: Rig, system: PaperSystem):
    link = system.link([wish(2)])
    first = answered(rig, link)
    size = rig.ledger.log_size
    rig.clock.advance(SECOND)
    again = answered(rig, link)
    assert (again.kind, again.payload) == (first.kind, first.payload)
    assert rig.ledger.log_size == size
    assert rig.look(lambda tx: len(tx.state("north-1").seats.live)) == 2


def test_the_same_link_gets_the_same_reply_after_a_restart(rig: Rig, system: PaperSystem):
    link = system.link([wish(2)])
    first = answered(rig, link)
    assert answered(rig.reopened(), link).payload == first.payload


def test_the_same_link_twice_in_one_batch_is_one_step(rig: Rig, system: PaperSystem):
    link = system.link([wish(2)])
    first, again = rig.ask(link, link)
    assert first.payload == again.payload


def test_a_lost_permit_is_not_said_again_after_a_suspension(rig: Rig, system: PaperSystem):
    link = system.link([wish(2)])
    rig.do(link)
    rig.do(SUSPEND)
    first = answered(rig, link)
    assert reason(Refusal.FromString(first.payload)) == "LICENCE_SUSPENDED"
    assert answered(rig, link).payload == first.payload
    system.take(first)
    assert reason(system.beat()) == "LICENCE_SUSPENDED"


def test_a_permit_from_before_a_suspension_is_not_said_again_after_the_reinstatement(rig: Rig, system: PaperSystem):
    link = system.link([wish(2)])
    rig.do(link)
    rig.do(SUSPEND)
    rig.do(REINSTATE)
    reply = answered(rig, link)
    assert reason(Refusal.FromString(reply.payload)) == "NO_SESSION"
    system.take(reply)
    assert isinstance(system.open(wish(2)), Permit)


def test_a_permit_that_lists_a_lease_since_taken_back_is_not_said_again(rig: Rig, system: PaperSystem):
    link = system.link()
    rig.do(link)
    rig.do(ForceReleaseLease(system.held[0], 0, "manual", "d", "alice"))
    assert reason(Refusal.FromString(answered(rig, link).payload)) == "NO_SESSION"


def test_either_reply_is_the_parent_of_the_next_link(rig: Rig, system: PaperSystem):
    """The permit was on its way when a refusal took its place: the system may go on from either."""
    link = system.link()
    lost = answered(rig, link)
    rig.do(SUSPEND)
    rig.do(link)
    system.take(lost)
    assert reason(system.beat()) == "LICENCE_SUSPENDED"


def test_a_refusal_is_said_again_as_it_was(rig: Rig, system: PaperSystem):
    rig.do(SUSPEND)
    link = system.link()
    first = answered(rig, link)
    rig.do(REINSTATE)
    assert answered(rig, link).payload == first.payload


@pytest.mark.parametrize("stopped", [False, True], ids=["permit", "refusal"])
def test_a_reply_of_before_the_key_that_signs_now_is_not_said_again(rig: Rig, system: PaperSystem, *, stopped: bool):
    """Systems take nothing that is older than the key under it: such a reply would end the chain for good."""
    if stopped:
        rig.do(SUSPEND)
    link = system.link([wish(2)])
    lost = answered(rig, link)
    rig.clock.advance(SECOND)
    rig.key_since = rig.clock.wall()
    reply = answered(rig, link)
    refusal = Refusal.FromString(reply.payload)
    assert reason(refusal) == ("LICENCE_SUSPENDED" if stopped else "NO_SESSION")
    assert refusal.header.decided_ms == rig.key_since
    assert (refusal.header.link, refusal.header.sequence) == (link.claim.payload_hash, link.claim.sequence)
    rig.clock.advance(SECOND)
    assert answered(rig, link).payload == reply.payload != lost.payload
    system.take(reply)
    if stopped:
        rig.do(REINSTATE)
    assert isinstance(system.open(wish(2)), Permit)


def test_every_reply_that_was_said_to_a_link_is_the_parent_of_the_next_one(rig: Rig, system: PaperSystem):
    """A permit, a refusal in its place, and one by a younger key: whichever arrives, it is no copy that goes on."""
    for came in range(3):
        link = system.link()
        said = [answered(rig, link)]
        for change in (lambda: rig.do(SUSPEND), lambda: setattr(rig, "key_since", rig.clock.wall())):
            rig.clock.advance(SECOND)
            change()
            said.append(answered(rig, link))
        assert len({each.payload for each in said}) == 3
        system.take(said[came])
        assert reason(system.beat()) == "LICENCE_SUSPENDED"
        rig.do(replace(REINSTATE, epoch=2 * came + 2))
        system.open(wish(1))


def test_a_reply_is_said_again_as_it_was_while_no_key_is_good_for_another(rig: Rig, system: PaperSystem):
    link = system.link()
    first = answered(rig, link)
    rig.key_since = rig.clock.wall() + SECOND
    assert answered(rig, link).payload == first.payload


def test_a_unary_permit_is_not_said_again_under_another_epoch(rig: Rig, system: PaperSystem):
    ask = AcquireLease("alpha", wish(2), "127.0.0.1", "r")
    first = answered(rig, ask)
    again = Try(lambda tx: answer_again(tx, ask, first.kind.value, first.payload))
    assert answered(rig, again).payload == first.payload
    rig.do(ForceReleaseLease(Permit.FromString(first.payload).leases[0], 0, "manual", "d", "alice"))
    assert reason(Refusal.FromString(answered(rig, again).payload)) == "LEASE_LAPSED"
    rig.do(SUSPEND)
    assert reason(Refusal.FromString(answered(rig, again).payload)) == "LICENCE_SUSPENDED"


def test_a_replay_of_any_accepted_link_is_late_and_not_a_fork(rig: Rig, system: PaperSystem):
    old = [system.link()]
    system.send(old[0])
    for _ in range(20):
        old.append(system.link())
        system.send(old[-1])
    rig.clock.advance(SECOND)
    for link in old[:-1]:
        fresh = replace(link, claim=replace(link.claim, stream_opened_at=rig.clock.wall()))
        assert isinstance(rig.ask(fresh)[0], StaleFrame)
    assert isinstance(system.beat(), Permit)


def test_an_opening_that_is_held_up_while_a_busy_system_goes_on_is_late_and_not_a_fork(rig: Rig, system: PaperSystem):
    """Sent twice, answered on one connection at once; the other delivers it when many links have passed."""
    opening = replace(system.link(opens=True), session="")
    system.send(opening)
    stream = rig.clock.wall() + 1
    for _ in range(100):
        rig.clock.advance(10)
        link = system.link()
        system.send(replace(link, claim=replace(link.claim, stream_opened_at=stream)))
    held_up = replace(opening, claim=replace(opening.claim, stream_opened_at=rig.clock.wall()))
    assert isinstance(rig.ask(held_up)[0], StaleFrame)
    assert isinstance(system.beat(), Permit)


def test_a_replay_of_a_link_from_the_middle_of_a_stream_is_late_on_a_younger_one(rig: Rig, system: PaperSystem):
    stream = rig.clock.wall() + 1
    links = []
    for _ in range(10):
        rig.clock.advance(10)
        link = system.link()
        links.append(replace(link, claim=replace(link.claim, stream_opened_at=stream)))
        system.send(links[-1])
    for link in links[:-1]:
        younger = replace(link, claim=replace(link.claim, stream_opened_at=rig.clock.wall()))
        assert isinstance(rig.ask(younger)[0], StaleFrame)


def test_a_link_that_was_said_again_is_remembered_however_busy_the_system_is_then(rig: Rig, system: PaperSystem):
    stream = rig.clock.wall() + 1
    rig.clock.advance(10)
    first = system.link()
    system.send(replace(first, claim=replace(first.claim, stream_opened_at=stream)))
    rig.clock.advance(10)
    second = system.link()
    on_stream = replace(second, claim=replace(second.claim, stream_opened_at=stream))
    system.send(on_stream)
    assert isinstance(rig.do(on_stream), Reply)
    for _ in range(100):
        rig.clock.advance(10)
        link = system.link()
        system.send(replace(link, claim=replace(link.claim, stream_opened_at=stream)))
    held_up = replace(second, claim=replace(second.claim, stream_opened_at=rig.clock.wall()))
    assert isinstance(rig.ask(held_up)[0], StaleFrame)


def test_a_frame_of_a_stream_opened_before_the_last_acceptance_is_late(rig: Rig, system: PaperSystem):
    other = system.link(salt="never accepted")
    rig.clock.advance(SECOND)
    system.beat()
    assert isinstance(rig.ask(other)[0], StaleFrame)
    assert isinstance(system.beat(), Permit)


def test_two_copies_that_both_go_on_are_a_fork_and_the_evidence_is_kept(rig: Rig, system: PaperSystem):
    system.beat()
    other = replace(system.link(salt="the copy"), frame=b"the copy's frame")
    accepted = system.link()
    system.send(accepted)
    rig.clock.advance(SECOND)
    other = replace(other, claim=replace(other.claim, stream_opened_at=rig.clock.wall()))
    assert isinstance(rig.do(other), ForkSeen)
    fork = FORKS.where(rig.connection)[0]
    assert (fork.deployment, fork.accepted_hash, fork.frame) == (
        "alpha",
        accepted.claim.payload_hash,
        b"the copy's frame",
    )
    assert fork.reply == system.last_reply
    entry = rig.entries("deployment.forked")[0]
    assert (entry["first"], entry["second"]) == (accepted.claim.payload_hash, other.claim.payload_hash)
    assert rig.look(lambda tx: len(tx.state("north-1").seats.live)) == 0
    status = rig.reopened().look(lambda tx: tx.state("north-1").deployments["alpha"].status)
    assert status is DeploymentStatus.FENCED


def test_a_fenced_system_hears_a_signed_no_whatever_it_sends(rig: Rig, system: PaperSystem):
    """An error would be silence to it, and it would act until its last permit runs out."""
    other = system.link(salt="the copy")
    system.beat()
    rig.do(replace(other, claim=replace(other.claim, stream_opened_at=rig.clock.wall() + 1)))
    for link in (other, system.link(), system.link(salt="again"), system.link(opens=True)):
        reply = answered(rig, link)
        refusal = Refusal.FromString(reply.payload)
        assert reason(refusal) == "SYSTEM_FENCED"
        assert (refusal.header.link, refusal.header.sequence) == (link.claim.payload_hash, 0)
        assert [each.kind for each in reply.directives][-1] == "revoke"
    session = SESSIONS.get(rig.connection, "alpha")
    assert session is not None
    assert session.sequence == system.sequence


def test_a_revoked_system_goes_on_being_refused_and_its_chain_stands_still(rig: Rig, system: PaperSystem):
    reached = system.sequence
    rig.do(RevokeDeployment("alpha", "manual", "d", "alice"))
    for _ in range(2):
        refused = system.beat()
        assert reason(refused) == "DEPLOYMENT_REVOKED"
        assert refused.header.sequence == 0
    session = SESSIONS.get(rig.connection, "alpha")
    assert session is not None
    assert session.sequence == reached


@pytest.mark.parametrize("stop", ["fenced", "revoked", "fenced, then revoked"])
def test_a_stopped_system_cannot_show_licd_to_be_behind(rig: Rig, system: PaperSystem, stop: str):
    """It asks with a number of its own choice; were that number signed, the next link could stand on it."""
    if "fenced" in stop:
        copy = system.link(salt="the copy")
        system.beat()
        rig.do(replace(copy, claim=replace(copy.claim, stream_opened_at=rig.clock.wall() + 1)))
    if "revoked" in stop:
        rig.do(RevokeDeployment("alpha", "manual", "d", "alice"))
    asked = system.link()
    reply = answered(rig, replace(asked, claim=replace(asked.claim, sequence=1_000_000)))
    number = Refusal.FromString(reply.payload).header.sequence
    assert number == 0
    following = backed(system.link(), 1_000_000, reply.payload, opened_at=rig.clock.wall() + 1)
    following = replace(
        following, claim=replace(following.claim, sequence=1_000_001, previous=sha256(reply.payload).digest())
    )
    assert isinstance(rig.ask(following)[0], Reply)
    assert rig.ledger.impediments() == ()


def test_a_reply_names_the_enrolment_that_it_answers(rig: Rig, system: PaperSystem):
    assert system.beat().header.enrolment == 1
    rig.do(ReenrolDeployment("alpha", "lost", "alice"))
    anew = PaperSystem(rig, "alpha")
    assert anew.open(wish(1)).header.enrolment == 2


def test_a_restored_licd_is_behind_and_fences_nobody(rig: Rig, system: PaperSystem):
    """The system holds a reply to link 9 that licd signed, and licd knows of link 1."""
    unknown = b"a reply that was signed before the backup was put back"
    link = system.link()
    claim = replace(link.claim, sequence=10, stream_opened_at=rig.clock.wall() + 1)
    lost = backed(replace(link, claim=claim), 9, unknown)
    lost = replace(lost, claim=replace(lost.claim, previous=lost.claim.backed.payload_hash))  # type: ignore[union-attr]
    assert isinstance(rig.ask(lost)[0], Behind)
    assert any("behind" in each for each in rig.ledger.impediments())
    assert isinstance(rig.ask(system.link())[0], Behind)
    assert rig.look(lambda tx: tx.state("north-1").deployments["alpha"].status) is DeploymentStatus.ENROLLED
    assert rig.do(SUSPEND).licences[0].epoch == 2


def test_licd_that_starts_behind_grants_nothing(rig: Rig, system: PaperSystem):
    again = rig.reopened(behind="restored from a backup")
    assert isinstance(again.ask(system.link())[0], Behind)
    assert again.ledger.impediments() == ("behind: restored from a backup",)


def test_keys_of_an_earlier_enrolment_are_refused(rig: Rig, system: PaperSystem):
    rig.do(ReenrolDeployment("alpha", "lost", "alice"))
    rig.clock.advance(SECOND)
    anew = PaperSystem(rig, "alpha")
    with pytest.raises(Forbidden):
        rig.do(system.link())
    assert isinstance(anew.open(wish(1)), Permit)


def test_directives_missed_come_with_the_reply_in_the_order_of_their_epochs(rig: Rig, system: PaperSystem):
    found = rig.look(lambda tx: tx.state("north-1").licence)
    new = terms("north-1", "north", found.terms.not_before, cap=2)
    rig.do(AmendLicence("north-1", 1, new, "", "", "alice", "amended"))
    rig.do(replace(SUSPEND))
    rig.do(ReinstateLicence("north-1", 3, "unfounded", "d", "alice"))
    reply = answered(rig, replace(system.link(), epoch_seen=1))
    assert [(each.epoch, each.kind) for each in reply.directives] == [(2, "amend"), (3, "suspend"), (4, "reinstate")]
    system.take(reply)
    assert answered(rig, replace(system.link(), epoch_seen=3)).directives[0].epoch == 4


def test_directives_of_the_same_batch_are_not_missed(rig: Rig, system: PaperSystem):
    _, reply = rig.ask(SUSPEND, system.link())
    assert [each.epoch for each in reply.directives] == [2]
    assert reply.kind == "denial"
