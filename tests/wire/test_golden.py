"""Payloads that were once signed: they must be written and read the same for ever. `make golden` records new files."""

from pathlib import Path

import pytest
from google.protobuf.message import Message

from licd.core.acquire_lease import Granted
from licd.core.continuity import Continuity
from licd.core.link import Permit, Renewed
from licd.core.model import Deployment, DeploymentStatus, Directive, DirectiveKind, Lease, Session
from licd.core.overlay import OverlayEffect, OverlayTerms
from licd.core.reasons import Denied, Reason, SeatHeld
from licd.core.release_lease import Released
from licd.core.terms import (
    AuthorisationRequired,
    Basis,
    ConcurrentTargets,
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
)
from licd.core.time import DAY
from licd.keys.kinds import Kind
from licd.keys.payload import refuse_unknown_fields
from licd.v1 import condition_pb2, licence_pb2, overlay_pb2, session_pb2
from licd.wire.continuity import continuity_payload
from licd.wire.overlay import overlay_from_payload, overlay_payload
from licd.wire.session import Header, directive_payload, permit_payload, refusal_payload
from licd.wire.terms import terms_from_payload, terms_payload

GOLDEN = Path(__file__).parents[1] / "golden"
AT = 1_800_000_000_000
SYSTEM = "customer/c1/system/s1"
TARGET, OTHER = bytes(range(32)), bytes(range(32, 64))

TERMS = Terms(
    licence="l1",
    customer="c1",
    issuer="licd.example",
    revision=2,
    issued_at=AT - 5,
    not_before=AT,
    not_after=AT + 365 * DAY,
    product="product",
    category="amber",
    policy_version="2026.1",
    lineage="l0",
    constraints=(
        ConcurrentTargets(5),
        DistinctTargets(50, 30 * DAY),
        TargetChurn(10, DAY),
        TargetRegions(frozenset(("DE", "AT-9", "m49:154")), frozenset((Basis.NUMBER_PLAN, Basis.DECLARED))),
        DeploymentRegions(frozenset(("DE",))),
        DeploymentAddresses(frozenset(("192.0.2.0/24", "2001:db8::/32"))),
        Purposes(frozenset(("licd:serious-crime", "licd:missing-person"))),
        Offences(frozenset()),
        AuthorisationRequired(90 * DAY),
        ProtectedPersonAttestation(),
        PermitLength(20_000),
        OfflineGrace(300_000),
        Deployments(3),
    ),
    conditions=("training", "certification"),
)
HEADER = Header(
    issuer="licd.example",
    system=SYSTEM,
    session="5e55",
    sequence=7,
    link=b"\x11" * 32,
    nonce=b"\x22" * 16,
    request_id="",
    decided=AT,
    licence="l1",
    epoch=3,
    bundle_version=4,
    enrolment=0,
)
LEASE = Lease(
    id=2**62 + 1,
    licence="l1",
    lineage="l0",
    deployment="s1",
    target=TARGET,
    region="DE",
    basis=Basis.NUMBER_PLAN,
    purpose="licd:serious-crime",
    offence="",
    authorisation="w-1",
    authorisation_end=AT + DAY,
    granted_at=AT,
    seat_until=AT + 20_000,
    attached=True,
    ended_at=0,
    free_at=AT + 21_065,
    end_reason="",
    barred_until=0,
)
FULL = Denied(
    Reason.CONCURRENT_CAP,
    "5 live and 0 cooling of 5 seats",
    retry_at=AT + 9,
    seats=(SeatHeld(2**62 + 1, AT, AT + 21_065, cooling=False),),
    live=5,
    limit=5,
)
PERMIT = Permit(
    leases=(Renewed(LEASE.id, TARGET, AT + 20_000), Renewed(8, OTHER, AT + 320_000)),
    outcomes=(Granted(LEASE, AT + 20_000, existing=False), Released(9, AT + 30_000), FULL),
    ended=((10, Reason.LEASE_LAPSED), (11, Reason.CAP_NARROWED)),
    revision=2,
)
OVERLAY = OverlayTerms(
    authority="export-qn",
    reference="EX-2026-114",
    audience="licd.example",
    revision=3,
    issued_at=AT - 7,
    not_before=AT,
    not_after=AT + 90 * DAY,
    effect=OverlayEffect.PERMIT,
    customer="c1",
    product="product",
    licence="l1",
    constraints=(
        ConcurrentTargets(2),
        TargetRegions(frozenset(("DE", "AT-9")), frozenset((Basis.NUMBER_PLAN,))),
        OverlayRequired("domestic-qn"),
    ),
    statement="for one operation",
)
SUSPENDED = Denied(Reason.LICENCE_SUSPENDED, "under review", suspension_code="misuse_suspected")
DIRECTIVE = Directive("l1", 4, DirectiveKind.FORCE_RELEASE, AT, "operator_request", "words", (LEASE.id, 8), "s1")


def link() -> session_pb2.Link:
    acquisition = session_pb2.Acquisition(
        target=TARGET,
        regions=[session_pb2.RegionClaim(region="DE", basis=licence_pb2.REGION_BASIS_NUMBER_PLAN)],
        purpose="licd:serious-crime",
        offence="o:1",
        authorisation=session_pb2.Authorisation(reference="w-1", expires_at_ms=AT + DAY),
        attested_not_protected=True,
    )
    return session_pb2.Link(
        system=SYSTEM,
        sequence=8,
        previous=b"\x33" * 32,
        boot_nonce=b"\x44" * 16,
        boot_time_ms=12_345,
        nonce=b"\x55" * 16,
        session="5e55",
        heartbeat=session_pb2.Heartbeat(),
        held=[LEASE.id, 8],
        operations=[
            session_pb2.Operation(acquire=acquisition),
            session_pb2.Operation(release=session_pb2.Release(lease=9)),
        ],
        epoch_seen=3,
        journal=session_pb2.JournalHead(size=42, root=b"\x66" * 32),
        latest_decided_ms=AT,
    )


def acknowledgement() -> session_pb2.Acknowledgement:
    return session_pb2.Acknowledgement(
        system=SYSTEM,
        licence="l1",
        epoch=4,
        directive=b"\x77" * 32,
        boot_nonce=b"\x44" * 16,
        stopped_boot_ms=12_400,
        stopped_at_ms=AT + 55,
        stopped_leases=2,
        active_leases=0,
    )


def operator_command() -> session_pb2.OperatorCommand:
    return session_pb2.OperatorCommand(
        approval="A-1",
        method="/licd.v1.LicenceService/ReinstateLicence",
        request=b"\x0a\x02l1",
        requested_by="operator/anna",
        requested_at_ms=AT,
        expires_at_ms=AT + DAY,
        subject="licence/l1",
        subject_version=5,
        summary="reinstate licence l1",
        issuer="licd.example",
    )


def certification() -> condition_pb2.Certification:
    return condition_pb2.Certification(
        contact="customer/c1/contact/claire",
        audience="licd.example",
        licence="l1",
        condition="certification-quarterly",
        period=3,
        certified_at_ms=AT,
        statement="The system was used as licensed.",
        evidence=[b"\x88" * 32],
        min_reader_version=1,
    )


def continuity() -> bytes:
    deployment = Deployment(
        "s1", "l1", "c1", DeploymentStatus.ENROLLED, AT, b"", AT, 2, AT, b"key", b"hash", b"", "1.0", "DE", 3
    )
    session = Session(
        "s1",
        "l1",
        2,
        "5e55",
        7,
        b"",
        b"",
        b"",
        b"",
        "permit",
        3,
        b"",
        AT,
        AT,
        b"\x44" * 16,
        AT,
        20_000,
        300_000,
        AT + DAY,
    )
    given = Continuity(
        "C-1", deployment, session, (Renewed(LEASE.id, TARGET, AT + 7_200_000), Renewed(8, OTHER, AT + 9))
    )
    return continuity_payload(given, issuer="licd.example", epoch=3, decided=AT, until=AT + 7_200_000)


PAYLOADS: dict[Kind, tuple[bytes, type[Message]]] = {
    Kind.LICENCE: (terms_payload(TERMS), licence_pb2.LicenceTerms),
    Kind.PERMIT: (permit_payload(HEADER, PERMIT, 5_000), session_pb2.Permit),
    Kind.DENIAL: (refusal_payload(HEADER, SUSPENDED), session_pb2.Refusal),
    Kind.DIRECTIVE: (directive_payload(DIRECTIVE, "licd.example", SYSTEM), session_pb2.Directive),
    Kind.LINK: (link().SerializeToString(), session_pb2.Link),
    Kind.ACKNOWLEDGEMENT: (acknowledgement().SerializeToString(), session_pb2.Acknowledgement),
    Kind.OPERATOR_COMMAND: (operator_command().SerializeToString(), session_pb2.OperatorCommand),
    Kind.CONTINUITY_PERMIT: (continuity(), session_pb2.ContinuityPermit),
    Kind.OVERLAY: (overlay_payload(OVERLAY), overlay_pb2.OverlayTerms),
    Kind.CERTIFICATION: (certification().SerializeToString(), condition_pb2.Certification),
}


def golden_bytes(kind: Kind) -> bytes:
    return bytes.fromhex((GOLDEN / f"wire_{kind}.hex").read_text(encoding="ascii"))


@pytest.mark.parametrize("kind", PAYLOADS)
def test_the_payload_of_each_kind_has_its_bytes(kind: Kind):
    assert PAYLOADS[kind][0] == golden_bytes(kind)


@pytest.mark.parametrize("kind", PAYLOADS)
def test_the_bytes_of_then_hold_nothing_that_is_not_understood_today(kind: Kind):
    message = PAYLOADS[kind][1].FromString(golden_bytes(kind))
    refuse_unknown_fields(message)
    assert message.SerializeToString() == golden_bytes(kind)


def test_the_overlay_of_then_means_today_what_it_meant():
    assert overlay_from_payload(golden_bytes(Kind.OVERLAY)) == OVERLAY


def test_the_terms_of_then_mean_today_what_they_meant():
    assert terms_from_payload(golden_bytes(Kind.LICENCE)) == TERMS
