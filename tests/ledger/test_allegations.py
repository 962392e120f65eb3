"""Allegations in the transaction that decides, on every database: filed blindly, answered once, looked at on record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from licd.core.allegation import MESSAGES_MOST, Allegation, AllegationState, Deadlines, Side, visible_answer
from licd.core.errors import Conflict, DiskFull, Forbidden, IllegalTransition, LicdError, NotFound
from licd.core.time import DAY, HOUR
from licd.ledger.allegations import (
    allegations_now,
    by_tracking,
    cases_of,
    disclosures_of,
    messages_of,
    same_number,
)
from licd.ledger.database import Row
from licd.ledger.rows import ALLEGATIONS, CASES, DISCLOSURES, NUMBER_KEYS, REPORTER_IDENTITIES
from licd.ledger.transaction import Command
from licd.ledger.verbs.allegations import (
    AcknowledgeAllegation,
    AnswerAllegation,
    CommitNumberKey,
    DiscloseIdentity,
    FileAllegation,
    JoinCase,
    OpenCaseFrom,
    PermitDisclosure,
    WriteMessage,
)
from licd.ledger.verbs.cases import OpenCase
from tests.ledger.rig import Rig, Store

DEADLINES = Deadlines(acknowledge=7 * DAY, answer=90 * DAY, show_after=30 * DAY)
STEPS = (("interviews", True),)


def filing(tracking: bytes = b"t" * 32, **more: Any) -> FileAllegation:
    given: dict[str, Any] = {
        "tracking": tracking,
        "reporter_key": b"r" * 32,
        "office_key": b"o" * 32,
        "number": b"",
        "body": b"sealed body",
        "identity": b"",
        "deadlines": DEADLINES,
    }
    return FileAllegation(**given | more)


def acknowledged(rig: Rig, **more: Any) -> Allegation:
    return rig.do(AcknowledgeAllegation(rig.do(filing(**more)).id, "carol"))


def opening(customer: str = "north") -> OpenCase:
    return OpenCase(customer, "", "report_external", "somebody reported", "", STEPS, DAY, "carol")


def refused(rig: Rig, command: Command[Any], kind: type[LicdError]) -> str:
    """The error's words. Nothing was logged: nothing is half done."""
    size = rig.ledger.log_size
    with pytest.raises(kind) as told:
        rig.do(command)
    assert rig.ledger.log_size == size
    return str(told.value)


def test_an_allegation_is_kept_sealed_and_its_log_entry_commits_to_it(rig: Rig):
    made = rig.do(filing(identity=b"sealed identity", number=b"n" * 32))
    assert by_tracking(rig.connection, b"t" * 32) == made
    assert by_tracking(rig.connection, b"u" * 32) is None
    assert (made.state, made.acknowledge_by - made.filed_at, made.answer_by - made.filed_at) == (
        AllegationState.RECEIVED,
        7 * DAY,
        90 * DAY,
    )
    [entry] = rig.entries("allegation.filed")
    assert entry["body"] == sha256(b"sealed body").digest()
    assert entry["identity"] == sha256(b"sealed identity").digest()
    told = b"".join(entry.values())
    assert all(each not in told for each in (b"sealed", b"t" * 32, b"n" * 32, b"r" * 32))
    found = REPORTER_IDENTITIES.get(rig.connection, made.id)
    assert found is not None
    assert found.sealed == b"sealed identity"


def test_deadlines_are_counted_and_what_is_done_counts_no_more(rig: Rig):
    made = rig.do(filing())
    early = allegations_now(rig.connection, made.acknowledge_by - 1)
    late = allegations_now(rig.connection, made.acknowledge_by)
    assert (early.unacknowledged, early.acknowledgement_overdue, late.acknowledgement_overdue) == (1, 0, 1)
    assert late.oldest_unacknowledged == late.oldest_unanswered == 7 * DAY
    rig.do(AcknowledgeAllegation(made.id, "carol"))
    waiting = allegations_now(rig.connection, made.answer_by)
    assert (waiting.unacknowledged, waiting.unanswered, waiting.answer_overdue) == (0, 1, 1)
    rig.do(AnswerAllegation(made.id, "examined", "carol"))
    done = allegations_now(rig.connection, made.answer_by)
    assert (done.unanswered, done.answer_overdue, done.oldest_unanswered) == (0, 0, 0)


def test_an_answer_is_given_once_and_shows_when_everybodys_does(rig: Rig):
    made = rig.do(filing())
    assert "not acknowledged yet" in refused(rig, AnswerAllegation(made.id, "examined", "carol"), IllegalTransition)
    rig.do(AcknowledgeAllegation(made.id, "carol"))
    refused(rig, AcknowledgeAllegation(made.id, "dave"), Conflict)
    quick = rig.do(AnswerAllegation(made.id, "examined", "carol"))
    refused(rig, AnswerAllegation(made.id, "other-matter", "carol"), Conflict)
    shows_at = made.filed_at + 30 * DAY
    assert (visible_answer(quick, shows_at - 1), visible_answer(quick, shows_at)) == ("", "examined")
    slow = acknowledged(rig, tracking=b"s" * 32)
    rig.clock.advance(80 * DAY)
    late = rig.do(AnswerAllegation(slow.id, "examined", "carol"))
    assert late.visible_at == late.answered_at


def test_messages_go_both_ways_and_a_reporter_cannot_fill_the_disk(rig: Rig):
    made = rig.do(filing())
    ours = rig.do(WriteMessage(made.id, Side.OFFICE, b"for us", b"for him", "carol"))
    theirs = rig.do(WriteMessage(made.id, Side.REPORTER, b"from him", b"his own", ""))
    assert messages_of(rig.connection, made.id) == [ours, theirs]
    entry = rig.entries("allegation.messaged")[1]
    assert (entry["side"], entry["for_office"]) == (b"reporter", sha256(b"from him").digest())
    for _ in range(MESSAGES_MOST - 2):
        rig.do(WriteMessage(made.id, Side.REPORTER, b"x", b"x", ""))
    refused(rig, WriteMessage(made.id, Side.REPORTER, b"x", b"x", ""), Conflict)
    assert rig.do(WriteMessage(made.id, Side.OFFICE, b"y", b"y", "carol")).number == MESSAGES_MOST + 1


def test_one_allegation_opens_cases_of_several_customers_and_joins_them_once(rig: Rig):
    rig.licence("north-1", customer="north")
    rig.licence("south-1", customer="south")
    unread = rig.do(filing())
    refused(rig, OpenCaseFrom(unread.id, opening()), IllegalTransition)
    assert CASES.where(rig.connection) == []
    rig.do(AcknowledgeAllegation(unread.id, "carol"))
    north = rig.do(OpenCaseFrom(unread.id, opening("north")))
    south = rig.do(OpenCaseFrom(unread.id, opening("south")))
    assert {each.case for each in cases_of(rig.connection, unread.id)} == {north.id, south.id}
    refused(rig, JoinCase(unread.id, north.id, "carol"), Conflict)
    other = acknowledged(rig, tracking=b"s" * 32)
    assert rig.do(JoinCase(other.id, north.id, "carol")).id == north.id
    refused(rig, JoinCase(other.id, "C-0", "carol"), NotFound)
    assert {each["case"] for each in rig.entries("allegation.linked")} == {north.id.encode(), south.id.encode()}


def test_allegations_about_one_number_are_told_by_its_pseudonym(rig: Rig):
    one, other = (rig.do(filing(tracking=bytes([at]) * 32, number=b"n" * 32)) for at in range(2))
    third, without = rig.do(filing(tracking=b"3" * 32, number=b"m" * 32)), rig.do(filing(tracking=b"4" * 32))
    assert same_number(rig.connection, one) == [other.id]
    assert same_number(rig.connection, third) == same_number(rig.connection, without) == []


def test_every_look_at_a_reporter_is_on_record_and_bound_to_person_and_time(rig: Rig):
    made = rig.do(filing(identity=b"sealed identity"))
    leave = rig.do(PermitDisclosure(made.id, "contact", "he does not answer", HOUR, "carol"))
    assert rig.entries("identity.disclosed") == []
    for look in (1, 2):
        found, _, identity = rig.do(DiscloseIdentity(leave.id, "carol"))
        assert (found.looks, identity.sealed) == (look, b"sealed identity")
    assert "to nobody else" in refused(rig, DiscloseIdentity(leave.id, "dave"), Forbidden)
    refused(rig, DiscloseIdentity("L-0", "carol"), NotFound)
    rig.clock.advance(HOUR)
    refused(rig, DiscloseIdentity(leave.id, "carol"), IllegalTransition)
    looks = rig.entries("identity.disclosed")
    assert [(each["actor"], each["purpose"]) for each in looks] == [(b"carol", b"contact")] * 2
    assert [each.looks for each in disclosures_of(rig.connection, made.id)] == [2]
    unnamed = rig.do(filing(tracking=b"s" * 32))
    refused(rig, PermitDisclosure(unnamed.id, "contact", "why", HOUR, "carol"), NotFound)


def test_the_key_of_numbers_is_committed_to_once_and_no_other_follows(rig: Rig):
    first = rig.do(CommitNumberKey(b"c" * 32))
    assert rig.do(CommitNumberKey(b"c" * 32)) == first
    refused(rig, CommitNumberKey(b"d" * 32), Conflict)
    assert NUMBER_KEYS.where(rig.connection) == [first]
    assert [each["commitment"] for each in rig.entries("number-key.committed")] == [b"c" * 32]


@pytest.mark.parametrize(
    "command",
    [
        AcknowledgeAllegation("A-0", "carol"),
        AnswerAllegation("A-0", "examined", "carol"),
        WriteMessage("A-0", Side.OFFICE, b"", b"", "carol"),
        JoinCase("A-0", "C-0", "carol"),
        PermitDisclosure("A-0", "contact", "why", HOUR, "carol"),
    ],
)
def test_what_is_not_there_is_refused(rig: Rig, command: Command[Any]):
    refused(rig, command, NotFound)


def test_all_of_it_is_there_after_a_restart(store: Store):
    rig = Rig(store)
    made = acknowledged(rig, identity=b"sealed identity")
    rig.do(WriteMessage(made.id, Side.REPORTER, b"for us", b"for him", ""))
    leave = rig.do(PermitDisclosure(made.id, "contact", "why", HOUR, "carol"))
    rig = rig.reopened()
    assert [each.state for each in ALLEGATIONS.where(rig.connection)] == [AllegationState.ACKNOWLEDGED]
    assert rig.do(DiscloseIdentity(leave.id, "carol"))[2].sealed == b"sealed identity"
    assert DISCLOSURES.where(rig.connection)[0].looks == 1
    assert len(messages_of(rig.connection, made.id)) == 1
    rig.close()


def statements(rig: Rig, command: Command[Any]) -> list[str]:
    """The text of everything that the database is asked while a command is decided and made durable."""
    asked: list[str] = []
    connection = rig.connection
    execute, executemany = connection.execute, connection.executemany

    def executing(text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        asked.append(text)
        return execute(text, arguments)

    def many(text: str, rows: Any) -> None:
        given = list(rows)
        asked.append(f"{text} × {len(given)}")
        executemany(text, given)

    connection.execute, connection.executemany = executing, many  # type: ignore[method-assign]
    try:
        rig.do(command)
    finally:
        connection.execute, connection.executemany = execute, executemany  # type: ignore[method-assign]
    return asked


def test_filing_does_the_same_whoever_and_whatever_it_is_about(rig: Rig):
    """Neither customers, licences, leases nor earlier allegations are looked at: nothing there can cost time."""
    rig.do(filing(tracking=b"0" * 32))
    before = statements(rig, filing(tracking=b"1" * 32, number=b"n" * 32))
    rig.licence("north-1", customer="north")
    known = acknowledged(rig, tracking=b"2" * 32, number=b"n" * 32)
    rig.do(OpenCaseFrom(known.id, opening("north")))
    after = statements(rig, filing(tracking=b"3" * 32, number=b"n" * 32))
    assert after == before
    asked = " ".join(before)
    assert "allegation" in asked
    others = ("customer", "licence", "lease", "case_file", "deployment")
    assert [each for each in before if re.search(rf'(FROM|INTO|JOIN|UPDATE) "?({"|".join(others)})"? ', each)] == []


def test_on_the_reserve_nothing_more_is_taken_in(file_rig: Rig):
    file_rig.file.fail("executemany", file_rig.file.full)
    file_rig.space.room = False
    for _ in range(2):  # the one that finds it full, and one on the reserve
        with pytest.raises(DiskFull):
            file_rig.do(filing())
    assert ALLEGATIONS.where(file_rig.connection) == []
