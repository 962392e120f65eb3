"""Cases in the transaction that decides, on both databases: steps, determinations applied once, rounds, signals."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from licd.core.case import Case, CaseState, Determination, StepState
from licd.core.errors import Conflict, DiskFull, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.misuse import Outcome
from licd.core.model import LicenceStatus
from licd.core.time import DAY, HOUR
from licd.ledger.rows import CASES, CONDITIONS
from licd.ledger.signals import signals_now
from licd.ledger.transaction import Command
from licd.ledger.verbs.cases import DecideStep, DetermineCase, MoveCase, OpenCase, Remedy, ReopenCase, steps_of
from licd.ledger.verbs.conditions import AddCondition
from licd.ledger.verbs.licences import AmendLicence, TerminateLicence
from tests.core.misuse_rules import rule
from tests.ledger.rig import Rig, terms
from tests.ledger.test_signals import Deny, desk, status

STEPS = (("interviews", True), ("journal", True), ("advice", False))
HASH = "ab" * 32


def opened(rig: Rig, licence: str = "north-1", **more: Any) -> Case:
    given = {"customer": "", "licence": licence, "code": "media", "summary": "a newspaper", "signal": ""} | more
    return rig.do(OpenCase(**given, steps=STEPS, acknowledge=DAY, actor="carol"))


def move(rig: Rig, case: Case, *states: CaseState) -> Case:
    for state in states:
        case = rig.do(MoveCase(case.id, state, "so", "carol"))
    return case


INTO_INQUIRIES = (CaseState.ACKNOWLEDGED, CaseState.PRELIMINARY, CaseState.INVESTIGATION, CaseState.INQUIRIES)


def decide(rig: Rig, case: Case, step: str, state: StepState = StepState.DONE) -> Case:
    return rig.do(DecideStep(case.id, step, state, HASH if state is StepState.DONE else "", "why", "carol"))


def ripe(rig: Rig) -> Case:
    """A case that waits for its determination."""
    case = move(rig, opened(rig), *INTO_INQUIRIES)
    decide(rig, case, "interviews")
    decide(rig, case, "journal", StepState.REFUSED)
    return move(rig, case, CaseState.DETERMINATION)


def refused(rig: Rig, command: Command[Any], kind: type[LicdError]) -> str:
    """The error's words. Nothing was logged: nothing is half done."""
    size = rig.ledger.log_size
    with pytest.raises(kind) as told:
        rig.do(command)
    assert rig.ledger.log_size == size
    return str(told.value)


def test_a_case_is_opened_about_a_licence_and_belongs_to_its_customer(rig: Rig):
    rig.licence("north-1")
    case = opened(rig)
    assert (case.customer, case.licence, case.state, case.acknowledge_by - case.opened_at) == (
        "north",
        "north-1",
        CaseState.RECEIVED,
        DAY,
    )
    assert [(each.step, each.mandatory, each.state) for each in steps_of(rig.connection, case)] == [
        ("advice", False, StepState.PENDING),
        ("interviews", True, StepState.PENDING),
        ("journal", True, StepState.PENDING),
    ]
    [entry] = rig.entries("case.opened")
    assert (entry["case"], entry["steps"]) == (case.id.encode(), b"interviews,journal")


def test_a_case_that_nobody_acknowledges_in_time_is_counted(rig: Rig):
    rig.licence("north-1")
    case = opened(rig)
    early, late = signals_now(rig.connection, case.acknowledge_by - 1), signals_now(rig.connection, case.acknowledge_by)
    assert (early.cases_open, early.cases_unacknowledged, late.cases_unacknowledged) == (1, 0, 1)
    move(rig, case, CaseState.ACKNOWLEDGED, CaseState.PRELIMINARY, CaseState.STOPPED)
    over = signals_now(rig.connection, case.acknowledge_by)
    assert (over.cases_open, over.cases_unacknowledged) == (0, 0)


def test_a_customer_may_have_several_cases(rig: Rig):
    rig.licence("north-1")
    one, other = opened(rig), opened(rig, "", customer="north")
    move(rig, one, CaseState.ACKNOWLEDGED)
    assert {each.id: each.state for each in CASES.where(rig.connection)} == {
        one.id: CaseState.ACKNOWLEDGED,
        other.id: CaseState.RECEIVED,
    }
    assert other.licence == ""


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({"licence": ""}, Invalid),
        ({"licence": "none"}, NotFound),
        ({"licence": "", "customer": "none"}, NotFound),
        ({"licence": "", "signal": "G-0"}, NotFound),
        ({"licence": "north-1", "customer": "south"}, Invalid),
    ],
)
def test_a_case_about_nobody_is_refused(rig: Rig, about: dict[str, str], kind: type[LicdError]):
    rig.licence("north-1")
    given = {"customer": "", "code": "media", "summary": "s", "signal": ""} | about
    refused(rig, OpenCase(**given, steps=STEPS, acknowledge=DAY, actor="carol"), kind)


def test_steps_are_taken_while_it_is_worked_on_and_once(rig: Rig):
    rig.licence("north-1")
    case = opened(rig)
    done = DecideStep(case.id, "interviews", StepState.DONE, HASH, "n", "carol")
    assert "no steps are taken there" in refused(rig, done, IllegalTransition)
    move(rig, case, CaseState.ACKNOWLEDGED, CaseState.PRELIMINARY)
    rig.do(done)
    assert "is done since carol said so" in refused(rig, done, Conflict)
    assert refused(rig, DecideStep(case.id, "whim", StepState.DONE, HASH, "n", "carol"), NotFound)
    [entry] = rig.entries("case.step-completed")
    assert (entry["step"], entry["evidence"]) == (b"interviews", bytes.fromhex(HASH))


def test_a_determination_waits_for_the_mandatory_steps(rig: Rig):
    rig.licence("north-1")
    case = move(rig, opened(rig), *INTO_INQUIRIES)
    decide(rig, case, "interviews")
    words = refused(rig, MoveCase(case.id, CaseState.DETERMINATION, "n", "carol"), IllegalTransition)
    assert "journal is neither done nor refused" in words
    decide(rig, case, "journal", StepState.REFUSED)
    assert move(rig, case, CaseState.DETERMINATION).state is CaseState.DETERMINATION


def determining(case: Case, *remedies: Remedy, found: Determination = Determination.MISUSE) -> DetermineCase:
    return DetermineCase(case.id, found, "the journal shows it", remedies, "carol")


def ending(licence: str = "north-1") -> Remedy:
    return Remedy("terminate", TerminateLicence(licence, "misuse", "case", "carol"))


def test_a_determination_of_misuse_ends_the_licence_in_the_same_transaction(rig: Rig):
    rig.licence("north-1")
    case = ripe(rig)
    found = rig.do(determining(case, ending()))
    assert (found.state, found.determination, found.remedies) == (CaseState.REMEDIES, "misuse", "terminate:north-1")
    assert status(rig) is LicenceStatus.TERMINATED
    assert "not in determination" in refused(rig, determining(case, ending()), IllegalTransition)
    assert len(rig.entries("licence.terminated")) == len(rig.entries("case.determined")) == 1
    assert move(rig, found, CaseState.CLOSED).state is CaseState.CLOSED


def test_a_remedy_that_cannot_be_carried_out_leaves_nothing_of_the_determination(rig: Rig):
    rig.licence("north-1")
    case = ripe(rig)
    rig.do(TerminateLicence("north-1", "misuse", "over", "alice"))
    refused(rig, determining(case, ending()), IllegalTransition)
    assert rig.look(lambda tx: tx.get(CASES, case.id)) == case


def test_a_remedy_narrows_the_licence(rig: Rig):
    rig.licence("north-1")
    case = ripe(rig)
    licence = rig.look(lambda tx: tx.state("north-1").licence)
    narrower = terms("north-1", "north", licence.terms.not_before, cap=1)
    amend = AmendLicence("north-1", licence.version, narrower, "", "case", "carol", "amended")
    rig.do(determining(case, Remedy("tighten", amend), found=Determination.INCONCLUSIVE))
    assert rig.look(lambda tx: tx.state("north-1").rights.cap) == 1
    assert status(rig) is LicenceStatus.ACTIVE


def test_a_remedy_obliges_the_customer_in_the_same_transaction(rig: Rig):
    rig.licence("north-1")
    case = ripe(rig)
    due = rig.clock.wall() + 60 * DAY
    training = AddCondition("north-1", "training-quarterly", due, "", 91 * DAY, may_replace=False, actor="carol")
    found = rig.do(determining(case, Remedy("training", training), found=Determination.INCONCLUSIVE))
    assert found.remedies == "training:north-1"
    owed = rig.look(lambda tx: tx.get(CONDITIONS, "north-1/training-quarterly"))
    assert owed is not None
    assert (owed.customer, owed.due_at, owed.period) == ("north", due, 1)
    [entry] = rig.entries("condition.set")
    assert (entry["condition"], entry["actor"]) == (b"north-1/training-quarterly", b"carol")


def test_an_obligation_that_cannot_be_laid_on_leaves_nothing_of_the_determination(rig: Rig):
    rig.licence("north-1")
    case = ripe(rig)
    soon = AddCondition(
        "north-1", "training-quarterly", rig.clock.wall() + DAY, "", 0, may_replace=False, actor="carol"
    )
    rig.do(soon)
    later = replace(soon, due_at=soon.due_at + DAY)
    refused(rig, determining(case, Remedy("training", later)), Conflict)
    assert rig.look(lambda tx: tx.get(CASES, case.id)) == case


def test_a_case_does_nothing_to_somebody_elses_licence(rig: Rig):
    rig.licence("north-1")
    rig.licence("north-2")
    rig.licence("south-1", customer="south")
    case = ripe(rig)
    for foreign in ("south-1", "north-2"):
        assert "is not about licence" in refused(rig, determining(case, ending(foreign)), Invalid)


@pytest.mark.parametrize("where", ["commit", "committed"])
def test_a_crash_at_the_determination_applies_all_of_it_once_or_nothing(rig: Rig, where: str):
    rig.licence("north-1")
    case = ripe(rig)
    rig.connection.fail(where)
    with pytest.raises(LicdError):
        rig.do(determining(case, ending()))
    again = rig.reopened()
    outcome = again.ask(determining(case, ending()))[0]
    assert isinstance(outcome, Case) or where == "committed"
    assert len(again.entries("case.determined")) == len(again.entries("licence.terminated")) == 1
    again.close()


def test_a_case_that_is_over_is_reopened_with_every_step_anew(rig: Rig):
    rig.licence("north-1")
    case = ripe(rig)
    rig.do(determining(case, found=Determination.NO_MISUSE))
    assert refused(rig, ReopenCase(case.id, "new facts", STEPS, "carol"), IllegalTransition)
    move(rig, case, CaseState.CLOSED)
    again = rig.do(ReopenCase(case.id, "new facts", STEPS, "carol"))
    assert (again.state, again.round, again.determination) == (CaseState.INVESTIGATION, 2, "no-misuse")
    assert {each.state for each in steps_of(rig.connection, again)} == {StepState.PENDING}
    assert {each.state for each in steps_of(rig.connection, case)} == {
        StepState.DONE,
        StepState.REFUSED,
        StepState.PENDING,
    }


def test_a_full_disk_takes_no_case_work(database: Path):
    rig = Rig(database)
    rig.licence("north-1")
    rig.file.fail("executemany", rig.file.full)
    rig.space.room = False
    command = OpenCase("", "north-1", "media", "s", "", STEPS, DAY, "carol")
    for _ in range(2):  # the one that finds it full, and one on the reserve
        with pytest.raises(DiskFull):
            rig.do(command)
    assert rig.entries("case.opened") == []
    rig.close()


# ------------------------------------------------------------------------------------------------------- from a rule


CASED = rule("denied", lambda facts: facts["denied"] >= 3, name="region", quiet=HOUR, outcome=Outcome.CASE)


def test_a_rule_opens_one_case_until_that_is_over(rig: Rig):
    made = desk(rig, CASED)
    rig.do(Deny("north-1", 3))
    [signal] = made.later()
    case = rig.look(lambda tx: tx.get(CASES, signal.case))
    assert case is not None
    assert (signal.done, case.customer, case.licence, case.code, case.signal) == (
        "case-opened",
        "north",
        "north-1",
        "rule/region",
        signal.id,
    )
    rig.clock.advance(HOUR)
    rig.do(Deny("north-1", 3))
    again = made.later()[-1]
    assert (again.done, again.case) == ("stands", case.id)
    move(rig, case, CaseState.ACKNOWLEDGED, CaseState.PRELIMINARY, CaseState.STOPPED)
    rig.clock.advance(HOUR)
    rig.do(Deny("north-1", 3))
    last = made.later()[-1]
    assert last.done == "case-opened"
    assert last.case != case.id
