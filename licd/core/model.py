"""The values the rules speak of. Each is a row of the ledger: frozen, replaced, never changed in place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from licd.core.terms import Basis, Terms
from licd.core.time import Instant, Millis


class LicenceStatus(StrEnum):
    """Stored status. Expired is not among them: it is derived from time at each decision."""

    DRAFT = "draft"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ACTIVE_RESTRICTED = "active-restricted"
    TERMINATED = "terminated"


class DeploymentStatus(StrEnum):
    """Where a deployment is in its life."""

    INVITED = "invited"
    ENROLLED = "enrolled"
    REVOKED = "revoked"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who holds licences."""

    id: str
    name: str
    banned: bool
    ban_reason: str
    created_at: Instant
    version: int


@dataclass(frozen=True, slots=True)
class Licence:
    """A contract as it stands. token is the signed envelope the terms came in, byte for byte.

    expired_at is 0 unless the deciding clock was set back after the term had ended: then it is when it had.
    """

    id: str
    customer: str
    lineage: str
    status: LicenceStatus
    epoch: int
    version: int
    token: bytes
    terms: Terms
    issued_at: Instant
    suspended_at: Instant
    suspension: str
    suspension_code: str
    suspension_detail: str
    expired_at: Instant = 0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A place for one system. token_hash is that of the join secret while it is good for anything, else empty.

    fenced_at is when two copies of the system were seen, until two persons open the place again: also a place that was
    revoked meanwhile stays taken so long.
    """

    id: str
    licence: str
    customer: str
    status: DeploymentStatus
    invited_at: Instant
    token_hash: bytes
    token_expires_at: Instant
    enrolment: int
    enrolled_at: Instant
    system_key: bytes
    channel_key_hash: bytes
    pseudonym_commitment: bytes
    software: str
    region: str
    epoch_acknowledged: int
    fenced_at: Instant = 0


@dataclass(frozen=True, slots=True)
class Session:
    """The head of a system's chain, and the permit it last got.

    sequence, link_hash, frame (its envelope as it came) and reply belong to the last accepted link; recent holds the
    truncated hashes of the accepted links that are remembered (chain.recall says which); replaced_reply holds the
    hashes of the replies to it whose place a refusal has taken. renewed_at, length, grace and licence_end are the
    figures of the last permit: every attached lease's hard end derives from them. continuity names the continuity
    permit that was last given, until its use is over; its payload stays until the system says that it holds it,
    continuity_until for good.
    """

    deployment: str
    licence: str
    enrolment: int
    session: str
    sequence: int
    link_hash: bytes
    frame: bytes
    recent: bytes
    reply: bytes
    reply_kind: str
    reply_epoch: int
    replaced_reply: bytes
    accepted_at: Instant
    opened_at: Instant
    boot_nonce: bytes
    renewed_at: Instant
    length: Millis
    grace: Millis
    licence_end: Instant
    continuity: str = ""
    continuity_payload: bytes = b""
    continuity_until: Instant = 0

    def renewed(self, at: Instant, length: Millis, grace: Millis, licence_end: Instant) -> Session:
        """With the figures of a permit that is decided now. Written out, as `advanced` is: every link does both."""
        return Session(
            self.deployment,
            self.licence,
            self.enrolment,
            self.session,
            self.sequence,
            self.link_hash,
            self.frame,
            self.recent,
            self.reply,
            self.reply_kind,
            self.reply_epoch,
            self.replaced_reply,
            self.accepted_at,
            self.opened_at,
            self.boot_nonce,
            renewed_at=at,
            length=length,
            grace=grace,
            licence_end=licence_end,
            continuity=self.continuity,
            continuity_payload=self.continuity_payload,
            continuity_until=self.continuity_until,
        )

    def advanced(self, at: Instant, link: AcceptedLink, reply: bytes, reply_kind: str, reply_epoch: int) -> Session:
        """With a link that has been accepted now, and what it is answered."""
        return Session(
            self.deployment,
            self.licence,
            self.enrolment,
            self.session,
            link.sequence,
            link.payload_hash,
            link.frame,
            link.recent,
            reply,
            reply_kind,
            reply_epoch,
            b"",
            at,
            self.opened_at,
            self.boot_nonce,
            self.renewed_at,
            self.length,
            self.grace,
            self.licence_end,
            self.continuity,
            self.continuity_payload,
            self.continuity_until,
        )


@dataclass(frozen=True, slots=True)
class AcceptedLink:
    """What a session keeps of its last accepted link; recent is the row of remembered hashes with this one in it."""

    sequence: int
    payload_hash: bytes
    frame: bytes
    recent: bytes


@dataclass(frozen=True, slots=True)
class Lease:
    """One target under lease by one system, or what is left of that until its seat is free.

    seat_until is the latest hard end decided for the lease apart from the session's own renewals, free_at when its
    seat is free by the same (and by an earlier lease on the seat); attached says that the session's permits renew it
    too. Once the lease has ended both are final. ended_at is 0 while the lease is live. barred_until keeps a
    force-released target from coming straight back.
    """

    id: int
    licence: str
    lineage: str
    deployment: str
    target: bytes
    region: str
    basis: Basis
    purpose: str
    offence: str
    authorisation: str
    authorisation_end: Instant
    granted_at: Instant
    seat_until: Instant
    attached: bool
    ended_at: Instant
    free_at: Instant
    end_reason: str
    barred_until: Instant

    def ended(
        self, at: Instant, reason: str, seat_until: Instant, free_at: Instant, barred_until: Instant = 0
    ) -> Lease:
        """What is left of it. Written out, because each lease ends once and `replace` looks every field up by name."""
        return Lease(
            self.id,
            self.licence,
            self.lineage,
            self.deployment,
            self.target,
            self.region,
            self.basis,
            self.purpose,
            self.offence,
            self.authorisation,
            self.authorisation_end,
            self.granted_at,
            seat_until,
            attached=False,
            ended_at=at,
            free_at=free_at,
            end_reason=reason,
            barred_until=barred_until,
        )


class DirectiveKind(StrEnum):
    """What a directive orders."""

    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    TERMINATE = "terminate"
    AMEND = "amend"
    FORCE_RELEASE = "force-release"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Directive:
    """An order to the systems of a licence; there is exactly one for each epoch after the first."""

    licence: str
    epoch: int
    kind: DirectiveKind
    decided_at: Instant
    reason_code: str
    detail: str
    leases: tuple[int, ...] = ()
    deployment: str = ""


FieldValue = str | int | bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What the log says of one thing that happened; the ledger adds the time."""

    kind: str
    fields: tuple[tuple[str, FieldValue], ...]
