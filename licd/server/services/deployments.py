"""DeploymentService."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from licd.core.errors import Conflict, Invalid, NotFound
from licd.core.model import Deployment, Session
from licd.core.time import DAY, Millis
from licd.ledger import tables
from licd.ledger.database import Connection
from licd.ledger.queries import Page, listed
from licd.ledger.rows import DEPLOYMENTS, SESSIONS
from licd.ledger.verbs.deployments import InviteDeployment, ReenrolDeployment, RevokeDeployment
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.fork_evidence import fork_of
from licd.server.join_token import JoinTokens
from licd.server.log_proofs import LogProofs
from licd.server.names import checked_name
from licd.server.push import Push
from licd.server.reader import Reader
from licd.server.reason_codes import ReasonCodes
from licd.v1 import deployment_service_pb2 as pb
from licd.v1 import operator_pb2
from licd.wire.resources import DEPLOYMENT_STATUS, deployment_message

REENROL: Final = "DeploymentService.ReenrolDeployment"
SECRET_BYTES: Final = 32
VALID_LIMIT: Final[Millis] = 30 * DAY
VALID_DEFAULT: Final[Millis] = DAY


class DeploymentService:
    """Places for systems."""

    def __init__(
        self,
        *,
        reader: Reader,
        proofs: LogProofs,
        changes: Changes,
        codes: ReasonCodes,
        push: Push,
        tokens: JoinTokens,
        random: Callable[[int], bytes],
    ) -> None:
        self._reader: Final = reader
        self._proofs: Final = proofs
        self._changes: Final = changes
        self._codes: Final = codes
        self._push: Final = push
        self._tokens: Final = tokens
        self._random: Final = random
        changes.plan_with(REENROL, self._plan_reenrol)

    async def invite_deployment(
        self, request: pb.InviteDeploymentRequest, caller: Caller
    ) -> pb.InviteDeploymentResponse:
        """Gives the join token, once. licd keeps only its hash."""
        if not 0 <= request.valid_for_ms <= VALID_LIMIT:
            raise Invalid(f"from 0 (= one day) to {VALID_LIMIT} ms", field="valid_for_ms")
        name = checked_name(request.deployment, "deployment")
        secret = self._random(SECRET_BYTES).hex()
        command = InviteDeployment(
            licence=request.licence,
            deployment=name,
            token_hash=sha256(secret.encode()).digest(),
            valid_for=request.valid_for_ms or VALID_DEFAULT,
            actor=caller.operator().operator,
        )

        def respond(deployment: Deployment) -> pb.InviteDeploymentResponse:
            return pb.InviteDeploymentResponse(
                invitation=pb.Invitation(
                    join_token=self._tokens.text(deployment.id, secret),
                    expires_at_ms=deployment.token_expires_at,
                    deployment=deployment_message(deployment),
                )
            )

        response = await self._changes.once(request, caller, command, respond, _without_token)
        if not response.invitation.join_token:
            raise Conflict("the join token was given once and is not kept; invite again", field="request_id")
        return response

    async def get_deployment(self, request: pb.GetDeploymentRequest, caller: Caller) -> pb.GetDeploymentResponse:
        """Raises NotFound."""

        def query(connection: Connection) -> tuple[Deployment | None, Session | None]:
            return DEPLOYMENTS.get(connection, request.deployment), SESSIONS.get(connection, request.deployment)

        found, session = await self._reader.run(query)
        if found is None:
            raise NotFound(f"there is no deployment {request.deployment}", field="deployment")
        return pb.GetDeploymentResponse(deployment=self._message(found, session))

    async def get_fork(self, request: pb.GetForkRequest, caller: Caller) -> pb.GetForkResponse:
        """What was kept of two copies, with proofs. Raises NotFound."""
        return await self._proofs.run(
            lambda connection, roots: fork_of(connection, roots, request.deployment, request.enrolment)
        )

    def _message(self, deployment: Deployment, session: Session | None) -> operator_pb2.Deployment:
        return deployment_message(deployment, session, connected=self._push.connected(deployment.id))

    async def list_deployments(self, request: pb.ListDeploymentsRequest, caller: Caller) -> pb.ListDeploymentsResponse:
        """In the order of their identifiers."""
        page = Page.of(request.page.page_size, request.page.page_token)
        column = tables.deployment.c
        wanted = [column.licence == request.licence] if request.licence else []
        if request.customer:
            wanted.append(column.customer == request.customer)
        if request.status:
            stored = {number: status.value for status, number in DEPLOYMENT_STATUS.items()}
            wanted.append(column.status == stored.get(request.status, ""))

        def query(connection: Connection) -> pb.ListDeploymentsResponse:
            found, token = listed(connection, DEPLOYMENTS, page, wanted)
            return pb.ListDeploymentsResponse(
                deployments=[self._message(each, SESSIONS.get(connection, each.id)) for each in found],
                page=operator_pb2.PageInfo(next_page_token=token),
            )

        return await self._reader.run(query)

    async def revoke_deployment(
        self, request: pb.RevokeDeploymentRequest, caller: Caller
    ) -> pb.RevokeDeploymentResponse:
        """Ends an enrolment, at once."""
        command = RevokeDeployment(
            request.deployment,
            self._codes.suspend(request.reason_code),
            checked_text(request.detail, "detail"),
            caller.operator().operator,
        )
        return await self._changes.once(request, caller, command, _revoked)

    async def reenrol_deployment(
        self, request: pb.ReenrolDeploymentRequest, caller: Caller
    ) -> pb.ReenrolDeploymentResponse:
        """Opens a fenced or lost system for a new enrolment: needs a second person."""
        response: pb.ReenrolDeploymentResponse = await self._changes.widen(REENROL, request, caller)
        return response

    async def _plan_reenrol(self, request: pb.ReenrolDeploymentRequest, actor: str) -> Plan:
        found = await self._reader.run(lambda connection: DEPLOYMENTS.get(connection, request.deployment))
        if found is None:
            raise NotFound(f"there is no deployment {request.deployment}", field="deployment")
        detail = checked_text(request.detail, "detail")

        return Plan(
            command=ReenrolDeployment(found.id, detail, actor),
            respond=_reenrolled,
            subject=f"deployment/{found.id}",
            version=lambda tx: tx.state_of(found.id).deployments[found.id].enrolment,
            seen_version=found.enrolment,
            summary=f"open deployment {found.id} ({found.status}) for a new enrolment: {detail}",
        )


def _without_token(response: pb.InviteDeploymentResponse) -> pb.InviteDeploymentResponse:
    """What is kept of the answer: a secret that is written down is one no more."""
    kept = pb.InviteDeploymentResponse()
    kept.CopyFrom(response)
    kept.invitation.ClearField("join_token")
    return kept


def _revoked(deployment: Deployment) -> pb.RevokeDeploymentResponse:
    return pb.RevokeDeploymentResponse(deployment=deployment_message(deployment))


def _reenrolled(deployment: Deployment) -> pb.ReenrolDeploymentResponse:
    return pb.ReenrolDeploymentResponse(deployment=deployment_message(deployment))
