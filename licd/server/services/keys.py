"""KeyService: what is trusted, and who operates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from licd.core.errors import Invalid, NotFound
from licd.core.time import Instant
from licd.keys.certificate_request import check_request
from licd.keys.identity import OperatorIdentity
from licd.keys.kinds import KeyPurpose
from licd.keys.pki import key_thumbprint
from licd.keys.public_key import PublicKeyError, parse_public_key
from licd.keys.verification_key import key_id_of, key_to_message
from licd.ledger.queries import Page, listed
from licd.ledger.records import Operator
from licd.ledger.rows import OPERATORS
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.operators import AddOperator, DisableOperator
from licd.policy import Policies
from licd.server.caller import Caller
from licd.server.certificates import Certificates
from licd.server.changes import Changes, Plan, checked_text
from licd.server.names import checked_name
from licd.server.publication import Publication
from licd.server.reader import Reader
from licd.server.trust import Trust
from licd.v1 import key_service_pb2 as pb
from licd.v1 import operator_pb2

ADD: Final = "KeyService.AddOperator"
PUBLISH: Final = "KeyService.PublishTrustBundle"


class KeyService:
    """Keys and the people who hold them."""

    def __init__(
        self,
        *,
        reader: Reader,
        changes: Changes,
        policies: Policies,
        certificates: Certificates,
        trust: Trust,
        publication: Publication,
    ) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._policies: Final = policies
        self._certificates: Final = certificates
        self._trust: Final = trust
        self._publication: Final = publication
        changes.plan_with(ADD, self._plan_add)
        changes.plan_with(PUBLISH, self._plan_publish)

    async def list_keys(self, request: pb.ListKeysRequest, caller: Caller) -> pb.ListKeysResponse:
        """The keys of the newest trust bundle, in the order of their identifiers."""
        page = Page.of(request.page.page_size, request.page.page_token)
        bundle = self._trust.bundle
        keys = sorted((*bundle.root_keys, *bundle.keys), key=lambda key: key.key_id)
        rest = [key for key in keys if key.key_id > page.token]
        shown = rest[: page.size]
        token = shown[-1].key_id if len(rest) > page.size else ""
        return pb.ListKeysResponse(
            keys=[key_to_message(key) for key in shown],
            withdrawn_key_ids=sorted(bundle.withdrawn_key_ids),
            page=operator_pb2.PageInfo(next_page_token=token),
        )

    async def export_trust_bundle(
        self, request: pb.ExportTrustBundleRequest, caller: Caller
    ) -> pb.ExportTrustBundleResponse:
        """The chain of bundles after the version held."""
        return pb.ExportTrustBundleResponse(trust=self._trust.chain(request.held_version))

    async def publish_trust_bundle(
        self, request: pb.PublishTrustBundleRequest, caller: Caller
    ) -> pb.PublishTrustBundleResponse:
        """Puts the next bundle in force, as the holders of the root keys signed it."""
        response: pb.PublishTrustBundleResponse = await self._changes.widen(PUBLISH, request, caller)
        return response

    async def _plan_publish(self, request: pb.PublishTrustBundleRequest, actor: str) -> Plan:
        bundle = self._publication.examine(request.bundle)

        def respond(at: Instant) -> pb.PublishTrustBundleResponse:
            published = self._publication.published(bundle, at)
            publication = pb.TrustPublication(
                version=published.version, published_at_ms=published.at, known_at_ms=published.known_at
            )
            return pb.PublishTrustBundleResponse(publication=publication)

        return Plan(
            command=self._publication.command(bundle, actor),
            respond=respond,
            subject="trust",
            version=lambda _: self._trust.version,
            seen_version=self._trust.version,
            summary=f"publish trust bundle {bundle.version}",
            widens=self._publication.widens(bundle),
        )

    async def list_operators(self, request: pb.ListOperatorsRequest, caller: Caller) -> pb.ListOperatorsResponse:
        """In the order of their names."""
        page = Page.of(request.page.page_size, request.page.page_token)
        found, token = await self._reader.run(lambda connection: listed(connection, OPERATORS, page))
        return pb.ListOperatorsResponse(
            operators=[operator_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def add_operator(self, request: pb.AddOperatorRequest, caller: Caller) -> pb.AddOperatorResponse:
        """Admits somebody, or changes what he may do: needs a second person."""
        response: pb.AddOperatorResponse = await self._changes.widen(ADD, request, caller)
        return response

    async def _plan_add(self, request: pb.AddOperatorRequest, actor: str) -> Plan:
        name = checked_name(request.operator, "operator")
        roles = self._checked_roles(request.roles)
        try:
            parse_public_key(request.public_key)
        except PublicKeyError as error:
            raise Invalid(str(error), field="public_key") from error
        channel_key = check_request(request.csr)
        command = AddOperator(
            operator=name,
            roles=roles,
            public_key=request.public_key,
            key_id=key_id_of(KeyPurpose.OPERATOR, request.public_key),
            channel_key_hash=key_thumbprint(channel_key),
            actor=actor,
            can_admit=self._can_admit,
        )

        def respond(operator: Operator) -> pb.AddOperatorResponse:
            chain = self._certificates.issue(channel_key, OperatorIdentity(operator.id))
            admission = pb.OperatorAdmission(operator=operator_message(operator), certificate_chain_pem=chain)
            return pb.AddOperatorResponse(admission=admission)

        found = await self._reader.run(lambda connection: OPERATORS.get(connection, name))
        return Plan(
            command=command,
            respond=respond,
            subject=f"operator/{name}",
            version=_version_of(name),
            seen_version=found.version if found else 0,
            summary=f"{'change' if found else 'add'} operator {name} with the roles {', '.join(roles)} "
            f"and the signing key {command.key_id}",
        )

    def _can_admit(self, persons: Mapping[str, frozenset[str]]) -> bool:
        return self._policies.roles.may_agree(persons, ADD)

    def _checked_roles(self, roles: Any) -> tuple[str, ...]:
        known = self._policies.roles.roles
        unknown = sorted(set(roles) - set(known))
        if unknown or not roles:
            raise Invalid(f"{', '.join(unknown) or 'nothing'}; name some of {', '.join(sorted(known))}", field="roles")
        return tuple(sorted(set(roles)))

    async def disable_operator(self, request: pb.DisableOperatorRequest, caller: Caller) -> pb.DisableOperatorResponse:
        """Takes every right away, at once."""
        found = await self._reader.run(lambda connection: OPERATORS.get(connection, request.operator))
        if found is None:
            raise NotFound(f"there is no operator {request.operator}", field="operator")
        detail = checked_text(request.detail, "detail")
        command = DisableOperator(found.id, caller.operator().operator, detail, self._can_admit)
        return await self._changes.once(request, caller, command, _disabled)


def _version_of(name: str) -> Callable[[Transaction], int]:
    def version(tx: Transaction) -> int:
        found = tx.get(OPERATORS, name)
        return found.version if found else 0

    return version


def _disabled(operator: Operator) -> pb.DisableOperatorResponse:
    return pb.DisableOperatorResponse(operator=operator_message(operator))


def operator_message(operator: Operator) -> operator_pb2.Operator:
    """An operator as others read it."""
    return operator_pb2.Operator(
        operator=operator.id,
        roles=sorted(operator.role_set),
        public_key=operator.public_key,
        key_id=operator.key_id,
        enabled=operator.enabled,
        created_at_ms=operator.created_at,
    )
