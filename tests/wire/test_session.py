"""Links, permits, refusals and directives ⇄ their messages."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.core.acquire_lease import Granted
from licd.core.errors import Invalid
from licd.core.link import Outcome, Permit, Release, Renewed
from licd.core.model import Directive, DirectiveKind
from licd.core.reasons import Denied, Reason, SeatHeld
from licd.core.release_lease import Released
from licd.core.scope import Acquisition, RegionClaim
from licd.core.terms import Basis
from licd.v1 import denial_pb2, session_pb2
from licd.wire.session import (
    CLAIMS_LIMIT,
    DIRECTIVE_KINDS,
    TARGET_BYTES,
    TEXT_LIMIT,
    Header,
    acquisition_from_message,
    denial_message,
    directive_payload,
    operations_from_messages,
    outcome_message,
    permit_payload,
    refusal_payload,
)
from tests.builders import NOW, make_ask, target
from tests.core.rig import Rig

HEADER = Header(
    issuer="licd.test",
    system="customer/c1/system/a",
    session="s1",
    sequence=7,
    link=b"L" * 32,
    nonce=b"N" * 16,
    request_id="",
    decided=NOW,
    licence="l1",
    epoch=3,
    bundle_version=2,
    enrolment=3,
)


def acquisition_message(ask: Acquisition) -> session_pb2.Acquisition:
    """As the SDK spells it."""
    return session_pb2.Acquisition(
        target=ask.target,
        regions=[session_pb2.RegionClaim(region=each.region, basis=int(each.basis)) for each in ask.regions],  # type: ignore[arg-type]
        purpose=ask.purpose,
        offence=ask.offence,
        authorisation=session_pb2.Authorisation(reference=ask.authorisation, expires_at_ms=ask.authorisation_end),
        attested_not_protected=ask.attested,
    )


claims = st.builds(RegionClaim, st.text(max_size=6), st.sampled_from(Basis))
asks = st.builds(
    Acquisition,
    target=st.binary(min_size=TARGET_BYTES, max_size=TARGET_BYTES),
    regions=st.lists(claims, max_size=CLAIMS_LIMIT).map(tuple),
    purpose=st.text(max_size=TEXT_LIMIT),
    offence=st.text(max_size=20),
    authorisation=st.text(max_size=20),
    authorisation_end=st.integers(0, 2**63 - 1),
    attested=st.booleans(),
)


@given(asks)
def test_an_acquisition_is_read_as_it_was_meant(ask: Acquisition):
    message = session_pb2.Acquisition.FromString(acquisition_message(ask).SerializeToString())
    assert acquisition_from_message(message, "acquire") == ask


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": b""}, "target"),
        ({"target": b"x" * 31}, "target"),
        ({"target": b"x" * 33}, "target"),
        ({"purpose": "p" * (TEXT_LIMIT + 1)}, "purpose"),
        ({"offence": "p" * (TEXT_LIMIT + 1)}, "offence"),
        ({"authorisation": "p" * (TEXT_LIMIT + 1)}, "authorisation.reference"),
        ({"authorisation_end": -1}, "authorisation.expires_at_ms"),
        ({"regions": (RegionClaim("DE", Basis.DECLARED),) * (CLAIMS_LIMIT + 1)}, "regions"),
        ({"regions": (RegionClaim("D" * (TEXT_LIMIT + 1), Basis.DECLARED),)}, "regions.region"),
    ],
)
def test_an_acquisition_that_is_wrong_in_itself_is_named_by_its_field(change: dict[str, object], field: str):
    message = acquisition_message(replace(make_ask(), **change))  # type: ignore[arg-type]
    with pytest.raises(Invalid) as refused:
        acquisition_from_message(message, "operations[3].acquire")
    assert refused.value.field == f"operations[3].acquire.{field}"


@pytest.mark.parametrize("basis", [0, 4, 9])
def test_a_basis_that_is_none_is_refused(basis: int):
    message = acquisition_message(make_ask())
    message.regions[0].basis = basis  # type: ignore[assignment]
    with pytest.raises(Invalid, match=f"{basis} is no basis; one of NUMBER_PLAN = 1"):
        acquisition_from_message(message, "acquire")


def test_operations_are_read_in_their_order_and_each_by_its_verb():
    messages = [
        session_pb2.Operation(release=session_pb2.Release(lease=2**64 - 1)),
        session_pb2.Operation(acquire=acquisition_message(make_ask(4))),
        session_pb2.Operation(release=session_pb2.Release()),
    ]
    assert operations_from_messages(messages) == (Release(2**64 - 1), make_ask(4), Release(0))
    with pytest.raises(Invalid) as refused:
        operations_from_messages([*messages, session_pb2.Operation()])
    assert refused.value.field == "operations[3]"


# ------------------------------------------------------------------------------------------------- replies
DENIED = Denied(
    Reason.CONCURRENT_CAP,
    "full",
    retry_at=NOW + 5,
    seats=(SeatHeld(9, NOW - 1, NOW + 2, cooling=True), SeatHeld(10, NOW, NOW + 3, cooling=False)),
    live=1,
    cooling=1,
    limit=2,
    suspension_code="code",
    overlays=("export-qn/EX-1",),
)


def test_a_header_says_all_that_it_has():
    message = session_pb2.Permit.FromString(permit_payload(HEADER, Permit((), (), (), 1), 5_000)).header
    named = {field.name for field in session_pb2.ReplyHeader.DESCRIPTOR.fields}
    said = {field.name for field, _ in replace_request(message).ListFields()}
    assert said == named
    assert (message.sequence, message.link, message.nonce) == (7, b"L" * 32, b"N" * 16)
    assert (message.decided_ms, message.epoch, message.bundle_version) == (NOW, 3, 2)


def replace_request(message: session_pb2.ReplyHeader) -> session_pb2.ReplyHeader:
    """The one field that HEADER leaves empty: it belongs to unary calls."""
    assert message.request_id == ""
    message.request_id = "r"
    return message


def test_a_permit_lists_leases_in_columns_of_equal_length():
    leases = (Renewed(7, target(1), NOW + 1), Renewed(2**63 - 1, target(2), NOW + 2))
    permit = Permit(leases, (), ((3, Reason.CAP_NARROWED), (2**64 - 1, Reason.LEASE_NOT_FOUND)), 4)
    message = session_pb2.Permit.FromString(permit_payload(HEADER, permit, 5_000))
    assert list(message.leases) == [7, 2**63 - 1]
    assert message.targets == target(1) + target(2)
    assert list(message.hard_ends_ms) == [NOW + 1, NOW + 2]
    assert [(each.lease, each.reason) for each in message.ended] == [(3, 34), (2**64 - 1, 32)]
    assert (message.heartbeat_ms, message.revision) == (5_000, 4)


def test_each_outcome_is_spelled_as_what_it_is():
    rig = Rig()
    granted = rig.unary(1)
    assert isinstance(granted, Granted)
    outcomes: dict[str, Outcome] = {"grant": granted, "released": Released(5, NOW), "denial": DENIED}
    assert {type(each) for each in outcomes.values()} == set(get_args(Outcome))
    for name, outcome in outcomes.items():
        assert outcome_message(outcome).WhichOneof("result") == name
    grant = outcome_message(granted).grant
    lease = granted.lease
    assert (grant.lease, grant.target, grant.granted_at_ms) == (lease.id, lease.target, lease.granted_at)
    assert (grant.hard_end_ms, grant.region, grant.purpose) == (granted.hard_end, lease.region, lease.purpose)
    assert not grant.existing
    assert outcome_message(replace(granted, existing=True)).grant.existing
    assert outcome_message(Released(5, NOW)).released == session_pb2.Released(lease=5, free_at_ms=NOW)


def test_a_denial_says_all_that_it_has():
    message = denial_message(DENIED)
    assert {field.name for field, _ in message.ListFields()} == {f.name for f in denial_pb2.Denial.DESCRIPTOR.fields}
    assert message.reason == denial_pb2.DENIAL_REASON_CONCURRENT_CAP
    assert (message.detail, message.retry_at_ms, message.suspension_reason) == ("full", NOW + 5, "code")
    assert (message.live, message.cooling, message.limit) == (1, 1, 2)
    assert [(s.lease, s.granted_at_ms, s.free_at_ms, s.cooling) for s in message.seats_held] == [
        (9, NOW - 1, NOW + 2, True),
        (10, NOW, NOW + 3, False),
    ]


def test_the_numbers_of_a_reason_are_those_of_the_protocol():
    assert {reason.name: reason.value for reason in Reason} == {
        name.removeprefix("DENIAL_REASON_"): number for name, number in denial_pb2.DenialReason.items() if number
    }


def test_a_refusal_carries_its_denial():
    message = session_pb2.Refusal.FromString(refusal_payload(HEADER, DENIED))
    assert message.denial == denial_message(DENIED)
    assert (message.header.link, message.header.enrolment) == (HEADER.link, HEADER.enrolment)


@pytest.mark.parametrize("kind", DirectiveKind)
def test_each_directive_is_spelled_as_what_it_is(kind: DirectiveKind):
    directive = Directive("l1", 4, kind, NOW, "code", "detail", leases=(3, 2**63 - 1), deployment="a")
    message = session_pb2.Directive.FromString(directive_payload(directive, "licd.test", "customer/c1/system/a"))
    assert {field.name for field, _ in message.ListFields()} == {
        f.name for f in session_pb2.Directive.DESCRIPTOR.fields
    }
    assert session_pb2.DirectiveKind.Name(message.kind) == f"DIRECTIVE_KIND_{kind.name}"
    assert (message.licence, message.epoch, message.decided_ms) == ("l1", 4, NOW)
    assert (message.reason_code, message.detail, list(message.leases)) == ("code", "detail", [3, 2**63 - 1])
    assert (message.issuer, message.system) == ("licd.test", "customer/c1/system/a")


def test_every_kind_of_directive_has_its_number():
    assert set(DIRECTIVE_KINDS) == set(DirectiveKind)
    assert sorted(DIRECTIVE_KINDS.values()) == [number for _, number in session_pb2.DirectiveKind.items() if number]
