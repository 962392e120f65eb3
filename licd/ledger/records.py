"""Rows that the rules of a licence do not look at: who acknowledged, who approved, what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from licd.core.time import Instant
from licd.v1.envelope_pb2 import Envelope
from licd.v1.session_pb2 import OperatorCommand


@dataclass(frozen=True, slots=True)
class IssuedDirective:
    """A directive as it was logged, with the payload whose bytes are pushed and acknowledged."""

    licence: str
    epoch: int
    kind: str
    decided_at: Instant
    reason_code: str
    detail: str
    leases: str
    deployment: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A system's signed word that it has acted on an epoch."""

    deployment: str
    epoch: int
    licence: str
    acknowledged_at: Instant
    stopped_at: Instant
    active_leases: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Suspension:
    """One act of suspending, of one licence or many."""

    id: str
    decided_at: Instant
    actor: str
    code: str
    detail: str
    scope: str


@dataclass(frozen=True, slots=True)
class SuspensionSystem:
    """One system a suspension hit, and when it must have stopped even if it is never heard of again."""

    suspension: str
    deployment: str
    licence: str
    epoch: int
    bounded_until: Instant
    live_leases: int


@dataclass(frozen=True, slots=True)
class Fork:
    """Evidence of two copies: the accepted link with its reply, and the frame that does not follow from it.

    accepted and frame are envelopes as they came; accepted is empty where the enrolment had no accepted link yet. reply
    is a payload: it is shown and never signed again, for its permit may have been taken back since.
    """

    deployment: str
    seen_at: Instant
    accepted_hash: bytes
    reply: bytes
    frame: bytes
    enrolment: int
    accepted: bytes
    reply_kind: str


class ApprovalStatus(StrEnum):
    """What has become of a command that needed a second person."""

    PENDING = "pending"
    EXECUTED = "executed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Approval:
    """A command that waits for a second person. command is the envelope whose payload everybody signs."""

    id: str
    status: ApprovalStatus
    method: str
    summary: str
    subject: str
    subject_version: int
    requested_by: str
    requested_at: Instant
    expires_at: Instant
    needed: int
    signed_by: str
    command: bytes
    result: bytes
    rejected_by: str
    rejection: str

    @property
    def signers(self) -> tuple[str, ...]:
        """Who has signed, in order."""
        return tuple(filter(None, self.signed_by.split(",")))

    def request_bytes(self) -> bytes:
        """The request inside the command, as its requester sent it."""
        return OperatorCommand.FromString(Envelope.FromString(self.command).payload).request


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who operates licd; roles is a comma-separated list."""

    id: str
    roles: str
    public_key: bytes
    key_id: str
    channel_key_hash: bytes
    enabled: bool
    created_at: Instant
    version: int

    @property
    def role_set(self) -> frozenset[str]:
        """The roles one by one."""
        return frozenset(filter(None, self.roles.split(",")))


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer kept so that the same request gets it again."""

    caller: str
    request_id: str
    fingerprint: bytes
    kind: str
    answer: bytes
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class DenialTally:
    """How often a system was denied for one reason in one minute: told in full, and merely counted."""

    deployment: str
    reason: str
    licence: str
    minute: int
    told: int
    counted: int


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A trust bundle as it was published."""

    version: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One line of the log: body holds values and salts, leaf_hash what the tree stands on."""

    index: int
    at: Instant
    kind: str
    licence: str
    leaf_hash: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class LogHead:
    """Where the log ends: frontier of the tree, signed checkpoint, and the highest time ever decided at."""

    id: int
    size: int
    frontier: bytes
    checkpoint: bytes
    at: Instant
    clock_mark: Instant


@dataclass(frozen=True, slots=True)
class LogCheckpoint:
    """A signed checkpoint kept as history."""

    size: int
    at: Instant
    note: bytes


@dataclass(frozen=True, slots=True)
class StoredIndicators:
    """One year of one publisher's file as it was imported; body is a message Indicators."""

    id: str
    source: str
    year: int
    file_sha256: bytes
    imported_at: Instant
    imported_by: str
    body: bytes


class AuthorityKind(StrEnum):
    """On what ground an authority may narrow a right."""

    EXPORT = "export"
    DOMESTIC = "domestic"


@dataclass(frozen=True, slots=True)
class Authority:
    """Who may narrow rights from outside, with the key that signs its overlays.

    jurisdiction: two letters of ISO 3166-1. withdrawn_at is 0 while it may.
    """

    id: str
    name: str
    kind: AuthorityKind
    jurisdiction: str
    public_key: bytes
    key_id: str
    registered_at: Instant
    registered_by: str
    withdrawn_at: Instant
    withdrawn_why: str
    version: int


@dataclass(frozen=True, slots=True)
class Contact:
    """A named person of a customer, whose key signs certifications: customer/C/contact/P.

    withdrawn_at is 0 while he may.
    """

    id: str
    customer: str
    name: str
    office: str
    public_key: bytes
    key_id: str
    registered_at: Instant
    registered_by: str
    withdrawn_at: Instant
    withdrawn_why: str
    version: int


@dataclass(frozen=True, slots=True)
class Review:
    """Somebody has to look at a licence again. closed_by names the assessment that ended it; closed_at is 0 till then.

    cause: calendar, indicators, rule, case.
    """

    id: str
    licence: str
    customer: str
    assessment: str
    cause: str
    detail: str
    opened_at: Instant
    due_at: Instant
    closed_at: Instant
    closed_by: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A misuse rule held. body is a message Signal as it was raised, without what came later.

    done: a word of licd.core.misuse.Done. licences: how many were suspended by it. acknowledged_at is 0 till then.
    """

    id: str
    rule: str
    subject: str
    licence: str
    done: str
    tick: Instant
    licences: int
    suspension: str
    case: str
    raised_at: Instant
    due_at: Instant
    body: bytes
    acknowledged_by: str
    acknowledged_at: Instant
    note: str


@dataclass(frozen=True, slots=True)
class RulesAsked:
    """Until which tick misuse rules have been asked, and of which policy they are."""

    id: int
    until: Instant
    policy_version: str
