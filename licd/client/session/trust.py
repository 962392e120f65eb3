"""Whom a system believes, and since when: seals, ages, and the bundle they are judged by."""

from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from licd.client.session.anchor import Anchor
from licd.core.terms import Basis, Terms
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
from licd.wire.terms import READER_VERSION, terms_from_message

M = TypeVar("M", bound=Message)

MENDED_BY_A_NEWER_BUNDLE: Final = frozenset({SealReason.KEY_UNKNOWN, SealReason.KEY_WITHDRAWN, SealReason.KEY_EXPIRED})
"""Refusals after which it is worth asking for newer keys."""
_BASES: Final = frozenset(int(basis) for basis in Basis)


class Trust:
    """The bundle in force. `due` is the boot instant at which to ask for a newer one, None before the start."""

    __slots__ = ("_asked_at", "_retry", "anchor", "bundle", "due", "fetching")

    def __init__(self, bundle: Bundle, anchor: Anchor, retry: Millis) -> None:
        self.bundle: Bundle = bundle
        self.anchor: Final = anchor
        self._retry: Final = retry
        self._asked_at: Millis | None = None
        self.due: Millis | None = None
        self.fetching = False

    def open(self, envelope: Envelope, kind: Kind, message_type: type[M]) -> tuple[Verified, M]:
        """Check the seal and read what is in it. Its age is `refuse_aged`'s to judge. Raises SealInvalid."""
        verified = verify_ageless(envelope, kind, self.bundle.keyring)
        return verified, read_payload(verified, message_type)

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

    def start(self, now: Millis) -> None:
        """Plan the first question: at once when the bundle has run out."""
        stale = self.bundle.is_stale(self.anchor.estimate(now))
        self.due = now if stale else now + max(self._retry, self.bundle.refresh_hint_ms)

    def ask(self, now: Millis) -> None:
        """Note that a newer bundle is being asked for."""
        self.fetching = True
        self._asked_at = now

    def fetched(self, now: Millis, *, well: bool) -> None:
        """Note that an answer came, and plan the next question."""
        self.fetching = False
        self.due = now + (max(self._retry, self.bundle.refresh_hint_ms) if well else self._retry)

    def want(self, now: Millis) -> None:
        """Ask for a newer bundle: at once, unless that was done only just now."""
        soon = now if self._asked_at is None else max(now, self._asked_at + self._retry)
        self.due = soon if self.due is None else min(self.due, soon)


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


def licence_message(envelope: Envelope, bundle: Bundle) -> licence_pb2.LicenceTerms:
    """Read a licence that an issuer of this bundle signed. Whether it is in its term is not looked at here.

    Raises SealInvalid, also for terms that this reader does not understand or of another installation.
    """
    verified = verify_ageless(envelope, Kind.LICENCE, bundle.keyring)
    message = read_payload(verified, licence_pb2.LicenceTerms)
    _refuse_not_understood(message)
    refuse_unfit_keys(verified, message.issued_at_ms, message.not_after_ms - message.issued_at_ms)
    if message.issuer != bundle.trust_domain:
        detail = f"a licence of {message.issuer}, this installation is {bundle.trust_domain}"
        raise SealInvalid(SealReason.KEY_UNKNOWN, detail)
    return message


def read_terms(envelope: Envelope, bundle: Bundle) -> Terms:
    """Read a licence as `licence_message` does, into values. Raises SealInvalid."""
    return terms_from_message(licence_message(envelope, bundle))


def _refuse_not_understood(message: licence_pb2.LicenceTerms) -> None:
    """Refuse what `terms_from_message` would, for a quarter of its price. A test holds them together."""
    if message.min_reader_version > READER_VERSION:
        raise SealInvalid(SealReason.UNKNOWN_FIELD, f"this needs a reader of version {message.min_reader_version}")
    for constraint in message.constraints:
        kind = constraint.WhichOneof("kind")
        if kind is None:
            raise SealInvalid(SealReason.UNKNOWN_FIELD, "a kind of constraint that this reader does not know")
        if kind == "target_regions" and not _BASES.issuperset(constraint.target_regions.bases):
            raise SealInvalid(SealReason.UNKNOWN_FIELD, "a basis of a region that this reader does not know")


def parsed(message_type: type[M], data: bytes) -> M | None:
    """Read a message from untrusted bytes; None when they are none."""
    try:
        return message_type.FromString(data)
    except DecodeError:
        return None
