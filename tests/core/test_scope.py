"""Is what is asked for inside what the licence is for? Unknown, absent and contradictory answers are refused."""

from dataclasses import replace
from typing import Any

import pytest

from licd.core.reasons import Reason
from licd.core.scope import Acquisition, Place, RegionClaim, counting_claim, place_denial, scope_denial
from licd.core.terms import (
    AuthorisationRequired,
    Basis,
    Constraint,
    DeploymentAddresses,
    DeploymentRegions,
    Offences,
    ProtectedPersonAttestation,
    Purposes,
    TargetRegions,
    rights_of,
)
from licd.core.time import DAY, HOUR
from tests.builders import NOW, PURPOSE, make_ask, make_terms

PLAN, PRESENT, DECLARED = Basis.NUMBER_PLAN, Basis.PRESENT_LOCATION, Basis.DECLARED


def reason_for(ask: Acquisition, *extra: Constraint, **figures: Any) -> Reason | None:
    denied = scope_denial(rights_of(make_terms(*extra, **figures)), ask, NOW)
    return denied.reason if denied else None


def claims(*said: tuple[str, Basis]) -> Acquisition:
    return replace(make_ask(), regions=tuple(RegionClaim(region, basis) for region, basis in said))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([("DE", PLAN)], None),
        ([("DE-BY", PLAN)], None),
        ([("DE", PLAN), ("AT", PRESENT)], None),
        ([], Reason.REGION_UNKNOWN),
        ([("", PLAN)], Reason.REGION_UNKNOWN),
        ([("m49:150", PLAN)], Reason.REGION_UNKNOWN),
        ([("DE", PLAN), ("XX", PRESENT)], Reason.REGION_UNKNOWN),
        ([("FR", PLAN), ("XX", DECLARED)], Reason.REGION_UNKNOWN),
        ([("FR", PLAN)], Reason.REGION_NOT_PERMITTED),
        ([("FR", PLAN), ("ES", PRESENT)], Reason.REGION_NOT_PERMITTED),
        ([("DE", PLAN), ("FR", PRESENT)], Reason.REGION_BASES_DISAGREE),
        ([("FR", PLAN), ("DE", PRESENT)], Reason.REGION_BASES_DISAGREE),
        ([("DE", PLAN), ("AT", PLAN)], Reason.REGION_BASES_DISAGREE),
        ([("DE-BY", PLAN), ("DE-HE", PLAN)], Reason.REGION_BASES_DISAGREE),
        ([("DE", PLAN), ("DE-BY", PLAN)], None),
        ([("DE", PLAN), ("DE", PLAN)], None),
    ],
)
def test_each_set_of_region_claims_has_its_answer(said: list[tuple[str, Basis]], reason: Reason | None):
    assert reason_for(claims(*said)) is reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([("DE", PLAN)], None),
        ([("DE", DECLARED)], Reason.REGION_BASIS_NOT_ACCEPTED),
        ([("FR", DECLARED)], Reason.REGION_BASIS_NOT_ACCEPTED),
        ([("DE", PLAN), ("FR", DECLARED)], Reason.REGION_BASES_DISAGREE),
        ([("DE", DECLARED), ("DE", PLAN)], None),
    ],
)
def test_a_basis_the_licence_does_not_accept_proves_nothing_but_can_contradict(
    said: list[tuple[str, Basis]], reason: Reason | None
):
    assert reason_for(claims(*said), bases=[PLAN]) is reason


def test_the_claim_that_counts_is_the_first_with_an_accepted_basis():
    rights = rights_of(make_terms(bases=[PRESENT]))
    assert counting_claim(rights, claims(("DE", PLAN), ("AT", PRESENT))) == RegionClaim("AT", PRESENT)
    assert counting_claim(rights, claims(("DE", PLAN))) is None


def test_an_empty_set_of_regions_or_bases_or_purposes_permits_nothing():
    assert reason_for(make_ask(), regions=[]) is Reason.REGION_NOT_PERMITTED
    assert reason_for(make_ask(), bases=[]) is Reason.REGION_BASIS_NOT_ACCEPTED
    assert reason_for(make_ask(), purposes=[]) is Reason.PURPOSE_NOT_PERMITTED
    assert reason_for(make_ask(offence="o:1"), Offences(frozenset())) is Reason.OFFENCE_NOT_PERMITTED


def test_two_constraints_of_one_kind_both_hold():
    narrower = TargetRegions(frozenset(("DE-BY", "FR")), frozenset((PLAN,)))
    assert reason_for(make_ask(), narrower) is Reason.REGION_NOT_PERMITTED
    assert reason_for(make_ask(region="DE-BY"), narrower) is None
    assert reason_for(make_ask(region="FR"), narrower) is Reason.REGION_NOT_PERMITTED
    assert reason_for(make_ask(region="DE-BY", basis=PRESENT), narrower) is Reason.REGION_BASIS_NOT_ACCEPTED
    assert reason_for(make_ask(), Purposes(frozenset(("test:two",)))) is Reason.PURPOSE_NOT_PERMITTED


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [(PURPOSE, None), ("", Reason.PURPOSE_UNKNOWN), ("test:none", Reason.PURPOSE_NOT_PERMITTED)],
)
def test_a_purpose_is_named_and_permitted(purpose: str, reason: Reason | None):
    assert reason_for(make_ask(purpose=purpose)) is reason


@pytest.mark.parametrize(
    ("offence", "reason"),
    [("o:1", None), ("", Reason.OFFENCE_UNKNOWN), ("o:2", Reason.OFFENCE_NOT_PERMITTED)],
)
def test_an_offence_is_named_and_permitted_where_the_licence_limits_them(offence: str, reason: Reason | None):
    assert reason_for(make_ask(offence=offence), Offences(frozenset(("o:1",)))) is reason


def test_an_offence_is_not_asked_for_where_the_licence_does_not_limit_them():
    assert reason_for(make_ask(offence="")) is None
    assert reason_for(make_ask(offence="anything")) is None


@pytest.mark.parametrize(
    ("reference", "ends_in", "reason"),
    [
        ("w-1", HOUR, None),
        ("", HOUR, Reason.AUTHORISATION_REQUIRED),
        ("w-1", None, Reason.AUTHORISATION_REQUIRED),
        ("w-1", 0, Reason.AUTHORISATION_EXPIRED),
        ("w-1", -1, Reason.AUTHORISATION_EXPIRED),
        ("w-1", 1, None),
        ("w-1", DAY, None),
        ("w-1", DAY + 1, Reason.AUTHORISATION_REQUIRED),
    ],
)
def test_a_required_authorisation_is_named_runs_and_is_no_longer_than_permitted(
    reference: str, ends_in: int | None, reason: Reason | None
):
    ask = make_ask(authorisation=reference, authorisation_end=0 if ends_in is None else NOW + ends_in)
    assert reason_for(ask, AuthorisationRequired(DAY)) is reason


def test_an_authorisation_that_is_not_required_must_still_run():
    assert reason_for(make_ask(authorisation="w-1", authorisation_end=NOW)) is Reason.AUTHORISATION_EXPIRED
    assert reason_for(make_ask(authorisation="w-1", authorisation_end=NOW + 1)) is None


def test_an_attestation_is_given_where_the_licence_asks_for_it():
    wanted = ProtectedPersonAttestation()
    assert reason_for(make_ask(), wanted) is Reason.ATTESTATION_REQUIRED
    assert reason_for(make_ask(attested=True), wanted) is None


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Place("DE", "192.0.2.9"), None),
        (Place("DE-BY", "192.0.2.9"), None),
        (Place("", "192.0.2.9"), Reason.DEPLOYMENT_REGION_NOT_PERMITTED),
        (Place("FR", "192.0.2.9"), Reason.DEPLOYMENT_REGION_NOT_PERMITTED),
        (Place("FR", "203.0.113.1"), Reason.DEPLOYMENT_REGION_NOT_PERMITTED),
        (Place("DE", "203.0.113.1"), Reason.ADDRESS_NOT_PERMITTED),
        (Place("DE", ""), Reason.ADDRESS_NOT_PERMITTED),
        (Place("DE", "nonsense"), Reason.ADDRESS_NOT_PERMITTED),
        (Place("DE", "2001:db8::1"), Reason.ADDRESS_NOT_PERMITTED),
        (Place("DE", "::ffff:192.0.2.9"), None),
    ],
)
def test_a_system_stands_where_the_licence_says(place: Place, reason: Reason | None):
    limits = (DeploymentRegions(frozenset(("DE",))), DeploymentAddresses(frozenset(("192.0.2.0/24", "10.0.0.0/8"))))
    denied = place_denial(rights_of(make_terms(*limits)), place)
    assert (denied.reason if denied else None) is reason


def test_two_sets_of_address_ranges_both_hold():
    limits = (DeploymentAddresses(frozenset(("192.0.2.0/24",))), DeploymentAddresses(frozenset(("192.0.2.128/25",))))
    rights = rights_of(make_terms(*limits))
    assert place_denial(rights, Place("", "192.0.2.200")) is None
    assert place_denial(rights, Place("", "192.0.2.1")) is not None


def test_a_place_is_not_looked_at_where_the_licence_does_not_limit_it():
    assert place_denial(rights_of(make_terms()), Place()) is None
