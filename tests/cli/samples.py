"""Messages that several tests need."""

from google.protobuf.message import Message

from licd.cli.methods import path_of
from licd.core.time import DAY, HOUR, SECOND
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import licence_pb2 as pb
from licd.v1 import operator_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.licence_service_pb2 import StopBounds
from licd.v1.session_pb2 import OperatorCommand
from tests.cli.conftest import NOW

ISSUER = MemorySigner(KeyPurpose.LICENCE_ISSUER, b"\x01" * 32)
BOUNDS = StopBounds(push_ms=1_550, pull_ms=9_001, unreachable_ms=321_065, latest_hard_end_ms=NOW + 310_500)


def constraints() -> list[pb.Constraint]:
    return [
        pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=2)),
        pb.Constraint(distinct_targets=pb.DistinctTargets(limit=10, period_ms=30 * DAY)),
        pb.Constraint(
            target_regions=pb.TargetRegions(
                regions=["DE", "FR"], bases=[pb.REGION_BASIS_NUMBER_PLAN, pb.REGION_BASIS_DECLARED]
            )
        ),
        pb.Constraint(purposes=pb.Purposes(purposes=["example:serious-crime"])),
        pb.Constraint(authorisation_required=pb.AuthorisationRequired(max_life_ms=90 * DAY)),
        pb.Constraint(protected_person_attestation=pb.ProtectedPersonAttestation()),
        pb.Constraint(permit_length=pb.PermitLength(length_ms=20 * SECOND)),
        pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=300 * SECOND)),
        pb.Constraint(deployments=pb.Deployments(limit=1)),
    ]


def terms() -> pb.LicenceTerms:
    return pb.LicenceTerms(
        licence="acme-1",
        customer="acme",
        issuer="licd.example",
        revision=1,
        issued_at_ms=NOW - DAY,
        not_before_ms=NOW - DAY,
        not_after_ms=NOW + 30 * DAY,
        product="sample",
        category="moderate",
        policy_version="p1",
        lineage="acme-1",
        constraints=constraints(),
        min_reader_version=1,
        conditions=["training"],
    )


def licence(**changes: object) -> operator_pb2.Licence:
    made = operator_pb2.Licence(
        licence="acme-1",
        customer="acme",
        status=operator_pb2.LICENCE_STATUS_ACTIVE,
        epoch=3,
        version=7,
        token=token(),
        terms=terms(),
        live=2,
        cooling=1,
        deployments=1,
    )
    made.MergeFrom(operator_pb2.Licence(**changes))  # type: ignore[arg-type]  # what a test changes
    return made


def token(message: pb.LicenceTerms | None = None) -> Envelope:
    return seal(Kind.LICENCE, (message or terms()).SerializeToString(deterministic=True), ISSUER)


def approval_of(request: Message, falsified: OperatorCommand | None = None) -> operator_pb2.Approval:
    """What licd makes of a request that widens something; `falsified` says what its bytes say instead."""
    command = OperatorCommand(
        approval="A-1",
        method=path_of(request),
        request=request.SerializeToString(),
        requested_by="operator/anna",
        requested_at_ms=NOW,
        expires_at_ms=NOW + 24 * HOUR,
        subject="licence/acme-1",
        subject_version=7,
        summary="as licd understood it",
        issuer="licd.example",
    )
    command.MergeFrom(falsified or OperatorCommand())
    payload = command.SerializeToString(deterministic=True)
    return operator_pb2.Approval(
        approval="A-1",
        status=operator_pb2.APPROVAL_STATUS_PENDING,
        command=Envelope(payload=payload, payload_type=Kind.OPERATOR_COMMAND.payload_type),
        needed=2,
        method=command.method,
        summary=command.summary,
        requested_by="operator/anna",
        requested_at_ms=NOW,
        expires_at_ms=NOW + 24 * HOUR,
        subject="licence/acme-1",
    )
