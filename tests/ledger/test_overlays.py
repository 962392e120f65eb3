"""Authorities and overlays in the rows and the log: who may say what, what follows at once, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, Invalid, LicdError, NotFound
from licd.core.overlay import Overlay, OverlayEffect, OverlayStatus
from licd.core.reasons import Denied, Reason
from licd.core.terms import ConcurrentTargets, OverlayRequired, TargetRegions
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.ledger.log import LogRefused
from licd.ledger.rows import AUTHORITIES, OVERLAYS
from licd.ledger.verbs.clock import AcceptClock
from licd.ledger.verbs.customers import CreateCustomer
from licd.ledger.verbs.leases import AcquireLease, CheckLicence
from licd.ledger.verbs.licences import AmendLicence, IssueLicence, SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.operators import AddOperator
from licd.ledger.verbs.overlays import WithdrawAuthority, WithdrawOverlay
from licd.v1.session_pb2 import Permit, Refusal
from licd.wire.overlay import overlay_payload
from tests.ledger.overlays import lodging, registered
from tests.ledger.rig import HandClock, Rig, terms, wish
from tests.ledger.system import PaperSystem
from tests.overlays import STRANGER, saying

ID = "export-qn/EX-1"
WITHDRAW = WithdrawOverlay(ID, "export_authority", "by letter of today", "alice")


@pytest.fixture
def world(rig: Rig) -> Rig:
    """Two customers with a licence each, and one authority."""
    rig.licence(cap=3)
    rig.licence("south-1", customer="south")
    rig.do(registered())
    return rig


def reason(answer: Permit | Refusal) -> str:
    assert isinstance(answer, Refusal), answer
    return Reason(answer.denial.reason).name


def epoch(rig: Rig, licence: str = "north-1") -> int:
    return int(rig.look(lambda tx: tx.state(licence).licence.epoch))


def cap(rig: Rig, licence: str = "north-1") -> int:
    return int(rig.look(lambda tx: tx.state(licence).rights.cap))


def overlay(rig: Rig) -> Overlay:
    found = rig.look(lambda tx: tx.get(OVERLAYS, ID))
    assert found is not None
    return found


# ----------------------------------------------------------------------------------------------------- lodged
def test_an_overlay_narrows_at_once_in_the_log_the_rows_and_every_permit_and_stays_so_after_a_restart(world: Rig):
    system = PaperSystem(world, "alpha")
    system.open(wish(1), wish(2), wish(3))
    world.do(lodging(world, ConcurrentTargets(1)))
    directive = world.told.batches[-1][0].directives[0]
    assert (directive.kind, directive.epoch, directive.reason_code) == ("amend", 2, "export_authority")
    [entry] = world.entries("overlay.lodged")
    assert (entry["overlay"], entry["revision"], entry["actor"]) == (ID.encode(), b"1", b"alice")
    [step] = world.entries("licence.overlaid")
    assert (step["licence"], step["epoch"], step["status"]) == (b"north-1", b"2", b"in-force")
    permit = system.beat()
    assert isinstance(permit, Permit)
    assert len(permit.leases) == 1
    system.rig = again = world.reopened()
    assert (cap(again), cap(again, "south-1")) == (1, 3)
    denied = system.beat(wish(4))
    assert isinstance(denied, Permit)
    assert list(denied.outcomes[0].denial.overlays) == [ID]


def test_the_bytes_that_were_signed_are_kept_as_they_came(world: Rig):
    asked = lodging(world, TargetRegions(frozenset({"AT", "HU"}), frozenset()))
    world.do(asked)
    again = world.reopened()
    found = overlay(again)
    assert (found.token, found.terms) == (asked.token, asked.said)
    [(stored,)] = again.connection.execute("SELECT terms FROM overlay")
    assert bytes(stored) == overlay_payload(asked.said)


def test_an_overlay_about_a_customer_narrows_a_licence_that_comes_later(world: Rig):
    world.do(lodging(world, ConcurrentTargets(1)))
    world.licence("north-9", cap=3)
    assert (cap(world, "north-9"), cap(world.reopened(), "north-9")) == (1, 1)


def test_an_amendment_that_brings_a_licence_under_an_overlay_is_under_it_at_once(world: Rig):
    world.do(lodging(world, ConcurrentTargets(1), product="reader"))
    assert (cap(world), epoch(world)) == (3, 1)
    found = world.look(lambda tx: tx.state("north-1").licence)
    changed = replace(found.terms, product="reader")
    world.do(AmendLicence("north-1", found.version, changed, "", "", "alice", "amended"))
    assert cap(world) == 1


def test_what_it_is_not_about_keeps_its_epoch(world: Rig):
    world.licence("north-2")
    world.do(lodging(world, ConcurrentTargets(1), licence="north-1"))
    assert [epoch(world, name) for name in ("north-1", "north-2", "south-1")] == [2, 1, 1]


def test_a_terminated_licence_is_left_as_it_is(world: Rig):
    world.do(TerminateLicence("north-1", "misuse", "d", "alice"))
    world.do(lodging(world, ConcurrentTargets(1)))
    assert epoch(world) == 2
    assert cap(world.reopened()) == 1


def test_a_licence_that_demands_an_overlay_grants_with_it_alone(world: Rig):
    system = PaperSystem(world, "alpha")
    system.open(wish(1))
    found = world.look(lambda tx: tx.state("north-1").licence)
    demanding = replace(found.terms, constraints=(*found.terms.constraints, OverlayRequired("export-qn")))
    world.do(AmendLicence("north-1", found.version, demanding, "", "", "alice", "amended"))
    assert world.entries("lease.ended")[-1]["reason"] == b"overlay-not-in-force"
    refused = system.beat(wish(1))
    assert reason(refused) == "OVERLAY_NOT_IN_FORCE"
    assert list(refused.denial.overlays) == ["export-qn"]  # type: ignore[union-attr]
    with pytest.raises(Conflict, match="gives licence north-1 more overlays by now"):
        world.do(lodging(world))
    world.do(lodging(world, may_widen=True))
    assert isinstance(system.open(wish(1)), Permit)


def test_a_licence_is_issued_that_stands_on_an_overlay_to_come_and_nobody_enrols_before(world: Rig):
    made = terms("north-2", "north", world.clock.wall())
    world.do(IssueLicence(replace(made, constraints=(*made.constraints, OverlayRequired("export-qn"))), "alice"))
    with pytest.raises(Forbidden, match="OVERLAY_NOT_IN_FORCE"):
        world.enrolled("alpha", "north-2")
    world.do(lodging(world, may_widen=True))
    assert isinstance(PaperSystem(world, "alpha", "north-2").open(wish(1)), Permit)


# ------------------------------------------------------------------------------------------------------ refused
REFUSED: dict[str, tuple[Callable[[Rig], Any], type[LicdError], str]] = {
    "of nobody": (lambda rig: lodging(rig, authority="export-qx"), NotFound, "there is no authority export-qx"),
    "by a former key": (lambda rig: lodging(rig, signer=STRANGER), Forbidden, "authority export-qn has another key"),
    "about nobody": (lambda rig: lodging(rig, customer="nobody"), NotFound, "there is no customer nobody"),
    "about another's licence": (
        lambda rig: lodging(rig, licence="south-1"),
        Invalid,
        f"overlay {ID} is about licence south-1, which is none of customer north",
    ),
    "about no licence": (lambda rig: lodging(rig, licence="north-9"), Invalid, "which is none of customer north"),
    "wider": (
        lambda rig: lodging(rig, ConcurrentTargets(4), licence="north-1"),
        Invalid,
        f"overlay {ID} tries to widen licence north-1 in cap; it can only narrow",
    ),
    "a withdrawal of nothing": (
        lambda rig: lodging(rig, effect=OverlayEffect.WITHDRAW),
        Invalid,
        f"there is no overlay {ID} to withdraw",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_lodged_is_refused_by_name_and_leaves_nothing(world: Rig, name: str):
    made, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        world.do(made(world))
    assert world.entries("overlay.lodged") == []
    assert world.look(lambda tx: tx.get(OVERLAYS, ID)) is None
    assert epoch(world) == 1


@pytest.mark.parametrize("revision", [1, 2])
def test_an_earlier_revision_is_not_taken_again(world: Rig, revision: int):
    world.do(lodging(world, ConcurrentTargets(2), revision=2))
    with pytest.raises(AlreadyExists, match=f"is at revision 2 .in-force.; revision {revision} is not taken again"):
        world.do(lodging(world, ConcurrentTargets(3), revision=revision, may_widen=True))
    assert cap(world) == 2


def test_what_was_withdrawn_does_not_come_back_by_being_lodged_again(world: Rig):
    asked = lodging(world, may_widen=True)
    world.do(asked)
    world.do(WITHDRAW)
    with pytest.raises(AlreadyExists, match=r"is at revision 1 \(withdrawn\)"):
        world.do(asked)


def test_a_revision_is_about_the_same_customer(world: Rig):
    world.do(lodging(world))
    with pytest.raises(Invalid, match=f"overlay {ID} is about customer north"):
        world.do(lodging(world, customer="south", revision=2, may_widen=True))


def test_one_person_widens_nothing_while_another_overlay_leaves_nothing(world: Rig):
    world.do(lodging(world, ConcurrentTargets(1)))
    world.do(lodging(world, reference="EX-2"))
    world.do(replace(WITHDRAW, overlay="export-qn/EX-2"))
    for wider in (
        lodging(world, ConcurrentTargets(3), revision=2),
        lodging(world, effect=OverlayEffect.LIFT, revision=2),
    ):
        with pytest.raises(Conflict, match="gives licence north-1 more cap"):
            world.do(wider)
    world.do(lodging(world, reference="EX-2", revision=2, may_widen=True))
    assert cap(world) == 1


def test_a_revision_that_gives_more_needs_two_persons_and_gives_it_under_a_newer_epoch(world: Rig):
    world.do(lodging(world, ConcurrentTargets(1)))
    wider = lodging(world, ConcurrentTargets(2), revision=2)
    with pytest.raises(Conflict, match="gives licence north-1 more cap"):
        world.do(wider)
    world.do(replace(wider, may_widen=True))
    assert (cap(world), epoch(world)) == (2, 3)


# ---------------------------------------------------------------------------------------------------- withdrawn
@pytest.fixture(params=["by one person", "by the authority", "with the authority"])
def withdraw(request: pytest.FixtureRequest) -> Callable[[Rig], Any]:
    ways: dict[str, Callable[[Rig], Any]] = {
        "by one person": lambda _: WITHDRAW,
        "by the authority": lambda rig: lodging(rig, revision=2, effect=OverlayEffect.WITHDRAW),
        "with the authority": lambda _: WithdrawAuthority("export-qn", "its key is lost", "alice"),
    }
    return ways[str(request.param)]


def test_a_withdrawal_stops_everything_at_once_and_frees_no_seat_early(world: Rig, withdraw: Callable[[Rig], Any]):
    system = PaperSystem(world, "alpha")
    system.open(wish(1))
    world.do(lodging(world, ConcurrentTargets(2)))
    world.clock.advance(10 * SECOND)
    system.beat()
    world.do(withdraw(world))
    done = world.told.batches[-1][0]
    assert [(each.kind, each.epoch) for each in done.directives] == [("suspend", 3)]
    assert world.entries("lease.ended")[-1]["reason"] == b"overlay-not-in-force"
    refused = system.beat()
    assert reason(refused) == "OVERLAY_NOT_IN_FORCE"
    assert refused.denial.detail == f"overlay {ID} was withdrawn"  # type: ignore[union-attr]
    assert world.look(lambda tx: tx.state("north-1").seats.occupied(tx.now)) == 1
    system.rig = world.reopened()
    assert reason(system.open(wish(1))) == "OVERLAY_NOT_IN_FORCE"
    unary = system.rig.do(AcquireLease("alpha", wish(2), "127.0.0.1", "r"))
    assert isinstance(unary.outcomes[0], Denied)
    checked = system.rig.do(CheckLicence("alpha", ""))
    assert checked.standing is not None
    assert checked.standing.overlays == (ID,)


def test_a_withdrawal_waits_for_no_clock(file_rig: Rig):
    rig = file_rig
    rig.licence()
    rig.do(registered())
    rig.do(lodging(rig))
    rig.clock.jump(DAY)
    assert rig.ledger.impediments()
    rig.do(WITHDRAW)
    assert overlay(rig).status is OverlayStatus.WITHDRAWN


def test_what_was_withdrawn_already_and_what_is_not_there_are_told_apart(world: Rig):
    with pytest.raises(NotFound, match=f"there is no overlay {ID}"):
        world.do(WITHDRAW)
    world.do(lodging(world))
    world.do(WITHDRAW)
    with pytest.raises(IllegalTransition, match=f"overlay {ID} was withdrawn already"):
        world.do(WITHDRAW)


def test_a_lifted_overlay_leaves_the_terms_and_is_not_withdrawn(world: Rig):
    world.do(lodging(world, ConcurrentTargets(1)))
    world.do(lodging(world, revision=2, effect=OverlayEffect.LIFT, may_widen=True))
    assert cap(world.reopened()) == 3


def test_a_withdrawn_authority_says_nothing_more_until_it_has_another_key(world: Rig):
    world.do(lodging(world, ConcurrentTargets(1)))
    world.do(WithdrawAuthority("export-qn", "its key is lost", "alice"))
    with pytest.raises(IllegalTransition, match=r"authority export-qn was withdrawn \(its key is lost\)"):
        world.do(lodging(world, revision=2, may_widen=True))
    with pytest.raises(IllegalTransition, match="was withdrawn"):
        world.do(WithdrawAuthority("export-qn", "again", "alice"))
    world.do(registered(signer=STRANGER))
    with pytest.raises(Forbidden, match="has another key"):
        world.do(lodging(world, revision=2, may_widen=True))
    world.do(lodging(world, ConcurrentTargets(2), revision=2, may_widen=True, signer=STRANGER))
    assert cap(world) == 2


def test_no_authority_has_a_key_of_somebody_else_and_nobody_an_authoritys(world: Rig):
    world.do(AddOperator("bob", ("auditor",), STRANGER.public_key, "id", b"c" * 32, "alice"))
    with pytest.raises(AlreadyExists, match="that is the signing key of operator bob"):
        world.do(registered("export-qx", STRANGER))
    with pytest.raises(AlreadyExists, match="that is the key of authority export-qn"):
        world.do(registered("export-qx"))
    key = world.enrolled("alpha").deployment.system_key
    with pytest.raises(AlreadyExists, match="that is the key of system alpha"):
        world.do(replace(registered("export-qx"), public_key=key))
    mine = registered().public_key
    with pytest.raises(AlreadyExists, match="that is the key of authority export-qn"):
        world.do(AddOperator("eve", ("auditor",), mine, "id", b"d" * 32, "alice"))


# --------------------------------------------------------------------------------------------------- over by time
def test_no_permit_outlives_its_overlay_and_none_is_given_after(world: Rig):
    world.do(lodging(world, not_after=world.clock.wall() + MINUTE))
    system = PaperSystem(world, "alpha")
    permit = system.open(wish(1))
    ends = world.clock.wall() + MINUTE
    for _ in range(10):
        assert isinstance(permit, Permit)
        assert all(end <= ends for end in permit.hard_ends_ms)
        world.clock.advance(5 * SECOND)
        permit = system.beat()
    world.clock.advance(10 * SECOND)
    refused = system.beat()
    assert reason(refused) == "OVERLAY_NOT_IN_FORCE"
    assert refused.denial.detail == f"overlay {ID} has run out"  # type: ignore[union-attr]


def test_an_overlay_that_had_run_out_stays_so_when_the_clock_is_accepted_backwards(file_rig: Rig):
    rig = file_rig
    rig.licence()
    rig.do(registered())
    rig.do(lodging(rig, not_after=rig.clock.wall() + DAY))
    system = PaperSystem(rig, "alpha")
    rig.clock.advance(DAY + HOUR)
    assert reason(system.open()) == "OVERLAY_NOT_IN_FORCE"
    rig.clock.jump(-2 * HOUR)
    assert rig.ledger.impediments()
    rig.do(AcceptClock(rig.ledger.timekeeper, rig.ledger.timekeeper.move(), "alice", "looked"))
    for restart in (False, True):
        system.rig = rig.reopened() if restart else rig
        assert reason(system.open(wish(1))) == "OVERLAY_NOT_IN_FORCE"
    assert [each["overlay"] for each in system.rig.entries("overlay.expired")] == [ID.encode()]
    system.rig.do(lodging(system.rig, revision=2, may_widen=True))
    assert isinstance(system.open(wish(1)), Permit)


def test_a_stored_permit_is_not_said_again_after_its_overlay_has_run_out(world: Rig):
    world.do(lodging(world, not_after=world.clock.wall() + 10 * SECOND))
    system = PaperSystem(world, "alpha")
    system.open(wish(1))
    link = system.link()
    world.do(link)
    world.clock.advance(10 * SECOND)
    assert reason(system.send(link)) == "OVERLAY_NOT_IN_FORCE"


# ------------------------------------------------------------------------------------- rows, log, other replicas
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE overlay SET status='lifted'", f"overlay {ID}"),
        ("UPDATE overlay SET customer='south'", f"overlay {ID}"),
        ("UPDATE overlay SET ended_at=1", f"overlay {ID}"),
        ("UPDATE overlay SET token=x'00'", f"overlay {ID}"),
        ("DELETE FROM overlay", f"overlay {ID}"),
        ("UPDATE authority SET public_key=x'01'", "authority export-qn"),
        ("UPDATE authority SET withdrawn_at=0", "authority export-qn"),
    ],
)
def test_licd_does_not_start_on_an_overlay_that_the_log_contradicts(file_rig: Rig, change: str, named: str):
    file_rig.licence()
    file_rig.do(registered())
    file_rig.do(lodging(file_rig))
    file_rig.do(WithdrawAuthority("export-qn", "d", "alice"))
    file_rig.connection.execute(change)
    with pytest.raises(LogRefused, match=named):
        file_rig.reopened()


def test_licd_does_not_start_on_wider_limits_than_were_signed(file_rig: Rig):
    file_rig.licence()
    file_rig.do(registered())
    file_rig.do(lodging(file_rig, ConcurrentTargets(1)))
    wider = overlay_payload(saying("north", file_rig.clock.wall(), "licd.example", ConcurrentTargets(9)))
    file_rig.connection.execute("UPDATE overlay SET terms = ?", (wider,))
    with pytest.raises(LogRefused, match="has terms that are not those of its signed token"):
        file_rig.reopened()


def test_another_replica_decides_by_an_overlay_at_once_and_hears_of_its_order(server_store: str):
    clock = HandClock()
    first, second = Rig(server_store, clock, seed=1), Rig(server_store, clock, seed=2)
    first.licence(cap=3)
    first.do(registered())
    system = PaperSystem(first, "alpha")
    system.open(wish(1))
    system.rig = second
    assert isinstance(system.beat(), Permit)
    first.do(lodging(first, ConcurrentTargets(1)))
    first.do(WITHDRAW)
    second.ledger.hurry()
    assert reason(system.beat()) == "OVERLAY_NOT_IN_FORCE"
    heard = [each for done, _ in second.told.batches for each in done.directives]
    assert [(each.kind, each.epoch) for each in heard][-2:] == [("amend", 2), ("suspend", 3)]
    assert second.look(lambda tx: tx.get(AUTHORITIES, "export-qn")) is not None
    first.close()
    second.close()


def test_a_failed_commit_leaves_the_right_as_it_was(world: Rig):
    world.connection.fail("commit")
    outcomes = world.ask(lodging(world, ConcurrentTargets(1)))
    assert isinstance(outcomes[0], LicdError)
    assert (cap(world), epoch(world)) == (3, 1)


def test_a_refused_command_after_others_in_its_batch_leaves_theirs(world: Rig):
    outcomes = world.ask(
        CreateCustomer("west", "West", "alice"),
        lodging(world, ConcurrentTargets(1)),
        lodging(world, ConcurrentTargets(2), revision=2),
        SuspendLicence(SuspensionScope(licence="south-1"), "manual", "d", "alice"),
    )
    assert isinstance(outcomes[2], Conflict)
    assert cap(world) == cap(world.reopened()) == 1
