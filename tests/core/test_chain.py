"""Each place a link can have in a chain, and the verdict on it."""

from dataclasses import replace

import pytest

from licd.core import chain
from licd.core.chain import (
    RECENT,
    SHORT,
    BackedReply,
    LinkClaim,
    Verdict,
    accepted_recently,
    judge,
    recall,
    remember,
)
from tests.builders import NOW, make_session

REPLY, REPLACED, OTHER = b"R" * 32, b"r" * 32, b"o" * 32
LAST = b"7" * 32


def hash_of(number: int) -> bytes:
    return number.to_bytes(2, "big") * 16


SESSION = make_session(sequence=7, link_hash=LAST, recent=remember(b"", hash_of(5)), accepted_at=NOW)
NEXT = LinkClaim(8, REPLY, hash_of(8), stream_opened_at=NOW + 1)


def verdict(claim: LinkClaim, **session: object) -> Verdict:
    return judge(replace(SESSION, **session), REPLY, claim)  # type: ignore[arg-type]


@pytest.mark.parametrize("age", [-1, 0, 1])
def test_the_last_accepted_link_is_answered_again_on_any_stream(age: int):
    claim = LinkClaim(7, OTHER, LAST, NOW + age)
    assert verdict(claim) is Verdict.REPEAT


@pytest.mark.parametrize("age", [-1, 0, 1])
def test_the_right_successor_is_accepted_on_any_stream(age: int):
    assert verdict(replace(NEXT, stream_opened_at=NOW + age)) is Verdict.ACCEPT


def test_the_first_link_follows_the_receipt_of_the_enrolment():
    fresh = make_session()
    claim = LinkClaim(1, REPLY, hash_of(1), NOW)
    assert judge(fresh, REPLY, claim) is Verdict.ACCEPT
    assert judge(fresh, OTHER, claim) is Verdict.FORK
    assert judge(fresh, REPLY, replace(claim, sequence=0)) is Verdict.FORK


@pytest.mark.parametrize(
    "claim",
    [
        replace(NEXT, previous=OTHER),
        replace(NEXT, sequence=7),
        replace(NEXT, sequence=9),
        replace(NEXT, sequence=0),
        replace(NEXT, sequence=-1),
        replace(NEXT, sequence=7, previous=b""),
    ],
)
def test_another_link_is_late_on_an_old_stream_and_a_fork_on_a_young_one(claim: LinkClaim):
    assert verdict(claim) is Verdict.FORK
    assert verdict(replace(claim, stream_opened_at=NOW)) is Verdict.FORK
    assert verdict(replace(claim, stream_opened_at=NOW - 1)) is Verdict.LATE


def test_a_remembered_link_is_late_on_any_stream_and_only_byte_for_byte():
    assert verdict(LinkClaim(5, OTHER, hash_of(5), NOW + 1)) is Verdict.LATE
    almost = hash_of(5)[: SHORT - 1] + b"x" * 17
    assert verdict(LinkClaim(5, OTHER, almost, NOW + 1)) is Verdict.FORK


def test_a_reply_whose_place_a_refusal_took_is_as_good_a_parent():
    by_the_first = replace(NEXT, previous=REPLACED)
    assert verdict(by_the_first) is Verdict.FORK
    assert verdict(by_the_first, replaced_reply=REPLACED) is Verdict.ACCEPT
    assert verdict(NEXT, replaced_reply=REPLACED) is Verdict.ACCEPT
    assert verdict(by_the_first, replaced_reply=OTHER + REPLACED) is Verdict.ACCEPT
    assert verdict(by_the_first, replaced_reply=REPLACED + OTHER) is Verdict.ACCEPT
    assert verdict(by_the_first, replaced_reply=REPLACED[1:] + OTHER + REPLACED[:1]) is Verdict.FORK
    assert verdict(replace(NEXT, previous=b""), replaced_reply=b"") is Verdict.FORK


# ---------------------------------------------------------------------------------------------- licd is behind
@pytest.mark.parametrize(
    ("sequence", "backed", "found"),
    [
        (10, BackedReply(9, OTHER), Verdict.BEHIND),
        (9, BackedReply(8, OTHER), Verdict.BEHIND),
        (8, BackedReply(7, OTHER), Verdict.BEHIND),
        (7, BackedReply(6, OTHER), Verdict.FORK),
        (10, BackedReply(8, OTHER), Verdict.FORK),
        (10, BackedReply(9, REPLY), Verdict.FORK),
        (10, None, Verdict.FORK),
    ],
)
def test_a_reply_that_licd_signed_and_does_not_know_shows_that_licd_is_behind(
    sequence: int, backed: BackedReply | None, found: Verdict
):
    claim = LinkClaim(sequence, OTHER, hash_of(99), NOW + 1, backed)
    assert verdict(claim) is found


@pytest.mark.parametrize("age", [-1, 1])
def test_that_licd_is_behind_is_seen_on_any_stream(age: int):
    assert verdict(LinkClaim(10, OTHER, hash_of(99), NOW + age, BackedReply(9, OTHER))) is Verdict.BEHIND


@pytest.mark.parametrize("known", [REPLY, REPLACED])
def test_a_reply_that_licd_knows_does_not_show_that_it_is_behind(known: bytes):
    claim = LinkClaim(8, known, hash_of(99), NOW + 1, BackedReply(7, known))
    assert verdict(claim, replaced_reply=REPLACED) is Verdict.ACCEPT


def test_an_answer_to_a_unary_call_backs_no_link():
    # Its header has sequence 0; with it a freshly enrolled system could call licd behind as it liked.
    claim = LinkClaim(1, OTHER, hash_of(1), NOW + 1, BackedReply(0, OTHER))
    assert judge(make_session(), REPLY, claim) is Verdict.FORK


@pytest.mark.parametrize(
    ("accepted_at", "decided", "found"),
    [
        (NOW - 1, NOW - 1, Verdict.TAKE_UP),
        (NOW, NOW - 1, Verdict.FORK),  # the chain went on since: else a customer could stop licd with what it lost
        (NOW - 1, NOW, Verdict.BEHIND),
        (NOW - 1, 0, Verdict.BEHIND),
    ],
)
def test_a_chain_is_taken_up_where_licd_is_known_to_have_lost_what_followed(accepted_at, decided, found: Verdict):
    session = replace(SESSION, accepted_at=accepted_at)
    claim = LinkClaim(10, OTHER, hash_of(99), NOW + 1, BackedReply(9, OTHER, decided))
    assert judge(session, REPLY, claim, NOW) is found
    assert judge(session, REPLY, claim) is Verdict.BEHIND


def test_nothing_but_a_reply_that_licd_signed_takes_a_chain_up():
    claim = LinkClaim(10, OTHER, hash_of(99), NOW + 1)
    assert judge(replace(SESSION, accepted_at=1), REPLY, claim, NOW) is Verdict.FORK


# --------------------------------------------------------------------------------------------- what is remembered
def test_a_link_that_comes_first_on_its_stream_is_remembered():
    for age in (0, 1):
        recent = recall(SESSION, replace(NEXT, stream_opened_at=NOW + age))
        assert accepted_recently(replace(SESSION, recent=recent), NEXT.payload_hash)


def test_a_link_that_comes_later_on_its_stream_is_remembered_until_others_have_followed():
    session = replace(SESSION, recent=recall(SESSION, replace(NEXT, stream_opened_at=NOW - 1)))
    assert accepted_recently(session, NEXT.payload_hash)
    for number in range(9, 9 + RECENT):
        assert accepted_recently(session, NEXT.payload_hash)
        session = replace(session, recent=recall(session, LinkClaim(number, REPLY, hash_of(number), NOW - 1)))
    assert not accepted_recently(session, NEXT.payload_hash)
    assert accepted_recently(session, hash_of(5))


def test_a_link_that_is_said_again_is_remembered_once():
    again = LinkClaim(7, OTHER, LAST, NOW - 1)
    recent = recall(SESSION, again)
    assert accepted_recently(replace(SESSION, recent=recent), LAST)
    assert recall(replace(SESSION, recent=recent), again) == recent


def test_a_busy_system_that_never_reconnects_has_a_memory_of_bounded_size():
    session = SESSION
    for number in range(1_000):
        session = replace(session, recent=recall(session, LinkClaim(number, REPLY, hash_of(number), NOW - number % 2)))
    assert len(session.recent) == (2 * RECENT + 1) * SHORT


def test_a_busy_system_does_not_use_up_the_memory():
    # The link that opened the session may be held up for seconds; hundreds of others pass meanwhile.
    session = make_session()
    opening = LinkClaim(1, REPLY, hash_of(1), NOW)
    session = replace(session, sequence=1, recent=recall(session, opening), link_hash=hash_of(1), accepted_at=NOW)
    stream = NOW + 1
    for number in range(2, 1_000):
        claim = LinkClaim(number, REPLY, hash_of(number), stream)
        assert judge(session, REPLY, claim) is Verdict.ACCEPT
        recent = recall(session, claim)
        session = replace(
            session, sequence=number, recent=recent, link_hash=hash_of(number), accepted_at=stream + number
        )
    assert judge(session, REPLY, replace(opening, stream_opened_at=NOW + 10_000)) is Verdict.LATE


def test_the_memory_has_its_size_and_forgets_the_oldest():
    recent = b""
    for number in range(RECENT + 3):
        recent = remember(recent, hash_of(number))
    session = replace(SESSION, recent=recent)
    assert len(recent) == RECENT * SHORT
    assert [accepted_recently(session, hash_of(number)) for number in (2, 3, RECENT + 2)] == [False, True, True]


def test_nothing_straddling_two_remembered_links_is_taken_for_one():
    recent = remember(remember(b"", b"a" * 32), b"b" * 32)
    assert not accepted_recently(replace(SESSION, recent=recent), b"a" * 8 + b"b" * 24)


def test_every_verdict_has_a_word():
    assert {each.value for each in chain.Verdict} == {"repeat", "accept", "late", "fork", "behind", "take-up"}
