"""existence → ban → terminated → suspended → time, and only then what was asked for."""

from dataclasses import replace

import pytest

from licd.core.model import DeploymentStatus, LicenceStatus
from licd.core.reasons import Denied, Reason
from licd.core.standing import licence_standing, standing
from licd.core.state import LicenceState
from tests.builders import NOW, TERM, make_deployment, make_state
from tests.core.rig import Rig

ENDED = NOW + TERM


def reason_of(state: LicenceState, now: int = NOW, system: str = "a") -> Reason | None:
    denied = standing(state, system, now)
    return denied.reason if denied else None


def test_a_licence_in_force_stands():
    assert reason_of(make_state()) is None
    assert reason_of(make_state(status=LicenceStatus.ACTIVE_RESTRICTED)) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (LicenceStatus.DRAFT, Reason.LICENCE_NOT_FOUND),
        (LicenceStatus.SUSPENDED, Reason.LICENCE_SUSPENDED),
        (LicenceStatus.TERMINATED, Reason.LICENCE_TERMINATED),
    ],
)
def test_each_status_that_is_not_in_force_has_its_reason(status: LicenceStatus, reason: Reason):
    assert reason_of(make_state(status=status)) is reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (DeploymentStatus.INVITED, Reason.LICENCE_NOT_FOUND),
        (DeploymentStatus.FENCED, Reason.SYSTEM_FENCED),
        (DeploymentStatus.REVOKED, Reason.DEPLOYMENT_REVOKED),
    ],
)
def test_each_status_of_a_deployment_has_its_reason(status: DeploymentStatus, reason: Reason):
    state = make_state()
    state.put(make_deployment("a", status=status))
    assert reason_of(state) is reason
    assert reason_of(state, system="b") is None


def test_a_licence_nobody_asked_about_is_missing():
    assert reason_of(make_state(), system="stranger") is Reason.LICENCE_NOT_FOUND


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (NOW - 1, Reason.LICENCE_NOT_YET_VALID),
        (NOW, None),
        (ENDED - 1, None),
        (ENDED, Reason.LICENCE_EXPIRED),
    ],
)
def test_the_term_includes_its_start_and_excludes_its_end(now: int, reason: Reason | None):
    assert reason_of(make_state(), now) is reason


def test_a_licence_that_does_not_hold_yet_says_from_when():
    denied = standing(make_state(), "a", NOW - 5)
    assert denied is not None
    assert denied.retry_at == NOW


def test_an_expired_licence_says_that_asking_again_does_not_help():
    denied = standing(make_state(), "a", ENDED)
    assert denied is not None
    assert denied.retry_at == 0


def test_a_suspension_is_told_with_its_code_and_words():
    rig = Rig()
    rig.suspend()
    denied = standing(rig.state, "a", rig.now)
    assert denied == Denied(Reason.LICENCE_SUSPENDED, "because", suspension_code="test")


# Every condition below the one that is reported holds as well: the order decides.
ORDER = [
    (Reason.LICENCE_NOT_FOUND, {"system": "stranger"}),
    (Reason.CUSTOMER_BANNED, {}),
    (Reason.LICENCE_TERMINATED, {"banned": False}),
    (Reason.LICENCE_SUSPENDED, {"banned": False, "status": LicenceStatus.SUSPENDED}),
    (Reason.LICENCE_EXPIRED, {"banned": False, "status": LicenceStatus.ACTIVE}),
]


@pytest.mark.parametrize(("reason", "better"), ORDER)
def test_the_order_of_checks_is_the_order_of_the_protocol(reason: Reason, better: dict[str, object]):
    system = str(better.get("system", "a"))
    status = better.get("status", LicenceStatus.TERMINATED)
    assert isinstance(status, LicenceStatus)
    state = make_state(banned=bool(better.get("banned", True)), status=status)
    assert reason_of(state, ENDED, system) is reason


def test_a_draft_does_not_exist_for_anybody_and_existence_comes_before_the_ban():
    denied = licence_standing(make_state(status=LicenceStatus.DRAFT, banned=True), NOW)
    assert denied is not None
    assert denied.reason is Reason.LICENCE_NOT_FOUND


@pytest.mark.parametrize("status", [LicenceStatus.SUSPENDED, LicenceStatus.TERMINATED])
def test_standing_comes_before_session_and_place_and_scope(status: LicenceStatus):
    rig = Rig()
    rig.state.put(replace(rig.state.licence, status=status))
    wrong = replace(rig.state.sessions["a"], session="another")
    rig.state.put(wrong)
    answer = rig.link()
    assert isinstance(answer, Denied)
    assert answer.reason in {Reason.LICENCE_SUSPENDED, Reason.LICENCE_TERMINATED}


def test_scope_comes_before_the_cap_and_the_cap_is_last():
    rig = Rig(cap=0)
    assert rig.refuse(region="FR").reason is Reason.REGION_NOT_PERMITTED
    assert rig.refuse(purpose="").reason is Reason.PURPOSE_UNKNOWN
    assert rig.refuse(authorisation_end=rig.now).reason is Reason.AUTHORISATION_EXPIRED
    assert rig.refuse().reason is Reason.CONCURRENT_CAP


def test_region_comes_before_purpose_and_purpose_before_authorisation():
    rig = Rig()
    assert rig.refuse(region="XX", purpose="", authorisation_end=1).reason is Reason.REGION_UNKNOWN
    assert rig.refuse(purpose="test:other", authorisation_end=1).reason is Reason.PURPOSE_NOT_PERMITTED
