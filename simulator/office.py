"""The vendor's side: operators at their desks, who issue, stop and lift over the operators' listener."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import grpc
import grpc.aio

from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.v1 import (
    approval_service_pb2 as approval_pb,
)
from licd.v1 import (
    customer_service_pb2 as customer_pb,
)
from licd.v1 import (
    deployment_service_pb2 as deployment_pb,
)
from licd.v1 import (
    diligence_service_pb2 as diligence_pb,
)
from licd.v1 import (
    key_service_pb2 as key_pb,
)
from licd.v1 import (
    lease_service_pb2 as lease_pb,
)
from licd.v1 import (
    licence_service_pb2 as licence_pb,
)
from licd.v1 import (
    operator_pb2 as operator,
)
from licd.v1 import (
    trust_pb2,
)
from licd.v1.approval_service_pb2_grpc import ApprovalServiceStub
from licd.v1.customer_service_pb2_grpc import CustomerServiceStub
from licd.v1.deployment_service_pb2_grpc import DeploymentServiceStub
from licd.v1.diligence_service_pb2_grpc import DiligenceServiceStub
from licd.v1.key_service_pb2_grpc import KeyServiceStub
from licd.v1.lease_service_pb2_grpc import LeaseServiceStub
from licd.v1.licence_pb2 import Constraint
from licd.v1.licence_service_pb2_grpc import LicenceServiceStub
from simulator.chance import Random
from simulator.clock import SECOND, Clock, Millis, sleep
from simulator.diligence import indicators, opportunity
from simulator.papers import OperatorPapers
from simulator.request_id import request_id

ANSWER_WITHIN: Final = 10.0
"""Seconds."""
PATIENCE: Final[Millis] = 15 * SECOND
ASK_AGAIN_AFTER: Final[Millis] = 300

Q = TypeVar("Q")
R = TypeVar("R")


class Desk:
    """One operator: his channel and his key."""

    def __init__(self, papers: OperatorPapers) -> None:
        channel = papers.channel()
        self.name: Final = papers.name
        self.signer: Final = papers.signer
        self.channel: Final[grpc.aio.Channel] = channel
        self.approvals: Final = ApprovalServiceStub(channel)
        self.customers: Final = CustomerServiceStub(channel)
        self.deployments: Final = DeploymentServiceStub(channel)
        self.diligence: Final = DiligenceServiceStub(channel)
        self.keys: Final = KeyServiceStub(channel)
        self.leases: Final = LeaseServiceStub(channel)
        self.licences: Final = LicenceServiceStub(channel)


class Office:
    """Two desks or more: what the first asks for, and widens, as many sign as must."""

    def __init__(self, desks: Sequence[Desk], clock: Clock, chance: Random) -> None:
        self._desks: Final = desks
        self._first: Final = desks[0]
        self._second: Final = desks[1]
        self._clock: Final = clock
        self._chance: Final = chance

    async def close(self) -> None:
        """All go home."""
        for desk in self._desks:
            await desk.channel.close()

    def request_id(self) -> str:
        """A new one."""
        return request_id(self._clock.wall_ms(), self._chance)

    async def _ask(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, R], request: Q) -> R:
        """One call, and the very same again for a while when nobody is there: its request id makes that harmless."""
        deadline = self._clock.boot_ms() + PATIENCE
        while True:
            try:
                return await method(request, timeout=ANSWER_WITHIN)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or self._clock.boot_ms() > deadline:
                    raise
            await sleep(self._clock, ASK_AGAIN_AFTER)

    # ------------------------------------------------------------------------------------------- rights
    async def create_customer(self, name: str, title: str) -> None:
        """Raises AioRpcError, as everything here does when licd refuses or cannot be reached."""
        request = customer_pb.CreateCustomerRequest(request_id=self.request_id(), customer=name, name=title)
        await self._ask(self._first.customers.CreateCustomer, request)

    async def import_indicators(self, year: int) -> None:
        """Both publishers' files of a year, about a country that does not exist."""
        for source in ("wgi", "cpi"):
            request = diligence_pb.ImportIndicatorsRequest(request_id=self.request_id(), file=indicators(source, year))
            await self._ask(self._first.diligence.ImportIndicators, request)

    async def assess(self, customer: str, product: str, term: Millis) -> str:
        """Assess a customer, with everything done that a category can ask for. Returns the category."""
        request = opportunity(customer, product, term)
        request.request_id = self.request_id()
        return (await self._ask(self._first.diligence.AssessCustomer, request)).assessment.category

    async def issue(self, request: licence_pb.IssueLicenceRequest) -> operator.Licence:
        """Issue a licence; the request comes without an id."""
        request.request_id = self.request_id()
        await self._all((await self._ask(self._first.licences.IssueLicence, request)).approval)
        return await self.licence(request.licence)

    async def licence(self, name: str) -> operator.Licence:
        """A licence as it stands."""
        request = licence_pb.GetLicenceRequest(licence=name)
        return (await self._ask(self._first.licences.GetLicence, request)).licence

    async def amend(self, name: str, constraints: list[Constraint], detail: str) -> operator.Licence:
        """Put other constraints into a licence."""
        found = await self.licence(name)
        terms = found.terms
        draft = licence_pb.TermsDraft(
            not_before_ms=terms.not_before_ms,
            not_after_ms=terms.not_after_ms,
            product=terms.product,
            category=terms.category,
            constraints=constraints,
        )
        request = licence_pb.AmendLicenceRequest(
            request_id=self.request_id(), licence=name, version=found.version, terms=draft, detail=detail
        )
        await self._all((await self._ask(self._first.licences.AmendLicence, request)).approval)
        return await self.licence(name)

    async def reinstate(self, name: str, code: str, detail: str) -> operator.Licence:
        """Lift a suspension."""
        found = await self.licence(name)
        request = licence_pb.ReinstateLicenceRequest(
            request_id=self.request_id(), licence=name, epoch=found.epoch, reason_code=code, detail=detail
        )
        await self._all((await self._ask(self._first.licences.ReinstateLicence, request)).approval)
        return await self.licence(name)

    async def _all(self, approval: operator.Approval) -> None:
        """Where others are asked for, they sign the very same bytes, one after the other, until it is carried out."""
        if not approval.approval:
            return
        for desk in self._desks[: approval.needed]:
            request = approval_pb.SignApprovalRequest(
                request_id=self.request_id(),
                approval=approval.approval,
                command=seal(Kind.OPERATOR_COMMAND, approval.command.payload, desk.signer),
            )
            approval = (await self._ask(desk.approvals.SignApproval, request)).approval
        if approval.status != operator.APPROVAL_STATUS_EXECUTED:
            raise RuntimeError(f"{approval.summary}: all have signed, and it was not carried out")

    # -------------------------------------------------------------------------------------- deployments
    async def invite(self, licence: str, deployment: str) -> str:
        """A join token for a new system."""
        request = deployment_pb.InviteDeploymentRequest(
            request_id=self.request_id(), licence=licence, deployment=deployment
        )
        answer = await self._ask(self._first.deployments.InviteDeployment, request)
        return answer.invitation.join_token

    async def revoke(self, deployment: str, code: str) -> None:
        """End a system's enrolment."""
        request = deployment_pb.RevokeDeploymentRequest(
            request_id=self.request_id(), deployment=deployment, reason_code=code, detail="a simulated end"
        )
        await self._ask(self._first.deployments.RevokeDeployment, request)

    # --------------------------------------------------------------------------------------------- stops
    async def suspend(
        self, scope: licence_pb.SuspensionScope, code: str, detail: str
    ) -> licence_pb.SuspendLicenceResponse:
        """One person, at once."""
        request = licence_pb.SuspendLicenceRequest(
            request_id=self.request_id(), scope=scope, reason_code=code, detail=detail
        )
        return await self._ask(self._second.licences.SuspendLicence, request)

    async def suspension(self, handle: str) -> licence_pb.GetSuspensionResponse:
        """How far it has come."""
        request = licence_pb.GetSuspensionRequest(suspension=handle)
        return await self._ask(self._second.licences.GetSuspension, request)

    async def terminate(self, name: str, code: str, detail: str) -> operator.Licence:
        """End a licence for good."""
        request = licence_pb.TerminateLicenceRequest(
            request_id=self.request_id(), licence=name, reason_code=code, detail=detail
        )
        return (await self._ask(self._first.licences.TerminateLicence, request)).licence

    async def force_release(self, name: str, number: int, code: str) -> int:
        """Take back so many of a licence's live leases. Returns how many there were to take."""
        listed = lease_pb.ListLeasesRequest(licence=name, state=operator.LEASE_STATE_LIVE)
        leases = (await self._ask(self._first.leases.ListLeases, listed)).leases[:number]
        for lease in leases:
            request = lease_pb.ForceReleaseLeaseRequest(
                request_id=self.request_id(), lease=lease.lease, reason_code=code, detail="a simulated release"
            )
            await self._ask(self._first.leases.ForceReleaseLease, request)
        return len(leases)

    async def trust(self) -> trust_pb2.TrustBundleChain:
        """Every trust bundle from the first on."""
        request = key_pb.ExportTrustBundleRequest()
        return (await self._ask(self._first.keys.ExportTrustBundle, request)).trust
