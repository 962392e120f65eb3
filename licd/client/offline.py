"""Without licd: licences and permits from files, checked against a trust bundle.

What is checked here is what was signed. Whether a licence has been suspended since, only licd knows; a permit is as
fresh as it says. `now_ms` is the caller's: unix milliseconds, licd's clock as well as he knows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from licd.client.session.permits import TARGET_BYTES
from licd.client.session.trust import licence_message, refuse_unfit_keys
from licd.core.overlay import Overlay, OverlayTerms, effective, overlay_denial
from licd.core.overlay import check_overlay as refuse_contradiction
from licd.core.terms import Rights, Terms, TermsInvalid
from licd.core.time import Instant
from licd.keys.armour import ArmourError, dearmour
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import refuse_frozen, reload
from licd.keys.envelope import parse_envelope, verify, verify_ageless
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.verification_key import VerificationKey
from licd.v1 import licence_pb2, overlay_pb2, session_pb2
from licd.wire.overlay import overlay_from_message
from licd.wire.terms import terms_from_message

__all__ = [
    "ArmourError",
    "Bundle",
    "BundleError",
    "CheckedLicence",
    "CheckedPermit",
    "OverlayTerms",
    "SealInvalid",
    "check_licence",
    "check_overlay",
    "check_permit",
    "read_bundle",
    "read_file",
]

_ARMOUR: Final = b"-----BEGIN LICD "


def read_file(data: bytes) -> bytes:
    """Return the one envelope in a file, armoured or not. Raises ArmourError; nothing in it is believed yet."""
    return dearmour(data).raw if _ARMOUR in data else data


def read_bundle(data: bytes) -> Bundle:
    """Read a trust bundle that the caller has by a road he trusts. Raises BundleError; its age is judged at use."""
    return reload(read_file(data))


@dataclass(frozen=True, slots=True)
class CheckedLicence:
    """A licence whose seal held, all of which was understood, and which was in its term."""

    message: licence_pb2.LicenceTerms
    overlays: tuple[Overlay, ...] = ()

    @property
    def licence(self) -> str:
        """The licence's id."""
        return self.message.licence

    @property
    def customer(self) -> str:
        """Whose it is."""
        return self.message.customer

    @property
    def not_after(self) -> Instant:
        """When its term is over."""
        return self.message.not_after_ms

    @property
    def terms(self) -> Terms:
        """Every limit, as values."""
        return terms_from_message(self.message)

    @property
    def rights(self) -> Rights:
        """What the terms and the overlays that it was checked with come to."""
        return effective(self.terms, self.overlays)


def check_overlay(
    envelope: bytes, public_key: bytes, now_ms: Instant, *, authority: str, audience: str
) -> OverlayTerms:
    """Return what an authority says in an overlay, by its public key, which the caller has by a road he trusts.

    audience: the trust domain that it must be for. Raises SealInvalid: KEY_UNKNOWN also for another authority's or
    installation's, MALFORMED also for what contradicts itself.
    """
    key = VerificationKey.of(
        KeyPurpose.OVERSEER, public_key, not_before_ms=0, not_after_ms=now_ms + 1, owner=f"overseer/{authority}"
    )
    verified = verify(parse_envelope(envelope), Kind.OVERLAY, Keyring([key]), now_ms)
    try:
        said = overlay_from_message(read_payload(verified, overlay_pb2.OverlayTerms))
        refuse_contradiction(said)
    except TermsInvalid as error:
        raise SealInvalid(SealReason.MALFORMED, f"this overlay cannot be understood: {error}") from error
    if (said.authority, said.audience) != (authority, audience):
        raise SealInvalid(SealReason.KEY_UNKNOWN, f"an overlay of {said.authority} for {said.audience}")
    return said


def check_licence(
    envelope: bytes, bundle: Bundle, now_ms: Instant, overlays: Sequence[OverlayTerms] = ()
) -> CheckedLicence:
    """Return a licence that an issuer of this bundle signed, and that may be used now as far as files can say.

    overlays: those that there are about it, each at its latest revision, as check_overlay returned them. Raises
    SealInvalid (also TOKEN_NOT_YET_VALID, TOKEN_EXPIRED, for terms this reader does not understand, and
    OVERLAY_NOT_IN_FORCE where one has ended or one that the licence demands is not among them), BundleError when the
    bundle has run out.
    """
    refuse_frozen(bundle, now_ms)
    message = licence_message(parse_envelope(envelope), bundle)
    if now_ms < message.not_before_ms:
        raise SealInvalid(SealReason.TOKEN_NOT_YET_VALID, f"this licence holds from {message.not_before_ms} on")
    if now_ms >= message.not_after_ms:
        raise SealInvalid(SealReason.TOKEN_EXPIRED, f"this licence held until {message.not_after_ms}")
    checked = CheckedLicence(message, tuple(Overlay.of(each, token=b"", at=now_ms, by="") for each in overlays))
    denied = overlay_denial(checked.terms, checked.overlays, now_ms)
    if denied is not None:
        raise SealInvalid(SealReason.OVERLAY_NOT_IN_FORCE, denied.detail)
    return checked


@dataclass(frozen=True, slots=True)
class CheckedPermit:
    """A permit whose seal held. `allows` looks at the time on every use and costs no cryptography."""

    header: session_pb2.ReplyHeader
    decided: Instant
    targets: bytes = field(repr=False)
    hard_ends: tuple[Instant, ...] = field(repr=False)

    def allows(self, target: bytes, now_ms: Instant) -> bool:
        """Whether the permit lets this target be acted on now. Neither before it was decided nor from its end on."""
        if now_ms < self.decided or len(target) != TARGET_BYTES:
            return False
        at = self.targets.find(target)
        while at % TARGET_BYTES and at >= 0:
            at = self.targets.find(target, at + 1)
        return at >= 0 and now_ms < self.hard_ends[at // TARGET_BYTES]


def check_permit(envelope: bytes, bundle: Bundle, now_ms: Instant, *, system: str) -> CheckedPermit:
    """Return what a permit for this system (customer/C/system/S) allows.

    Raises SealInvalid: also KIND_MISMATCH for a refusal, KEY_UNKNOWN for another system's or installation's permit,
    TOKEN_EXPIRED when nothing on it holds any more. Raises BundleError when the bundle has run out.
    """
    refuse_frozen(bundle, now_ms)
    verified = verify_ageless(parse_envelope(envelope), Kind.PERMIT, bundle.keyring)
    permit = read_payload(verified, session_pb2.Permit)
    header, targets, hard_ends = permit.header, permit.targets, tuple(permit.hard_ends_ms)
    count = len(hard_ends)
    if len(targets) != TARGET_BYTES * count or len(permit.leases) != count:
        raise SealInvalid(SealReason.MALFORMED, "the columns of this permit differ in length")
    decided = header.decided_ms
    latest = max(hard_ends, default=decided)
    refuse_unfit_keys(verified, decided, latest - decided)
    if header.issuer != bundle.trust_domain or header.system != system:
        raise SealInvalid(SealReason.KEY_UNKNOWN, f"a permit of {header.issuer} for {header.system}")
    if hard_ends and now_ms >= latest:
        raise SealInvalid(SealReason.TOKEN_EXPIRED, f"this permit held until {latest}")
    return CheckedPermit(header, decided, targets, hard_ends)
