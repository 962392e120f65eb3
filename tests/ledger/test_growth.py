"""What one customer can make grow, and what his rubbish costs everybody else's suspension: nothing that he chooses."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from licd.core.errors import StaleFrame
from licd.core.link import Release
from licd.core.reasons import Denied, Reason
from licd.core.time import HOUR, MINUTE, SECOND
from licd.keys.kinds import Kind
from licd.ledger.records import Answered
from licd.ledger.rows import ANSWERED
from licd.ledger.verbs.answer_link import Reply
from licd.ledger.verbs.clock import FORGET_AT_ONCE, ForgetAnswers
from licd.ledger.verbs.leases import AcquireLease, acquire_once
from licd.ledger.verbs.once import Once
from licd.v1.session_pb2 import Permit
from tests.ledger.rig import NOON, Rig, Try, wish
from tests.ledger.system import PaperSystem
from tests.ledger.test_once import request_id


def opened(rig: Rig, **limits: Any) -> PaperSystem:
    rig.licence(**limits)
    system = PaperSystem(rig, "alpha")
    system.open()
    return system


def unary(number: int, target: int = 1, purpose: str = "licd:nope") -> Once[Reply]:
    identifier = request_id(NOON, number)
    ask = AcquireLease("alpha", wish(target, purpose=purpose) if purpose else wish(target), "127.0.0.1", identifier)
    return acquire_once(ask, "customer/north/system/alpha", sha256(b"%d" % number).digest(), HOUR)


def kept(rig: Rig) -> int:
    return len(ANSWERED.where(rig.connection))


def test_a_late_frame_does_not_make_licd_read_the_licence_anew(rig: Rig):
    """With a volume limit that is a day's leases, and a system may send a late frame as often as its quota lets it."""
    system = opened(rig, distinct=100)
    first = system.link()
    system.send(first)
    rig.clock.advance(SECOND)
    system.beat(wish(1))
    [before] = rig.states
    late = replace(first, claim=replace(first.claim, stream_opened_at=0))
    assert isinstance(rig.ask(late)[0], StaleFrame)
    [after] = rig.states
    assert after is before
    assert isinstance(system.beat(), Permit)


def test_what_a_command_changed_before_it_failed_is_not_kept(rig: Rig):
    system = opened(rig)
    system.beat(wish(1))

    def fails(tx: object) -> None:
        state = tx.state("north-1")  # type: ignore[attr-defined]
        for lease in list(state.seats.live.values()):
            state.end(lease, rig.clock.wall(), "released")
        raise StaleFrame("after it had changed something")

    assert isinstance(rig.ask(Try(fails))[0], StaleFrame)
    assert rig.look(lambda tx: len(tx.state("north-1").seats.live)) == 1


def test_denied_unary_calls_leave_no_answer_on_the_disk(rig: Rig):
    opened(rig)
    for number in range(20):
        assert rig.do(unary(number)).kind is Kind.DENIAL
    assert kept(rig) == 0


def test_a_lease_that_stands_already_is_told_again_and_leaves_no_answer_on_the_disk(rig: Rig):
    opened(rig)
    first = rig.do(unary(0, purpose=""))
    assert rig.do(unary(0, purpose="")).payload == first.payload
    for number in range(1, 20):
        assert rig.do(unary(number, purpose="")).outcomes[0].existing  # type: ignore[attr-defined]
    assert kept(rig) == 1


def test_answers_are_forgotten_in_portions_that_hold_nobody_up(rig: Rig):
    rig.connection.begin()
    old = [Answered("customer/north", f"{number:032x}", b"f", "", b"", NOON) for number in range(FORGET_AT_ONCE + 1)]
    ANSWERED.put(rig.connection, [*old, Answered("customer/north", "new", b"f", "", b"", NOON + HOUR)])
    rig.connection.commit()
    rig.clock.advance(SECOND)
    assert [rig.do(ForgetAnswers()) for _ in range(3)] == [True, False, False]
    assert [each.request_id for each in ANSWERED.where(rig.connection)] == ["new"]


def test_one_cooling_target_cannot_be_taken_and_given_back_without_end(rig: Rig):
    system = opened(rig, cap=1)
    size = rig.ledger.log_size
    outcomes = []
    for _ in range(100):
        reply = rig.do(system.link([wish(1)]))
        assert isinstance(reply, Reply)
        outcomes.append(reply.outcomes[0])
        system.take(reply)
        if system.held:
            system.beat(Release(system.held[0]))
    denied = [each for each in outcomes if isinstance(each, Denied)]
    assert len(outcomes) - len(denied) == 10
    assert {(each.reason, each.retry_at) for each in denied} == {(Reason.CHURN_LIMIT, NOON + MINUTE)}
    assert rig.ledger.log_size - size < 40
    rig = rig.reopened()
    system.rig = rig
    again = system.beat(wish(1))
    assert isinstance(again, Permit)
    assert again.outcomes[0].HasField("denial")
    rig.clock.advance(MINUTE)
    assert system.acquire(wish(1))
