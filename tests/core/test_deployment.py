"""invited → enrolled → {revoked | fenced} → invited again."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from licd.core.deployment import Enrolment, enrol, fence_deployment, reinvite_deployment, revoke_deployment, system_of
from licd.core.errors import AlreadyExists, Conflict, Forbidden, IllegalTransition, LicdError, NotFound
from licd.core.model import Deployment, DeploymentStatus, DirectiveKind, LicenceStatus
from licd.core.reasons import Reason
from licd.core.standing import standing
from licd.core.state import LicenceState
from licd.core.time import DAY, MINUTE
from tests.builders import NOW, REASON, enrol_anew, invite, make_deployment, make_state
from tests.core.rig import Rig

INVITED, ENROLLED, REVOKED, FENCED = (
    DeploymentStatus.INVITED,
    DeploymentStatus.ENROLLED,
    DeploymentStatus.REVOKED,
    DeploymentStatus.FENCED,
)


def revoke(state: LicenceState) -> Deployment:
    return revoke_deployment(state, "a", NOW, **REASON)


def fence(state: LicenceState) -> Deployment:
    return fence_deployment(state, "a", NOW, first=b"1", reply=b"r", second=b"2")


def reinvite(state: LicenceState, name: str = "a") -> Deployment:
    return reinvite_deployment(state, name, NOW, actor="operator/o", detail="because")


VERBS: dict[str, Callable[[LicenceState], Deployment]] = {
    "invite": lambda state: invite(state, "a"),
    "enrol": lambda state: enrol_anew(state, "a"),
    "revoke": revoke,
    "fence": fence,
    "reinvite": reinvite,
}
# status: what invite, enrol, revoke, fence, reinvite make of it
LIFE: dict[DeploymentStatus, tuple[DeploymentStatus | type[LicdError], ...]] = {
    INVITED: (INVITED, ENROLLED, REVOKED, FENCED, INVITED),
    ENROLLED: (AlreadyExists, Forbidden, REVOKED, FENCED, INVITED),
    REVOKED: (AlreadyExists, Forbidden, IllegalTransition, REVOKED, INVITED),
    FENCED: (AlreadyExists, Forbidden, REVOKED, FENCED, INVITED),
}
PAIRS = [(status, verb, row[at]) for status, row in LIFE.items() for at, verb in enumerate(VERBS)]


@pytest.mark.parametrize(("status", "verb", "becomes"), PAIRS)
def test_each_verb_makes_of_each_status_what_the_table_says(
    status: DeploymentStatus, verb: str, becomes: DeploymentStatus | type[LicdError]
):
    state = make_state(systems=())
    state.put(make_deployment("a", status=status))
    if isinstance(becomes, type):
        with pytest.raises(becomes):
            VERBS[verb](state)
        assert state.deployments["a"].status is status
    else:
        assert VERBS[verb](state).status is becomes
        assert state.deployments["a"].status is becomes


def test_a_system_is_named_by_its_customer_and_itself():
    assert system_of(make_deployment("a")) == "customer/c1/system/a"


def test_no_more_deployments_than_the_licence_permits():
    state = make_state(systems=("a",), deployments=2)
    invite(state, "b")
    with pytest.raises(Conflict, match="permits 2 deployments and has 2"):
        invite(state, "c")
    revoke(state)
    assert invite(state, "c").status is INVITED


def test_a_fenced_deployment_still_counts():
    state = make_state(systems=("a",), deployments=1)
    fence(state)
    with pytest.raises(Conflict):
        invite(state, "b")


@pytest.mark.parametrize("steps", [[fence, revoke], [revoke, fence]], ids=["fenced first", "revoked first"])
def test_the_place_of_a_system_seen_twice_is_given_up_by_two_persons_alone(
    steps: list[Callable[[LicenceState], Deployment]],
):
    """Whoever revokes it and invites it under another name would be the one person who brings it back."""
    state = make_state(systems=("a",), deployments=1)
    for step in steps:
        step(state)
    with pytest.raises(Conflict, match="among them a until re-enrolled by two persons"):
        invite(state, "b")
    assert reinvite(state).status is INVITED  # what two persons agree on
    revoke(state)
    assert invite(state, "b").status is INVITED


def test_nobody_is_invited_under_a_licence_whose_term_is_over():
    state = make_state(systems=())
    with pytest.raises(IllegalTransition, match="renew it first"):
        invite(state, "a", state.rights.not_after)
    assert invite(state, "a", state.rights.not_after - 1).status is INVITED


def test_a_revoked_deployment_comes_back_only_where_there_is_room():
    state = make_state(systems=("a", "b"), deployments=2)
    revoke(state)
    invite(state, "c")
    with pytest.raises(Conflict, match="permits 2 deployments and has 2"):
        reinvite(state)
    assert state.deployments["a"].status is REVOKED
    assert reinvite(state, "b").status is INVITED  # it counted before as well


@pytest.mark.parametrize("verb", ["invite", "reinvite"])
def test_a_terminated_licence_takes_nobody_in(verb: str):
    state = make_state(status=LicenceStatus.TERMINATED)
    with pytest.raises(IllegalTransition):
        VERBS[verb](state)


def test_inviting_again_replaces_the_token():
    state = make_state(systems=())
    first = invite(state, "a")
    again = invite(state, "a", NOW + DAY)
    assert again == replace(first, invited_at=NOW + DAY, token_expires_at=NOW + 2 * DAY)


def test_a_join_token_works_once_and_in_time():
    state = make_state(systems=())
    invited = invite(state, "a")
    with pytest.raises(Forbidden, match="past its time"):
        enrol_anew(state, "a", invited.token_expires_at)
    enrol_anew(state, "a", invited.token_expires_at - 1)
    with pytest.raises(Forbidden, match="used already"):
        enrol_anew(state, "a")


def test_a_reinvited_deployment_has_no_token_until_it_is_invited():
    state = make_state()
    reinvite(state)
    with pytest.raises(Forbidden):
        enrol_anew(state, "a")
    invite(state, "a")
    assert enrol_anew(state, "a").enrolment == 2


def test_an_enrolment_starts_its_chain_with_the_receipt():
    state = make_state(systems=())
    invite(state, "a")
    keys = Enrolment(b"system key", b"channel key", b"commitment", b"the receipt")
    enrolled = enrol(state, "a", keys, NOW + 5)
    session = state.sessions["a"]
    assert (enrolled.system_key, enrolled.channel_key_hash, enrolled.enrolled_at) == (
        b"system key",
        b"channel key",
        NOW + 5,
    )
    assert (session.sequence, session.reply, session.session, session.enrolment) == (0, b"the receipt", "", 1)
    assert enrolled.epoch_acknowledged == state.licence.epoch


def test_re_enrolment_keeps_the_pseudonym_key_and_ends_every_lease():
    rig = Rig()
    lease = rig.grant()
    rig.keep(MINUTE)
    rig.renew()
    bound = rig.state.bound(lease)
    reinvite(rig.state)
    assert rig.state.seats.by_id[lease.id].seat_until == bound
    invite(rig.state, "a")
    with pytest.raises(Conflict, match="pseudonym key"):
        enrol_anew(rig.state, "a", rig.now, commitment=b"another")
    enrol_anew(rig.state, "a", rig.now)
    assert rig.state.sessions["a"].sequence == 0
    assert rig.occupied == 1


@pytest.mark.parametrize(("stop", "reason"), [(revoke, Reason.DEPLOYMENT_REVOKED), (fence, Reason.SYSTEM_FENCED)])
def test_a_stopped_system_has_no_lease_and_no_standing(stop: Callable[[LicenceState], Deployment], reason: Reason):
    rig = Rig()
    lease, other = rig.grant(1, "a"), rig.grant(2, "b")
    rig.state.take_changes()
    stop(rig.state)
    changes = rig.state.take_changes()
    assert [(each.kind, each.deployment, each.epoch) for each in changes.directives] == [(DirectiveKind.REVOKE, "a", 2)]
    denied = standing(rig.state, "a", rig.now)
    assert denied is not None
    assert denied.reason is reason
    assert standing(rig.state, "b", rig.now) is None
    assert set(rig.state.seats.live) == {other.target}
    assert rig.state.seats.by_id[lease.id].ended_at == NOW


@pytest.mark.parametrize("stopped", [FENCED, REVOKED])
def test_a_fork_of_a_stopped_system_is_noted_and_changes_nothing(stopped: DeploymentStatus):
    state = make_state()
    state.put(make_deployment("a", status=stopped))
    state.take_changes()
    before = state.licence
    assert fence(state).status is stopped
    assert fence(state).fenced_at == NOW
    changes = state.take_changes()
    assert (changes.directives, len(changes.rows), state.licence) == ([], 1, before)
    assert [entry.kind for entry in changes.entries] == ["deployment.forked"] * 2


@pytest.mark.parametrize("verb", [revoke, fence, reinvite])
def test_a_deployment_nobody_knows_is_missing(verb: Callable[[LicenceState], Deployment]):
    with pytest.raises(NotFound):
        verb(make_state(systems=()))
