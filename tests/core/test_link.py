"""One accepted step of a chain: what is renewed, until when, and what is not."""

from dataclasses import replace

import pytest

from licd.core.acquire_lease import Granted
from licd.core.bounds import Timing, epsilon
from licd.core.link import Permit, Release
from licd.core.model import Entry
from licd.core.reasons import Denied, Reason
from licd.core.release_lease import Released
from licd.core.terms import (
    AuthorisationRequired,
    Basis,
    DeploymentAddresses,
    DeploymentRegions,
    Offences,
    ProtectedPersonAttestation,
)
from licd.core.time import DAY, HOUR, MINUTE, SECOND
from tests.builders import GRACE, LENGTH, NOW, TIMING, make_ask
from tests.core.rig import BEAT, Rig

EPSILON = epsilon(LENGTH, GRACE, TIMING)


def entries(rig: Rig, kind: str) -> list[Entry]:
    return [entry for entry in rig.state.changes.entries if entry.kind == kind]


def field(entry: Entry, name: str) -> object:
    return dict(entry.fields)[name]


# ------------------------------------------------------------------------------------------------- hard ends
@pytest.mark.parametrize("age", [0, 1, 4_999, 19_999])
def test_grace_grows_with_the_age_of_the_lease(age: int):
    rig = Rig()
    lease = rig.grant()
    rig.now += age
    assert rig.ends(rig.renew()) == {lease.id: LENGTH + age}


@pytest.mark.parametrize("grace", [0, 7 * SECOND, GRACE])
def test_grace_ends_with_the_figure_of_the_licence(grace: int):
    rig = Rig(grace=grace)
    lease = rig.grant()
    rig.keep(GRACE + MINUTE)
    assert rig.ends(rig.renew()) == {lease.id: LENGTH + grace}


def test_each_lease_of_a_permit_has_the_grace_of_its_own_age():
    rig = Rig()
    old = rig.grant(1)
    rig.keep(MINUTE)
    young = rig.grant(2)
    rig.now += BEAT
    assert rig.ends(rig.renew()) == {old.id: LENGTH + MINUTE + BEAT, young.id: LENGTH + BEAT}


def test_no_permit_reaches_past_the_end_of_the_licence():
    rig = Rig(not_after=NOW + 2 * MINUTE)
    rig.grant()
    rig.keep(2 * MINUTE - BEAT)
    permit = rig.renew()
    assert [each.hard_end for each in permit.leases] == [NOW + 2 * MINUTE]
    rig.now = NOW + 2 * MINUTE
    denied = rig.link()
    assert isinstance(denied, Denied)
    assert denied.reason is Reason.LICENCE_EXPIRED


def test_no_grant_reaches_past_the_end_of_the_licence():
    rig = Rig(not_after=NOW + SECOND)
    outcome = rig.acquire()
    assert isinstance(outcome, Granted)
    assert outcome.hard_end == NOW + SECOND


def test_no_permit_reaches_past_the_authorisation():
    rig = Rig(AuthorisationRequired(0))
    lease = rig.grant(authorisation="w-1", authorisation_end=NOW + MINUTE)
    rig.keep(MINUTE - 1)
    assert rig.ends(rig.renew()) == {lease.id: 1}
    rig.now += 1
    permit = rig.renew()
    assert permit.leases == ()
    assert permit.ended == ((lease.id, Reason.AUTHORISATION_EXPIRED),)


def test_a_renewal_after_the_clock_was_set_back_keeps_the_seat_for_every_permit_ever_given():
    rig = Rig(cap=1, opened=False)
    rig.now += DAY
    rig.open()
    lease = rig.grant()
    rig.keep(GRACE)
    before = rig.state.bound(lease)
    rig.now -= HOUR  # an operator accepted an earlier time; the lease is younger than nothing now
    permit = rig.renew()
    assert [each.hard_end for each in permit.leases] == [rig.now + LENGTH]
    assert rig.state.bound(rig.state.seats.live[lease.target]) == before
    assert rig.release(lease.id) == Released(lease.id, before + EPSILON)


# ------------------------------------------------------------------------------------------- held and left out
def test_a_lease_left_out_of_a_link_ends_and_cools_until_its_last_permit_has_run_out():
    rig = Rig()
    lease, other = rig.grant(1), rig.grant(2)
    rig.now += BEAT
    permit = rig.renew(held=[other.id])
    assert [each.lease for each in permit.leases] == [other.id]
    ended = rig.state.seats.by_id[lease.id]
    assert (ended.end_reason, ended.free_at) == ("omitted", NOW + LENGTH + EPSILON)


def test_a_lapsed_lease_is_never_made_again_by_renewing_it():
    rig = Rig()
    lease = rig.grant()
    rig.now += LENGTH
    permit = rig.renew()
    assert permit.leases == ()
    assert permit.ended == ((lease.id, Reason.LEASE_LAPSED),)


def test_a_lease_that_was_reaped_is_told_as_lapsed():
    rig = Rig()
    lease = rig.grant()
    rig.now += LENGTH
    assert rig.state.reap(rig.now) == 1
    assert rig.renew(held=[lease.id]).ended == ((lease.id, Reason.LEASE_LAPSED),)


@pytest.mark.parametrize("identifier", [0, 999, 2**63, 2**64 - 1])
def test_a_lease_that_never_was_cannot_be_held(identifier: int):
    assert Rig().renew(held=[identifier]).ended == ((identifier, Reason.LEASE_NOT_FOUND),)


def test_anothers_lease_cannot_be_held_and_answers_as_missing():
    rig = Rig()
    lease = rig.grant(1, "a")
    assert rig.renew("b", held=[lease.id]).ended == ((lease.id, Reason.LEASE_NOT_FOUND),)
    assert rig.state.seats.live[lease.target].deployment == "a"
    rig.release(lease.id)
    assert rig.renew("b", held=[lease.id]).ended == ((lease.id, Reason.LEASE_NOT_FOUND),)


def test_a_lapsed_lease_named_many_times_ends_once():
    # Else one link would write ten thousand entries into the log.
    rig = Rig()
    lease = rig.grant()
    rig.now += LENGTH
    permit = rig.renew(held=[lease.id] * 100)
    assert permit.ended[0] == (lease.id, Reason.LEASE_LAPSED)
    assert len(entries(rig, "lease.ended")) == 1


def test_a_lease_held_twice_stands_on_the_permit_once():
    rig = Rig()
    lease = rig.grant()
    assert [each.lease for each in rig.renew(held=[lease.id, lease.id]).leases] == [lease.id]


def test_one_systems_link_renews_nothing_of_anothers():
    rig = Rig()
    rig.grant(1, "a")
    other = rig.grant(2, "b")
    before = rig.state.bound(other)
    rig.now += BEAT
    rig.renew("a")
    assert rig.state.bound(other) == before


# --------------------------------------------------------------------------------------------- operations
def test_a_release_in_a_link_cools_until_the_last_permit_that_listed_the_lease():
    rig = Rig()
    lease = rig.grant()
    rig.keep(MINUTE)
    listed = rig.renew().leases[0].hard_end
    rig.now += BEAT
    permit = rig.renew("a", Release(lease.id))
    assert permit.leases == ()
    assert permit.outcomes == (Released(lease.id, listed + EPSILON),)


@pytest.mark.parametrize("held", [(), None])
def test_a_release_is_told_as_a_release_whether_or_not_the_lease_is_held(held: tuple[int, ...] | None):
    rig = Rig()
    lease = rig.grant()
    rig.now += BEAT
    permit = rig.renew("a", Release(lease.id), held=held)
    assert permit.ended == ()
    assert permit.outcomes == (Released(lease.id, NOW + LENGTH + EPSILON),)
    assert [field(entry, "reason") for entry in entries(rig, "lease.ended")] == ["released"]


def test_operations_are_decided_in_their_order():
    rig = Rig(cap=1)
    lease = rig.grant()
    permit = rig.renew("a", make_ask(1), Release(lease.id), make_ask(1))
    same, released, regained = permit.outcomes
    assert isinstance(same, Granted)
    assert isinstance(released, Released)
    assert isinstance(regained, Granted)
    assert (same.lease.id, same.existing, regained.existing) == (lease.id, True, False)
    assert [each.lease for each in permit.leases] == [regained.lease.id]


def test_a_lease_asked_for_and_given_back_in_one_link_is_not_on_its_permit_but_cools():
    rig = Rig(cap=1)
    first = rig.grant(1)
    rig.release(first.id)
    rig.now += HOUR
    permit = rig.renew("a", make_ask(2), Release(2), held=())
    assert permit.leases == ()
    assert permit.outcomes[1] == Released(2, rig.now + LENGTH + EPSILON)
    assert rig.refuse(3).reason is Reason.CONCURRENT_CAP


def test_the_grant_and_the_column_of_one_permit_say_the_same_end():
    rig = Rig()
    rig.grant(1)
    rig.keep(MINUTE)
    permit = rig.renew("a", make_ask(1), make_ask(2))
    columns = {each.lease: each.hard_end for each in permit.leases}
    for outcome in permit.outcomes:
        assert isinstance(outcome, Granted)
        assert outcome.hard_end == columns[outcome.lease.id]


def test_a_release_of_what_is_not_the_callers_is_denied_and_the_rest_goes_on():
    rig = Rig()
    lease = rig.grant(1, "b")
    permit = rig.renew("a", Release(lease.id), make_ask(2))
    denied, granted = permit.outcomes
    assert isinstance(denied, Denied)
    assert denied.reason is Reason.LEASE_NOT_FOUND
    assert isinstance(granted, Granted)
    assert lease.target in rig.state.seats.live


# ---------------------------------------------------------------------------------------------- sessions
def test_leases_carry_over_into_a_new_session_and_are_not_doubled():
    rig = Rig(cap=1)
    lease = rig.grant()
    rig.now += BEAT
    permit = rig.open("a", [lease.id])
    assert rig.ends(permit) == {lease.id: LENGTH + BEAT}
    assert rig.occupied == 1


def test_what_a_new_session_leaves_out_cools():
    rig = Rig()
    lease = rig.grant()
    rig.now += BEAT
    permit = rig.open("a")
    assert isinstance(permit, Permit)
    assert permit.leases == ()
    assert rig.state.seats.by_id[lease.id].free_at == NOW + LENGTH + EPSILON


def test_a_heartbeat_of_another_session_is_refused():
    rig = Rig()
    rig.state.put(replace(rig.state.sessions["a"], session="newer"))
    rig_session = rig.state.sessions["a"]
    assert isinstance(rig.link(), Permit)
    rig.state.put(replace(rig_session, session="newest"))
    before = rig.state.sessions["b"]
    rig.state.put(replace(before, deployment="a", session="newest"))
    answer = rig._answer("a", "newer", (), (), None)
    assert isinstance(answer, Denied)
    assert answer.reason is Reason.NO_SESSION


def test_the_first_link_must_open_a_session():
    # The row of a fresh enrolment has the empty session: a heartbeat that names none must not match it.
    rig = Rig(opened=False)
    answer = rig.link("a", make_ask())
    assert isinstance(answer, Denied)
    assert answer.reason is Reason.NO_SESSION
    assert rig.state.seats.live == {}


def test_a_refused_link_renews_nothing_ends_nothing_and_carries_nothing_out():
    rig = Rig()
    lease = rig.grant()
    before = rig.state.bound(lease)
    rig.suspend()
    rig.now += BEAT
    answer = rig.link("a", make_ask(2), Release(lease.id), held=())
    assert isinstance(answer, Denied)
    assert rig.state.seats.live[lease.target].ended_at == 0
    assert rig.state.bound(lease) == before


def test_a_session_can_be_opened_while_suspended_and_gives_no_rights():
    rig = Rig()
    rig.suspend()
    answer = rig.open("a")
    assert isinstance(answer, Denied)
    assert answer.reason is Reason.LICENCE_SUSPENDED
    assert rig.state.sessions["a"].sequence == 2


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (DeploymentRegions(frozenset(("AT",))), Reason.DEPLOYMENT_REGION_NOT_PERMITTED),
        (DeploymentAddresses(frozenset(("198.51.100.0/24",))), Reason.ADDRESS_NOT_PERMITTED),
    ],
)
def test_a_system_in_the_wrong_place_gets_no_permit(limit: DeploymentRegions | DeploymentAddresses, reason: Reason):
    rig = Rig(limit, opened=False)
    answer = rig.open()
    assert isinstance(answer, Denied)
    assert answer.reason is reason


def test_where_a_system_stands_is_what_it_said_when_it_opened():
    rig = Rig(DeploymentRegions(frozenset(("AT",))), opened=False)
    assert isinstance(rig.open(region="AT-1"), Permit)
    assert isinstance(rig.link(), Permit)
    assert rig.state.deployments["a"].region == "AT-1"
    assert isinstance(rig.open(region="DE"), Denied)
    assert isinstance(rig.link(), Denied)


def test_opening_is_logged_with_the_session_it_fences():
    rig = Rig()
    opened = entries(rig, "session.opened")[0]
    before = rig.state.sessions["a"].session
    rig.open()
    again = entries(rig, "session.opened")[-1]
    assert (field(opened, "fenced"), field(again, "fenced")) == ("", before)


# --------------------------------------------------------------------------------------------- narrowing
def test_after_the_cap_was_narrowed_the_youngest_excess_leases_are_not_renewed():
    rig = Rig(cap=4)
    leases = []
    for number in range(4):
        leases.append(rig.grant(number))
        rig.now += 1
    rig.amend(cap=2)
    permit = rig.renew()
    assert [each.lease for each in permit.leases] == [leases[0].id, leases[1].id]
    assert permit.ended == ((leases[2].id, Reason.CAP_NARROWED), (leases[3].id, Reason.CAP_NARROWED))


def test_the_youngest_are_those_of_the_whole_licence_and_each_system_loses_its_own():
    rig = Rig(cap=4)
    old = rig.grant(1, "a")
    rig.now += 1
    mid = rig.grant(2, "b")
    rig.now += 1
    young = rig.grant(3, "a")
    rig.amend(cap=1)
    assert [each.lease for each in rig.renew("b").leases] == []
    assert [each.lease for each in rig.renew("a").leases] == [old.id]
    assert {rig.state.seats.by_id[each.id].end_reason for each in (mid, young)} == {"cap-narrowed"}


def test_leases_that_have_lapsed_do_not_crowd_out_live_ones_after_narrowing():
    rig = Rig(cap=4)
    for number in (1, 2):
        rig.grant(number, "b")
    rig.now += 1
    mine = [rig.grant(number, "a") for number in (3, 4)]
    rig.keep(LENGTH)  # b is silent; nobody reaps
    rig.amend(cap=2)
    permit = rig.renew("a")
    assert [each.lease for each in permit.leases] == [lease.id for lease in mine]
    assert permit.ended == ()


def test_what_a_system_gives_back_by_itself_is_not_taken_from_it_a_second_time():
    rig = Rig(cap=3)
    leases = []
    for number in range(3):
        leases.append(rig.grant(number))
        rig.now += 1
    rig.amend(cap=2)
    permit = rig.renew("a", Release(leases[0].id))
    assert [each.lease for each in permit.leases] == [leases[1].id, leases[2].id]
    assert permit.ended == ()


def test_no_grant_while_live_and_cooling_pass_the_narrowed_cap():
    rig = Rig(cap=3)
    for number in range(3):
        rig.grant(number)
    rig.amend(cap=2)
    assert rig.refuse(9, "b").reason is Reason.CONCURRENT_CAP
    rig.renew()
    assert rig.occupied == 3
    assert rig.refuse(9, "b").reason is Reason.CONCURRENT_CAP


@pytest.mark.parametrize(("length", "grace"), [(LENGTH, 0), (SECOND, GRACE), (SECOND, 0), (SECOND, DAY)])
def test_narrowed_figures_never_free_a_seat_before_the_longer_permit_is_dead(length: int, grace: int):
    rig = Rig(cap=1)
    lease = rig.grant()
    rig.keep(GRACE)
    permit_end = rig.renew().leases[0].hard_end
    rig.amend(cap=1, length=length, grace=grace)
    rig.now += 1
    rig.renew()
    released = rig.release(lease.id)
    assert isinstance(released, Released)
    assert released.free_at >= permit_end + EPSILON


def test_the_rest_after_a_permit_is_that_of_the_figures_it_was_decided_under():
    # A day of grace drifts by 17 s; narrowed away, the permit that has it still drifts so far.
    rig = Rig(cap=1, grace=DAY)
    lease = rig.grant()
    rig.keep(HOUR)
    permit_end = rig.renew().leases[0].hard_end
    rig.amend(cap=1, grace=0)
    rig.renew()
    released = rig.release(lease.id)
    assert released == Released(lease.id, permit_end + epsilon(LENGTH, DAY, TIMING))
    again = rig.grant(1)
    assert rig.release(again.id) == Released(again.id, released.free_at)


def test_the_rest_of_a_unary_lease_is_that_of_its_own_length():
    slow = Timing(act=0, rate_error_ppm=50_000)
    rig = Rig(cap=1, length=MINUTE, grace=0, timing=slow)
    outcome = rig.unary()
    assert isinstance(outcome, Granted)
    rig.amend(cap=1, length=SECOND, grace=0)
    wanted = outcome.hard_end + epsilon(MINUTE, 0, slow)
    rig.now += SECOND
    rig.renew(held=[outcome.lease.id])
    released = rig.release(outcome.lease.id)
    assert isinstance(released, Released)
    assert released.free_at >= wanted


def test_a_term_cut_short_does_not_free_a_seat_early():
    rig = Rig(cap=1)
    lease = rig.grant()
    rig.keep(MINUTE)
    permit_end = rig.renew().leases[0].hard_end
    rig.amend(cap=1, not_after=rig.now + BEAT)
    assert [each.hard_end for each in rig.renew().leases] == [rig.now + BEAT]
    assert rig.state.bound(rig.state.seats.live[lease.target]) == permit_end


def test_widened_figures_count_from_the_next_link_on():
    rig = Rig(cap=1, grace=0)
    lease = rig.grant()
    rig.keep(MINUTE)
    rig.amend(cap=1, grace=GRACE, length=2 * LENGTH)
    assert rig.state.bound(rig.state.seats.live[lease.target]) == rig.now + LENGTH
    assert rig.ends(rig.renew()) == {lease.id: 2 * LENGTH + MINUTE}


SCOPES = [
    ({"regions": ["AT"]}, (), Reason.REGION_NOT_PERMITTED),
    ({"bases": [Basis.DECLARED]}, (), Reason.REGION_BASIS_NOT_ACCEPTED),
    ({"purposes": ["test:two"]}, (), Reason.PURPOSE_NOT_PERMITTED),
    ({}, (Offences(frozenset(("o:2",))),), Reason.OFFENCE_NOT_PERMITTED),
    ({}, (AuthorisationRequired(0),), Reason.AUTHORISATION_REQUIRED),
    ({}, (ProtectedPersonAttestation(),), Reason.ATTESTATION_REQUIRED),
]


@pytest.mark.parametrize(("figures", "extra", "reason"), SCOPES)
def test_what_a_narrowed_licence_no_longer_permits_is_not_renewed(figures, extra, reason: Reason):
    rig = Rig()
    lease = rig.grant(1, offence="o:1")
    rig.now += BEAT
    permit_end = rig.renew().leases[0].hard_end
    rig.amend(*extra, **figures)
    permit = rig.renew(held=[lease.id])
    assert permit.leases == ()
    assert permit.ended == ((lease.id, reason),)
    assert rig.state.seats.by_id[lease.id].free_at == permit_end + EPSILON


def test_what_a_narrowed_licence_still_permits_goes_on():
    rig = Rig(ProtectedPersonAttestation())
    lease = rig.grant(1, region="DE-BY", attested=True, authorisation="w", authorisation_end=NOW + HOUR)
    rig.amend(ProtectedPersonAttestation(), AuthorisationRequired(DAY), regions=["DE"], purposes=["test:one"])
    assert [each.lease for each in rig.renew().leases] == [lease.id]
