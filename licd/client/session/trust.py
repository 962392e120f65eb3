"""Whom a system believes, and since when: seals, ages, and the bundle they are judged by."""

from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from licd.client.session.anchor import Anchor
from licd.core.terms import Terms, TermsInvalid
from licd.core.time import Instant, Millis
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import follow, refuse_frozen
from licd.keys.envelope import Verified, verify_ageless
from licd.keys.kinds import Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1 import licence_pb2
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundleChain
from licd.wire.terms import terms_from_message

M = TypeVar("M", bound=Message)

MENDED_BY_A_NEWER_BUNDLE: Final = frozenset({SealReason.KEY_UNKNOWN, SealReason.KEY_WITHDRAWN, SealReason.KEY_EXPIRED})
"""Refusals after which it is worth asking for newer keys."""


class Trust:
    """The bundle in force. `due` is the boot instant at which to ask for a newer one, None before the start."""

    __slots__ = ("_retry", "anchor", "bundle", "due", "fetching")

    def __init__(self, bundle: Bundle, anchor: Anchor, retry: Millis) -> None:
        self.bundle: Bundle = bundle
        self.anchor: Final = anchor
        self._retry: Final = retry
        self.due: Millis | None = None
        self.fetching = False

    def open(self, envelope: Envelope, kind: Kind, message_type: type[M]) -> tuple[Verified, M]:
        """Check the seal and read what is in it. Its age is `refuse_aged`'s to judge. Raises SealInvalid."""
        verified = verify_ageless(envelope, kind, self.bundle.keyring)
        return verified, read_known(verified, message_type)

    def refuse_aged(self, verified: Verified, decided: Instant, now: Millis, life: Millis = 0) -> None:
        """Refuse what the keys could not sign when they say they did, or a bundle that has run out.

        `decided` is the signer's own time, `life` how long the token lasts from then. The later of `decided` and our
        own estimate counts, so that an old key cannot speak by dating itself back. Raises SealInvalid, BundleError.
        """
        estimate = self.anchor.estimate(now)
        refuse_frozen(self.bundle, max(decided, estimate))
        refuse_unfit_keys(verified, decided, life)
        for key in verified.keys:
            if estimate >= key.not_after_ms:
                raise SealInvalid(SealReason.KEY_EXPIRED, f"key {key.key_id} signed until {key.not_after_ms}")

    def take_chain(self, chain: TrustBundleChain, now: Millis) -> tuple[bool, BundleError | None]:
        """Follow a chain of bundles as far as it holds. Returns whether there is a newer one, and what was refused."""
        followed = follow(self.bundle, chain.bundles, self.anchor.estimate(now))
        newer = followed.bundle.version > self.bundle.version
        self.bundle = followed.bundle
        return newer, followed.refusal

    def fetched(self, now: Millis, *, well: bool) -> None:
        """Note that an answer came, and plan the next question."""
        self.fetching = False
        self.due = now + (max(self._retry, self.bundle.refresh_hint_ms) if well else self._retry)

    def want(self, now: Millis) -> None:
        """Ask for a newer bundle soon, though not more often than the retry interval."""
        self.due = now if self.due is None else min(self.due, now + self._retry)


def read_known(verified: Verified, message_type: type[M]) -> M:
    """Do what `read_payload` does, and where nothing is unknown for a tenth of its price. Raises SealInvalid.

    What, without its unknown fields, is written as the very bytes that came, had none.
    """
    message = parsed(message_type, verified.payload)
    if message is not None:
        message.DiscardUnknownFields()
        if message.SerializeToString() == verified.payload:
            return message
    return read_payload(verified, message_type)


def refuse_unfit_keys(verified: Verified, signed_at: Instant, life: Millis) -> None:
    """Refuse a token dated outside its keys' validity, or that lives longer than they may grant. Raises SealInvalid."""
    for key in verified.keys:
        if signed_at < key.not_before_ms:
            raise SealInvalid(SealReason.KEY_NOT_YET_VALID, f"key {key.key_id} signs from {key.not_before_ms} on")
        if signed_at >= key.not_after_ms:
            raise SealInvalid(SealReason.KEY_EXPIRED, f"key {key.key_id} signed until {key.not_after_ms}")
        if key.max_token_life_ms and life > key.max_token_life_ms:
            detail = f"{life} ms, and key {key.key_id} may grant {key.max_token_life_ms}"
            raise SealInvalid(SealReason.TOKEN_LIFE_TOO_LONG, detail)


def read_terms(envelope: Envelope, bundle: Bundle) -> Terms:
    """Read a licence that an issuer of this bundle signed. Whether it is in its term is not looked at here.

    Raises SealInvalid, also for terms that this reader does not understand or of another installation.
    """
    verified = verify_ageless(envelope, Kind.LICENCE, bundle.keyring)
    message = read_known(verified, licence_pb2.LicenceTerms)
    try:
        terms = terms_from_message(message)
    except TermsInvalid as error:
        raise SealInvalid(SealReason.UNKNOWN_FIELD, str(error)) from error
    refuse_unfit_keys(verified, terms.issued_at, terms.not_after - terms.issued_at)
    if terms.issuer != bundle.trust_domain:
        detail = f"a licence of {terms.issuer}, this installation is {bundle.trust_domain}"
        raise SealInvalid(SealReason.KEY_UNKNOWN, detail)
    return terms


def parsed(message_type: type[M], data: bytes) -> M | None:
    """Read a message from untrusted bytes; None when they are none."""
    try:
        return message_type.FromString(data)
    except DecodeError:
        return None
