"""OverlayService, the authorities: register, withdraw, list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from licd.core.errors import AlreadyExists, IllegalTransition, Invalid, NotFound
from licd.core.time import Instant
from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import parse_public_key
from licd.keys.verification_key import key_id_of
from licd.ledger.queries import Page, listed
from licd.ledger.records import Authority, AuthorityKind
from licd.ledger.rows import AUTHORITIES
from licd.ledger.transaction import Transaction
from licd.ledger.verbs.overlays import OWN, RegisterAuthority, WithdrawAuthority
from licd.policy.diligence import is_country
from licd.server.caller import Caller
from licd.server.changes import Changes, Plan, checked_text
from licd.server.names import checked_name
from licd.server.reader import Reader
from licd.server.trust import Trust
from licd.v1 import operator_pb2, overlay_pb2
from licd.v1 import overlay_service_pb2 as pb

REGISTER: Final = "OverlayService.RegisterAuthority"
WITHDRAW: Final = "OverlayService.WithdrawAuthority"
NAME_LIMIT: Final = 200
KINDS: Final = {
    overlay_pb2.AUTHORITY_KIND_EXPORT: AuthorityKind.EXPORT,
    overlay_pb2.AUTHORITY_KIND_DOMESTIC: AuthorityKind.DOMESTIC,
}
KIND_NUMBERS: Final = {kind: number for number, kind in KINDS.items()}


class OverlayAuthorities:
    """Who may narrow rights from outside: by two persons, both ways."""

    def __init__(self, reader: Reader, changes: Changes, trust: Trust, wall: Callable[[], Instant]) -> None:
        self._reader: Final = reader
        self._changes: Final = changes
        self._trust: Final = trust
        self._wall: Final = wall
        changes.plan_with(REGISTER, self._plan_register)
        changes.plan_with(WITHDRAW, self._plan_withdraw)

    async def list_authorities(self, request: pb.ListAuthoritiesRequest, caller: Caller) -> pb.ListAuthoritiesResponse:
        """In the order of their names."""
        page = Page.of(request.page.page_size, request.page.page_token)
        found, token = await self._reader.run(lambda connection: listed(connection, AUTHORITIES, page, []))
        return pb.ListAuthoritiesResponse(
            authorities=[authority_message(each) for each in found], page=operator_pb2.PageInfo(next_page_token=token)
        )

    async def register_authority(
        self, request: pb.RegisterAuthorityRequest, caller: Caller
    ) -> pb.RegisterAuthorityResponse:
        """Needs a second person."""
        response: pb.RegisterAuthorityResponse = await self._changes.widen(REGISTER, request, caller)
        return response

    async def _plan_register(self, request: pb.RegisterAuthorityRequest, actor: str) -> Plan:
        name = checked_name(request.authority, "authority")
        if name == OWN:
            raise Invalid("licd's own overlays go by that name", field="authority")
        if request.kind not in KINDS:
            raise Invalid("export or domestic", field="kind")
        if not is_country(request.jurisdiction):
            raise Invalid(f"want two letters of ISO 3166-1, got {request.jurisdiction[:60]!r}", field="jurisdiction")
        parse_public_key(request.public_key)
        self._refuse_own(request.public_key)
        found = await self._reader.run(lambda connection: AUTHORITIES.get(connection, name))
        command = RegisterAuthority(
            authority=name,
            name=checked_text(request.name, "name", limit=NAME_LIMIT),
            kind=KINDS[request.kind],
            jurisdiction=request.jurisdiction,
            public_key=request.public_key,
            key_id=key_id_of(KeyPurpose.OVERSEER, request.public_key),
            actor=actor,
        )
        what = "give authority" if found else "register authority"
        return Plan(
            command=command,
            respond=lambda made: pb.RegisterAuthorityResponse(authority=authority_message(made)),
            subject=f"authority/{name}",
            version=_version_of(name),
            seen_version=found.version if found else 0,
            summary=f"{what} {name} ({command.kind}, {command.jurisdiction}: {command.name}) the key {command.key_id}",
        )

    def _refuse_own(self, key: bytes) -> None:
        """An authority that signs with a key of ours is not another one."""
        bundle = self._trust.bundle
        for own in (*bundle.keyring, *bundle.roots()):
            if own.public_key == key:
                raise AlreadyExists(f"that is licd's own key {own.key_id} ({own.purpose.word})", field="public_key")

    async def withdraw_authority(
        self, request: pb.WithdrawAuthorityRequest, caller: Caller
    ) -> pb.WithdrawAuthorityResponse:
        """Needs a second person. A single overlay is withdrawn by one."""
        response: pb.WithdrawAuthorityResponse = await self._changes.widen(WITHDRAW, request, caller)
        return response

    async def _plan_withdraw(self, request: pb.WithdrawAuthorityRequest, actor: str) -> Plan:
        found = await self._reader.run(lambda connection: AUTHORITIES.get(connection, request.authority))
        if found is None:
            raise NotFound(f"there is no authority {request.authority}", field="authority")
        if found.withdrawn_at:
            raise IllegalTransition(f"authority {found.id} was withdrawn already", field="authority")
        detail = checked_text(request.detail, "detail")
        return Plan(
            command=WithdrawAuthority(found.id, detail, actor),
            respond=lambda done: pb.WithdrawAuthorityResponse(authority=authority_message(done)),
            subject=f"authority/{found.id}",
            version=_version_of(found.id),
            seen_version=found.version,
            summary=f"withdraw authority {found.id} ({found.name}) and every overlay of it: {detail}",
        )


def _version_of(name: str) -> Callable[[Transaction], int]:
    def version(tx: Transaction) -> int:
        found = tx.get(AUTHORITIES, name)
        return found.version if found else 0

    return version


def authority_message(authority: Authority) -> overlay_pb2.Authority:
    """An authority as operators read it."""
    return overlay_pb2.Authority(
        authority=authority.id,
        name=authority.name,
        kind=KIND_NUMBERS[authority.kind],
        jurisdiction=authority.jurisdiction,
        public_key=authority.public_key,
        key_id=authority.key_id,
        registered_at_ms=authority.registered_at,
        registered_by=authority.registered_by,
        withdrawn_at_ms=authority.withdrawn_at,
        withdrawn_why=authority.withdrawn_why,
        version=authority.version,
    )
