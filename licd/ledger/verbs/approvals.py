"""Four eyes: a command that widens waits until enough persons have signed the very same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from sqlalchemy import Select, bindparam

from licd.core.errors import Conflict, Forbidden, IllegalTransition, NotFound
from licd.core.time import HOUR, Instant, Millis
from licd.keys.envelope import verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.seal_reasons import SealInvalid
from licd.keys.verification_key import VerificationKey
from licd.ledger import tables
from licd.ledger.records import Approval, ApprovalStatus, Operator
from licd.ledger.rows import APPROVALS, OPERATORS
from licd.ledger.transaction import Command, Transaction
from licd.v1.envelope_pb2 import Envelope, Signature
from licd.v1.session_pb2 import OperatorCommand

LIFE_LIMIT: Final[Millis] = 4 * HOUR
FOREVER: Final[Instant] = 1 << 62


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """Stores a command for others to sign. urgent is whether the command itself is: then asking for it is as well."""

    grants: ClassVar[bool] = False

    method: str
    request: bytes
    actor: str
    subject: str
    subject_version: int
    summary: str
    needed: int
    life: Millis
    urgent: bool = False

    def run(self, tx: Transaction) -> Approval:
        tx.refuse_behind()
        tx.refuse_full()
        identifier = f"A-{tx.random(8).hex()}"
        expires_at = tx.now + min(self.life, LIFE_LIMIT)
        command = OperatorCommand(
            approval=identifier,
            method=self.method,
            request=self.request,
            requested_by=f"operator/{self.actor}",
            requested_at_ms=tx.now,
            expires_at_ms=expires_at,
            subject=self.subject,
            subject_version=self.subject_version,
            summary=self.summary,
            issuer=tx.installation.trust_domain,
        )
        kind = Kind.OPERATOR_COMMAND
        unsigned = Envelope(payload=command.SerializeToString(), payload_type=kind.payload_type)
        approval = Approval(
            id=identifier,
            status=ApprovalStatus.PENDING,
            method=self.method,
            summary=self.summary,
            subject=self.subject,
            subject_version=self.subject_version,
            requested_by=self.actor,
            requested_at=tx.now,
            expires_at=expires_at,
            needed=self.needed,
            signed_by="",
            command=unsigned.SerializeToString(),
            result=b"",
            rejected_by="",
            rejection="",
        )
        tx.put(approval)
        tx.log(
            "approval.requested",
            ("approval", identifier),
            ("actor", self.actor),
            ("method", self.method),
            ("subject", self.subject),
            ("command", unsigned.payload),
        )
        return approval


@dataclass(frozen=True, slots=True)
class SignApproval:
    """Adds a verified signature; runs the inner command when enough different persons have signed.

    pack turns the inner command's result into the bytes that are kept and answered with. What is signed says whether it
    grants and is urgent: two persons must be able to accept a clock while the clock is in doubt.
    """

    approval: str
    signer: str
    envelope: Envelope
    inner: Command[Any]
    subject_version: Callable[[Transaction], int]
    pack: Callable[[Any], bytes]

    @property
    def grants(self) -> bool:
        return self.inner.grants

    @property
    def urgent(self) -> bool:
        return self.inner.urgent

    def run(self, tx: Transaction) -> Approval:
        if not self.urgent:
            tx.refuse_behind()
        found = pending(tx, self.approval)
        signed = [*found.signers]
        if self.signer in signed:
            raise Conflict(f"operator {self.signer} has signed this already", field="approval")
        _refuse_disabled(tx, [found.requested_by, *signed, self.signer])
        merged = Envelope.FromString(found.command)
        if merged.payload != self.envelope.payload:
            raise Forbidden("these are not the bytes that were requested", field="command.payload")
        merged.signatures.extend(self.envelope.signatures)
        signed.append(self.signer)
        approval = replace(found, signed_by=",".join(signed), command=merged.SerializeToString())
        tx.log("approval.signed", ("approval", found.id), ("actor", self.signer), ("command", approval.command))
        _refuse_replaced_keys(tx, approval, merged)
        if self._complete(found, signed):
            approval = self._execute(tx, approval)
        tx.put(approval)
        return approval

    def _complete(self, found: Approval, signed: list[str]) -> bool:
        """The requester's own signature counts, and nobody's twice."""
        return len(set(signed)) >= found.needed and found.requested_by in signed

    def _execute(self, tx: Transaction, approval: Approval) -> Approval:
        if self.subject_version(tx) != approval.subject_version:
            raise Conflict(f"{approval.subject} has changed since this was requested; request it again")
        result = self.pack(self.inner.run(tx))
        tx.log("approval.executed", ("approval", approval.id), ("method", approval.method))
        for other in _waiting_on(tx, approval):
            _end(tx, other, "licd", f"approval {approval.id} has changed {approval.subject} meanwhile")
        return replace(approval, status=ApprovalStatus.EXECUTED, result=result)


def _refuse_disabled(tx: Transaction, names: Iterable[str]) -> None:
    """Looked at once more where it counts: somebody may have been disabled since the call came in."""
    for name in names:
        operator = tx.get(OPERATORS, name)
        if operator is None or not operator.enabled:
            raise Forbidden(f"operator {name} is disabled; request it again without him", field="approval")


def _refuse_replaced_keys(tx: Transaction, approval: Approval, command: Envelope) -> None:
    """Each signature must be by the key that its signer has now: a stolen one counts for nothing once replaced."""
    for name, signature in zip(approval.signers, command.signatures, strict=True):
        if not _is_by(tx.get(OPERATORS, name), command, signature, tx.now):
            raise Forbidden(f"operator {name} has had another key since he signed; request it again", field="approval")


def _is_by(operator: Operator | None, command: Envelope, signature: Signature, now: Instant) -> bool:
    if operator is None:
        return False
    key = VerificationKey.of(
        KeyPurpose.OPERATOR, operator.public_key, not_before_ms=0, not_after_ms=FOREVER, owner=f"operator/{operator.id}"
    )
    alone = Envelope(payload=command.payload, payload_type=command.payload_type, signatures=[signature])
    try:
        verify(alone, Kind.OPERATOR_COMMAND, Keyring([key]), now)
    except SealInvalid:
        return False
    return True


def _waiting_by_subject() -> Select[Any]:
    column = tables.approval.c
    same = APPROVALS.select(column.subject == bindparam("subject"), column.status == ApprovalStatus.PENDING.value)
    return same.order_by(column.id)


def _waiting_on(tx: Transaction, executed: Approval) -> list[Approval]:
    """What else waits for the same subject: it was agreed to as it was before."""
    tx.flush()
    same = APPROVALS.find(tx.connection, "waiting on", _waiting_by_subject, subject=executed.subject)
    return [each for each in same if each.id != executed.id]


def _end(tx: Transaction, approval: Approval, actor: str, detail: str) -> Approval:
    ended = replace(approval, status=ApprovalStatus.REJECTED, rejected_by=actor, rejection=detail)
    tx.put(ended)
    tx.log("approval.rejected", ("approval", ended.id), ("actor", actor), ("detail", detail))
    return ended


@dataclass(frozen=True, slots=True)
class EndOutdated:
    """Ends what waits and can never be carried out any more, so that nobody is asked to sign it.

    version is that of the subject, as for SignApproval; None when it is known already that it has changed.
    """

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    approval: str
    version: Callable[[Transaction], int] | None
    why: str

    def run(self, tx: Transaction) -> bool:
        """Whether it was ended."""
        tx.refuse_behind()
        found = tx.get(APPROVALS, self.approval)
        if found is None or found.status is not ApprovalStatus.PENDING:
            return False
        if self.version is not None and self.version(tx) == found.subject_version:
            return False
        _end(tx, found, "licd", self.why)
        return True


@dataclass(frozen=True, slots=True)
class RejectApproval:
    """Ends what waits; it can be requested again."""

    grants: ClassVar[bool] = False
    urgent: ClassVar[bool] = False

    approval: str
    actor: str
    detail: str

    def run(self, tx: Transaction) -> Approval:
        tx.refuse_behind()
        tx.refuse_full()
        found = pending(tx, self.approval)
        return _end(tx, found, self.actor, self.detail)


def pending(tx: Transaction, identifier: str) -> Approval:
    """The approval, if it can still be signed. Raises NotFound or IllegalTransition."""
    found = tx.get(APPROVALS, identifier)
    if found is None:
        raise NotFound(f"there is no approval {identifier}", field="approval")
    refuse_ended(found)
    if tx.now >= found.expires_at:
        raise IllegalTransition(f"approval {identifier} is past its time; request it again", field="approval")
    return found


def refuse_ended(found: Approval) -> None:
    """Raises IllegalTransition for one that was executed or rejected."""
    if found.status is not ApprovalStatus.PENDING:
        raise IllegalTransition(f"approval {found.id} was {found.status} already", field="approval")
