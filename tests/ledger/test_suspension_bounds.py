"""What is said of a suspension: nobody acts after it, whatever was given back and taken again before."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, cast

from licd.core.errors import Forbidden
from licd.core.link import Release
from licd.core.time import HOUR, SECOND
from licd.ledger.database import Connection, Row
from licd.ledger.queries import suspension_now
from licd.ledger.rows import DIRECTIVES, SUSPENSION_SYSTEMS
from licd.ledger.verbs.acknowledge import Acknowledge
from licd.ledger.verbs.licences import Suspended, SuspendLicence, SuspensionScope
from licd.ledger.verbs.reinstatement import ReinstateLicence
from licd.v1.session_pb2 import Permit
from tests.ledger.rig import Rig, wish
from tests.ledger.system import PaperSystem

SUSPEND = SuspendLicence(SuspensionScope(licence="north-1"), "manual", "because", "alice")


def test_the_bound_covers_permits_of_a_lease_that_was_given_back_and_taken_again(rig: Rig):
    rig.licence(cap=1, grace=HOUR)
    system = PaperSystem(rig, "alpha")
    system.open()
    (lease,) = system.acquire(wish(1))
    ends = 0
    for _ in range(200):
        rig.clock.advance(19 * SECOND)
        permit = system.beat()
        assert isinstance(permit, Permit)
        ends = permit.hard_ends_ms[0]
    system.beat(Release(lease))
    system.acquire(wish(1))
    done = rig.do(SUSPEND)
    row = SUSPENSION_SYSTEMS.get(rig.connection, done.suspension, "alpha")
    assert row is not None
    assert row.bounded_until >= ends


def acknowledged(system: PaperSystem, done: Suspended, active: int = 0) -> Acknowledge:
    """Its word on the suspension's directive, as it would be verified."""
    directive = DIRECTIVES.get(system.rig.connection, "north-1", done.licences[0].epoch)
    assert directive is not None
    said = sha256(directive.payload).digest()
    name, at = f"customer/north/system/{system.name}", system.rig.clock.wall()
    return Acknowledge(system.name, name, 1, "north-1", directive.epoch, said, at, active, b"envelope")


def suspended(rig: Rig, count: int) -> tuple[list[PaperSystem], Suspended]:
    """So many systems with a lease each, and their licence's suspension."""
    rig.licence(cap=100)
    systems = [PaperSystem(rig, f"s{number:02d}") for number in range(count)]
    for number, system in enumerate(systems):
        system.open()
        system.acquire(wish(number))
    return systems, rig.do(SUSPEND)


def test_a_suspension_is_shown_with_who_has_stopped_and_what_the_others_still_hold(rig: Rig):
    (first, second, _), done = suspended(rig, 3)
    rig.do(acknowledged(first, done))
    rig.do(acknowledged(second, done, active=1))
    shown = suspension_now(rig.connection, done.suspension)
    assert shown is not None
    assert [each.deployment for each in shown.systems] == ["s00", "s01", "s02"]
    assert set(shown.acknowledged) == {"s00"}
    assert shown.live == {"s01": 1, "s02": 1}
    assert shown.continuity == {"s00": 0, "s01": 0, "s02": 0}
    epoch = done.licences[0].epoch
    rig.do(ReinstateLicence("north-1", epoch, "unfounded", "d", "alice"))
    again = rig.do(SUSPEND)
    for system in (first, second):
        rig.do(acknowledged(system, again))
    shown = suspension_now(rig.connection, done.suspension)
    assert shown is not None
    assert {name: said.epoch for name, said in shown.acknowledged.items()} == {"s00": epoch, "s01": epoch + 2}
    assert shown.live == {"s02": 1}


def test_an_acknowledgement_for_a_licence_that_cannot_be_named_is_refused_by_itself(rig: Rig):
    (first, second, _), done = suspended(rig, 3)
    nameless = replace(acknowledged(first, done), licence="\0")
    commits = rig.connection.commits
    refused, _ = rig.ask(nameless, acknowledged(second, done))
    assert isinstance(refused, Forbidden)
    assert rig.connection.commits == commits + 1
    assert rig.kinds()[-1] == "directive.acknowledged"


class Counted:
    """A connection whose statements are counted."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.statements = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def execute(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        self.statements += 1
        return self._inner.execute(text, arguments)


def test_who_has_stopped_is_read_at_once_however_many_systems_there_are(rig: Rig):
    """Whoever watches a suspension must not hold up the acknowledgements that he waits for."""
    _, done = suspended(rig, 4)
    counted = Counted(rig.connection)
    shown = suspension_now(cast("Connection", counted), done.suspension)
    assert shown is not None
    assert len(shown.systems) == 4
    assert counted.statements <= 5
