"""Every denial is accounted for, and nobody fills the disk with them."""

from licd.core.time import MINUTE, SECOND
from licd.ledger.queries import tallies
from licd.ledger.rows import DENIAL_TALLIES
from licd.ledger.verbs.leases import AcquireLease, ReapLeases
from tests.ledger.rig import NOON, Rig, wish
from tests.ledger.system import PaperSystem


def denied(rig: Rig, times: int, number: int = 99, *, region: str = "DE") -> None:
    for _ in range(times):
        rig.do(AcquireLease("alpha", wish(number, region=region), "127.0.0.1", "r"))


def close(rig: Rig) -> None:
    """What the recurring job does."""
    found = tallies(rig.connection, rig.clock.wall() // MINUTE)
    rig.do(ReapLeases((), tuple(found)))


def counts(rig: Rig) -> list[int]:
    return [int(each["count"]) for each in rig.entries("denied.counted")]


def opened(rig: Rig) -> None:
    rig.licence()
    PaperSystem(rig, "alpha").open()


def test_ten_denials_are_told_and_the_rest_are_counted(rig: Rig):
    opened(rig)
    denied(rig, 25)
    told = rig.entries("denied")
    assert len(told) == 10
    assert told[0]["reason"] == b"REGION_NOT_PERMITTED"
    assert told[0]["system"] == b"alpha"
    rig.clock.advance(MINUTE)
    close(rig)
    assert counts(rig) == [15]
    close(rig)
    assert counts(rig) == [15]


def test_each_reason_has_ten_of_its_own(rig: Rig):
    opened(rig)
    denied(rig, 11)
    denied(rig, 11, region="XX")
    assert len(rig.entries("denied")) == 20


def test_a_new_minute_tells_ten_again_and_counts_the_last_one_first(rig: Rig):
    opened(rig)
    denied(rig, 12)
    rig.clock.advance(MINUTE)
    denied(rig, 1)
    assert counts(rig) == [2]
    assert len(rig.entries("denied")) == 11


def test_denials_are_counted_once_although_the_job_saw_an_older_count(rig: Rig):
    """The job reads, then a denial of the next minute comes, then the job writes."""
    opened(rig)
    denied(rig, 12)
    rig.clock.advance(MINUTE)
    seen = tuple(tallies(rig.connection, rig.clock.wall() // MINUTE))
    denied(rig, 13)
    rig.do(ReapLeases((), seen))
    assert counts(rig) == [2]
    tally = DENIAL_TALLIES.get(rig.connection, "alpha", "REGION_NOT_PERMITTED")
    assert tally is not None
    assert (tally.minute, tally.told, tally.counted) == (NOON // MINUTE + 1, 10, 3)
    rig.clock.advance(MINUTE)
    close(rig)
    assert counts(rig) == [2, 3]


def test_every_denial_of_an_hour_is_accounted_for_over_restarts(rig: Rig):
    opened(rig)
    made = 0
    for turn in range(12):
        denied(rig, turn * 3)
        made += turn * 3
        rig.clock.advance(MINUTE if turn % 3 else 20 * SECOND)
        if turn % 4 == 0:
            rig = rig.reopened()
        if turn % 5 == 0:
            close(rig)
    rig.clock.advance(MINUTE)
    close(rig)
    assert len(rig.entries("denied")) + sum(counts(rig)) == made
