"""Does a signed file hold? Judged without licd: seal, keys, issuer, content and time, in this order."""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from licd.cli.token_file import MESSAGES, TARGET_BYTES, Token
from licd.core.terms import TermsInvalid, check_terms, rights_of
from licd.core.time import Instant
from licd.keys.bundle import Bundle
from licd.keys.envelope import Verified, verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.token_life import refuse_outside_life
from licd.v1.licence_pb2 import LicenceTerms
from licd.v1.session_pb2 import OperatorCommand, Permit
from licd.v1.trust_pb2 import TrustBundle
from licd.wire.terms import terms_from_message

ISSUER_MISMATCH: Final = "ISSUER_MISMATCH"
TERMS_INVALID: Final = "TERMS_INVALID"


class TokenRefused(Exception):
    """The token does not hold: `reason` for programs, `detail` for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Judged:
    """A token that holds: who sealed it, and what it says."""

    verified: Verified
    message: Message | None


def judge(token: Token, bundle: Bundle, now: Instant) -> Judged:
    """Judges a token by a trust bundle at an instant. Raises TokenRefused with one stable reason."""
    try:
        return _judge(token, bundle, now)
    except SealInvalid as error:
        raise TokenRefused(error.reason, error.detail) from error
    except TermsInvalid as error:
        raise TokenRefused(TERMS_INVALID, str(error)) from error


def _judge(token: Token, bundle: Bundle, now: Instant) -> Judged:
    verified = _verified(token, bundle, now)
    if token.kind not in MESSAGES:
        return Judged(verified, None)
    message = read_payload(verified, MESSAGES[token.kind])
    issuer = _issuer_of(message)
    if issuer is not None and issuer != bundle.trust_domain:
        raise TokenRefused(ISSUER_MISMATCH, f"issued by {issuer!r}, this bundle is of {bundle.trust_domain}")
    match message:
        case LicenceTerms():
            _check_licence(message)
            refuse_outside_life(verified, message.not_before_ms, message.not_after_ms, now)
        case Permit():
            _check_permit(verified, message, now)
        case OperatorCommand():
            refuse_outside_life(verified, message.requested_at_ms, message.expires_at_ms, now)
        case _:
            pass
    return Judged(verified, message)


def _verified(token: Token, bundle: Bundle, now: Instant) -> Verified:
    if token.kind is not Kind.TRUST_BUNDLE:
        return verify(token.envelope, token.kind, bundle.keyring, now)
    roots: Keyring = bundle.roots()
    return verify(token.envelope, token.kind, roots, now, threshold=bundle.root_threshold)


def _issuer_of(message: Message) -> str | None:
    """The trust domain that a message says it comes from; None for one that says nothing."""
    if isinstance(message, TrustBundle):
        return message.trust_domain
    for name in ("issuer", "header"):
        if name in message.DESCRIPTOR.fields_by_name:
            found = getattr(message, name)
            return str(getattr(found, "issuer", found))
    return None


def _check_licence(message: LicenceTerms) -> None:
    terms = terms_from_message(message)
    check_terms(terms)
    rights_of(terms)


def _check_permit(verified: Verified, permit: Permit, now: Instant) -> None:
    count = len(permit.leases)
    if len(permit.targets) != count * TARGET_BYTES or len(permit.hard_ends_ms) != count:
        raise TokenRefused(SealReason.MALFORMED, "leases, targets and hard ends differ in number")
    if count:
        refuse_outside_life(verified, permit.header.decided_ms, max(permit.hard_ends_ms), now)
