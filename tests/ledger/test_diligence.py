"""Assessments and the gate in the transaction that decides: what is kept, what is logged, and what is refused whole."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from licd.core.errors import (
    AlreadyExists,
    Behind,
    Conflict,
    DiskFull,
    IllegalTransition,
    Invalid,
    LicdError,
    NotFound,
)
from licd.core.gate import Assessment, Gate, ItemState
from licd.core.time import DAY
from licd.ledger.rows import ASSESSMENTS, CUSTOMERS, DIRECTIVES, INDICATORS, REVIEWS
from licd.ledger.standing import channels_of, current_assessment, items_of
from licd.ledger.transaction import Command
from licd.ledger.verbs.acknowledge import Acknowledge
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.diligence import (
    AssessCustomer,
    AssessedItem,
    CompleteItem,
    Finding,
    ImportIndicators,
    OpenReviews,
    OverrideAssessment,
    RefuseItem,
)
from licd.ledger.verbs.licences import AmendLicence, DrillLicence, IssueLicence, SuspendLicence, SuspensionScope
from licd.v1.diligence_pb2 import Indicators
from tests.ledger.rig import Rig, terms
from tests.ledger.system import PaperSystem

GATE = Gate(
    on_issue=True,
    on_renewal=True,
    on_widening=True,
    assessment_age=90 * DAY,
    channel_age=30 * DAY,
    ladder=("low", "moderate", "high", "unacceptable"),
)
HASH, OTHER = "ab" * 32, "cd" * 32
CLAUSE = AssessedItem("clause", frozenset({HASH}), HASH, "signed")
FINDING = Finding("north-1", "", "calendar", "time is up")


@pytest.fixture
def gated(database: Path) -> Iterator[Rig]:
    """A ledger whose policy puts the gate everywhere, and a customer."""
    rig = Rig(database, gate=GATE)
    rig.do(CreateCustomer("north", "North", "alice"))
    yield rig
    rig.close()


def assessing(**changes: Any) -> AssessCustomer:
    plain = AssessCustomer(
        customer="north",
        product="locator",
        country="NO",
        category="moderate",
        term=366 * DAY,
        policy_version="p1",
        review_interval=120 * DAY,
        facts=b"facts",
        judgement=b"judgement",
        checklist=(CLAUSE,),
        actor="alice",
    )
    return replace(plain, **changes)


def issuing(rig: Rig, name: str = "north-1", **limits: Any) -> IssueLicence:
    return IssueLicence(terms(name, "north", rig.clock.wall(), **limits), "alice")


def amending(rig: Rig, verb: Any = "amended", **limits: Any) -> AmendLicence:
    found = rig.look(lambda tx: tx.state("north-1").licence)
    new = terms("north-1", "north", found.terms.not_before, **limits)
    return AmendLicence("north-1", found.version, new, "", "", "alice", verb)


def refused(rig: Rig, command: Command[Any], kind: type[LicdError]) -> str:
    """The error's words. Nothing was logged: nothing is half done."""
    size = rig.ledger.log_size
    with pytest.raises(kind) as told:
        rig.do(command)
    assert rig.ledger.log_size == size
    return str(told.value)


# ------------------------------------------------------------------------------------------------------- indicators


def file(**changes: Any) -> Indicators:
    found = Indicators(source="wgi", year=2023, file_sha256=b"f" * 32, rows=1, taken=1, read_by="t")
    found.MergeFrom(Indicators(**changes))
    return found


def test_an_import_is_kept_with_who_and_when_and_logged_whole(gated: Rig):
    stored = gated.do(ImportIndicators(file(), "alice"))
    kept = gated.look(lambda tx: tx.get(INDICATORS, stored.id))
    assert kept == stored
    body = Indicators.FromString(stored.body)
    assert (body.imported_by, body.imported_at_ms, body.indicators) == ("alice", gated.clock.wall(), stored.id)
    [entry] = gated.entries("indicators.imported")
    assert (entry["file"], entry["year"], entry["body"]) == (b"f" * 32, b"2023", stored.body)


def test_the_same_year_of_the_same_file_is_imported_once(gated: Rig):
    first = gated.do(ImportIndicators(file(), "alice"))
    assert first.id in refused(gated, ImportIndicators(file(), "bob"), AlreadyExists)
    gated.do(ImportIndicators(file(year=2022), "alice"))
    gated.do(ImportIndicators(file(file_sha256=b"g" * 32), "alice"))


def test_ids_are_in_the_order_of_time(gated: Rig):
    names = []
    for year in range(2015, 2020):
        gated.clock.advance(1)
        names.append(gated.do(ImportIndicators(file(year=year), "alice")).id)
    assert names == sorted(names)


# ------------------------------------------------------------------------------------------------------- assessments


def test_an_assessment_is_kept_and_logged_with_all_that_it_rests_on(gated: Rig):
    made = gated.do(assessing())
    assert gated.look(lambda tx: tx.get(ASSESSMENTS, made.id)) == made
    assert (made.category, made.judged, made.review_due) == ("moderate", "moderate", gated.clock.wall() + 120 * DAY)
    [entry] = gated.entries("diligence.assessed")
    assert {name: entry[name] for name in ("category", "policy", "facts", "judgement", "supersedes", "actor")} == {
        "category": b"moderate",
        "policy": b"p1",
        "facts": b"facts",
        "judgement": b"judgement",
        "supersedes": b"",
        "actor": b"alice",
    }


def test_a_newer_one_takes_its_place_for_the_same_product_alone(gated: Rig):
    first, other = gated.do(assessing()), gated.do(assessing(product="reader"))
    second = gated.do(assessing())
    found = gated.look(lambda tx: [tx.get(ASSESSMENTS, each.id) for each in (first, other, second)])
    assert [each and each.superseded_by for each in found] == [second.id, "", ""]
    assert gated.look(lambda tx: current_assessment(tx.connection, "north", "locator")) == second


def test_what_somebody_agreed_to_give_before_is_looked_at_again(gated: Rig):
    version = gated.look(lambda tx: tx.customer("north").version)
    gated.do(assessing())
    assert gated.look(lambda tx: tx.customer("north").version) == version + 1


def test_a_wrong_clause_leaves_no_assessment_behind(gated: Rig):
    wrong = replace(CLAUSE, evidence=OTHER)
    words = refused(gated, assessing(checklist=(wrong,)), Invalid)
    assert words.startswith("evidence: clause: policy accepts only a file with SHA-256 abab")
    assert gated.look(lambda tx: current_assessment(tx.connection, "north", "locator")) is None


def test_nobody_is_assessed_who_is_not_there(gated: Rig):
    assert "no customer south" in refused(gated, assessing(customer="south"), NotFound)


PENDING = (AssessedItem("survey", frozenset()), AssessedItem("clause", frozenset({HASH, "ef" * 32})))


def states(rig: Rig, made: Assessment) -> dict[str, ItemState]:
    return {each.item: each.state for each in rig.look(lambda tx: items_of(tx.connection, made.id))}


def test_a_checklist_is_worked_off_with_evidence(gated: Rig):
    made = gated.do(assessing(checklist=PENDING))
    gated.do(CompleteItem(made.id, "survey", OTHER, "by the desk", "bob"))
    assert states(gated, made) == {"survey": ItemState.DONE, "clause": ItemState.PENDING}
    [entry] = gated.entries("diligence.item-completed")
    assert (entry["item"], entry["evidence"], entry["actor"]) == (b"survey", bytes.fromhex(OTHER), b"bob")


def test_what_is_decided_is_not_decided_again(gated: Rig):
    made = gated.do(assessing(checklist=PENDING))
    gated.do(RefuseItem(made.id, "survey", "no time", "bob"))
    assert "is refused since bob said so" in refused(
        gated, CompleteItem(made.id, "survey", HASH, "", "alice"), Conflict
    )
    assert "policy accepts only" in refused(gated, CompleteItem(made.id, "clause", OTHER, "", "alice"), Invalid)
    assert "is not on the checklist" in refused(gated, CompleteItem(made.id, "dance", HASH, "", "alice"), NotFound)
    assert "no assessment D-0" in refused(gated, RefuseItem("D-0", "clause", "x", "alice"), NotFound)


def test_a_superseded_assessment_is_history(gated: Rig):
    made = gated.do(assessing(checklist=PENDING))
    newer = gated.do(assessing())
    override = OverrideAssessment(made.id, "high", DAY, (), "worse", "alice")
    for command in (CompleteItem(made.id, "survey", HASH, "", "a"), override):
        assert f"was superseded by {newer.id}" in refused(gated, command, IllegalTransition)


def test_an_override_is_kept_beside_what_was_judged_and_adds_what_its_category_asks_for(gated: Rig):
    made = gated.do(assessing())
    gated.clock.advance(DAY)
    more = (replace(CLAUSE, evidence=""), AssessedItem("board", frozenset()))
    found = gated.do(OverrideAssessment(made.id, "high", 30 * DAY, more, "a coup", "bob"))
    assert (found.category, found.judged, found.overridden_by) == ("high", "moderate", "bob")
    assert found.review_due == made.assessed_at + 30 * DAY
    assert states(gated, made) == {"clause": ItemState.DONE, "board": ItemState.PENDING}
    [entry] = gated.entries("diligence.overridden")
    assert (entry["from"], entry["category"], entry["reason"]) == (b"moderate", b"high", b"a coup")


def test_an_override_for_the_better_does_not_put_the_review_off(gated: Rig):
    made = gated.do(assessing())
    found = gated.do(OverrideAssessment(made.id, "low", 366 * DAY, (), "visited", "bob"))
    assert found.review_due == made.review_due


@pytest.mark.parametrize(
    "command", [ImportIndicators(file(), "a"), assessing(), OpenReviews((FINDING,), DAY), DrillLicence("north-1", "a")]
)
def test_on_old_rows_or_a_full_disk_nothing_is_recorded(database: Path, command: Command[Any]):
    behind = Rig(database, behind="the rows are old")
    refused(behind, command, Behind)
    behind.close()
    full = Rig(database)
    full.space.room = False
    full.connection.fail("commit", sqlite3.OperationalError("database or disk is full"))
    full.ask(CreateCustomer("east", "East", "alice"))
    refused(full, command, DiskFull)
    full.close()


# -------------------------------------------------------------------------------------------------------------- gate


def test_no_licence_without_an_assessment(gated: Rig):
    assert "there is no assessment of north for locator" in refused(gated, issuing(gated), IllegalTransition)


def test_the_log_names_the_assessment_a_licence_was_issued_by(gated: Rig):
    made = gated.do(assessing())
    gated.do(issuing(gated))
    [entry] = gated.entries("licence.issued")
    assert entry["assessment"] == made.id.encode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"category": "high"}, "found high, and the terms are of moderate"),
        ({"term": 20 * DAY}, "looked at 20 days, and the term is longer"),
        ({"checklist": PENDING}, "survey is not done"),
        ({"review_interval": 0}, "was due for review"),
    ],
)
def test_an_assessment_carries_only_terms_within_it(gated: Rig, changes: dict[str, Any], words: str):
    gated.do(assessing(**changes))
    assert words in refused(gated, issuing(gated), IllegalTransition)


def test_an_assessment_gets_too_old(gated: Rig):
    gated.do(assessing())
    gated.clock.advance(90 * DAY)
    gated.do(issuing(gated))
    gated.clock.advance(1)
    assert "older than 90 days" in refused(gated, issuing(gated, "north-2"), IllegalTransition)


def test_what_only_narrows_is_never_held_up(gated: Rig):
    gated.do(assessing())
    gated.do(issuing(gated))
    gated.clock.advance(100 * DAY)
    gated.do(amending(gated, cap=1))
    assert "older than 90 days" in refused(gated, amending(gated, cap=2), IllegalTransition)
    assert "older than 90 days" in refused(gated, amending(gated, "renewed", cap=1), IllegalTransition)
    gated.do(assessing())
    gated.do(amending(gated, cap=2))


def acknowledging(rig: Rig) -> Acknowledge:
    """The word of the only system that it has seen the newest order, and does nothing."""
    state = rig.look(lambda tx: tx.state("north-1"))
    order = rig.look(lambda tx: tx.get(DIRECTIVES, "north-1", state.licence.epoch))
    assert order is not None
    return Acknowledge(
        deployment="alpha",
        system="customer/north/system/alpha",
        enrolment=1,
        licence="north-1",
        epoch=state.licence.epoch,
        directive=sha256(order.payload).digest(),
        stopped_at=rig.clock.wall(),
        active_leases=0,
        envelope=b"signed",
    )


def licensed(rig: Rig) -> PaperSystem:
    rig.do(assessing())
    rig.do(issuing(rig))
    system = PaperSystem(rig, "alpha")
    system.open()
    return system


def test_a_system_that_never_acknowledged_anything_keeps_the_gate_closed(gated: Rig):
    licensed(gated)
    words = refused(gated, issuing(gated, "north-2"), IllegalTransition)
    assert "alpha has acknowledged no order within 30 days: licctl licence drill north-1" in words


def test_a_drill_that_is_acknowledged_opens_it_for_a_time(gated: Rig):
    licensed(gated)
    licence = gated.do(DrillLicence("north-1", "alice"))
    assert (licence.epoch, licence.status.value) == (2, "active")
    assert "alpha has acknowledged no order" in refused(gated, issuing(gated, "north-2"), IllegalTransition)
    gated.do(acknowledging(gated))
    assert [each.proved_at for each in gated.look(lambda tx: channels_of(tx.connection, "north"))] == [
        gated.clock.wall()
    ]
    gated.do(issuing(gated, "north-2"))
    gated.clock.advance(30 * DAY + 1)
    assert "alpha has acknowledged no order" in refused(gated, issuing(gated, "north-3"), IllegalTransition)


def test_only_a_licence_in_force_is_drilled(gated: Rig):
    licensed(gated)
    gated.do(SuspendLicence(SuspensionScope(licence="north-1"), "manual", "d", "alice"))
    assert "is suspended; only one in force" in refused(gated, DrillLicence("north-1", "alice"), IllegalTransition)


# ----------------------------------------------------------------------------------------------------------- reviews


def finding(rig: Rig, cause: str = "calendar") -> Finding:
    found = rig.look(lambda tx: current_assessment(tx.connection, "north", "locator"))
    assert found is not None
    return Finding("north-1", found.id, cause, "time is up")


def test_a_review_keeps_the_gate_closed_until_a_newer_assessment_closes_it(gated: Rig):
    gated.do(assessing())
    gated.do(issuing(gated))
    [review] = gated.do(OpenReviews((finding(gated),), 30 * DAY))
    assert (review.due_at, review.customer) == (gated.clock.wall() + 30 * DAY, "north")
    words = refused(gated, amending(gated, "renewed"), IllegalTransition)
    assert f"review {review.id} is open (calendar: time is up); assess again" in words
    newer = gated.do(assessing())
    closed = gated.look(lambda tx: tx.get(REVIEWS, review.id))
    assert closed is not None
    assert (closed.closed_by, closed.closed_at) == (newer.id, gated.clock.wall())
    gated.do(amending(gated, "renewed"))
    assert [each["kind"] for each in gated.entries() if each["kind"].startswith(b"review")] == [
        b"review.opened",
        b"review.closed",
    ]


def test_a_review_is_opened_once_for_each_cause(gated: Rig):
    gated.do(assessing())
    gated.do(issuing(gated))
    found = finding(gated)
    assert len(gated.do(OpenReviews((found,), DAY))) == 1
    assert gated.do(OpenReviews((found,), DAY)) == []
    assert len(gated.do(OpenReviews((finding(gated, "indicators"),), DAY))) == 1


def test_what_was_found_about_an_older_assessment_is_no_news(gated: Rig):
    gated.do(assessing())
    gated.do(issuing(gated))
    found = finding(gated)
    gated.do(assessing())
    assert gated.do(OpenReviews((found,), DAY)) == []


def test_assessments_and_reviews_come_back_after_a_restart(gated: Rig):
    gated.do(assessing(checklist=PENDING))
    version = gated.look(lambda tx: tx.get(CUSTOMERS, "north").version)  # type: ignore[union-attr]
    again = gated.reopened(gate=GATE)
    made = again.look(lambda tx: current_assessment(tx.connection, "north", "locator"))
    assert made is not None
    assert states(again, made) == {"survey": ItemState.PENDING, "clause": ItemState.PENDING}
    assert again.look(lambda tx: tx.customer("north").version) == version
    again.close()


def test_a_gate_that_policy_does_not_put_up_asks_for_nothing(rig: Rig):
    rig.licence()
    assert "assessment" not in rig.entries("licence.issued")[0]
