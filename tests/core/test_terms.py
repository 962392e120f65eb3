"""Terms boiled down to rights, terms that no licence may carry, and whether new terms permit more than old ones."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.scope import Place, place_denial, scope_denial
from licd.core.terms import (
    GRACE_CEILING,
    MANDATORY,
    PERMIT_CEILING,
    TERM_CEILING,
    AuthorisationRequired,
    Basis,
    ConcurrentTargets,
    Constraint,
    DeploymentAddresses,
    DeploymentRegions,
    Deployments,
    DistinctTargets,
    Offences,
    OfflineGrace,
    OverlayRequired,
    PermitLength,
    ProtectedPersonAttestation,
    Purposes,
    Rights,
    TargetChurn,
    TargetRegions,
    TermsInvalid,
    check_terms,
    rights_of,
    widened,
    widened_terms,
)
from licd.core.time import DAY, HOUR
from tests.builders import GRACE, LENGTH, NOW, TERM, make_ask, make_constraints, make_terms

EUROPE = frozenset(("DE", "AT", "FR"))


# ---------------------------------------------------------------------------------------------------- rights
@pytest.mark.parametrize("name", ["product", "category"])
def test_another_product_or_category_is_no_narrower_one(name: str):
    old = make_terms()
    assert widened_terms(old, replace(old, **{name: "another"})) == (name,)  # type: ignore[arg-type]
    assert widened_terms(old, old) == ()


@pytest.mark.parametrize("missing", MANDATORY)
def test_what_every_licence_must_carry_is_missed(missing: type[Constraint]):
    terms = make_terms()
    left = tuple(each for each in terms.constraints if not isinstance(each, missing))
    with pytest.raises(TermsInvalid, match=f"{missing.__name__} is missing"):
        rights_of(replace(terms, constraints=left))


def test_of_two_numbers_the_smaller_holds():
    rights = rights_of(
        make_terms(
            ConcurrentTargets(2), PermitLength(LENGTH + 1), OfflineGrace(0), Deployments(1), cap=5, deployments=4
        )
    )
    assert (rights.cap, rights.length, rights.grace, rights.deployments) == (2, LENGTH, 0, 1)


def test_of_two_sets_what_both_permit_holds():
    rights = rights_of(
        make_terms(
            TargetRegions(frozenset(("DE-BY", "ES")), frozenset((Basis.DECLARED, Basis.NUMBER_PLAN))),
            Purposes(frozenset(("test:two", "test:three"))),
            Offences(frozenset(("o:1", "o:2"))),
            Offences(frozenset(("o:2",))),
            DeploymentRegions(EUROPE),
            DeploymentRegions(frozenset(("DE",))),
            bases=[Basis.NUMBER_PLAN, Basis.PRESENT_LOCATION],
        )
    )
    assert rights.regions == {"DE-BY"}
    assert rights.bases == {Basis.NUMBER_PLAN}
    assert rights.purposes == {"test:two"}
    assert rights.offences == frozenset({"o:2"})
    assert rights.deployment_regions == frozenset({"DE"})


def test_what_is_not_set_does_not_limit_and_what_is_empty_permits_nothing():
    rights = rights_of(make_terms())
    assert (rights.offences, rights.deployment_regions, rights.addresses, rights.authorisation) == (
        None,
        None,
        (),
        None,
    )
    empty = rights_of(make_terms(Offences(frozenset()), DeploymentRegions(frozenset())))
    assert (empty.offences, empty.deployment_regions) == (frozenset(), frozenset())


def test_of_two_bounds_on_an_authorisation_the_shorter_holds_and_none_is_no_bound():
    assert rights_of(make_terms(AuthorisationRequired(0))).authorisation == AuthorisationRequired(0)
    both = rights_of(make_terms(AuthorisationRequired(0), AuthorisationRequired(DAY), AuthorisationRequired(HOUR)))
    assert both.authorisation == AuthorisationRequired(HOUR)


def test_the_window_is_the_longest_period_any_limit_looks_back_over():
    assert rights_of(make_terms()).window == 0
    assert rights_of(make_terms(DistinctTargets(1, DAY), TargetChurn(1, HOUR))).window == DAY


@pytest.mark.parametrize("regions", [("XX",), ("m49:001",), ("DE", "")])
def test_a_region_nobody_knows_is_refused(regions: tuple[str, ...]):
    with pytest.raises(TermsInvalid, match="unknown region"):
        rights_of(make_terms(regions=regions))
    with pytest.raises(TermsInvalid, match="unknown region"):
        rights_of(make_terms(DeploymentRegions(frozenset(regions))))


# ---------------------------------------------------------------------------------------------- contradictions
@pytest.mark.parametrize(
    ("constraint", "field"),
    [
        (ConcurrentTargets(-1), "ConcurrentTargets.limit"),
        (Deployments(-1), "Deployments.limit"),
        (DistinctTargets(-1, DAY), "DistinctTargets.limit"),
        (DistinctTargets(1, 0), "DistinctTargets.period"),
        (TargetChurn(-1, DAY), "TargetChurn.limit"),
        (TargetChurn(1, -1), "TargetChurn.period"),
        (PermitLength(0), "PermitLength.length"),
        (PermitLength(PERMIT_CEILING + 1), "PermitLength.length"),
        (OfflineGrace(-1), "OfflineGrace.grace"),
        (OfflineGrace(GRACE_CEILING + 1), "OfflineGrace.grace"),
        (AuthorisationRequired(-1), "AuthorisationRequired.max_life"),
        (DeploymentAddresses(frozenset(("10.0.0.0/8", "nowhere"))), "DeploymentAddresses.ranges"),
        (DeploymentAddresses(frozenset(("10.0.0.1/8",))), "DeploymentAddresses.ranges"),
        (DeploymentAddresses(frozenset(("",))), "DeploymentAddresses.ranges"),
    ],
)
def test_a_figure_no_licence_may_carry_is_refused_by_its_name(constraint: Constraint, field: str):
    with pytest.raises(TermsInvalid) as refused:
        check_terms(make_terms(constraint))
    assert refused.value.field == field


@pytest.mark.parametrize(
    "constraint",
    [
        ConcurrentTargets(0),
        DistinctTargets(0, 1),
        PermitLength(1),
        PermitLength(PERMIT_CEILING),
        OfflineGrace(GRACE_CEILING),
        AuthorisationRequired(0),
        DeploymentAddresses(frozenset(("10.0.0.0/8", "192.0.2.7", "2001:db8::/32"))),
        DeploymentAddresses(frozenset()),
    ],
)
def test_a_figure_at_its_limit_is_taken(constraint: Constraint):
    check_terms(make_terms(constraint))


@pytest.mark.parametrize(
    ("not_after", "problem"),
    [
        (NOW, "later than not_before"),
        (NOW - 1, "later than not_before"),
        (NOW + TERM_CEILING + 1, "no licence is perpetual"),
    ],
)
def test_a_term_that_is_none_is_refused(not_after: int, problem: str):
    with pytest.raises(TermsInvalid, match=problem):
        check_terms(make_terms(not_after=not_after))


def test_ten_years_are_a_term():
    check_terms(make_terms(not_after=NOW + TERM_CEILING))


# ---------------------------------------------------------------------------------------------------- widened
REQUIRED = AuthorisationRequired
ADDRESSES = DeploymentAddresses
LIMITS: dict[str, tuple[Constraint, ...]] = {
    "distinct": (DistinctTargets(10, DAY),),
    "churn": (TargetChurn(10, DAY),),
    "offences": (Offences(frozenset(("o:1", "o:2"))),),
    "deployment_regions": (DeploymentRegions(frozenset(("DE", "AT"))),),
    "addresses": (ADDRESSES(frozenset(("10.0.0.0/8", "192.0.2.0/24"))),),
    "authorisation": (REQUIRED(DAY),),
    "attestation": (ProtectedPersonAttestation(),),
    "overlays": (OverlayRequired("export-qn"),),
}


def rights(**changes: Any) -> Rights:
    """Rights with every kind of limit, one of which is changed."""
    extra = {name: changes.pop(name, limit) for name, limit in LIMITS.items()}
    start = changes.pop("now", NOW)
    not_after = changes.pop("not_after", NOW + TERM)
    flat = [each for limit in extra.values() for each in limit]
    return rights_of(make_terms(*flat, now=start, not_after=not_after, **changes))


@pytest.mark.parametrize(
    ("field", "wider"),
    [
        ("not_before", {"now": NOW - 1}),
        ("not_after", {"not_after": NOW + TERM + 1}),
        ("cap", {"cap": 4}),
        ("length", {"length": LENGTH + 1}),
        ("grace", {"grace": GRACE + 1}),
        ("deployments", {"deployments": 6}),
        ("regions", {"regions": ["DE", "AT", "FR"]}),
        ("regions", {"regions": ["FR"]}),
        ("purposes", {"purposes": ["test:one", "test:three"]}),
        ("offences", {"offences": ()}),
        ("offences", {"offences": (Offences(frozenset(("o:1", "o:2", "o:3"))),)}),
        ("deployment_regions", {"deployment_regions": ()}),
        ("deployment_regions", {"deployment_regions": (DeploymentRegions(EUROPE),)}),
        ("distinct", {"distinct": ()}),
        ("distinct", {"distinct": (DistinctTargets(11, DAY),)}),
        ("distinct", {"distinct": (DistinctTargets(10, DAY - 1),)}),
        ("distinct", {"distinct": (DistinctTargets(11, 2 * DAY), DistinctTargets(10, HOUR))}),
        ("churn", {"churn": ()}),
        ("churn", {"churn": (TargetChurn(11, DAY),)}),
        ("churn", {"churn": (TargetChurn(10, DAY - 1),)}),
        ("addresses", {"addresses": ()}),
        ("addresses", {"addresses": (ADDRESSES(frozenset(("10.0.0.0/7",))),)}),
        ("addresses", {"addresses": (ADDRESSES(frozenset(("10.0.0.0/8", "203.0.113.0/24"))),)}),
        ("addresses", {"addresses": (ADDRESSES(frozenset(("2001:db8::/32",))),)}),
        ("authorisation", {"authorisation": ()}),
        ("authorisation", {"authorisation": (REQUIRED(0),)}),
        ("authorisation", {"authorisation": (REQUIRED(DAY + 1),)}),
        ("attestation", {"attestation": ()}),
        ("overlays", {"overlays": ()}),
        ("overlays", {"overlays": (OverlayRequired("domestic-qn"),)}),
    ],
)
def test_each_field_that_permits_more_is_named(field: str, wider: dict[str, Any]):
    assert widened(rights(), rights(**wider)) == (field,)


def test_a_further_basis_is_named():
    assert widened(rights(bases=[Basis.DECLARED]), rights()) == ("bases",)


@pytest.mark.parametrize(
    "narrower",
    [
        {},
        {"now": NOW + 1},
        {"not_after": NOW + TERM - 1},
        {"cap": 0},
        {"length": 1},
        {"grace": 0},
        {"deployments": 0},
        {"regions": ["DE-BY"]},
        {"regions": []},
        {"bases": [Basis.DECLARED]},
        {"purposes": []},
        {"offences": (Offences(frozenset()),)},
        {"deployment_regions": (DeploymentRegions(frozenset(("AT-1",))),)},
        {"distinct": (DistinctTargets(9, DAY + 1),)},
        {"distinct": (DistinctTargets(10, DAY), DistinctTargets(99, HOUR))},
        {"churn": (TargetChurn(0, 2 * DAY),)},
        {"addresses": (ADDRESSES(frozenset(("10.1.0.0/16",))),)},
        {"addresses": (ADDRESSES(frozenset(("10.0.0.0/8",))), ADDRESSES(frozenset(("192.0.2.0/24",))))},
        {"addresses": (ADDRESSES(frozenset()),)},
        {"authorisation": (REQUIRED(HOUR),)},
        {"overlays": (OverlayRequired("export-qn"), OverlayRequired("domestic-qn"))},
    ],
)
def test_what_only_narrows_is_not_named(narrower: dict[str, Any]):
    assert widened(rights(), rights(**narrower)) == ()


def test_a_limit_that_was_not_there_before_narrows():
    assert widened(rights_of(make_terms()), rights()) == ()


def test_every_field_of_rights_is_looked_at():
    named = {"regions", "bases", "purposes", "distinct", "churn", "offences", "deployment_regions", "addresses"}
    named |= {"not_before", "not_after", "cap", "length", "grace", "deployments", "authorisation", "attestation"}
    named |= {"overlays"}
    assert {field.name for field in fields(Rights)} == named


some_regions = st.frozensets(st.sampled_from(("DE", "DE-BY", "AT", "FR", "m49:155")), max_size=3)
some_ranges = st.frozensets(
    st.sampled_from(("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "192.0.2.0/24", "::/0")), max_size=3
)
some_extra = st.one_of(
    st.builds(DeploymentAddresses, some_ranges),
    st.builds(DeploymentRegions, some_regions),
    st.builds(Offences, st.frozensets(st.sampled_from(("o:1", "o:2")))),
    st.builds(AuthorisationRequired, st.sampled_from((0, HOUR, DAY))),
    st.just(ProtectedPersonAttestation()),
)
some_rights = st.builds(
    lambda extra, regions, purposes, bases: rights_of(
        make_terms(*extra, regions=regions, purposes=purposes, bases=bases)
    ),
    st.lists(some_extra, max_size=3),
    some_regions,
    st.frozensets(st.sampled_from(("test:one", "test:two"))),
    st.frozensets(st.sampled_from(tuple(Basis))),
)
some_ask = st.builds(
    lambda region, purpose, offence, basis, ends, attested: make_ask(
        1,
        region=region,
        basis=basis,
        purpose=purpose,
        offence=offence,
        authorisation="w" if ends else "",
        authorisation_end=NOW + ends if ends else 0,
        attested=attested,
    ),
    st.sampled_from(("DE", "DE-BY", "AT", "FR", "CH")),
    st.sampled_from(("test:one", "test:two", "")),
    st.sampled_from(("o:1", "o:2", "")),
    st.sampled_from(tuple(Basis)),
    st.sampled_from((0, HOUR, 2 * HOUR)),
    st.booleans(),
)
some_place = st.builds(
    Place,
    st.sampled_from(("DE", "DE-BY", "FR", "")),
    st.sampled_from(("10.1.2.3", "10.200.0.1", "192.0.2.1", "::1", "")),
)


@given(some_rights, some_rights, some_ask, some_place)
def test_terms_that_are_not_wider_permit_nothing_that_the_old_ones_refuse(old: Rights, new: Rights, ask, place):
    if widened(old, new):
        return
    if scope_denial(new, ask, NOW) is None:
        assert scope_denial(old, ask, NOW) is None
    if place_denial(new, place) is None:
        assert place_denial(old, place) is None


@given(some_rights)
def test_no_terms_are_wider_than_themselves(one: Rights):
    assert widened(one, one) == ()


def test_the_builders_terms_are_terms():
    check_terms(make_terms())
    assert len(make_constraints()) == len(MANDATORY)
