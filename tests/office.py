"""The operators of a daemon under test: persons with a certificate and a signing key, and two who agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import urandom  # noqa: TID251 - keys of operators
from typing import Any, cast

import grpc
from google.protobuf.message import Message

from licd.core.time import Instant, Millis
from licd.keys.certificate_request import make_private_key, make_request
from licd.keys.envelope import seal
from licd.keys.file_signer import read_key_file
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pem_files import private_key_to_pem
from licd.keys.signer import MemorySigner
from licd.server.caller import Listener
from licd.v1 import (
    approval_service_pb2,
    customer_service_pb2,
    deployment_service_pb2,
    key_service_pb2,
    licence_pb2,
    licence_service_pb2,
    operator_pb2,
    status_service_pb2,
)
from tests.daemon import VERBS, Papers, Reachable, call, fresh, new_id
from tests.diligence import assess, gate_stands


@dataclass
class Operator:
    """A person with a certificate and a signing key."""

    name: str
    daemon: Reachable
    papers: Papers
    signer: MemorySigner
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        self.channel = self.daemon.channel(Listener.OPERATOR, self.papers)

    @classmethod
    def of(cls, daemon: Reachable, name: str) -> Operator:
        """One whom `licd init` made."""
        folder = daemon.state.operator(name)
        papers = Papers((folder / "tls.key").read_bytes(), (folder / "tls.pem").read_bytes())
        return cls(name, daemon, papers, read_key_file(folder / "signing.key", None))

    def call(self, verb: str, request: Message) -> Any:
        """Calls with a fresh request id where the request has one and it is not set."""
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:  # type: ignore[attr-defined]
            request.request_id = new_id(self.daemon.clock.wall())  # type: ignore[attr-defined]
        return call(self.channel, verb, request)

    def sign(self, approval: operator_pb2.Approval, payload: bytes | None = None) -> operator_pb2.Approval:
        """Signs what waits: the very bytes, or others."""
        command = seal(Kind.OPERATOR_COMMAND, approval.command.payload if payload is None else payload, self.signer)
        request = approval_service_pb2.SignApprovalRequest(approval=approval.approval, command=command)
        return cast("operator_pb2.Approval", self.call("ApprovalService.SignApproval", request).approval)

    # what tests begin with

    def customer(self, name: str = "") -> str:
        """One who has been assessed, where policy asks for that before a licence."""
        name = self.unassessed(name)
        if gate_stands(self):
            assess(self, name)
        return name

    def unassessed(self, name: str = "") -> str:
        name = name or fresh("customer")
        self.call(
            "CustomerService.CreateCustomer", customer_service_pb2.CreateCustomerRequest(customer=name, name=name)
        )
        return name

    def suspend(self, licence: str, **more: Any) -> licence_service_pb2.SuspendLicenceResponse:
        scope = licence_service_pb2.SuspensionScope(licence=licence)
        asked: dict[str, Any] = {"scope": scope, "reason_code": "manual", "detail": "to be looked at"} | more
        return cast(
            "licence_service_pb2.SuspendLicenceResponse",
            self.call("LicenceService.SuspendLicence", licence_service_pb2.SuspendLicenceRequest(**asked)),
        )

    def licence_of(self, licence: str) -> operator_pb2.Licence:
        request = licence_service_pb2.GetLicenceRequest(licence=licence)
        return cast("operator_pb2.Licence", self.call("LicenceService.GetLicence", request).licence)

    def invite(self, licence: str, name: str = "") -> str:
        """A join token."""
        request = deployment_service_pb2.InviteDeploymentRequest(licence=licence, deployment=name or fresh("system"))
        answer = self.call("DeploymentService.InviteDeployment", request)
        return cast("str", answer.invitation.join_token)

    def status(self) -> status_service_pb2.GetStatusResponse:
        request = status_service_pb2.GetStatusRequest()
        return cast("status_service_pb2.GetStatusResponse", self.call("StatusService.GetStatus", request))


class Office:
    """Two persons who agree."""

    def __init__(self, daemon: Reachable, asker: str = "alice", second: str = "bob") -> None:
        self.daemon = daemon
        self.alice = Operator.of(daemon, asker)
        self.bob = Operator.of(daemon, second)

    def agree(self, verb: str, request: Message) -> Any:
        """Asks, and both sign. Returns the response of what was executed."""
        asked = self.alice.call(verb, request)
        if not asked.HasField("approval"):
            return asked
        self.alice.sign(asked.approval)
        done = self.bob.sign(asked.approval)
        assert done.status == operator_pb2.APPROVAL_STATUS_EXECUTED
        return VERBS[verb].response.FromString(done.result)

    def licence(self, customer: str = "", **limits: Any) -> str:
        """A licence under terms of its own; see draft()."""
        request = licence_service_pb2.IssueLicenceRequest(
            customer=customer or self.alice.customer(),
            licence=fresh("licence"),
            terms=draft(self.daemon.clock.wall(), **limits),
        )
        return cast("str", self.agree("LicenceService.IssueLicence", request).licence.licence)

    def reinstate(self, licence: str) -> operator_pb2.Licence:
        request = licence_service_pb2.ReinstateLicenceRequest(
            licence=licence,
            epoch=self.alice.licence_of(licence).epoch,
            reason_code="unfounded",
            detail="it was nothing",
        )
        return cast("operator_pb2.Licence", self.agree("LicenceService.ReinstateLicence", request).licence)

    def continuity(self, licence: str, length: Millis, **more: Any) -> licence_service_pb2.ContinuityIssuedList:
        """For all systems of a licence, from now on for so long."""
        until = self.daemon.clock.wall() + length
        request = licence_service_pb2.IssueContinuityPermitRequest(
            licence=licence, until_ms=until, detail="the hall moves", **more
        )
        done = self.agree("LicenceService.IssueContinuityPermit", request)
        return cast("licence_service_pb2.ContinuityIssuedList", done.issued)

    def admit(self, name: str, *roles: str) -> Operator:
        """A new operator with these roles."""
        key = make_private_key()
        signer = MemorySigner.generate(KeyPurpose.OPERATOR, urandom)
        request = key_service_pb2.AddOperatorRequest(
            operator=name, roles=roles, public_key=signer.public_key, csr=make_request(key)
        )
        admission = self.agree("KeyService.AddOperator", request).admission
        papers = Papers(private_key_to_pem(key), admission.certificate_chain_pem.encode())
        return Operator(name, self.daemon, papers, signer)


def draft(
    now: Instant,
    *,
    cap: int = 4,
    permit_ms: Millis = 20_000,
    grace_ms: Millis = 60_000,
    systems: int = 4,
    days: int = 30,
    distinct: int = 100,
    churn: int = 40,
    regions: tuple[str, ...] = ("NO", "SE"),
    extra: tuple[licence_pb2.Constraint, ...] = (),
    begun: Millis = 0,
) -> licence_service_pb2.TermsDraft:
    """Terms that the example policy takes in its lowest category; they began so long ago."""
    pb = licence_pb2
    hours, period = 3_600_000, 90 * 24 * 3_600_000
    constraints = [
        pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=cap)),
        pb.Constraint(distinct_targets=pb.DistinctTargets(limit=distinct, period_ms=period)),
        pb.Constraint(target_churn=pb.TargetChurn(limit=churn, period_ms=24 * hours)),
        pb.Constraint(target_regions=pb.TargetRegions(regions=regions, bases=[pb.REGION_BASIS_NUMBER_PLAN])),
        pb.Constraint(purposes=pb.Purposes(purposes=["sar:search-and-rescue"])),
        pb.Constraint(permit_length=pb.PermitLength(length_ms=permit_ms)),
        pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=grace_ms)),
        pb.Constraint(deployments=pb.Deployments(limit=systems)),
        *extra,
    ]
    return licence_service_pb2.TermsDraft(
        not_before_ms=now - begun,
        not_after_ms=now + days * 24 * hours,
        product="locator",
        category="low",
        constraints=constraints,
    )
