from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.terms import Basis
from licd.core.time import DAY, HOUR, SECOND
from licd.policy import Policies
from licd.policy.limits import KEYS, Limits, Volume, exceeded

CEILING = Limits(
    term=90 * DAY,
    concurrent_targets=5,
    distinct_targets=Volume(60, 90 * DAY),
    new_targets=Volume(6, 24 * HOUR),
    deployments=2,
    permit=20 * SECOND,
    grace=300 * SECOND,
    bases=frozenset((Basis.NUMBER_PLAN,)),
    authorisation_required=True,
    attestation_required=True,
)


def test_what_stands_at_the_ceiling_is_within_it():
    assert exceeded(CEILING, CEILING) == ()


@pytest.mark.parametrize(
    ("field", "beyond"),
    [
        ("term", 90 * DAY + 1),
        ("concurrent_targets", 6),
        ("distinct_targets", Volume(61, 90 * DAY)),
        ("distinct_targets", Volume(60, 90 * DAY - 1)),
        ("new_targets", Volume(7, 24 * HOUR)),
        ("deployments", 3),
        ("permit", 20 * SECOND + 1),
        ("grace", 300 * SECOND + 1),
        ("bases", frozenset((Basis.NUMBER_PLAN, Basis.DECLARED))),
        ("bases", frozenset((Basis.PRESENT_LOCATION,))),
        ("authorisation_required", False),
        ("attestation_required", False),
    ],
)
def test_names_each_limit_that_goes_beyond(field: str, beyond: object):
    assert exceeded(replace(CEILING, **{field: beyond}), CEILING) == (field,)  # type: ignore[arg-type]


def test_every_limit_has_a_name_that_a_person_finds_in_the_file():
    assert list(KEYS) == list(Limits.__dataclass_fields__)


def test_the_floor_of_everything_is_within_every_ceiling(policies: Policies):
    modest = replace(
        CEILING,
        term=DAY,
        concurrent_targets=1,
        distinct_targets=Volume(1, 366 * DAY),
        new_targets=Volume(1, 366 * DAY),
        deployments=1,
        permit=SECOND,
        grace=0,
        bases=frozenset(),
    )
    for category in policies.categories.values():
        assert category.ceiling is None or exceeded(modest, category.ceiling) == ()


@given(
    st.integers(1, 9),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 30),
    st.lists(st.integers(0, 120), max_size=40),
)
def test_a_volume_that_fits_never_lets_the_ceiling_be_passed(
    limit: int, period: int, most: int, window: int, asked: list[int]
):
    """Takes targets as greedily as the volume lets one, then slides the ceiling's window over them."""
    volume, ceiling = Volume(limit, period), Volume(most, window)
    taken: list[int] = []
    for moment in sorted(asked):
        if sum(moment - period < other for other in taken) < limit:
            taken.append(moment)
    busiest = max((sum(start <= moment < start + window for moment in taken) for start in taken), default=0)
    assert busiest <= most or not volume.fits(ceiling)


def test_a_volume_that_does_not_fit_can_pass_the_ceiling():
    assert not Volume(2, 23).fits(Volume(2, 24))
    taken = [0, 0, 23, 23]
    assert sum(0 <= moment < 24 for moment in taken) == 4
