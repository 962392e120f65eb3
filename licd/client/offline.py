"""Without licd: licences and permits from files, checked against a trust bundle.

What is checked here is what was signed. Whether a licence has been suspended since, only licd knows; a permit is as
fresh as it says. `now_ms` is the caller's: unix milliseconds, licd's clock as well as he knows it.
"""

from dataclasses import dataclass, field
from typing import Final

from licd.client.session.permits import TARGET_BYTES
from licd.client.session.trust import licence_message, refuse_unfit_keys
from licd.core.terms import Terms
from licd.core.time import Instant
from licd.keys.armour import ArmourError, dearmour
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import refuse_frozen, reload
from licd.keys.envelope import parse_envelope, verify_ageless
from licd.keys.kinds import Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1 import licence_pb2, session_pb2
from licd.wire.terms import terms_from_message

__all__ = [
    "ArmourError",
    "Bundle",
    "BundleError",
    "CheckedLicence",
    "CheckedPermit",
    "SealInvalid",
    "check_licence",
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


def check_licence(envelope: bytes, bundle: Bundle, now_ms: Instant) -> CheckedLicence:
    """Return a licence that an issuer of this bundle signed and that is in its term now.

    Raises SealInvalid (also TOKEN_NOT_YET_VALID, TOKEN_EXPIRED, and for terms this reader does not understand),
    BundleError when the bundle has run out.
    """
    refuse_frozen(bundle, now_ms)
    message = licence_message(parse_envelope(envelope), bundle)
    if now_ms < message.not_before_ms:
        raise SealInvalid(SealReason.TOKEN_NOT_YET_VALID, f"this licence holds from {message.not_before_ms} on")
    if now_ms >= message.not_after_ms:
        raise SealInvalid(SealReason.TOKEN_EXPIRED, f"this licence held until {message.not_after_ms}")
    return CheckedLicence(message)


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
