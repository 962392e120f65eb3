"""A row changed behind licd's back: licd does not start on it, and names it."""

import re
from collections.abc import Callable
from typing import get_args, get_type_hints

import pytest

from licd.core.terms import ConcurrentTargets
from licd.ledger.log import LogRefused
from licd.ledger.told import SAYS, SILENT
from licd.ledger.verbs.customers import BanCustomer
from licd.ledger.verbs.deployments import ReenrolDeployment, RevokeDeployment
from licd.ledger.verbs.leases import ForceReleaseLease
from licd.ledger.verbs.licences import AmendLicence, SuspendLicence, SuspensionScope, TerminateLicence
from licd.ledger.verbs.operators import AddOperator, DisableOperator
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.wire.terms import terms_payload
from tests.architecture.sources import python_files
from tests.ledger.rig import Rig, terms, wish
from tests.ledger.system import PaperSystem

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")


@pytest.fixture
def rig(file_rig: Rig) -> Rig:
    """Rows changed below licd, in the words of one database."""
    return file_rig


@pytest.fixture
def world(rig: Rig) -> Rig:
    """One of each: suspended, revoked, banned, disabled."""
    for name in ("alice", "bob"):
        rig.do(AddOperator(name, ("licence-officer",), name.encode() * 8, name, name.encode() * 9, "alice"))
    rig.do(DisableOperator("bob", "alice", "left"))
    rig.licence()
    rig.licence("south-1", customer="south")
    PaperSystem(rig, "alpha").open(wish(1))
    PaperSystem(rig, "beta")
    rig.do(RevokeDeployment("beta", "manual", "d", "alice"))
    rig.do(SUSPEND)
    rig.do(BanCustomer("south", "manual", "d", "alice"))
    return rig


def wider(rig: Rig) -> None:
    """The cap of the signed terms, set by hand."""
    found = rig.look(lambda tx: tx.state("north-1").licence.terms)
    more = [each for each in found.constraints if not isinstance(each, ConcurrentTargets)]
    changed = terms_payload(terms("north-1", "north", found.not_before, cap=1_000))
    assert len(more) < len(found.constraints)
    rig.connection.execute("UPDATE licence SET terms = ? WHERE id = 'north-1'", (changed,))


def sql(text: str) -> Callable[[Rig], object]:
    return lambda rig: rig.connection.execute(text)


CHANGES: dict[str, tuple[str, Callable[[Rig], object]]] = {
    "a suspended licence is active": ("licence north-1", sql("UPDATE licence SET status='active' WHERE id='north-1'")),
    "an epoch goes back": ("licence north-1", sql("UPDATE licence SET epoch=2 WHERE id='north-1'")),
    "a licence is another customer's": (
        "licence north-1",
        sql("UPDATE licence SET customer='south' WHERE id='north-1'"),
    ),
    "the terms are wider": ("licence north-1", wider),
    "the token is another": ("licence north-1", sql("UPDATE licence SET token=x'00' WHERE id='north-1'")),
    "a customer is not banned": ("customer south", sql("UPDATE customer SET banned=0")),
    "a revoked deployment is enrolled": ("deployment beta", sql("UPDATE deployment SET status='enrolled'")),
    "a system has another key": ("deployment alpha", sql("UPDATE deployment SET system_key=x'01' WHERE id='alpha'")),
    "a connection has another key": (
        "deployment alpha",
        sql("UPDATE deployment SET channel_key_hash=x'01' WHERE id='alpha'"),
    ),
    "an operator has more roles": ("operator alice", sql("UPDATE operator SET roles='keymaster' WHERE id='alice'")),
    "an operator has another key": ("operator alice", sql("UPDATE operator SET public_key=x'01' WHERE id='alice'")),
    "an operator is enabled again": ("operator bob", sql("UPDATE operator SET enabled=1 WHERE id='bob'")),
    "an operator nobody added": ("operator eve", sql("UPDATE operator SET id='eve' WHERE id='bob'")),
    "a customer is gone": ("customer south", sql("DELETE FROM customer WHERE id='south'")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_licd_does_not_start_on_a_row_that_the_log_contradicts_and_names_it(world: Rig, change: str):
    named, do = CHANGES[change]
    do(world)
    with pytest.raises(LogRefused, match=named):
        world.reopened()


def test_rows_as_licd_left_them_are_taken_whatever_was_done(world: Rig):
    world.do(ReinstateLicence("north-1", 3, "unfounded", "d", "alice"))
    licence = world.look(lambda tx: tx.state("north-1").licence)
    more = terms("north-1", "north", licence.terms.not_before, cap=5)
    world.do(AmendLicence("north-1", licence.version, more, "c", "d", "alice", "amended"))
    system = PaperSystem(world, "gamma")
    (lease,) = system.open(wish(7)).leases  # type: ignore[union-attr]
    world.do(ForceReleaseLease(lease, 0, "manual", "d", "alice"))
    world.do(ReenrolDeployment("alpha", "disk lost", "alice"))
    world.do(AddOperator("bob", ("auditor",), b"new" * 8, "bob", b"new" * 9, "alice"))
    again = world.reopened()
    again.do(TerminateLicence("north-1", "manual", "d", "alice"))
    assert again.reopened().ledger.impediments() == ()


def test_each_way_to_amend_a_licence_is_known_here():
    ways = get_args(get_type_hints(AmendLicence)["verb"])
    assert {f"licence.{verb}" for verb in (*ways, "resealed")} <= SAYS.keys()


def test_each_kind_of_entry_about_a_subject_with_rights_is_known_here():
    """A new kind that changes such a row without being known would keep licd from starting."""
    said = re.compile(r'"((?:licence|deployment|operator|customer)\.[a-z-]+)"')
    found = {
        kind for path in python_files("licd/core", "licd/ledger") for kind in said.findall(path.read_text("utf-8"))
    }
    assert found - {"licence.token"} <= SAYS.keys() | SILENT
    assert {"licence.suspended", "operator.added", "customer.banned", "deployment.enrolled"} <= found
