"""The effective right: never wider than any part of it, whatever the order, and who narrowed it in what."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.overlay import (
    Overlay,
    OverlayEffect,
    OverlayStatus,
    beyond_terms,
    binding,
    check_overlay,
    effective,
    narrowings,
    overlay_denial,
    widened_by,
)
from licd.core.reasons import Reason
from licd.core.scope import scope_denial
from licd.core.terms import (
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
    TargetChurn,
    TargetRegions,
    Terms,
    TermsInvalid,
    rights_of,
    widened,
)
from licd.core.time import DAY, HOUR
from tests.builders import NOW, TERM, make_ask, make_overlay, make_terms

ALL = frozenset(Basis)
EXPORT, DOMESTIC = OverlayRequired("export-qn"), OverlayRequired("domestic-qn")


def regions(*names: str, bases: frozenset[Basis] = ALL) -> TargetRegions:
    return TargetRegions(frozenset(names), bases)


def purposes(*names: str) -> Purposes:
    return Purposes(frozenset(names))


# ----------------------------------------------------------------------------------------------- the intersection
@pytest.mark.parametrize(
    ("limit", "field", "left"),
    [
        (ConcurrentTargets(2), "cap", 2),
        (regions("DE", "FR"), "regions", frozenset({"DE"})),
        (regions("DE-BY"), "regions", frozenset({"DE-BY"})),
        (regions("FR"), "regions", frozenset()),
        (regions("DE", "AT", bases=frozenset({Basis.DECLARED})), "bases", frozenset({Basis.DECLARED})),
        (purposes("test:two", "test:nine"), "purposes", frozenset({"test:two"})),
        (PermitLength(1_000), "length", 1_000),
        (OfflineGrace(0), "grace", 0),
        (Deployments(1), "deployments", 1),
        (DistinctTargets(5, DAY), "distinct", (DistinctTargets(5, DAY),)),
        (TargetChurn(5, DAY), "churn", (TargetChurn(5, DAY),)),
        (Offences(frozenset({"o:1"})), "offences", frozenset({"o:1"})),
        (DeploymentRegions(frozenset({"DE"})), "deployment_regions", frozenset({"DE"})),
        (DeploymentAddresses(frozenset({"10.0.0.0/8"})), "addresses", (frozenset({"10.0.0.0/8"}),)),
        (AuthorisationRequired(DAY), "authorisation", AuthorisationRequired(DAY)),
        (ProtectedPersonAttestation(), "attestation", True),
    ],
)
def test_each_limit_of_an_overlay_narrows_the_right_and_is_told_as_its(limit: Constraint, field: str, left: Any):
    terms, overlay = make_terms(), make_overlay(limit)
    rights = effective(terms, [overlay])
    assert getattr(rights, field) == left
    assert widened(rights_of(terms), rights) == ()
    assert [(each.overlay.id, each.respects) for each in narrowings(terms, [overlay])] == [("export-qn/EX-1", (field,))]


@pytest.mark.parametrize(
    "limit", [ConcurrentTargets(99), regions("DE", "AT", "FR"), PermitLength(3_000_000), Deployments(9), EXPORT]
)
def test_a_limit_that_permits_more_changes_nothing(limit: Constraint):
    terms = make_terms(EXPORT)
    assert effective(terms, [make_overlay(limit)]) == rights_of(terms)
    assert narrowings(terms, [make_overlay(limit)])[0].respects == ()


def test_the_dates_of_an_overlay_are_limits_like_others():
    terms = make_terms()
    rights = effective(terms, [make_overlay(not_before=NOW + HOUR, not_after=NOW + DAY)])
    assert (rights.not_before, rights.not_after) == (NOW + HOUR, NOW + DAY)
    longer = effective(terms, [make_overlay(not_before=NOW - DAY, not_after=NOW + 2 * TERM)])
    assert (longer.not_before, longer.not_after) == (NOW, NOW + TERM)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"product": "product"}, True),
        ({"licence": "l1"}, True),
        ({"product": "product", "licence": "l1"}, True),
        ({"customer": "c2"}, False),
        ({"product": "another"}, False),
        ({"licence": "l2"}, False),
        ({"product": "another", "licence": "l1"}, False),
    ],
)
def test_an_overlay_is_about_what_it_names(changes: dict[str, Any], expected: bool):
    overlay = make_overlay(ConcurrentTargets(0), **changes)
    assert (binding(make_terms(), [overlay]) == (overlay,)) is expected
    assert (effective(make_terms(), [overlay]).cap == 0) is expected


# ------------------------------------------------------------------------------------------------------- in force
@pytest.mark.parametrize(
    ("overlay", "at", "words"),
    [
        (make_overlay(status=OverlayStatus.WITHDRAWN), NOW, "overlay export-qn/EX-1 was withdrawn"),
        (make_overlay(status=OverlayStatus.EXPIRED), NOW - DAY, "overlay export-qn/EX-1 has run out"),
        (make_overlay(not_after=NOW + DAY), NOW + DAY, "overlay export-qn/EX-1 has run out"),
        (make_overlay(not_before=NOW + 1), NOW, "overlay export-qn/EX-1 does not hold yet"),
    ],
)
def test_an_overlay_that_is_not_in_force_permits_nothing(overlay: Overlay, at: int, words: str):
    denied = overlay_denial(make_terms(), [overlay], at)
    assert denied is not None
    assert (denied.reason, denied.detail, denied.overlays) == (
        Reason.OVERLAY_NOT_IN_FORCE,
        words,
        ("export-qn/EX-1",),
    )


def test_an_overlay_holds_to_its_last_millisecond_and_one_that_was_lifted_is_none():
    assert overlay_denial(make_terms(), [make_overlay(not_after=NOW + DAY)], NOW + DAY - 1) is None
    lifted = make_overlay(ConcurrentTargets(0), status=OverlayStatus.LIFTED, not_after=NOW - 1, not_before=NOW - 2)
    assert overlay_denial(make_terms(), [lifted], NOW) is None
    assert effective(make_terms(), [lifted]) == rights_of(make_terms())


def test_a_later_overlay_takes_nothing_from_one_that_has_run_out():
    over, next_one = make_overlay(not_after=NOW + 1), make_overlay(reference="EX-2")
    denied = overlay_denial(make_terms(), [over, next_one], NOW + 1)
    assert denied is not None
    assert denied.overlays == ("export-qn/EX-1",)


@pytest.mark.parametrize(
    ("demands", "overlays", "missing"),
    [
        ((EXPORT,), (), "export-qn"),
        ((EXPORT, DOMESTIC), (make_overlay(),), "domestic-qn"),
        ((EXPORT,), (make_overlay(authority="domestic-qn"),), "export-qn"),
        ((EXPORT,), (make_overlay(customer="c2"),), "export-qn"),
        ((EXPORT,), (make_overlay(status=OverlayStatus.LIFTED),), "export-qn"),
        ((), (make_overlay(DOMESTIC),), "domestic-qn"),
    ],
)
def test_a_right_that_stands_on_an_overlay_is_none_without_it(
    demands: tuple[Constraint, ...], overlays: tuple[Overlay, ...], missing: str
):
    terms = make_terms(*demands)
    denied = overlay_denial(terms, overlays, NOW)
    assert denied is not None
    assert (denied.reason, denied.overlays) == (Reason.OVERLAY_NOT_IN_FORCE, (missing,))
    rights = effective(terms, overlays)
    assert rights.not_after <= rights.not_before


def test_a_demanded_overlay_in_force_gives_the_terms_and_no_more():
    terms = make_terms(EXPORT)
    assert overlay_denial(terms, [make_overlay()], NOW) is None
    assert effective(terms, [make_overlay()]) == rights_of(terms)


# ------------------------------------------------------------------------------------------------ never any wider
REGIONS = ("DE", "DE-BY", "AT", "FR")
INSIDE = {("DE-BY", "DE")} | {(each, each) for each in REGIONS}
PURPOSES = ("test:one", "test:two", "test:three")

some_limits = st.lists(
    st.one_of(
        st.builds(ConcurrentTargets, st.integers(0, 5)),
        st.builds(PermitLength, st.integers(1, 60_000)),
        st.builds(OfflineGrace, st.integers(0, 60_000)),
        st.builds(TargetRegions, st.frozensets(st.sampled_from(REGIONS)), st.frozensets(st.sampled_from(tuple(Basis)))),
        st.builds(Purposes, st.frozensets(st.sampled_from(PURPOSES))),
        st.builds(Offences, st.frozensets(st.sampled_from(("o:1", "o:2")))),
        st.builds(AuthorisationRequired, st.sampled_from((0, HOUR, DAY))),
        st.just(ProtectedPersonAttestation()),
        st.builds(DistinctTargets, st.integers(0, 9), st.sampled_from((HOUR, DAY))),
        st.sampled_from((EXPORT, DOMESTIC)),
    ),
    max_size=4,
)
some_overlay = st.builds(
    lambda limits, authority, reference, starts, lasts, status: make_overlay(
        *limits,
        authority=authority,
        reference=reference,
        status=status,
        not_before=NOW + starts,
        not_after=NOW + starts + lasts,
    ),
    some_limits,
    st.sampled_from(("export-qn", "domestic-qn")),
    st.sampled_from(("1", "2")),
    st.sampled_from((-HOUR, 0, HOUR)),
    st.sampled_from((1, HOUR, DAY)),
    st.sampled_from(tuple(OverlayStatus)),
)
some_overlays = st.lists(some_overlay, max_size=3, unique_by=lambda each: each.id)
some_terms = st.builds(lambda limits, names: make_terms(*limits, regions=names), some_limits, st.just(("DE", "AT")))
some_ask = st.builds(
    lambda region, purpose, offence, basis, ends, attested: make_ask(
        region=region,
        purpose=purpose,
        offence=offence,
        basis=basis,
        authorisation="w" if ends else "",
        authorisation_end=NOW + ends if ends else 0,
        attested=attested,
    ),
    st.sampled_from(REGIONS),
    st.sampled_from(PURPOSES),
    st.sampled_from(("o:1", "o:2", "")),
    st.sampled_from(tuple(Basis)),
    st.sampled_from((0, HOUR, 2 * DAY)),
    st.booleans(),
)


def refused_by(limits: Sequence[Constraint], ask: Any, now: int) -> bool:
    """Whether one of these limits forbids it: each looked at by itself, by rules written down here anew."""
    [claim] = ask.regions
    ahead = ask.authorisation_end - now
    for limit in limits:
        match limit:
            case TargetRegions(names, bases):
                inside = any((claim.region, name) in INSIDE for name in names)
                if not inside or claim.basis not in bases:
                    return True
            case Purposes(names):
                if ask.purpose not in names:
                    return True
            case Offences(names):
                if ask.offence not in names:
                    return True
            case AuthorisationRequired(longest):
                if not ask.authorisation or (longest and ahead > longest):
                    return True
            case ProtectedPersonAttestation():
                if not ask.attested:
                    return True
            case _:
                pass
    return bool(ask.authorisation_end) and ahead <= 0


def stopped_by(terms: Terms, overlays: Sequence[Overlay], now: int) -> bool:
    """Whether one of the overlays, or the want of one, leaves nothing."""
    bound = [each for each in overlays if each.status != "lifted"]
    if any(each.status != "in-force" for each in bound):
        return True
    if any(not each.terms.not_before <= now < each.terms.not_after for each in bound):
        return True
    limits = [*terms.constraints, *(one for each in bound for one in each.terms.constraints)]
    wanted = {each.authority for each in limits if isinstance(each, OverlayRequired)}
    return not wanted <= {each.authority for each in bound}


@given(some_terms, some_overlays, some_ask, st.sampled_from((0, 1, HOUR - 1, HOUR, 2 * HOUR)))
def test_what_is_permitted_is_what_each_part_by_itself_permits(terms: Terms, overlays, ask, after: int):
    now = NOW + after
    bound = [each for each in overlays if each.status is not OverlayStatus.LIFTED]
    parts = [terms.constraints, *(each.terms.constraints for each in bound)]
    forbidden = any(refused_by(part, ask, now) for part in parts)
    assert (scope_denial(effective(terms, overlays), ask, now) is not None) == forbidden
    assert (overlay_denial(terms, overlays, now) is not None) == stopped_by(terms, overlays, now)


@given(some_terms, some_overlays)
def test_no_part_is_narrower_than_the_whole(terms: Terms, overlays):
    whole = effective(terms, overlays)
    assert widened(rights_of(terms), whole) == ()
    for each in overlays:
        assert widened(effective(terms, [each]), whole) in {(), ("not_after",)}
        if each.status is OverlayStatus.LIFTED:
            continue
        for limit in each.terms.constraints:
            match limit:
                case ConcurrentTargets(most):
                    assert whole.cap <= most
                case PermitLength(most):
                    assert whole.length <= most
                case OfflineGrace(most):
                    assert whole.grace <= most
                case _:
                    pass
        assert whole.not_after <= each.until
        assert whole.not_before >= each.terms.not_before


@given(some_terms, some_overlays)
def test_the_order_in_which_overlays_came_does_not_matter(terms: Terms, overlays):
    first = effective(terms, overlays), narrowings(terms, overlays), overlay_denial(terms, overlays, NOW)
    for order in permutations(overlays):
        again = effective(terms, order), narrowings(terms, order), overlay_denial(terms, order, NOW)
        assert same(first[0], again[0])
        assert again[1:] == first[1:]


def same(one: Any, other: Any) -> bool:
    """Of volume limits all hold, in whatever order they stand."""
    volumes = {"distinct": (), "churn": (), "addresses": ()}
    return replace(one, **volumes) == replace(other, **volumes) and set(one.distinct) == set(other.distinct)


@given(some_terms, some_overlays, some_overlay, some_ask)
def test_one_more_overlay_permits_nothing_new(terms: Terms, overlays, another, ask):
    before = [each for each in overlays if each.id != another.id]
    if another.authority not in {each.authority for each in before} and EXPORT in terms.constraints:
        return  # the one that was missing
    after = [*before, another]
    if scope_denial(effective(terms, after), ask, NOW) is None:
        assert scope_denial(effective(terms, before), ask, NOW) is None


# -------------------------------------------------------------------------------------------------- what widens
@pytest.mark.parametrize(
    ("terms", "before", "after", "wider"),
    [
        (make_terms(), [], make_overlay(ConcurrentTargets(1)), ()),
        (make_terms(), [make_overlay(ConcurrentTargets(1))], make_overlay(ConcurrentTargets(2)), ("cap",)),
        (make_terms(), [make_overlay(ConcurrentTargets(9))], make_overlay(ConcurrentTargets(99)), ()),
        (make_terms(), [make_overlay(not_after=NOW + DAY)], make_overlay(), ("not_after",)),
        (make_terms(), [make_overlay()], make_overlay(status=OverlayStatus.LIFTED), ()),
        (make_terms(), [make_overlay(EXPORT)], make_overlay(status=OverlayStatus.LIFTED), ("overlays",)),
        (make_terms(EXPORT), [], make_overlay(ConcurrentTargets(1)), ("overlays",)),
        (make_terms(EXPORT), [make_overlay()], make_overlay(status=OverlayStatus.LIFTED), ()),
        (make_terms(), [make_overlay(status=OverlayStatus.WITHDRAWN)], make_overlay(), ("not_after",)),
        (make_terms(), [make_overlay(status=OverlayStatus.EXPIRED, not_after=NOW)], make_overlay(), ("not_after",)),
        (make_terms(), [make_overlay()], make_overlay(status=OverlayStatus.WITHDRAWN), ()),
        (make_terms(), [make_overlay(ConcurrentTargets(1))], make_overlay(status=OverlayStatus.WITHDRAWN), ()),
        (make_terms(), [make_overlay(ConcurrentTargets(1))], make_overlay(not_after=NOW), ("cap",)),
        (make_terms(), [make_overlay(ConcurrentTargets(1))], make_overlay(not_before=NOW + 1), ("cap",)),
        (make_terms(), [make_overlay()], make_overlay(product="another"), ()),
        (make_terms(), [make_overlay(purposes("test:one"))], make_overlay(product="another"), ("purposes",)),
    ],
)
def test_in_what_a_revision_gives_more(terms: Terms, before: list[Overlay], after: Overlay, wider: tuple[str, ...]):
    assert widened_by(terms, before, after) == wider


@pytest.mark.parametrize(
    "stop",
    [
        make_overlay(reference="EX-2", status=OverlayStatus.WITHDRAWN),
        make_overlay(reference="EX-2", status=OverlayStatus.EXPIRED, not_after=NOW),
        make_overlay(reference="EX-2", not_after=NOW),
        make_overlay(DOMESTIC, reference="EX-2"),
        make_overlay(ConcurrentTargets(0), authority="licd", reference="l1.training"),
    ],
    ids=["withdrawn", "expired", "over", "waiting for another", "narrower"],
)
def test_what_a_revision_gives_is_told_also_while_another_overlay_leaves_nothing(stop: Overlay):
    before = [make_overlay(ConcurrentTargets(1), not_after=NOW + DAY), stop]
    for after in (make_overlay(), make_overlay(status=OverlayStatus.LIFTED), make_overlay(product="another")):
        assert widened_by(make_terms(), before, after) == ("not_after", "cap")


def test_a_withdrawal_gives_nothing_but_away_from_a_licence_it_lets_go_of_it():
    before = [make_overlay(ConcurrentTargets(1))]
    signed = make_overlay(status=OverlayStatus.WITHDRAWN, effect=OverlayEffect.WITHDRAW)
    assert widened_by(make_terms(), before, signed) == ()
    elsewhere = replace(signed, terms=replace(signed.terms, product="another"))
    assert widened_by(make_terms(), before, elsewhere) == ("cap",)


def test_after_a_signed_withdrawal_all_that_comes_back_is_told():
    withdrawn = make_overlay(status=OverlayStatus.WITHDRAWN, effect=OverlayEffect.WITHDRAW)
    told = widened_by(make_terms(), [withdrawn], make_overlay(ConcurrentTargets(2)))
    assert {"not_after", "cap", "regions", "purposes"} <= set(told)


@pytest.mark.parametrize(
    ("limits", "beyond"),
    [
        ((), ()),
        ((ConcurrentTargets(3), regions("DE"), purposes("test:one")), ()),
        ((ConcurrentTargets(4),), ("cap",)),
        ((regions("DE", "FR"), purposes("test:nine")), ("regions", "purposes")),
        ((Offences(frozenset({"o:1"})), DistinctTargets(1_000, HOUR)), ()),
        ((OfflineGrace(DAY),), ("grace",)),
    ],
)
def test_an_overlay_beyond_the_terms_is_told_in_what(limits: tuple[Constraint, ...], beyond: tuple[str, ...]):
    assert beyond_terms(make_terms(), make_overlay(*limits).terms) == beyond


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: replace(said, not_after=said.not_before), "not_after: must be later than not_before"),
        (lambda said: replace(said, revision=0), "revision: counts from 1, got 0"),
        (lambda said: replace(said, constraints=(regions("XX"),)), "regions: "),
        (lambda said: replace(said, constraints=(PermitLength(0),)), "PermitLength.length: must be from 1 to"),
        (lambda said: replace(said, constraints=(ConcurrentTargets(-1),)), "ConcurrentTargets.limit: must be at least"),
        (lambda said: replace(said, constraints=(OverlayRequired(""),)), "OverlayRequired.authority: must name"),
        (
            lambda said: replace(said, effect=OverlayEffect.LIFT, constraints=(ConcurrentTargets(1),)),
            "constraints: only an overlay that permits something has limits",
        ),
    ],
)
def test_an_overlay_that_contradicts_itself_is_none(change: Callable[[Any], Any], words: str):
    check_overlay(make_overlay().terms)
    with pytest.raises(TermsInvalid) as told:
        check_overlay(change(make_overlay().terms))
    assert str(told.value).startswith(words)
