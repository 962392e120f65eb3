"""Licence terms ⇄ the payload that is signed; what this reader does not understand, it refuses."""

from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
)
from licd.v1 import licence_pb2 as pb
from licd.wire.terms import (
    READER_VERSION,
    constraint_message,
    constraints_from_messages,
    terms_from_message,
    terms_from_payload,
    terms_message,
    terms_payload,
)
from tests.builders import make_terms

UNKNOWN_FIELD = b"\xfa\x7f\x03new"  # field 2047, three bytes
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
texts = st.frozensets(st.text(max_size=8), max_size=4)
a_constraint = st.one_of(
    st.builds(ConcurrentTargets, int32),
    st.builds(DistinctTargets, int32, int64),
    st.builds(TargetChurn, int32, int64),
    st.builds(TargetRegions, texts, st.frozensets(st.sampled_from(Basis))),
    st.builds(DeploymentRegions, texts),
    st.builds(DeploymentAddresses, texts),
    st.builds(Purposes, texts),
    st.builds(Offences, texts),
    st.builds(AuthorisationRequired, int64),
    st.just(ProtectedPersonAttestation()),
    st.builds(PermitLength, int64),
    st.builds(OfflineGrace, int64),
    st.builds(Deployments, int32),
    st.builds(OverlayRequired, st.text(max_size=8)),
)
a_text = st.text(max_size=12)
some_terms = st.builds(
    Terms,
    licence=a_text,
    customer=a_text,
    issuer=a_text,
    revision=int32,
    issued_at=int64,
    not_before=int64,
    not_after=int64,
    product=a_text,
    category=a_text,
    policy_version=a_text,
    lineage=a_text,
    constraints=st.lists(a_constraint, max_size=5).map(tuple),
    conditions=st.lists(a_text, max_size=3).map(tuple),
)

ONE_OF_EACH: tuple[Constraint, ...] = (
    ConcurrentTargets(1),
    DistinctTargets(1, 2),
    TargetChurn(1, 2),
    TargetRegions(frozenset(("DE",)), frozenset((Basis.DECLARED,))),
    DeploymentRegions(frozenset(("DE",))),
    DeploymentAddresses(frozenset(("10.0.0.0/8",))),
    Purposes(frozenset(("a:b",))),
    Offences(frozenset(("a:b",))),
    AuthorisationRequired(1),
    ProtectedPersonAttestation(),
    PermitLength(1),
    OfflineGrace(1),
    Deployments(1),
    OverlayRequired("export-qn"),
)


@given(some_terms)
def test_terms_come_back_as_they_went(terms: Terms):
    assert terms_from_payload(terms_payload(terms)) == terms


def test_every_kind_of_constraint_is_tried():
    assert {type(each) for each in ONE_OF_EACH} == set(get_args(Constraint))
    oneof = pb.Constraint.DESCRIPTOR.oneofs_by_name["kind"]
    assert {constraint_message(each).WhichOneof("kind") for each in ONE_OF_EACH} == {f.name for f in oneof.fields}


@given(a_constraint, st.randoms())
def test_equal_terms_have_equal_payloads(constraint: Constraint, random):
    turned: list[Any] = [
        frozenset(random.sample(sorted(v), len(v))) if isinstance(v, frozenset) else v for v in values(constraint)
    ]
    same = type(constraint)(*turned)
    assert terms_payload(make_terms(same)) == terms_payload(make_terms(constraint))


def values(constraint: Constraint) -> list[Any]:
    return [getattr(constraint, field.name) for field in fields(constraint)]


def test_an_absent_constraint_and_an_empty_one_differ_on_the_wire():
    empty = terms_from_payload(terms_payload(make_terms(Offences(frozenset()))))
    assert Offences(frozenset()) in empty.constraints
    assert terms_payload(make_terms()) != terms_payload(make_terms(Offences(frozenset())))


# ---------------------------------------------------------------------------------------------- not understood
def test_an_unknown_field_of_the_terms_is_refused():
    with pytest.raises(TermsInvalid, match="LicenceTerms: field 2047"):
        terms_from_payload(terms_payload(make_terms()) + UNKNOWN_FIELD)


@pytest.mark.parametrize("constraint", ONE_OF_EACH, ids=lambda each: type(each).__name__)
def test_an_unknown_field_inside_a_constraint_is_refused(constraint: Constraint):
    # The limit that it would add is the one that an old reader must not overlook.
    message = constraint_message(constraint)
    kind = str(message.WhichOneof("kind"))
    inner = type(getattr(message, kind)).FromString(getattr(message, kind).SerializeToString() + UNKNOWN_FIELD)
    getattr(message, kind).CopyFrom(inner)
    with pytest.raises(TermsInvalid, match=r"constraints\[1\].*field 2047"):
        constraints_from_messages([constraint_message(ConcurrentTargets(1)), message])
    whole = terms_message(make_terms())
    whole.constraints.append(message)
    with pytest.raises(TermsInvalid, match="field 2047"):
        terms_from_message(whole)


def test_a_constraint_of_an_unknown_kind_is_refused():
    unknown = pb.Constraint.FromString(UNKNOWN_FIELD)
    for messages in ([unknown], [pb.Constraint()]):
        with pytest.raises(TermsInvalid, match=r"constraints\[0\]"):
            constraints_from_messages(messages)


@pytest.mark.parametrize("basis", [0, 4, 99])
def test_a_basis_that_is_none_is_refused(basis: int):
    message = pb.Constraint(target_regions=pb.TargetRegions(regions=["DE"], bases=[basis]))  # type: ignore[list-item]
    with pytest.raises(TermsInvalid, match=f"{basis} is no basis"):
        constraints_from_messages([message])


def test_terms_for_a_newer_reader_are_refused():
    message = terms_message(make_terms())
    message.min_reader_version = READER_VERSION + 1
    with pytest.raises(TermsInvalid, match="min_reader_version"):
        terms_from_message(message)


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x05ab", b"\x00"])
def test_bytes_that_are_no_terms_are_refused(payload: bytes):
    with pytest.raises(TermsInvalid, match="cannot be read"):
        terms_from_payload(payload)


@given(st.binary(max_size=80))
def test_no_bytes_make_the_reader_stumble(payload: bytes):
    try:
        terms_from_payload(payload)
    except TermsInvalid:
        return


def test_the_numbers_of_a_basis_are_those_of_the_protocol():
    assert {basis.name: basis.value for basis in Basis} == {
        name.removeprefix("REGION_BASIS_"): number for name, number in pb.RegionBasis.items() if number
    }


def test_revisions_differ_on_the_wire():
    assert terms_payload(make_terms()) != terms_payload(replace(make_terms(), revision=2))
