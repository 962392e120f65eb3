"""How trust moves on: from bundle N to N+1 and nothing else, as TUF moves from one root to the next.

  1. the first bundle is pinned, by the hash of its payload or by its root keys;
  2. a bundle follows version N only as N+1, signed by the threshold of N's roots and by the threshold of its own;
  3. a root counts if it was valid when the bundle says it was issued, and bundles are issued in order;
  4. what was withdrawn stays withdrawn;
  5. only the last bundle of a chain must not have expired, and it is kept even so: going on from N+1, however old, is
     what keeps N from being believed again.
Everything here is a pure function of its arguments; the caller stores `Bundle.raw` before it uses the bundle.

Source: TUF specification 1.0, sections 5.3 (update root) and 1.5.2 (attacks).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeAlias, assert_never

from licd.keys.bundle import Bundle, BundleError, BundleReason, read_bundle
from licd.keys.envelope import Verified, parse_envelope, verify_ageless
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.verification_key import VerificationKey
from licd.v1.envelope_pb2 import Envelope

MAX_CHAIN: Final = 1024
"""Most bundles followed in one go; who is further behind asks again."""


@dataclass(frozen=True, slots=True)
class PayloadPin:
    """Trust the first bundle whose payload has this SHA-256 (32 bytes)."""

    sha256: bytes


@dataclass(frozen=True, slots=True)
class RootPin:
    """Trust the first bundle that `threshold` of these raw root public keys signed."""

    public_keys: frozenset[bytes]
    threshold: int


Pin: TypeAlias = PayloadPin | RootPin


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a chain led: the last good bundle, to be stored and used, and why it went no further, if so."""

    bundle: Bundle
    refusal: BundleError | None


def pin_first(envelope: Envelope, pin: Pin, now_ms: int) -> Bundle:
    """Take the first bundle on the word of a pin that came by another road. Raises BundleError."""
    _refuse_unpinned(envelope, pin)
    bundle = _self_signed(envelope)
    refuse_frozen(bundle, now_ms)
    return bundle


def reload(raw: bytes) -> Bundle:
    """Read a bundle back from the caller's own storage: whole and self-signed, its age not looked at.

    Raises BundleError. This proves that the bytes are whole, not that they are to be trusted.
    """
    try:
        envelope = parse_envelope(raw)
    except SealInvalid as error:
        raise _as_bundle_error(error, BundleReason.MALFORMED) from error
    return _self_signed(envelope)


def advance(current: Bundle, envelope: Envelope) -> Bundle:
    """Take the bundle that follows `current`. Raises BundleError; its expiry is `refuse_frozen`'s to judge."""
    signed_by_old = _verified(envelope, current.roots(), current.root_threshold, BundleReason.OLD_ROOTS_BELOW_THRESHOLD)
    following = read_bundle(envelope.payload, envelope.SerializeToString())
    _refuse_other_version(current, following)
    _refuse_break(current, following)
    _refuse_roots_of_other_times(signed_by_old, following, current, BundleReason.OLD_ROOTS_BELOW_THRESHOLD)
    _refuse_not_self_signed(envelope, following)
    return following


def follow(current: Bundle, envelopes: Iterable[Envelope], now_ms: int) -> Followed:
    """Go from `current` along a chain as far as it holds. Bundles equal to the one reached are passed over.

    The refusal is a value: what was reached before it is good and must be stored. FREEZE is among the refusals when
    the last bundle reached has expired; it is still to be stored.
    """
    reached = current
    try:
        for envelope in islice(envelopes, MAX_CHAIN):
            if envelope.payload != reached.payload:
                reached = advance(reached, envelope)
        refuse_frozen(reached, now_ms)
    except BundleError as refusal:
        return Followed(reached, refusal)
    return Followed(reached, None)


def refuse_frozen(bundle: Bundle, now_ms: int) -> None:
    """Refuse a bundle that has expired: somebody may be keeping newer ones away. Raises BundleError(FREEZE)."""
    if bundle.is_stale(now_ms):
        ended = datetime.fromtimestamp(bundle.expires_at_ms // 1000, UTC)
        detail = f"bundle {bundle.version} expired at {ended:%Y-%m-%dT%H:%M:%SZ}, and no newer one came"
        raise BundleError(BundleReason.FREEZE, detail)


def _self_signed(envelope: Envelope) -> Bundle:
    bundle = read_bundle(envelope.payload, envelope.SerializeToString())
    _refuse_not_self_signed(envelope, bundle)
    return bundle


def _refuse_not_self_signed(envelope: Envelope, bundle: Bundle) -> None:
    reason = BundleReason.NEW_ROOTS_BELOW_THRESHOLD
    signed = _verified(envelope, bundle.roots(), bundle.root_threshold, reason)
    _refuse_roots_of_other_times(signed, bundle, bundle, reason)


def _verified(envelope: Envelope, roots: Keyring, threshold: int, too_few: BundleReason) -> Verified:
    try:
        return verify_ageless(envelope, Kind.TRUST_BUNDLE, roots, threshold=threshold)
    except SealInvalid as error:
        raise _as_bundle_error(error, too_few) from error


def _as_bundle_error(error: SealInvalid, otherwise: BundleReason) -> BundleError:
    match error.reason:
        case SealReason.TOO_LARGE:
            reason = BundleReason.ENDLESS_DATA
        case SealReason.KIND_MISMATCH | SealReason.MALFORMED:
            reason = BundleReason.MALFORMED
        case SealReason.UNKNOWN_FIELD:
            reason = BundleReason.UNKNOWN_FIELD
        case _:
            reason = otherwise
    return BundleError(reason, str(error))


def _refuse_roots_of_other_times(signed: Verified, issued: Bundle, of: Bundle, reason: BundleReason) -> None:
    # Issue time, not the reader's: who was away for a year must still be able to follow the chain.
    count = sum(key.is_valid_at(issued.issued_at_ms) for key in signed.keys)
    if count < of.root_threshold:
        detail = f"{count} of {of.root_threshold} root keys of bundle {of.version} were valid when it was issued"
        raise BundleError(reason, detail)


def _refuse_other_version(current: Bundle, following: Bundle) -> None:
    if following.trust_domain != current.trust_domain:
        detail = f"a bundle of {following.trust_domain}, this installation is {current.trust_domain}"
        raise BundleError(BundleReason.MIX_AND_MATCH, detail)
    if following.version == current.version and following.payload != current.payload:
        raise BundleError(BundleReason.MIX_AND_MATCH, f"a second bundle {current.version} with other contents")
    if following.version <= current.version:
        raise BundleError(BundleReason.ROLLBACK, f"bundle {following.version} after {current.version}")
    if following.version > current.version + 1:
        detail = f"bundle {following.version} after {current.version}: those between are missing"
        raise BundleError(BundleReason.FAST_FORWARD, detail)


def _refuse_break(current: Bundle, following: Bundle) -> None:
    if following.issued_at_ms < current.issued_at_ms:
        detail = f"bundle {following.version} was issued before bundle {current.version}"
        raise BundleError(BundleReason.MIX_AND_MATCH, detail)
    alive = {key.key_id for key in (*following.keys, *following.root_keys)}
    alive |= {key.key_id for key in (*current.keys, *current.root_keys) if key.is_valid_at(following.issued_at_ms)}
    undone = sorted((current.withdrawn_key_ids & alive) - following.withdrawn_key_ids)
    if undone:
        detail = f"key {undone[0]} was withdrawn in bundle {current.version} and is withdrawn no more"
        raise BundleError(BundleReason.WITHDRAWAL_UNDONE, detail)


def _refuse_unpinned(envelope: Envelope, pin: Pin) -> None:
    match pin:
        case PayloadPin(sha256):
            if hashlib.sha256(envelope.payload).digest() != sha256:
                raise BundleError(BundleReason.PIN_MISMATCH, "the bundle is not the one that was pinned")
        case RootPin(public_keys, threshold):
            roots = Keyring(
                VerificationKey.of(KeyPurpose.ROOT, public_key, not_before_ms=0, not_after_ms=0)
                for public_key in public_keys
            )
            _verified(envelope, roots, threshold, BundleReason.PIN_MISMATCH)
        case _:
            assert_never(pin)
