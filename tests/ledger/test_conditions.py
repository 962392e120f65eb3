"""Conditions in the rows and the log: due, reminded, tightened, suspended, met; who may sign, and for what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from licd.core.condition import Condition, Consequence, Schedule, due_now
from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, LicdError, NotFound
from licd.core.gate import Gate, Standing, obstacles_of
from licd.core.model import LicenceStatus
from licd.core.overlay import Overlay, OverlayStatus
from licd.core.terms import ConcurrentTargets, Constraint, OfflineGrace
from licd.core.time import DAY, HOUR, Instant
from licd.keys.signer import MemorySigner
from licd.ledger.log import LogRefused
from licd.ledger.rows import CONDITIONS, OVERLAYS
from licd.ledger.standing import conditions_of
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.conditions import (
    AddCondition,
    CarryOut,
    LodgeCertification,
    MeetCondition,
    OpenConditions,
    WaiveCondition,
)
from licd.ledger.verbs.contacts import RegisterContact, WithdrawContact
from licd.ledger.verbs.licences import SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.operators import AddOperator
from licd.ledger.verbs.overlays import WithdrawOverlay, expire_overlays
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.v1.session_pb2 import Permit, Refusal
from tests.conditions import CLAIRE, DORA, certified, certifying
from tests.ledger.overlays import lodging
from tests.ledger.overlays import registered as authority
from tests.ledger.rig import DOMAIN, Rig, wish
from tests.ledger.system import PaperSystem

ID, NAME = "north-1/certification", "certification"
EVERY = 90 * DAY
SCHEDULE = Schedule(every=EVERY, tolerance=9 * DAY, remind=14 * DAY, steps=2)
WHO = "customer/north/contact/claire"
STEPS: dict[int, tuple[Constraint, ...]] = {1: (ConcurrentTargets(2),), 2: (ConcurrentTargets(1), OfflineGrace(0))}


@pytest.fixture
def world(rig: Rig) -> Rig:
    rig.licence(cap=3, term=2_000 * DAY)
    rig.do(OpenConditions("north-1", [(NAME, EVERY)]))
    rig.do(registered())
    rig.do(AddCondition("north-1", NAME, 0, WHO, EVERY, may_replace=False, actor="alice"))
    return rig


def registered(name: str = "claire", signer: MemorySigner = CLAIRE, customer: str = "north") -> RegisterContact:
    identity = f"customer/{customer}/contact/{name}"
    return RegisterContact(identity, customer, name.title(), "Legal", signer.public_key, signer.key_id, "alice")


def row(rig: Rig) -> Condition:
    found = rig.look(lambda tx: tx.get(CONDITIONS, ID))
    assert found is not None
    return found


def carry_out(rig: Rig) -> str:
    """What a round of the clock does now."""
    found = row(rig)
    due = due_now(found, SCHEDULE, rig.clock.wall())
    if due is None:
        return ""
    until = rig.clock.wall() + 999 * DAY
    limits = STEPS.get(due.step, ())
    command = CarryOut(ID, found.period, SCHEDULE, due, limits, until, "certification_overdue")
    assert rig.do(command) is not None
    assert rig.do(command) is None, "once"
    return due.consequence.value


def certification(rig: Rig, signer: MemorySigner = CLAIRE, **changes: Any) -> LodgeCertification:
    said = certifying("north-1", NAME, rig.clock.wall(), DOMAIN, **changes)
    return LodgeCertification(
        ID,
        said.period,
        said.contact,
        signer.key_id,
        certified(said, signer).SerializeToString(),
        "ee" * 32,
        said.certified_at_ms,
        SCHEDULE,
        "alice",
    )


@dataclass(frozen=True, slots=True)
class Running:
    """Writes down what has run out by an instant, as accepting another clock does."""

    at: Instant
    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    def run(self, tx: Transaction) -> int:
        return expire_overlays(tx, self.at)


def own_overlay(rig: Rig) -> Overlay:
    """What licd has tightened."""
    found = rig.look(lambda tx: tx.get(OVERLAYS, f"licd/north-1.{NAME}"))
    assert found is not None
    return found


def cap(rig: Rig) -> int:
    return int(rig.look(lambda tx: tx.state("north-1").rights.cap))


def status(rig: Rig) -> LicenceStatus:
    return rig.look(lambda tx: tx.state("north-1").licence.status)


def late(rig: Rig, days: int) -> None:
    """The clock stands so many days after the due date."""
    rig.clock.advance(row(rig).due_at + days * DAY - rig.clock.wall())


def until_suspended(rig: Rig) -> list[str]:
    done = []
    for days in range(-14, 10):
        late(rig, days)
        done.append(carry_out(rig))
    return [each for each in done if each]


# ------------------------------------------------------------------------------------------------------- carried out
def test_what_is_not_met_is_reminded_of_tightened_step_by_step_and_suspended(world: Rig):
    system = PaperSystem(world, "alpha")
    system.open(wish(1), wish(2), wish(3))
    system.held.clear()
    assert until_suspended(world) == ["remind", "tighten", "tighten", "suspend"]
    kinds = [each for each in world.kinds() if each.startswith("condition.")]
    assert kinds == [
        "condition.opened",
        "condition.set",
        "condition.reminded",
        "condition.tightened",
        "condition.tightened",
        "condition.suspended",
    ]
    assert status(world) is LicenceStatus.SUSPENDED
    [entry] = world.entries("licence.suspended")
    assert (entry["code"], entry["actor"]) == (b"certification_overdue", b"licd")
    assert isinstance(system.beat(), Refusal)


def test_each_step_narrows_at_once_is_named_in_refusals_and_survives_a_restart(world: Rig):
    late(world, 3)
    assert carry_out(world) == "tighten"
    assert (cap(world), cap(world.reopened())) == (2, 2)


def test_a_refusal_names_what_is_overdue(world: Rig):
    system = PaperSystem(world, "alpha")
    late(world, 6)
    assert carry_out(world) == "tighten"
    assert cap(world) == 1
    permit = system.open(wish(1), wish(2))
    assert isinstance(permit, Permit)
    assert list(permit.outcomes[1].denial.overlays) == ["licd/north-1.certification"]


def test_meeting_it_brings_back_what_was_tightened_and_begins_the_next_period(world: Rig):
    due = row(world).due_at
    late(world, 6)
    carry_out(world)
    assert cap(world) == 1
    met = world.do(certification(world))
    assert (met.period, met.due_at, met.met_by, met.steps) == (2, due + EVERY, WHO, 0)
    assert cap(world) == 3
    again = world.reopened()
    assert cap(again) == 3
    late(again, 3)
    assert carry_out(again) == "tighten"
    assert cap(again) == 2


def test_a_suspension_is_lifted_by_persons_and_not_before_it_is_met(world: Rig):
    until_suspended(world)
    epoch = world.look(lambda tx: tx.state("north-1").licence.epoch)
    lift = ReinstateLicence("north-1", epoch, "unfounded", "d", "alice")
    with pytest.raises(IllegalTransition, match=f"condition {ID} is overdue; meet it first"):
        world.do(lift)
    world.do(certification(world))
    assert status(world) is LicenceStatus.SUSPENDED
    after = world.look(lambda tx: tx.state("north-1").licence.epoch)
    world.do(replace(lift, epoch=after))
    assert status(world) is LicenceStatus.ACTIVE
    assert cap(world) == 3


def test_what_is_overdue_takes_no_graver_suspensions_place_and_must_be_met_before_it_is_lifted(world: Rig):
    world.do(SuspendLicence(SuspensionScope(licence="north-1"), "report_external", "a report", "bob"))
    late(world, 10)
    assert carry_out(world) == "suspend"
    licence = world.look(lambda tx: tx.state("north-1").licence)
    assert (licence.suspension_code, row(world).suspended_at) == ("report_external", world.clock.wall())
    [entry] = world.entries("condition.suspended")
    assert entry["suspension"] == licence.suspension.encode()
    with pytest.raises(IllegalTransition, match=f"condition {ID} is overdue; meet it first"):
        world.do(ReinstateLicence("north-1", licence.epoch, "unfounded", "d", "alice"))


def test_no_step_of_tightening_gives_back_what_an_earlier_one_has_taken(world: Rig):
    late(world, 3)
    carry_out(world)
    until = own_overlay(world).terms.not_after
    late(world, 6)
    carry_out(world)
    said = own_overlay(world).terms
    assert (said.not_after, said.constraints) == (until, (*STEPS[1], *STEPS[2]))


def test_a_step_brings_nothing_back_that_had_run_out_before_the_clock_was_set_back(world: Rig):
    late(world, 3)
    carry_out(world)
    world.do(Running(own_overlay(world).terms.not_after))
    assert own_overlay(world).status is OverlayStatus.EXPIRED
    late(world, 6)
    assert carry_out(world) == "tighten"
    assert (own_overlay(world).status, row(world).steps) == (OverlayStatus.EXPIRED, 2)
    world.do(certification(world))
    assert cap(world) == 3


def test_what_licd_has_tightened_is_nobodys_to_end_but_by_meeting_it(world: Rig):
    late(world, 3)
    carry_out(world)
    with pytest.raises(Forbidden, match="it ends when its condition is met or waived"):
        world.do(WithdrawOverlay("licd/north-1.certification", "export_authority", "x", "alice"))
    with pytest.raises(Forbidden, match="it ends when its condition is met or waived"):
        world.do(lodging(world, authority="licd", reference="north-1.certification", revision=2))
    late(world, 6)
    assert carry_out(world) == "tighten"
    assert cap(world) == 1


def test_no_overlay_is_widened_by_one_person_behind_what_licd_has_tightened(world: Rig):
    world.do(authority())
    far = world.clock.wall() + 1_000 * DAY
    world.do(lodging(world, ConcurrentTargets(1), not_after=far))
    late(world, 6)
    carry_out(world)
    with pytest.raises(Conflict, match="gives licence north-1 more cap"):
        world.do(lodging(world, ConcurrentTargets(3), revision=2, not_after=far))
    world.do(certification(world))
    assert cap(world) == 1


def test_what_was_met_between_looking_and_doing_is_left_alone(world: Rig):
    late(world, 3)
    found = row(world)
    due = due_now(found, SCHEDULE, world.clock.wall())
    assert due is not None
    world.do(certification(world))
    command = CarryOut(ID, 1, SCHEDULE, due, STEPS[1], world.clock.wall() + DAY, "certification_overdue")
    assert world.do(command) is None
    assert cap(world) == 3


def test_an_overdue_condition_stands_at_the_gate(world: Rig):
    late(world, -1)
    conditions = world.look(lambda tx: conditions_of(tx.connection, "north-1"))
    standing = Standing(None, (), (), conditions=conditions)
    gate = Gate(on_issue=True, on_renewal=True, on_widening=True, assessment_age=DAY, channel_age=DAY, ladder=("low",))
    assert obstacles_of(gate, standing, world.clock.wall()) == ()
    late(world, 0)
    assert obstacles_of(gate, standing, world.clock.wall()) == (
        f"condition {ID} is overdue: licctl condition show {ID}",
    )


# ------------------------------------------------------------------------------------------------------------ signed
@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"contact": "customer/north/contact/dora"}, Forbidden, f"{WHO} must sign for {ID}, and nobody in his place"),
        ({"period": 2}, Conflict, "is in period 1; what was certified for 2 counts for no other"),
        ({"certified_at_ms": 1}, Conflict, "it was certified before period 1 began"),
    ],
)
def test_a_certification_that_does_not_fit_is_refused_by_name(
    world: Rig, changes: dict[str, Any], kind: type[LicdError], words: str
):
    world.do(registered("dora", DORA))
    with pytest.raises(kind, match=words):
        world.do(certification(world, **changes))
    assert row(world).period == 1


def test_no_period_is_met_before_it_can_be_and_none_ahead(world: Rig):
    first = row(world).due_at
    evidence = MeetCondition(ID, 1, "ee" * 32, "", SCHEDULE, may_widen=False, actor="alice")
    for early in (certification(world), evidence):
        with pytest.raises(IllegalTransition, match=f"period 1 of condition {ID} is met by what is done from "):
            world.do(early)
    old = certification(world, certified_at_ms=first - EVERY // 2 - 1)
    late(world, -45)
    with pytest.raises(IllegalTransition, match="is met by what is done from "):
        world.do(old)
    world.do(evidence)
    for again in (certification(world, period=2), replace(evidence, period=2)):
        with pytest.raises((IllegalTransition, Conflict)):
            world.do(again)
    assert row(world).due_at == first + EVERY


def test_what_is_certified_for_a_late_period_is_not_certified_for_the_next_one_too(world: Rig):
    late(world, 60)
    world.do(certification(world))
    with pytest.raises(Conflict, match="it was certified before period 2 began"):
        world.do(certification(world, period=2))


def test_a_certification_counts_once(world: Rig):
    late(world, 0)
    asked = certification(world)
    world.do(asked)
    with pytest.raises(Conflict, match="is in period 2"):
        world.do(asked)


def test_nobody_signs_who_was_withdrawn_or_has_another_key(world: Rig):
    late(world, 0)
    asked = certification(world)
    world.do(registered(signer=DORA))
    with pytest.raises(Forbidden, match="has no such key any more"):
        world.do(asked)
    world.do(WithdrawContact(WHO, "left", "alice"))
    with pytest.raises(Forbidden, match="has no such key any more"):
        world.do(certification(world, DORA))
    with pytest.raises(IllegalTransition, match="was withdrawn already"):
        world.do(WithdrawContact(WHO, "left", "alice"))


def test_no_two_persons_sign_with_one_key(world: Rig):
    with pytest.raises(AlreadyExists, match=f"that is the key of contact {WHO}; no two sign with one"):
        world.do(registered("dora", CLAIRE))
    key = world.enrolled("alpha").deployment.system_key
    with pytest.raises(AlreadyExists, match="that is the key of system alpha"):
        world.do(replace(registered("dora"), public_key=key))


def test_a_contacts_key_becomes_nobody_elses(world: Rig):
    with pytest.raises(AlreadyExists, match=f"that is the key of contact {WHO}"):
        world.do(AddOperator("mallory", ("operator",), CLAIRE.public_key, CLAIRE.key_id, b"c" * 32, "alice"))
    with pytest.raises(AlreadyExists, match=f"that is the key of contact {WHO}"):
        world.do(authority(signer=CLAIRE))
    world.do(authority(signer=DORA))
    with pytest.raises(AlreadyExists, match="that is the key of authority export-qn"):
        world.do(registered("dora", DORA))


def test_where_nobody_is_named_nothing_is_signed(world: Rig):
    world.do(AddCondition("north-1", "training", 0, "", EVERY, may_replace=False, actor="alice"))
    asked = replace(certification(world), condition="north-1/training")
    with pytest.raises(IllegalTransition, match="nobody is named to sign for north-1/training"):
        world.do(asked)


# ------------------------------------------------------------------------------------------------- set, met, waived
def test_what_is_owed_comes_sooner_but_never_later(world: Rig):
    due = row(world).due_at
    with pytest.raises(Conflict, match="waive it for another date"):
        world.do(AddCondition("north-1", NAME, due + 1, "", EVERY, may_replace=False, actor="alice"))
    sooner = world.do(AddCondition("north-1", NAME, due - DAY, "", EVERY, may_replace=False, actor="alice"))
    assert (sooner.due_at, sooner.contact) == (due - DAY, WHO)


def test_what_has_no_calendar_is_due_when_somebody_says_so(world: Rig):
    world.do(OpenConditions("north-1", [("cooperation", 0)]))
    world.do(OpenConditions("north-1", [("cooperation", 0)]))
    assert len(world.entries("condition.opened")) == 2
    due = world.clock.wall() + DAY
    made = world.do(AddCondition("north-1", "cooperation", due, "", 0, may_replace=False, actor="alice"))
    assert made.due_at == due
    met = world.do(
        MeetCondition(made.id, 1, "ab" * 32, "answered", replace(SCHEDULE, every=0), may_widen=False, actor="alice")
    )
    assert (met.period, met.due_at, met.evidence) == (2, 0, "ab" * 32)


@pytest.mark.parametrize(
    ("contact", "kind", "words"),
    [
        ("customer/north/contact/nobody", NotFound, "north has no contact"),
        ("customer/south/contact/claire", NotFound, "north has no contact customer/south/contact/claire"),
    ],
)
def test_only_the_customers_own_contact_is_named(world: Rig, contact: str, kind: type[LicdError], words: str):
    world.licence("south-1", customer="south")
    world.do(registered(signer=DORA, customer="south"))
    with pytest.raises(kind, match=words):
        world.do(AddCondition("north-1", NAME, 0, contact, EVERY, may_replace=False, actor="alice"))


def test_nobody_is_put_in_the_place_of_the_one_who_must_sign_by_one_person(world: Rig):
    world.do(registered("dora", DORA))
    late(world, 3)
    carry_out(world)
    dora = "customer/north/contact/dora"
    alone = AddCondition("north-1", NAME, 0, dora, EVERY, may_replace=False, actor="alice")
    with pytest.raises(Conflict, match=f"{WHO} must sign for {ID} by now; ask again"):
        world.do(alone)
    assert world.do(replace(alone, contact=WHO)).contact == WHO
    assert world.do(replace(alone, may_replace=True)).contact == dora


def test_what_was_tightened_comes_back_by_two_persons_where_nobody_outside_has_signed(world: Rig):
    late(world, 3)
    carry_out(world)
    alone = MeetCondition(ID, 1, "ab" * 32, "", SCHEDULE, may_widen=False, actor="alice")
    with pytest.raises(Conflict, match="has tightened its licence by now; ask again"):
        world.do(alone)
    world.do(replace(alone, may_widen=True))
    assert cap(world) == 3


def test_a_waiver_is_written_down_with_its_reason_and_brings_the_right_back(world: Rig):
    late(world, 3)
    carry_out(world)
    waived = world.do(WaiveCondition(ID, 1, "the office burnt down", EVERY, "alice"))
    assert (waived.period, waived.met_by) == (2, "waived by operator/alice")
    assert cap(world) == 3
    [entry] = world.entries("condition.waived")
    assert entry["detail"] == b"the office burnt down"
    with pytest.raises(Conflict, match="is in period 2, not 1"):
        world.do(WaiveCondition(ID, 1, "again", EVERY, "alice"))


def test_nothing_is_owed_for_a_terminated_licence_and_nothing_by_nobody(world: Rig):
    world.do(TerminateLicence("north-1", "misuse", "d", "alice"))
    with pytest.raises(IllegalTransition, match="was terminated"):
        world.do(AddCondition("north-1", NAME, 0, "", EVERY, may_replace=False, actor="alice"))
    with pytest.raises(NotFound, match="there is no condition north-1/nothing"):
        world.do(WaiveCondition("north-1/nothing", 1, "d", EVERY, "alice"))


def test_a_failed_commit_leaves_a_step_undone_and_the_next_round_does_it(world: Rig):
    late(world, 3)
    found = row(world)
    due = due_now(found, SCHEDULE, world.clock.wall())
    assert due is not None
    assert due.consequence is Consequence.TIGHTEN
    world.connection.fail("commit")
    [outcome] = world.ask(CarryOut(ID, 1, SCHEDULE, due, STEPS[1], world.clock.wall() + DAY, "certification_overdue"))
    assert isinstance(outcome, LicdError)
    assert (cap(world), row(world).steps) == (3, 0)
    assert carry_out(world) == "tighten"


def test_licd_does_not_start_on_a_contacts_key_that_the_log_contradicts(file_rig: Rig):
    file_rig.licence()
    file_rig.do(registered())
    file_rig.clock.advance(HOUR)
    file_rig.connection.execute("UPDATE contact SET public_key = x'01'")
    with pytest.raises(LogRefused, match=f"contact {WHO}"):
        file_rig.reopened()
