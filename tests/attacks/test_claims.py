"""What is claimed and not understood is denied, with a reason; and denials fill no disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from licd.core.time import MINUTE
from licd.v1 import licence_pb2, log_service_pb2, session_pb2
from tests.daemon import Daemon
from tests.office import Office
from tests.wired_system import PURPOSE, acquire, joined, licence_of, reason, target

PLAN, DECLARED = licence_pb2.REGION_BASIS_NUMBER_PLAN, licence_pb2.REGION_BASIS_DECLARED


def claiming(number: int, *claims: tuple[str, int]) -> session_pb2.Operation:
    regions = [session_pb2.RegionClaim(region=region, basis=basis) for region, basis in claims]  # type: ignore[arg-type]
    asked = session_pb2.Acquisition(target=target(number), regions=regions, purpose=PURPOSE)
    return session_pb2.Operation(acquire=asked)


@pytest.mark.parametrize("region", ["", "XX", "no", "NOR", "N\u041e", "NO ", "NO\x00", "*", "EU", "ZZ-01"])
def test_region_unknown(office: Office, region: str):
    system = joined(office)
    permit = system.open(claiming(1, (region, PLAN)))
    assert isinstance(permit, session_pb2.Permit)
    assert reason(permit.outcomes[0].denial) == "REGION_UNKNOWN"
    assert list(permit.leases) == []
    assert reason(system.read(system.acquire(2, region=region).denial)) == "REGION_UNKNOWN"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ([("NO", PLAN), ("DE", DECLARED)], "REGION_BASES_DISAGREE"),
        ([("DE", DECLARED), ("NO", PLAN)], "REGION_BASES_DISAGREE"),
        ([("NO", PLAN), ("SE", PLAN)], "REGION_BASES_DISAGREE"),
        ([("NO", PLAN), ("XX", DECLARED)], "REGION_UNKNOWN"),
        ([], "REGION_UNKNOWN"),
    ],
)
def test_evidence_bases_disagree(office: Office, claims: list[tuple[str, int]], why: str):
    """A basis that the licence does not accept proves nothing, and can still contradict one that it does."""
    system = joined(office)
    permit = system.open(claiming(1, *claims), claiming(2, ("NO", PLAN)))
    assert isinstance(permit, session_pb2.Permit)
    assert reason(permit.outcomes[0].denial) == why
    assert permit.outcomes[1].HasField("grant")


def test_flood_of_denials(own_daemon: Callable[..., Daemon]):
    """A thousand denials in a minute cost ten entries, and one that counts the rest."""
    daemon = own_daemon()
    office = Office(daemon)
    system = joined(office)
    system.open()
    licence = licence_of(office, system)
    daemon.clock.passed += MINUTE - daemon.clock.wall() % MINUTE  # a minute of its own
    before = daemon.up.daemon.ledger.log_size
    with system.stream() as stream:
        for _ in range(5):
            permit = stream.beat(*[acquire(number, region="DE") for number in range(200)])
            assert len(permit.outcomes) == 200
    assert daemon.up.daemon.ledger.log_size - before <= 11
    daemon.clock.passed += MINUTE
    with system.stream() as stream:
        stream.beat(acquire(1, region="DE"))
    request = log_service_pb2.ListEntriesRequest(licence=licence)
    fields = [
        {field.name: field.value for field in entry.fields}
        for entry in office.alice.call("LogService.ListEntries", request).entries
    ]
    counted = [each for each in fields if each["kind"] == "denied.counted"]
    assert [int(each["count"]) for each in counted] == [990]
    assert sum(each["kind"] == "denied" for each in fields) == 11
