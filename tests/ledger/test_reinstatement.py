"""A licence comes back where what its suspension demands is done; on each database, and after a restart."""

from dataclasses import replace

import pytest

from licd.core.case import CaseState, Determination
from licd.core.errors import Behind, Conflict, IllegalTransition
from licd.core.model import LicenceStatus
from licd.core.reinstatement import DETERMINATION, FRESH_ASSESSMENT, Demands
from licd.core.time import DAY, HOUR
from licd.ledger.verbs.cases import OpenCase
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope
from licd.ledger.verbs.reinstatement import MeetReinstatementItem, ReinstateLicence, items_met
from tests.ledger.rig import Rig

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "rule_purpose", "because", "alice")
DEMANDS = Demands(("users-interviewed", "training-done"), 48 * HOUR)
LIFT = ReinstateLicence("north-1", 2, "comfort_full", "explained", "bob", DEMANDS)
SHA = "ab" * 32


@pytest.fixture
def suspended(rig: Rig) -> Rig:
    rig.licence()
    rig.do(SUSPEND)
    return rig


def meet(item: str, epoch: int = 2) -> MeetReinstatementItem:
    return MeetReinstatementItem("north-1", epoch, item, SHA, "seen", "carol")


def status(rig: Rig) -> LicenceStatus:
    return rig.look(lambda tx: tx.state("north-1").licence.status)


def test_it_comes_back_when_everything_is_done_and_the_time_is_over_and_not_before(suspended: Rig):
    rig = suspended
    for step in (None, meet("users-interviewed"), meet("training-done")):
        if step is not None:
            rig.do(step)
        with pytest.raises(IllegalTransition, match="cannot be reinstated yet"):
            rig.do(LIFT)
    rig.clock.advance(48 * HOUR)
    rig.do(LIFT)
    assert status(rig) is LicenceStatus.ACTIVE


def test_what_was_done_is_logged_with_its_evidence_and_survives_a_restart(suspended: Rig):
    suspended.do(meet("users-interviewed"))
    again = suspended.reopened()
    [entry] = again.entries("licence.item-met")
    assert (entry["item"], entry["evidence"], entry["actor"]) == (b"users-interviewed", bytes.fromhex(SHA), b"carol")
    [item] = items_met(again.connection, "north-1", 2)
    assert (item.item, item.evidence, item.met_at) == ("users-interviewed", SHA, again.clock.wall())
    again.do(meet("training-done"))
    again.clock.advance(48 * HOUR)
    again.do(LIFT)
    assert status(again) is LicenceStatus.ACTIVE


def test_what_was_done_for_one_suspension_says_nothing_about_the_next(suspended: Rig):
    rig = suspended
    rig.do(meet("users-interviewed"))
    rig.do(meet("training-done"))
    rig.clock.advance(48 * HOUR)
    rig.do(SUSPEND)
    with pytest.raises(Conflict):
        rig.do(LIFT)
    with pytest.raises(Conflict):
        rig.do(meet("training-done"))
    rig.clock.advance(48 * HOUR)
    with pytest.raises(IllegalTransition, match="users-interviewed, training-done"):
        rig.do(replace(LIFT, epoch=3))


def test_nothing_is_to_be_done_for_a_licence_in_force(rig: Rig):
    rig.licence()
    with pytest.raises(IllegalTransition):
        rig.do(meet("training-done", 1))


def test_nobody_can_say_that_a_case_is_determined_while_it_is_not(suspended: Rig):
    rig = suspended
    with pytest.raises(IllegalTransition, match="no case about it has been determined"):
        rig.do(meet(DETERMINATION))
    case = rig.do(OpenCase("", "north-1", "media", "s", "", [("interviews", True)], DAY, "carol"))
    determined = replace(
        case,
        state=CaseState.REMEDIES,
        determination=Determination.NO_MISUSE,
        determined_at=rig.clock.wall(),
    )
    rig.look(lambda tx: tx.put(determined))
    rig.do(meet(DETERMINATION))
    demands = Demands((DETERMINATION,))
    reopened = replace(determined, state=CaseState.INVESTIGATION)
    rig.look(lambda tx: tx.put(reopened))
    with pytest.raises(IllegalTransition, match="is in investigation"):
        rig.do(replace(LIFT, demands=demands))
    rig.look(lambda tx: tx.put(determined))
    rig.do(replace(LIFT, demands=demands))


def test_an_assessment_from_before_the_suspension_is_not_fresh(suspended: Rig):
    with pytest.raises(IllegalTransition, match="no assessment since the suspension"):
        suspended.do(meet(FRESH_ASSESSMENT))


def test_nothing_is_recorded_on_rows_that_are_behind(suspended: Rig):
    behind = suspended.reopened(behind="the rows are old", answered={"north-1": 7})
    assert isinstance(behind.ask(meet("training-done"))[0], Behind)


def test_what_is_under_a_case_was_no_mistake_until_the_case_is_stopped(suspended: Rig):
    rig = suspended
    case = rig.do(OpenCase("", "north-1", "media", "s", "", [("interviews", True)], DAY, "carol"))
    mistake = replace(LIFT, code="unfounded", demands=Demands(mistake=True))
    with pytest.raises(IllegalTransition, match="stop it or determine it first"):
        rig.do(mistake)
    rig.look(lambda tx: tx.put(replace(case, state=CaseState.STOPPED)))
    rig.do(mistake)
    assert status(rig) is LicenceStatus.ACTIVE
