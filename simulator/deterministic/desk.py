"""Two operators who call licd over a way of their own, and ask again, under the same id, until they are answered."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

from google.protobuf.message import Message

from licd.client.errors import NoAnswer
from licd.keys.envelope import seal
from licd.keys.kinds import Kind
from licd.server.inprocess import OperatorPapers
from licd.v1 import approval_service_pb2 as approval_pb
from licd.v1 import customer_service_pb2 as customer_pb
from licd.v1 import deployment_service_pb2 as deployment_pb
from licd.v1 import lease_service_pb2 as lease_pb
from licd.v1 import licence_pb2, overlay_pb2, overlay_service_pb2
from licd.v1 import licence_service_pb2 as licence_pb
from licd.v1 import operator_pb2 as operator
from licd.v1 import status_service_pb2 as status_pb
from licd.v1.envelope_pb2 import Envelope
from simulator.chance import Random
from simulator.clock import Instant
from simulator.deterministic.site import Site
from simulator.request_id import request_id

R = TypeVar("R", bound=Message)

AGAIN_AFTER: Final = 0.3
ANSWER_WITHIN: Final = 5.0
GIVES_UP_AFTER: Final = 60.0


class Unanswered(RuntimeError):
    """licd did not answer an operator for a very long time."""


class Desk:
    """alice asks, bob is the second person. Losses on their way are this class's own."""

    def __init__(self, site: Site, papers: tuple[OperatorPapers, ...], chance: Random) -> None:
        self._site: Final = site
        self._alice, self._bob = papers
        self._chance: Final = chance
        self.loss = 0.0

    def _id(self) -> str:
        return request_id(self._site.machine.wall_ms(), self._chance)

    async def _ask(self, verb: str, request: Message, response: type[R], who: OperatorPapers | None = None) -> R:
        """One request, as often as it takes. Raises LicdError when licd refuses it, Unanswered."""
        certificate = (who or self._alice).certificate
        raw = request.SerializeToString()
        until = asyncio.get_running_loop().time() + GIVES_UP_AFTER
        while asyncio.get_running_loop().time() < until:
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    return response.FromString(await self._once(f"/licd.v1.{verb}", raw, certificate))
            except (NoAnswer, TimeoutError):
                await asyncio.sleep(AGAIN_AFTER)
        raise Unanswered(verb)

    async def _once(self, path: str, raw: bytes, certificate: bytes) -> bytes:
        licd = self._site.any(self._chance)
        process = licd.process()
        await asyncio.sleep(0.01 * self._chance.random())
        if process is None or not process.alive or self._chance.random() < self.loss:
            raise NoAnswer("nobody there")
        serving: asyncio.Task[bytes] = process.run(licd.call(path, raw, certificate))
        try:
            answer = await serving
        except asyncio.CancelledError:
            if process.alive:
                raise
            raise NoAnswer("reset") from None
        if self._chance.random() < self.loss:
            raise NoAnswer("the answer was lost")
        return answer

    async def _both(self, approval: operator.Approval) -> operator.Approval:
        """The very same bytes, signed by both."""
        for who in (self._alice, self._bob):
            request = approval_pb.SignApprovalRequest(
                request_id=self._id(),
                approval=approval.approval,
                command=seal(Kind.OPERATOR_COMMAND, approval.command.payload, who.signer),
            )
            signed = await self._ask("ApprovalService/SignApproval", request, approval_pb.SignApprovalResponse, who)
            approval = signed.approval
        return approval

    # ------------------------------------------------------------------------------------------- verbs
    async def customer(self, name: str) -> None:
        """Create a customer."""
        request = customer_pb.CreateCustomerRequest(request_id=self._id(), customer=name, name=name)
        await self._ask("CustomerService/CreateCustomer", request, customer_pb.CreateCustomerResponse)

    async def issue(self, licence: str, customer: str, terms: licence_pb.TermsDraft) -> None:
        """Issue a licence."""
        request = licence_pb.IssueLicenceRequest(request_id=self._id(), licence=licence, customer=customer, terms=terms)
        asked = await self._ask("LicenceService/IssueLicence", request, licence_pb.IssueLicenceResponse)
        await self._both(asked.approval)

    async def licence(self, licence: str) -> operator.Licence:
        """As it stands."""
        request = licence_pb.GetLicenceRequest(licence=licence)
        return (await self._ask("LicenceService/GetLicence", request, licence_pb.GetLicenceResponse)).licence

    async def amend(self, licence: str, constraints: list[licence_pb2.Constraint]) -> None:
        """Other constraints."""
        found = await self.licence(licence)
        draft = licence_pb.TermsDraft(
            not_before_ms=found.terms.not_before_ms,
            not_after_ms=found.terms.not_after_ms,
            product=found.terms.product,
            category=found.terms.category,
            constraints=constraints,
        )
        request = licence_pb.AmendLicenceRequest(
            request_id=self._id(), licence=licence, version=found.version, terms=draft, detail="simulated"
        )
        asked = await self._ask("LicenceService/AmendLicence", request, licence_pb.AmendLicenceResponse)
        if asked.HasField("approval"):
            await self._both(asked.approval)

    async def suspend(self, scope: licence_pb.SuspensionScope) -> licence_pb.SuspendLicenceResponse:
        """One person, at once."""
        request = licence_pb.SuspendLicenceRequest(
            request_id=self._id(), scope=scope, reason_code="manual", detail="simulated"
        )
        return await self._ask("LicenceService/SuspendLicence", request, licence_pb.SuspendLicenceResponse)

    async def reinstate(self, licence: str) -> None:
        """Lift a suspension: two persons."""
        found = await self.licence(licence)
        request = licence_pb.ReinstateLicenceRequest(
            request_id=self._id(), licence=licence, epoch=found.epoch, reason_code="unfounded", detail="simulated"
        )
        asked = await self._ask("LicenceService/ReinstateLicence", request, licence_pb.ReinstateLicenceResponse)
        await self._both(asked.approval)

    async def terminate(self, licence: str) -> None:
        """For good."""
        request = licence_pb.TerminateLicenceRequest(
            request_id=self._id(), licence=licence, reason_code="misuse-found", detail="simulated"
        )
        await self._ask("LicenceService/TerminateLicence", request, licence_pb.TerminateLicenceResponse)

    async def authority(self, name: str, public_key: bytes) -> None:
        """Let an authority narrow rights: two persons."""
        request = overlay_service_pb2.RegisterAuthorityRequest(
            request_id=self._id(),
            authority=name,
            name=name,
            kind=overlay_pb2.AUTHORITY_KIND_EXPORT,
            jurisdiction="NO",
            public_key=public_key,
        )
        response = overlay_service_pb2.RegisterAuthorityResponse
        await self._both((await self._ask("OverlayService/RegisterAuthority", request, response)).approval)

    async def lodge(self, overlay: Envelope) -> None:
        """Take what an authority says: two persons where that gives more than there was."""
        request = overlay_service_pb2.LodgeOverlayRequest(request_id=self._id(), overlay=overlay)
        asked = await self._ask("OverlayService/LodgeOverlay", request, overlay_service_pb2.LodgeOverlayResponse)
        if asked.HasField("approval"):
            await self._both(asked.approval)

    async def withdraw(self, overlay: str) -> None:
        """End an overlay on its authority's word: one person, at once."""
        request = overlay_service_pb2.WithdrawOverlayRequest(
            request_id=self._id(), overlay=overlay, reason_code="export_authority", detail="simulated"
        )
        await self._ask("OverlayService/WithdrawOverlay", request, overlay_service_pb2.WithdrawOverlayResponse)

    async def force_release(self, licence: str) -> None:
        """Take one live lease back, if there is one."""
        listed = lease_pb.ListLeasesRequest(licence=licence, state=operator.LEASE_STATE_LIVE)
        leases = (await self._ask("LeaseService/ListLeases", listed, lease_pb.ListLeasesResponse)).leases
        if leases:
            request = lease_pb.ForceReleaseLeaseRequest(
                request_id=self._id(), lease=leases[0].lease, reason_code="manual", detail="simulated"
            )
            await self._ask("LeaseService/ForceReleaseLease", request, lease_pb.ForceReleaseLeaseResponse)

    async def invite(self, licence: str, deployment: str) -> str:
        """A join token."""
        request = deployment_pb.InviteDeploymentRequest(request_id=self._id(), licence=licence, deployment=deployment)
        asked = await self._ask("DeploymentService/InviteDeployment", request, deployment_pb.InviteDeploymentResponse)
        return asked.invitation.join_token

    async def accept_clock(self) -> Instant:
        """Say that licd's clock is right now: two persons where that moves licd's time."""
        now = await self._ask("StatusService/GetStatus", status_pb.GetStatusRequest(), status_pb.GetStatusResponse)
        request = status_pb.AcceptClockRequest(request_id=self._id(), detail="simulated", move_ms=now.clock_move_ms)
        answer = await self._ask("StatusService/AcceptClock", request, status_pb.AcceptClockResponse)
        if answer.HasField("approval"):
            await self._both(answer.approval)
        found = await self._ask("StatusService/GetStatus", status_pb.GetStatusRequest(), status_pb.GetStatusResponse)
        return found.clock_mark_ms
