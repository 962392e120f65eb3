"""The oracle against single permits: right ones pass, and each planted fault is found under its own name."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.v1 import licence_pb2 as pb
from licd.v1 import session_pb2
from simulator.oracle.facts import Rule
from tests.simulator.world import ALPHA, BETA, LICENCE, NOON, Claims, Item, L, World

SUSPEND = session_pb2.DIRECTIVE_KIND_SUSPEND
REINSTATE = session_pb2.DIRECTIVE_KIND_REINSTATE
TERMINATE = session_pb2.DIRECTIVE_KIND_TERMINATE
LATER = NOON + 60_000


@pytest.fixture
def world() -> World:
    return World()


def test_finds_nothing_wrong_with_a_right_permit_and_an_act_under_it(world: World) -> None:
    first = world.permit(NOON, Item(1))
    second = world.permit(NOON + 5_000, Item(1, asked=False))
    world.act(first, 1, NOON + 100, NOON + 5_000)
    world.act(second, 1, NOON + 5_000, NOON + 19_900)
    verdict = world.verdict()
    assert verdict.violations == ()
    assert verdict.sound
    assert (verdict.grants, verdict.permits, verdict.covered_acts) == (1, 2, 2)


def test_an_act_under_a_wrong_permit_is_a_wrong_act(world: World) -> None:
    permit = world.permit(NOON, Item(1, late=5_000))
    world.act(permit, 1, NOON, NOON + 1_000)
    verdict = world.verdict()
    assert verdict.wrong_acts == 1
    assert not verdict.sound


def test_a_wrong_permit_is_found_though_nobody_acts_under_it(world: World) -> None:
    world.permit(NOON, Item(1, late=1))
    assert world.broken() == {Rule.HARD_END}


# -------------------------------------------------------------------------------------------------- seals
def test_a_permit_that_another_key_has_signed_is_no_reply_of_licds(world: World) -> None:
    world.permit(NOON, Item(1), signer=Ed25519PrivateKey.generate())
    assert world.broken() == {Rule.UNSEALED}
    assert world.record.permits == {}


def test_the_licence_issuers_key_signs_no_permits(world: World) -> None:
    world.permit(NOON, Item(1), signer=world.secrets[0])
    assert world.broken() == {Rule.UNSEALED}


def test_a_reply_must_answer_the_very_link(world: World) -> None:
    world.permit(NOON, Item(1), answers=sha256(b"another").digest())
    assert world.broken() == {Rule.MISMATCHED}


def test_the_same_reply_twice_is_one_permit(world: World) -> None:
    world.permit(NOON, Item(1))
    again = World(secrets=world.secrets)
    again.record = world.record
    again.permit(NOON, Item(1))
    assert len(world.record.permits) == 1
    assert world.verdict().grants == 1


# -------------------------------------------------------------------------------------------------- hard end
def test_grace_grows_with_age_and_no_further_than_g(world: World) -> None:
    world.permit(NOON, Item(1))
    world.permit(NOON + 7_000, Item(1, asked=False))
    world.permit(NOON + 90_000, Item(1, asked=False))
    assert world.broken() == set()


@pytest.mark.parametrize("decided", [NOON, NOON + 7_000, NOON + 90_000])
def test_finds_one_millisecond_too_much_at_any_age(world: World, decided: int) -> None:
    world.permit(NOON, Item(1))
    world.permit(decided, Item(1, asked=False, late=1))
    assert world.broken() == {Rule.HARD_END}


def test_no_hard_end_is_past_the_term(world: World) -> None:
    world.revise(1, ends=NOON + 10_000)
    world.permit(NOON, Item(1))
    assert world.broken() == set()
    world.permit(NOON + 1, Item(1, asked=False))
    assert world.broken() == {Rule.HARD_END}


def test_no_hard_end_is_past_the_authorisation(world: World) -> None:
    world.permit(NOON, Item(1, authorisation_end=NOON + 9_999))
    assert world.broken() == {Rule.HARD_END}


# ------------------------------------------------------------------------------------------------------ time
@pytest.mark.parametrize("decided", [NOON - 1_001, NOON + 1_000_000])
def test_finds_a_permit_outside_of_the_term(world: World, decided: int) -> None:
    world.permit(decided, Item(1, granted_at=decided, late=-9_999))
    assert Rule.TERM in world.broken()


def test_finds_a_permit_under_a_revision_that_was_replaced(world: World) -> None:
    world.revise(2, issued_at=LATER)
    world.permit(LATER + 1, Item(1, granted_at=LATER + 1), revision=1)
    assert world.broken() == {Rule.TERM}


def test_finds_a_permit_under_terms_that_nobody_signed(world: World) -> None:
    world.permit(NOON, Item(1), revision=7)
    assert Rule.UNKNOWN_TERMS in world.broken()


@pytest.mark.parametrize(("early", "found"), [(100, set()), (101, {Rule.STALE})])
def test_finds_a_permit_decided_before_it_was_asked_for(world: World, early: int, found: set[Rule]) -> None:
    world.permit(NOON, Item(1), asked_at=NOON + early)
    assert world.broken() == found


# ----------------------------------------------------------------------------------------------------- stops
def test_a_permit_decided_before_the_suspension_may_run_on(world: World) -> None:
    world.permit(LATER - 1, Item(1, granted_at=LATER - 1))
    world.order(SUSPEND, 2, LATER)
    assert world.broken() == set()


@pytest.mark.parametrize("kind", [SUSPEND, TERMINATE])
@pytest.mark.parametrize("epoch", [1, 2])
def test_finds_a_permit_decided_after_a_stop(
    world: World, kind: "session_pb2.DirectiveKind.ValueType", epoch: int
) -> None:
    world.order(kind, 2, LATER)
    world.permit(LATER + 1, Item(1, granted_at=LATER + 1), epoch=epoch)
    assert world.broken() == {Rule.STOPPED}


def test_finds_a_permit_of_the_same_millisecond_only_by_its_epoch(world: World) -> None:
    world.order(SUSPEND, 2, LATER)
    world.permit(LATER, Item(1, granted_at=LATER), epoch=1)
    assert world.broken() == set()
    world.permit(LATER, Item(2, granted_at=LATER), epoch=2)
    assert world.broken() == {Rule.STOPPED}


def test_finds_it_too_when_only_the_operator_was_told_of_the_suspension(world: World) -> None:
    world.suspended(2, LATER)
    world.permit(LATER + 1, Item(1, granted_at=LATER + 1), epoch=1)
    assert world.broken() == {Rule.STOPPED}


def test_a_reinstatement_lifts_it_for_permits_of_its_epoch_alone(world: World) -> None:
    world.order(SUSPEND, 2, LATER)
    world.order(REINSTATE, 3, LATER + 5_000)
    world.permit(LATER + 6_000, Item(1, granted_at=LATER + 6_000), epoch=3)
    assert world.broken() == set()
    world.permit(LATER + 6_000, Item(2, granted_at=LATER + 6_000), epoch=1)
    assert world.broken() == {Rule.STOPPED}


def test_a_second_suspension_counts_again(world: World) -> None:
    world.order(SUSPEND, 2, LATER)
    world.order(REINSTATE, 3, LATER + 5_000)
    world.order(SUSPEND, 4, LATER + 9_000)
    world.permit(LATER + 9_001, Item(1, granted_at=LATER + 9_001), epoch=3)
    assert world.broken() == {Rule.STOPPED}


def test_finds_two_directives_of_one_epoch_that_differ(world: World) -> None:
    world.order(SUSPEND, 2, LATER)
    world.order(SUSPEND, 2, LATER + 1)
    assert world.broken() == {Rule.CONTRADICTORY}


def test_finds_a_permit_for_a_system_whose_enrolment_was_withdrawn(world: World) -> None:
    world.order(session_pb2.DIRECTIVE_KIND_REVOKE, 2, LATER, system=BETA)
    world.permit(LATER + 1, Item(1, granted_at=LATER + 1), epoch=2)
    assert world.broken() == set()
    world.permit(LATER + 1, Item(2, granted_at=LATER + 1), system=BETA, epoch=2)
    assert world.broken() == {Rule.REVOKED}


def test_finds_a_lease_that_comes_back_after_it_was_force_released(world: World) -> None:
    world.permit(NOON, Item(1), Item(2))
    world.order(session_pb2.DIRECTIVE_KIND_FORCE_RELEASE, 2, LATER, leases=[Item(1).lease])
    world.permit(LATER + 1, Item(2, asked=False), epoch=2)
    assert world.broken() == set()
    world.permit(LATER + 2, Item(1, asked=False), epoch=2)
    assert world.broken() == {Rule.FORCE_RELEASED}


# ----------------------------------------------------------------------------------------------------- scope
@pytest.mark.parametrize(
    "claims",
    [
        (),
        (("", pb.REGION_BASIS_DECLARED),),
        (("BR", pb.REGION_BASIS_DECLARED),),
        (("DK", pb.REGION_BASIS_NUMBER_PLAN),),
        (("DK", pb.REGION_BASIS_DECLARED), ("BR", pb.REGION_BASIS_NUMBER_PLAN)),
    ],
)
def test_finds_a_grant_whose_region_does_not_fit(world: World, claims: Claims) -> None:
    region = claims[0][0] if claims else "DK"
    world.permit(NOON, Item(1, region=region, claims=claims))
    assert world.broken() == {Rule.REGION}


def test_a_country_covers_its_parts(world: World) -> None:
    world.permit(NOON, Item(1, region="DK-84", claims=(("DK-84", pb.REGION_BASIS_DECLARED),)))
    assert world.broken() == set()


def test_finds_a_region_in_the_grant_that_nobody_claimed(world: World) -> None:
    world.permit(NOON, Item(1, region="NO"))
    assert world.broken() == {Rule.REGION}


def test_finds_a_lease_that_goes_on_after_its_region_was_taken_out(world: World) -> None:
    world.permit(NOON, Item(1))
    world.revise(2, issued_at=LATER, regions=["NO"])
    world.permit(LATER + 1, Item(1, asked=False), revision=2)
    assert world.broken() == {Rule.REGION}


@pytest.mark.parametrize("purpose", ["", "licd:journalism", "SAR:SEARCH-AND-RESCUE"])
def test_finds_a_grant_for_another_purpose(world: World, purpose: str) -> None:
    world.permit(NOON, Item(1, purpose=purpose))
    assert world.broken() == {Rule.PURPOSE}


@pytest.mark.parametrize(("offence", "found"), [("eaw:drugs", set()), ("", {Rule.PURPOSE}), ("x:y", {Rule.PURPOSE})])
def test_looks_at_the_offence_where_the_licence_names_some(world: World, offence: str, found: set[Rule]) -> None:
    world.revise(1, more=[pb.Constraint(offences=pb.Offences(offences=["eaw:drugs"]))])
    world.permit(NOON, Item(1, offence=offence))
    assert world.broken() == found


@pytest.mark.parametrize(
    ("end", "found"),
    [(0, {Rule.AUTHORISATION}), (NOON + 60_000, set()), (NOON + 60_001, {Rule.AUTHORISATION})],
)
def test_looks_at_the_authorisation_where_the_licence_asks_for_one(world: World, end: int, found: set[Rule]) -> None:
    required = pb.AuthorisationRequired(max_life_ms=60_000)
    world.revise(1, more=[pb.Constraint(authorisation_required=required)])
    world.permit(NOON, Item(1, authorisation_end=end))
    assert world.broken() == found


@pytest.mark.parametrize(("end", "found"), [(NOON + 1, set()), (NOON, {Rule.AUTHORISATION})])
def test_an_authorisation_that_has_ended_covers_nothing(world: World, end: int, found: set[Rule]) -> None:
    world.permit(NOON, Item(1, authorisation_end=end, late=end - NOON - L))
    assert world.broken() == found


@pytest.mark.parametrize("attested", [True, False])
def test_looks_at_the_attestation_where_the_licence_asks_for_one(world: World, attested: bool) -> None:
    world.revise(1, more=[pb.Constraint(protected_person_attestation=pb.ProtectedPersonAttestation())])
    world.permit(NOON, Item(1, attested=attested))
    assert world.broken() == (set() if attested else {Rule.AUTHORISATION})


@pytest.mark.parametrize(("place", "found"), [("NO", set()), ("BR", {Rule.PLACE})])
def test_looks_at_where_the_system_stands(world: World, place: str, found: set[Rule]) -> None:
    world.revise(1, more=[pb.Constraint(deployment_regions=pb.DeploymentRegions(regions=["NO"]))])
    world.permit(NOON, Item(1), place=place)
    assert world.broken() == found


@pytest.mark.parametrize(
    ("ranges", "found"), [(["192.0.2.0/24", "127.0.0.0/8"], set()), (["192.0.2.0/24"], {Rule.PLACE})]
)
def test_looks_at_where_the_system_calls_from(world: World, ranges: list[str], found: set[Rule]) -> None:
    world.revise(1, more=[pb.Constraint(deployment_addresses=pb.DeploymentAddresses(ranges=ranges))])
    world.permit(NOON, Item(1))
    assert world.broken() == found


def test_what_it_does_not_understand_permits_nothing(world: World) -> None:
    world.revise(1, more=[pb.Constraint()])
    world.permit(NOON, Item(1))
    assert world.broken() == {Rule.REGION}


def test_a_violation_names_licence_system_permit_and_lease(world: World) -> None:
    permit = world.permit(NOON, Item(1, late=1))
    [violation] = world.verdict().violations
    assert (violation.licence, violation.system) == (LICENCE, ALPHA)
    assert (violation.permit, violation.lease) == (permit, Item(1).lease)
