"""A signed file, armoured or binary, and the message in it. Nothing read here is believed yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from licd.cli.failure import Exit, Stopped
from licd.cli.input_file import read_input
from licd.cli.json_form import as_json, enum_word
from licd.cli.overlay_words import overlay_terms_pairs
from licd.cli.printing import Pairs
from licd.cli.request_words import message_pairs
from licd.cli.terms_words import terms_pairs
from licd.cli.times import when
from licd.core.time import Instant
from licd.keys.armour import dearmour
from licd.keys.envelope import claimed_kind, parse_envelope
from licd.keys.kinds import Kind
from licd.v1.condition_pb2 import Certification
from licd.v1.denial_pb2 import Denial
from licd.v1.envelope_pb2 import Envelope
from licd.v1.licence_pb2 import LicenceTerms
from licd.v1.overlay_pb2 import OverlayTerms
from licd.v1.session_pb2 import Acknowledgement, Directive, LeaseEnd, Link, OperatorCommand, Permit, Refusal
from licd.v1.trust_pb2 import TrustBundle

MESSAGES: Final[dict[Kind, type[Message]]] = {
    Kind.LICENCE: LicenceTerms,
    Kind.PERMIT: Permit,
    Kind.DENIAL: Refusal,
    Kind.DIRECTIVE: Directive,
    Kind.ACKNOWLEDGEMENT: Acknowledgement,
    Kind.LINK: Link,
    Kind.TRUST_BUNDLE: TrustBundle,
    Kind.OPERATOR_COMMAND: OperatorCommand,
    Kind.OVERLAY: OverlayTerms,
    Kind.CERTIFICATION: Certification,
}
"""What the payload of a kind is; kinds without words here are shown by their size."""

TARGET_BYTES: Final = 32
_MARK: Final = b"-----BEGIN LICD "


@dataclass(frozen=True, slots=True)
class Token:
    """An envelope read from a file, and its payload as a message where this licctl knows the kind."""

    envelope: Envelope
    kind: Kind
    message: Message | None

    @property
    def signers(self) -> list[str]:
        """The key ids that the envelope names. They are hints, and prove nothing."""
        return [one.keyid for one in self.envelope.signatures]


def read_token(path: Path) -> Token:
    """Reads a file. Raises ArmourError, SealInvalid, Stopped(UNVERIFIED), OSError."""
    data = read_input(path)
    envelope = parse_envelope(dearmour(data).raw if _MARK in data else data)
    kind = claimed_kind(envelope)
    message_type = MESSAGES.get(kind)
    try:
        message = message_type.FromString(envelope.payload) if message_type else None
    except DecodeError as error:
        raise Stopped(Exit.UNVERIFIED, f"{path}: MALFORMED: the payload of this {kind} cannot be read") from error
    return Token(envelope, kind, message)


def token_json(token: Token) -> dict[str, Any]:
    """The token for programs: what it is, who it says signed, and the payload."""
    return {
        "kind": token.kind.value,
        "payload_type": token.envelope.payload_type,
        "key_ids": token.signers,
        "payload": as_json(token.message) if token.message is not None else token.envelope.payload.hex(),
    }


def token_pairs(token: Token, now: Instant) -> Pairs:
    """What it says, in words."""
    match token.message:
        case LicenceTerms() as terms:
            return terms_pairs(terms, now)
        case Permit() as permit:
            return _permit_pairs(permit, now)
        case OverlayTerms() as overlay:
            return overlay_terms_pairs(overlay, now)
        case Message() as other:
            return message_pairs(other, now)
        case _:
            return [("payload", f"{len(token.envelope.payload)} bytes; this licctl has no words for a {token.kind}")]


def _permit_pairs(permit: Permit, now: Instant) -> Pairs:
    header = permit.header
    reasons = [f"lease {one.lease} not renewed: {_reason_word(one)}" for one in permit.ended]
    permits = _lease_words(permit, now)
    return [
        ("system", header.system),
        ("issuer", header.issuer),
        ("licence", f"{header.licence}, epoch {header.epoch}, revision {permit.revision}"),
        ("decided", when(header.decided_ms, now)),
        ("answers", f"link {header.sequence}" if header.sequence else f"request {header.request_id}"),
        *[("permits" if at == 0 else "", words) for at, words in enumerate(permits or ["nothing"])],
        *[("ended" if at == 0 else "", words) for at, words in enumerate(reasons)],
    ]


def _lease_words(permit: Permit, now: Instant) -> list[str]:
    count, targets = len(permit.leases), permit.targets
    if len(targets) != count * TARGET_BYTES or len(permit.hard_ends_ms) != count:
        return [f"cannot be told: {count} leases, {len(targets)} target bytes, {len(permit.hard_ends_ms)} hard ends"]
    return [
        f"lease {lease} on target {targets[TARGET_BYTES * at : TARGET_BYTES * (at + 1)].hex()} until {when(end, now)}"
        for at, (lease, end) in enumerate(zip(permit.leases, permit.hard_ends_ms, strict=True))
    ]


def _reason_word(ended: LeaseEnd) -> str:
    return enum_word(Denial.DESCRIPTOR.fields_by_name["reason"], ended.reason)
