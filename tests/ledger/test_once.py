"""The same request with the same id is done once, and answered the same."""

from dataclasses import replace
from typing import Any

import pytest

from licd.core.errors import AlreadyExists, Invalid, RequestIdReused, RequestTooOld
from licd.core.model import Customer, LicenceStatus
from licd.core.time import DAY, HOUR, MINUTE, Instant
from licd.ledger.rows import ANSWERED
from licd.ledger.transaction import Command
from licd.ledger.verbs.clock import AcceptClock, ForgetAnswers
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope
from licd.ledger.verbs.once import Once
from tests.ledger.rig import NOON, Rig, Try

KEEP = HOUR


def request_id(at: Instant, number: int = 1) -> str:
    """A UUIDv7 made at an instant."""
    digits = f"{at:012x}7000{0x8000:04x}{number:012x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def once(
    name: str, identifier: str, *, caller: str = "operator/alice", fingerprint: bytes = b"", inner: Any = None
) -> Once[Any]:
    return Once(
        inner=inner or CreateCustomer(name, name, "alice"),
        caller=caller,
        request_id=identifier,
        fingerprint=fingerprint or name.encode(),
        keep=KEEP,
        pack=lambda result: ("", (result.id if isinstance(result, Customer) else str(result)).encode()),
        unpack=lambda tx, kind, answer: answer.decode(),
    )


def test_the_same_request_again_gets_the_stored_answer_and_does_nothing(rig: Rig):
    first = once("north", request_id(NOON))
    assert rig.do(first).id == "north"
    size = rig.ledger.log_size
    assert rig.do(first) == "north"
    assert rig.do(once("north", request_id(NOON))) == "north"
    assert rig.ledger.log_size == size


def test_the_stored_answer_survives_a_restart(rig: Rig):
    first = once("north", request_id(NOON))
    rig.do(first)
    again = rig.reopened()
    assert again.do(first) == "north"


def test_the_same_request_twice_in_one_batch_is_done_once(rig: Rig):
    first = once("north", request_id(NOON))
    made, again = rig.ask(first, first)
    assert (made.id, again) == ("north", "north")
    assert rig.kinds() == ["customer.created"]


def test_the_same_request_twice_in_one_batch_is_done_once_when_its_answer_was_written_in_between(rig: Rig):
    first = once("north", request_id(NOON))
    made, _, again = rig.ask(first, Try(lambda tx: tx.flush()), first)
    assert (made.id, again) == ("north", "north")
    assert rig.kinds() == ["customer.created"]


def test_an_answer_that_is_forgotten_within_a_batch_is_not_given_after_it(rig: Rig):
    first = once("north", request_id(NOON))
    rig.do(first)
    answered = ANSWERED.where(rig.connection)
    _, again = rig.ask(Try(lambda tx: tx.remove(ANSWERED, *ANSWERED.key_of(answered[0]))), first)
    assert isinstance(again, AlreadyExists)


def test_each_request_of_a_batch_is_answered_by_itself_whether_it_was_made_before_or_not(rig: Rig):
    """All of their answers are looked for at once; ids and callers that only resemble each other are not mixed up."""
    made = [once(f"c{number}", request_id(NOON, number)) for number in range(20)]
    rig.ask(*made[::2])
    others = [replace(each, caller="operator/bob", inner=CreateCustomer(f"b{number}", "", "bob"))
              for number, each in enumerate(made)]  # fmt: skip
    answers = rig.ask(*made, *others)
    assert answers[:20:2] == [f"c{number}" for number in range(0, 20, 2)]
    assert [each.id for each in answers[1:20:2]] == [f"c{number}" for number in range(1, 20, 2)]
    assert [each.id for each in answers[20:]] == [f"b{number}" for number in range(20)]


@pytest.mark.parametrize("bad", ["\0", "a" * 100_000, request_id(NOON) + "\0", "\N{SNOWMAN}"])
def test_an_id_that_no_database_takes_is_refused_by_itself_and_costs_nobody_else_a_commit(rig: Rig, bad: str):
    """It is not even looked for: else whoever sent it would break the batch of everybody who came with him."""
    commits = rig.connection.commits
    refused, made = rig.ask(once("south", bad), once("north", request_id(NOON)))
    assert isinstance(refused, Invalid)
    assert made.id == "north"
    assert rig.connection.commits == commits + 1
    assert rig.kinds() == ["customer.created"]


def test_another_request_under_the_same_id_is_refused(rig: Rig):
    rig.do(once("north", request_id(NOON)))
    with pytest.raises(RequestIdReused):
        rig.do(once("south", request_id(NOON)))


def test_an_id_belongs_to_its_caller(rig: Rig):
    rig.do(once("north", request_id(NOON)))
    assert rig.do(once("south", request_id(NOON), caller="operator/bob")).id == "south"


@pytest.mark.parametrize("spell", [str.upper, lambda text: text.replace("-", "")], ids=["capitals", "no hyphens"])
def test_an_id_is_the_same_however_it_is_spelt(rig: Rig, spell: Any):
    identifier = request_id(NOON, 0xABCDEF)
    rig.do(once("north", identifier))
    assert rig.do(once("north", spell(identifier))) == "north"


def test_a_denied_request_is_not_kept_and_can_be_made_again(rig: Rig):
    rig.do(CreateCustomer("north", "North", "alice"))
    with pytest.raises(AlreadyExists):
        rig.do(once("north", request_id(NOON)))
    assert rig.do(once("south", request_id(NOON))).id == "south"


def test_a_request_older_than_answers_are_kept_is_refused(rig: Rig):
    rig.do(once("north", request_id(NOON - KEEP)))
    with pytest.raises(RequestTooOld):
        rig.do(once("south", request_id(NOON - KEEP - 1)))


@pytest.mark.parametrize("jump", [-2 * DAY, 2 * DAY])
def test_a_request_that_stops_is_never_too_old_or_too_new_while_licds_clock_is_in_doubt(rig: Rig, jump: int):
    """licctl on licd's own machine makes ids by the clock that jumped, and must be able to suspend and to accept it."""
    rig.clock.jump(jump)
    accept = AcceptClock(rig.ledger.timekeeper, jump, "alice", "the time server was wrong")
    assert rig.do(once("accept", request_id(NOON + jump), inner=accept)) == NOON + jump
    again = replace(accept, move=0)
    assert rig.do(once("again", request_id(rig.clock.wall() - KEEP - 1), inner=again)) == NOON + jump


def test_a_request_from_the_future_is_refused(rig: Rig):
    rig.do(once("north", request_id(NOON + 5 * MINUTE)))
    with pytest.raises(Invalid, match="future"):
        rig.do(once("south", request_id(NOON + 5 * MINUTE + 1)))


WRONG = [
    "",
    "7",
    "0" * 32,
    request_id(NOON)[:-1],
    request_id(NOON) + "0",
    request_id(NOON).replace("-7", "-4"),
    request_id(NOON).replace("-8", "-c"),
    request_id(NOON).replace("0000", "000g"),
    request_id(NOON).replace("0", "\u0660"),
    request_id(NOON) + "\n",
]


@pytest.mark.parametrize("identifier", WRONG)
def test_an_id_that_is_no_uuid7_is_refused(rig: Rig, identifier: str):
    with pytest.raises(Invalid) as refused:
        rig.do(once("north", identifier))
    assert refused.value.field == "request_id"


def test_answers_are_kept_until_no_request_can_come_again_and_then_forgotten(rig: Rig):
    """An id may be five minutes ahead, and is taken until it is KEEP old."""
    identifier = request_id(NOON + 5 * MINUTE)
    rig.do(once("north", identifier))
    rig.clock.advance(KEEP + 5 * MINUTE)
    rig.do(ForgetAnswers())
    assert rig.do(once("north", identifier)) == "north"
    rig.clock.advance(DAY)
    rig.do(ForgetAnswers())
    assert ANSWERED.where(rig.connection) == []
    with pytest.raises(RequestTooOld):
        rig.do(once("north", identifier))


def test_what_stops_is_never_refused_for_lying_in_the_future(rig: Rig):
    """licd's own clock may be the one that is behind, and who accepts it has to be heard."""
    command: Command[Any] = AcceptClock(rig.ledger.timekeeper, 0, "alice", "the clock was an hour behind")
    ahead = request_id(NOON + HOUR)
    assert rig.do(once("", ahead, fingerprint=b"accept", inner=command)) == NOON
    rig.clock.advance(2 * HOUR - MINUTE)
    rig.do(ForgetAnswers())
    assert rig.do(replace(once("", ahead, fingerprint=b"accept", inner=command))) == str(NOON)


def test_what_stops_is_never_refused_for_being_old(rig: Rig):
    """licd's clock may have been two days ahead when it last decided; who suspends dates his request by a right one."""
    rig.licence()
    stop: Command[Any] = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")
    rig.clock.advance(2 * DAY)
    suspended = rig.do(once("", request_id(NOON), fingerprint=b"suspend", inner=stop))
    assert suspended.licences[0].status is LicenceStatus.SUSPENDED
    assert rig.do(once("", request_id(NOON), fingerprint=b"suspend", inner=stop)) == str(suspended)
