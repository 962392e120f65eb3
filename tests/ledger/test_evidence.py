"""What must be evidence is in the log, written by the transaction that did it."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from licd.core.errors import Forbidden, LicdError
from licd.core.link import Release
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from licd.evidence.export import verify_export
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import MemorySigner
from licd.ledger.rows import DIRECTIVES
from licd.ledger.transaction import Command
from licd.ledger.verbs.acknowledge import Acknowledge
from licd.ledger.verbs.approvals import RejectApproval, RequestApproval
from licd.ledger.verbs.clock import AcceptClock, StoreBundle
from licd.ledger.verbs.customers import BanCustomer, CreateCustomer, UnbanCustomer
from licd.ledger.verbs.deployments import InviteDeployment, ReenrolDeployment, RevokeDeployment
from licd.ledger.verbs.leases import AcquireLease, ForceReleaseLease, ReapLeases, ReleaseLease
from licd.ledger.verbs.licences import AmendLicence, IssueLicence, SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.operators import AddOperator, DisableOperator
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.server.services.logs import exported
from tests.ledger.rig import Rig, keeper, terms, wish
from tests.ledger.system import PaperSystem


class World:
    """A licence with one system that holds two leases."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        rig.licence()
        self.system = PaperSystem(rig, "alpha")
        self.system.open(wish(1), wish(2))

    def appended(self, command: Command[Any]) -> list[dict[str, bytes]]:
        """The entries that a command adds."""
        before = self.rig.ledger.log_size
        self.rig.do(command)
        return self.rig.entries()[before:]

    def kinds(self, command: Command[Any]) -> list[str]:
        return [each["kind"].decode() for each in self.appended(command)]


@pytest.fixture
def world(rig: Rig) -> World:
    return World(rig)


def amended(world: World, **limits: Any) -> AmendLicence:
    found = world.rig.look(lambda tx: tx.state("north-1").licence)
    new = terms("north-1", "north", found.terms.not_before, **limits)
    return AmendLicence("north-1", found.version, new, "c", "d", "alice", "amended")


SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")


def test_every_change_of_rights_is_an_entry_of_its_own(world: World):
    rig = world.rig
    key, other = (MemorySigner(KeyPurpose.OPERATOR, seed * 32) for seed in (b"o", b"p"))
    expected: list[tuple[Command[Any], list[str]]] = [
        (CreateCustomer("south", "South", "alice"), ["customer.created"]),
        (IssueLicence(terms("south-1", "south", rig.clock.wall()), "alice"), ["licence.issued"]),
        (amended(world, cap=2), ["licence.amended"]),
        (replace(amended(world, cap=2), version=2, verb="renewed"), ["licence.renewed"]),
        (InviteDeployment("north-1", "beta", b"t" * 32, DAY, "alice"), ["deployment.invited"]),
        (SUSPEND, ["licence.suspended"]),
        (ReinstateLicence("north-1", 4, "unfounded", "d", "alice"), ["licence.reinstated"]),
        (ForceReleaseLease(world.system.held[0], 0, "manual", "d", "alice"), ["lease.ended", "lease.force-released"]),
        (RevokeDeployment("alpha", "manual", "d", "alice"), ["lease.ended", "deployment.revoked"]),
        (ReenrolDeployment("alpha", "d", "alice"), ["deployment.reinvited"]),
        (BanCustomer("north", "manual", "d", "alice"), ["licence.suspended", "customer.banned"]),
        (UnbanCustomer("north", "unfounded", "d", "alice"), ["customer.unbanned"]),
        (TerminateLicence("north-1", "misuse", "d", "alice"), ["licence.terminated"]),
        (AddOperator("carol", ("operator",), key.public_key, key.key_id, b"k", "alice"), ["operator.added"]),
        (AddOperator("dave", ("operator",), other.public_key, other.key_id, b"l", "alice"), ["operator.added"]),
        (DisableOperator("carol", "alice", "left"), ["operator.disabled"]),
        (StoreBundle(1, b"bundle", "alice"), ["trust.published"]),
        (AcceptClock(rig.ledger.timekeeper, 0, "alice", "looked"), ["clock.accepted"]),
        (RequestApproval("m", b"r", "alice", "s", 1, "w", 2, HOUR), ["approval.requested"]),
    ]
    for command, kinds in expected:
        assert (type(command).__name__, world.kinds(command)) == (type(command).__name__, kinds)


def test_what_a_person_does_names_the_person(world: World):
    found = [each for each in world.rig.entries() if each["kind"].split(b".")[0] in {b"licence", b"customer"}]
    found += world.appended(SUSPEND)
    assert [each["actor"] for each in found] == [b"alice"] * len(found)


def test_enrolling_says_which_keys_are_bound(world: World):
    entry = world.rig.entries("deployment.enrolled")[0]
    assert entry["key"] == MemorySigner(KeyPurpose.SYSTEM, sha256(b"alpha").digest()).public_key
    assert entry["enrolment"] == b"1"
    assert entry["pseudonym_commitment"] == b"c" * 32


def test_a_session_is_opened_with_the_head_of_its_chain(world: World):
    entry = world.rig.entries("session.opened")[0]
    assert entry["head"] == world.rig.look(lambda tx: tx.state("north-1").sessions["alpha"].link_hash)
    assert entry["sequence"] == b"1"


def test_grants_and_ends_are_entries_and_renewals_are_not(world: World):
    granted = world.rig.entries("lease.granted")
    assert [int(each["lease"]) for each in granted] == world.system.held
    world.rig.clock.advance(SECOND)
    size = world.rig.ledger.log_size
    world.system.beat()
    assert world.rig.ledger.log_size == size
    first, second = world.system.held
    world.system.held = [second]
    world.system.beat(Release(second))
    ended = world.rig.entries("lease.ended")
    assert [(int(each["lease"]), each["reason"]) for each in ended] == [(first, b"omitted"), (second, b"released")]


def test_a_lapsed_lease_is_ended_in_the_log(world: World):
    world.rig.clock.advance(HOUR)
    world.rig.do(ReapLeases(("north-1",), ()))
    assert {each["reason"] for each in world.rig.entries("lease.ended")} == {b"lapsed"}


def test_denials_are_entries_whichever_way_they_came(world: World):
    rig = world.rig
    world.system.beat(wish(5, region="DE"))
    rig.do(AcquireLease("alpha", wish(6, purpose="licd:none"), "127.0.0.1", "r"))
    rig.do(ReleaseLease("alpha", 7))
    link = world.system.link()
    rig.do(link)
    rig.do(SUSPEND)
    rig.do(link)
    world.system.last_reply = rig.look(lambda tx: tx.state("north-1").sessions["alpha"].reply)
    world.system.sequence += 1
    world.system.beat()
    rig.do(AcquireLease("alpha", wish(6), "127.0.0.1", "r2"))
    assert [each["reason"].decode() for each in rig.entries("denied")] == [
        "REGION_NOT_PERMITTED",
        "PURPOSE_NOT_PERMITTED",
        "LEASE_NOT_FOUND",
        "LICENCE_SUSPENDED",
        "LICENCE_SUSPENDED",
        "LICENCE_SUSPENDED",
    ]
    assert rig.entries("denied")[0]["target"] == wish(5).target


def test_the_head_of_a_chain_is_logged_every_hour(world: World):
    rig = world.rig
    before = len(rig.entries("chain.head"))
    for _ in range(13):
        rig.clock.advance(10 * MINUTE)
        world.system.beat()
    heads = rig.entries("chain.head")[before:]
    assert [int(each["sequence"]) for each in heads] == [7, 13]


def test_an_acknowledgement_says_when_it_came_and_what_it_ended(world: World):
    rig = world.rig
    rig.do(SUSPEND)
    rig.clock.advance(SECOND)
    entries = world.appended(replace(acknowledged(world, 2), stopped_at=rig.clock.wall()))
    assert [each["kind"] for each in entries] == [b"lease.ended", b"lease.ended", b"directive.acknowledged"]
    assert entries[2]["ended"] == b"2"
    assert int(entries[2]["stopped_at"]) == rig.clock.wall()


@pytest.mark.parametrize("epoch", [0, 1, 3, -1, 1 << 40])
def test_an_acknowledgement_of_what_was_not_ordered_is_no_evidence(world: World, epoch: int):
    world.rig.do(SUSPEND)
    assert world.kinds(replace(acknowledged(world, 2), epoch=epoch)) == []
    assert world.kinds(replace(acknowledged(world, 2), directive=b"d" * 32)) == []
    for wrong in ({"enrolment": 2}, {"system": "customer/north/system/beta"}, {"licence": "north-2"}):
        with pytest.raises(Forbidden):
            world.rig.do(replace(acknowledged(world, 2), **wrong))


def acknowledged(world: World, epoch: int) -> Acknowledge:
    """alpha has stopped, by the directive of that epoch."""
    directive = DIRECTIVES.get(world.rig.connection, "north-1", epoch)
    assert directive is not None
    said = sha256(directive.payload).digest()
    return Acknowledge("alpha", "customer/north/system/alpha", 1, "north-1", epoch, said, 0, 0, b"envelope")


def test_a_force_release_in_a_suspension_does_not_settle_it_while_leases_go_on(world: World):
    world.rig.do(SUSPEND)
    world.rig.do(ForceReleaseLease(world.system.held[0], 0, "manual", "d", "alice"))
    goes_on = replace(acknowledged(world, 3), active_leases=1)
    assert world.kinds(goes_on) == ["directive.acknowledged"]
    assert world.kinds(goes_on) == []
    assert world.rig.look(lambda tx: tx.state("north-1").deployments["alpha"].epoch_acknowledged) == 1
    assert "lease.ended" in world.kinds(acknowledged(world, 3))
    assert world.rig.look(lambda tx: tx.state("north-1").deployments["alpha"].epoch_acknowledged) == 3


def test_each_epoch_has_exactly_one_directive(world: World):
    rig = world.rig
    for command in (
        amended(world, cap=2),
        SUSPEND,
        ReinstateLicence("north-1", 3, "unfounded", "d", "alice"),
        ForceReleaseLease(world.system.held[0], 0, "manual", "d", "alice"),
        SUSPEND,
        RevokeDeployment("alpha", "manual", "d", "alice"),
        TerminateLicence("north-1", "misuse", "d", "alice"),
    ):
        rig.do(command)
    found = DIRECTIVES.where(rig.connection)
    assert [(each.epoch, each.kind) for each in found] == [
        (2, "amend"),
        (3, "suspend"),
        (4, "reinstate"),
        (5, "force-release"),
        (6, "suspend"),
        (7, "revoke"),
        (8, "terminate"),
    ]
    logged = [int(each["epoch"]) for each in rig.entries() if b"licence." in each["kind"]]
    assert logged == sorted(logged)


def test_a_rejected_approval_is_logged(world: World):
    approval = world.rig.do(RequestApproval("m", b"r", "alice", "s", 1, "w", 2, HOUR))
    assert world.kinds(RejectApproval(approval.id, "bob", "no")) == ["approval.rejected"]


def test_a_refused_command_is_no_entry(world: World):
    size = world.rig.ledger.log_size
    for command in (
        CreateCustomer("north", "North", "alice"),
        ReinstateLicence("north-1", 1, "unfounded", "d", "alice"),
        DisableOperator("nobody", "alice", "d"),
        TerminateLicence("nothing", "misuse", "d", "alice"),
    ):
        with pytest.raises(LicdError):
            world.rig.do(command)
    assert world.rig.ledger.log_size == size


def test_the_export_of_all_that_verifies(world: World):
    world.rig.do(SUSPEND)
    report = verify_export(exported(world.rig.connection, keeper().origin), keeper().verifier)
    assert report.final.size == world.rig.ledger.log_size
