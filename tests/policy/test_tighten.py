"""Terms brought below a ceiling permit nothing that they did not, and nothing that the ceiling does not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.terms import (
    Basis,
    Constraint,
    DistinctTargets,
    ProtectedPersonAttestation,
    TargetChurn,
    Terms,
    check_terms,
    rights_of,
    widened,
)
from licd.core.time import DAY, HOUR, SECOND
from licd.policy import Policies, beyond_policy, load
from licd.policy.limits import Limits
from licd.policy.tighten import tightened
from tests.builders import NOW, make_terms
from tests.policy.folder import SHIPPED

POLICIES = load(SHIPPED)
LICENSED = sorted(name for name, category in POLICIES.categories.items() if category.ceiling)


def ceiling(name: str) -> Limits:
    found = POLICIES.categories[name].ceiling
    assert found is not None
    return found


@st.composite
def some_terms(draw: st.DrawFn) -> Terms:
    extra: list[Constraint] = []
    if draw(st.booleans()):
        extra.append(DistinctTargets(draw(st.integers(0, 900)), draw(st.integers(1, 120)) * DAY))
    if draw(st.booleans()):
        extra.append(TargetChurn(draw(st.integers(0, 90)), draw(st.integers(1, 48)) * HOUR))
    if draw(st.booleans()):
        extra.append(ProtectedPersonAttestation())
    return make_terms(
        *extra,
        not_after=NOW + draw(st.integers(1, 700)) * DAY,
        cap=draw(st.integers(0, 40)),
        length=draw(st.integers(1, 3_600)) * SECOND,
        grace=draw(st.integers(0, 86_400)) * SECOND,
        deployments=draw(st.integers(0, 9)),
        bases=draw(st.sets(st.sampled_from(list(Basis)))),
    )


@given(some_terms(), st.sampled_from(LICENSED), st.integers(0, 400))
def test_what_is_tightened_only_narrows_and_keeps_to_the_ceiling(terms: Terms, name: str, days: int):
    now = NOW + days * DAY
    narrower = tightened(terms, ceiling(name), now)
    assert widened(rights_of(terms), rights_of(narrower)) == ()
    beyond = beyond_policy(POLICIES, replace(narrower, category=name, not_before=max(now, narrower.not_before)))
    assert [each for each in beyond if not each.startswith(("purpose", "permit length"))] == []


@given(some_terms(), st.sampled_from(LICENSED))
def test_tightened_again_nothing_changes(terms: Terms, name: str):
    once = tightened(terms, ceiling(name), NOW)
    assert tightened(once, ceiling(name), NOW + DAY) is once


@pytest.mark.parametrize("template", sorted(POLICIES.templates))
def test_a_licence_within_its_ceiling_stays_as_it_is(policies: Policies, template: str):
    found = policies.templates[template]
    terms = replace(make_terms(not_after=NOW + found.term), constraints=found.constraints())
    assert tightened(terms, ceiling(found.category), NOW) is terms


def test_what_is_tightened_is_still_a_licence():
    narrower = tightened(make_terms(not_after=NOW + 400 * DAY), ceiling("high"), NOW + 300 * DAY)
    check_terms(narrower)
    assert narrower.not_after == NOW + 390 * DAY
    assert rights_of(narrower).attestation
