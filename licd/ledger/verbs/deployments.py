"""Invite, enrol, revoke, re-enrol a deployment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import Select, bindparam

from licd.core.deployment import (
    Enrolment,
    enrol,
    invite_deployment,
    reinvite_deployment,
    revoke_deployment,
    said_again,
)
from licd.core.errors import AlreadyExists, Forbidden
from licd.core.model import Deployment, Licence
from licd.core.standing import licence_standing
from licd.core.time import Instant, Millis
from licd.ledger import tables
from licd.ledger.rows import DEPLOYMENTS
from licd.ledger.transaction import Transaction


@dataclass(frozen=True, slots=True)
class InviteDeployment:
    """Makes room for one system and keeps the hash of its join secret."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    licence: str
    deployment: str
    token_hash: bytes
    valid_for: Millis
    actor: str

    def run(self, tx: Transaction) -> Deployment:
        found = tx.get(DEPLOYMENTS, self.deployment)
        if found is not None and found.licence != self.licence:
            raise AlreadyExists(f"there is a deployment {self.deployment} already", field="deployment")
        return invite_deployment(
            tx.state(self.licence),
            self.deployment,
            tx.now,
            token_hash=self.token_hash,
            expires_at=tx.now + self.valid_for,
            actor=self.actor,
        )


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What an enrolment came to."""

    deployment: Deployment
    licence: Licence
    receipt: bytes


@dataclass(frozen=True, slots=True)
class Enrol:
    """Trades a join secret for an enrolment. make_receipt builds the first reply of the chain.

    Asked again with the same keys it says the same again, until the chain has begun: an answer may be lost.
    """

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    token_hash: bytes
    system_key: bytes
    channel_key_hash: bytes
    pseudonym_commitment: bytes
    make_receipt: Callable[[Deployment, Instant], bytes]

    def run(self, tx: Transaction) -> Enrolled:
        tx.flush()
        found = DEPLOYMENTS.find(tx.connection, "by_token", _by_token, token=self.token_hash)
        if not found:
            raise Forbidden("no such join token, or it was used already; ask for a new one", field="join_secret")
        name = found[0].id
        state = tx.state(found[0].licence)
        denied = licence_standing(state, tx.now)
        if denied is not None:
            raise Forbidden(f"the licence does not stand: {denied.reason.name}", field="join_secret")
        invited = replace(found[0], system_key=self.system_key, enrolment=found[0].enrolment + 1)
        receipt = self.make_receipt(invited, tx.now)
        keys = Enrolment(self.system_key, self.channel_key_hash, self.pseudonym_commitment, receipt)
        again = said_again(state, name, keys, tx.now)
        if again is not None:
            return Enrolled(state.deployments[name], state.licence, again)
        return Enrolled(enrol(state, name, keys, tx.now), state.licence, receipt)


def _by_token() -> Select[Any]:
    return DEPLOYMENTS.select(tables.deployment.c.token_hash == bindparam("token"))


@dataclass(frozen=True, slots=True)
class RevokeDeployment:
    """Ends an enrolment for good."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = True

    deployment: str
    code: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Deployment:
        return revoke_deployment(
            tx.state_of(self.deployment),
            self.deployment,
            tx.now,
            code=self.code,
            detail=self.detail,
            actor=self.actor,
        )


@dataclass(frozen=True, slots=True)
class ReenrolDeployment:
    """Opens a deployment for another enrolment. It is invited again by InviteDeployment, which gives the token."""

    grants: ClassVar[bool] = True
    urgent: ClassVar[bool] = False

    deployment: str
    detail: str
    actor: str

    def run(self, tx: Transaction) -> Deployment:
        return reinvite_deployment(
            tx.state_of(self.deployment), self.deployment, tx.now, actor=self.actor, detail=self.detail
        )
