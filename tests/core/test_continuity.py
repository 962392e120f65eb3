"""Continuity permits: what is given for a planned outage, to whom, until when, and that its seats stay held."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from licd.core.continuity import CONTINUITY_CEILING, Continuity, issue_continuity, take_word
from licd.core.errors import Conflict, IllegalTransition, Invalid, NotFound
from licd.core.link import Permit
from licd.core.reasons import Reason
from licd.core.release_lease import Released
from licd.core.time import HOUR, MINUTE, SECOND
from tests.builders import NOW
from tests.core.rig import Rig

OUTAGE = 2 * HOUR
ids = count(1)


def issue(rig: Rig, deployment: str = "", **changes: Any) -> tuple[Continuity, ...]:
    wanted: dict[str, Any] = {"until": rig.now + OUTAGE, "detail": "the move", "actor": "alice"} | changes
    return issue_continuity(rig.state, rig.now, deployment=deployment, new_id=lambda: f"C-{next(ids)}", **wanted)


def entries(rig: Rig, kind: str) -> list[dict[str, Any]]:
    return [dict(entry.fields) for entry in rig.state.changes.entries if entry.kind == kind]


def test_every_system_with_live_leases_gets_one_that_lists_them_and_nothing_else() -> None:
    rig = Rig()
    first, second = rig.grant(1, "a"), rig.grant(2, "a")
    other = rig.grant(3, "b")
    of_a, of_b = issue(rig)
    assert [each.lease for each in of_a.leases] == [first.id, second.id]
    assert [each.lease for each in of_b.leases] == [other.id]
    assert {each.hard_end for each in (*of_a.leases, *of_b.leases)} == {rig.now + OUTAGE}
    assert of_a.id != of_b.id
    assert of_a.session.session == rig.state.sessions["a"].session


def test_it_is_written_down_with_who_asked_for_what_and_until_when() -> None:
    rig = Rig()
    rig.grant(1, "a")
    [given] = issue(rig, "a")
    [entry] = entries(rig, "continuity.issued")
    assert entry["system"] == "a"
    assert (entry["continuity"], entry["actor"], entry["detail"]) == (given.id, "alice", "the move")
    assert (entry["leases"], entry["latest_hard_end"]) == (1, rig.now + OUTAGE)


def test_the_seat_is_held_until_its_end_and_rests_beyond_it_given_back_or_not() -> None:
    rig = Rig(cap=1)
    lease = rig.grant(1, "a")
    issue(rig, "a")
    until = rig.now + OUTAGE
    released = rig.give_back(lease.id, "a")
    assert isinstance(released, Released)
    assert released.free_at > until + rig.state.timing.act
    rig.now = until
    assert rig.refuse(2, "b").reason is Reason.CONCURRENT_CAP
    rig.now = released.free_at
    assert rig.grant(2, "b").id != lease.id


def test_a_lease_that_no_permit_renewed_meanwhile_is_live_and_renewed_after_the_outage() -> None:
    rig = Rig()
    lease = rig.grant(1, "a")
    issue(rig, "a")
    rig.now += OUTAGE - MINUTE
    rig.state.reap(rig.now)
    permit = rig.renew("a", held=[lease.id])
    assert [each.lease for each in permit.leases] == [lease.id]


def test_without_one_it_would_have_lapsed() -> None:
    rig = Rig()
    lease = rig.grant(1, "a")
    rig.now += OUTAGE - MINUTE
    permit = rig.renew("a", held=[lease.id])
    assert permit.leases == ()


def test_it_ends_with_the_term_and_with_an_authorisation() -> None:
    rig = Rig()
    over = rig.state.rights.not_after
    lease = rig.grant(1, "a", authorisation="w-1", authorisation_end=rig.now + HOUR)
    plain = rig.grant(2, "a")
    [given] = issue(rig, "a")
    assert {each.lease: each.hard_end for each in given.leases} == {
        lease.id: rig.now + HOUR,
        plain.id: rig.now + OUTAGE,
    }
    late = Rig(now=NOW)
    late.grant(1, "a")
    late.now = over - 10 * SECOND
    late.state.sessions["a"] = replace(late.state.sessions["a"], renewed_at=late.now)
    [last] = issue(late, "a")
    assert [each.hard_end for each in last.leases] == [over]


@pytest.mark.parametrize("length", [0, -SECOND, CONTINUITY_CEILING + 1])
def test_it_lies_ahead_and_is_capped_in_time(length: int) -> None:
    rig = Rig()
    rig.grant(1, "a")
    with pytest.raises(Invalid, match="24 hours"):
        issue(rig, until=rig.now + length)


def test_a_suspended_licence_gets_none() -> None:
    rig = Rig()
    rig.grant(1, "a")
    rig.suspend()
    with pytest.raises(IllegalTransition, match="does not stand"):
        issue(rig)


def test_a_licence_without_grace_gets_none() -> None:
    rig = Rig(grace=0)
    rig.grant(1, "a")
    with pytest.raises(IllegalTransition, match="no grace"):
        issue(rig)


def test_nobody_who_has_nothing_to_go_on_with_gets_one() -> None:
    with pytest.raises(Conflict, match="no system"):
        issue(Rig())
    unopened = Rig(opened=False)
    with pytest.raises(Conflict, match="no system"):
        issue(unopened, "a")
    with pytest.raises(NotFound):
        issue(Rig(), "stranger")
    rig = Rig()
    rig.unary(1, "a")
    with pytest.raises(Conflict, match="no system"):
        issue(rig, "a")


def test_there_is_one_at_a_time() -> None:
    rig = Rig()
    rig.grant(1, "a")
    issue(rig, "a", until=rig.now + MINUTE)
    with pytest.raises(Conflict, match="has not run out"):
        issue(rig, "a")
    rig.now += MINUTE - SECOND
    rig.renew("a")
    rig.now += SECOND
    with pytest.raises(Conflict, match="has not run out"):
        issue(rig, "a")
    rig.now += 10 * SECOND
    assert issue(rig, "a")


def test_a_link_that_names_it_is_its_delivery_and_one_that_says_used_its_end() -> None:
    rig = Rig()
    rig.grant(1, "a")
    [given] = issue(rig, "a")
    session = replace(rig.state.sessions["a"], continuity_payload=b"payload")
    assert take_word(rig.state, session, "", used=False) is session
    assert take_word(rig.state, session, "C-other", used=True) is session
    held = take_word(rig.state, session, given.id, used=False)
    assert (held.continuity, held.continuity_payload) == (given.id, b"")
    over = take_word(rig.state, held, given.id, used=True)
    assert (over.continuity, over.continuity_until) == ("", rig.now + OUTAGE)
    assert take_word(rig.state, over, given.id, used=True) is over
    assert len(entries(rig, "continuity.delivered")) == len(entries(rig, "continuity.used")) == 1


def test_another_session_of_the_system_has_none() -> None:
    rig = Rig()
    rig.grant(1, "a")
    issue(rig, "a")
    assert isinstance(rig.open("a"), Permit)
    session = rig.state.sessions["a"]
    assert (session.continuity, session.continuity_payload) == ("", b"")
    assert session.continuity_until == rig.now + OUTAGE
