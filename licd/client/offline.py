"""Without licd: licences and permits from files, checked against a trust bundle.

What is checked here is what was signed. Whether a licence has been suspended since, only licd knows; a permit is as
fresh as it says. `now_ms` is the caller's: unix milliseconds, licd's clock as well as he knows it.
"""

from dataclasses import dataclass
from typing import Final

from licd.client.session.permits import columns_of
from licd.client.session.trust import read_known, read_terms, refuse_unfit_keys
from licd.core.terms import Terms
from licd.core.time import Instant
from licd.keys.armour import dearmour
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import refuse_frozen, reload
from licd.keys.envelope import parse_envelope, verify_ageless
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1 import session_pb2

__all__ = ["BundleError", "CheckedPermit", "SealInvalid", "check_licence", "check_permit", "read_bundle", "read_file"]

_ARMOUR: Final = b"-----BEGIN LICD "


def read_file(data: bytes) -> bytes:
    """Return the one envelope in a file, armoured or not. Raises ArmourError; nothing in it is believed yet."""
    return dearmour(data).raw if _ARMOUR in data else data


def read_bundle(data: bytes) -> Bundle:
    """Read a trust bundle that the caller has by a road he trusts. Raises BundleError; its age is judged at use."""
    return reload(read_file(data))


def check_licence(envelope: bytes, bundle: Bundle, now_ms: Instant) -> Terms:
    """Return the terms of a licence that an issuer of this bundle signed and that is in its term now.

    Raises SealInvalid (also TOKEN_NOT_YET_VALID, TOKEN_EXPIRED, and for terms this reader does not understand),
    BundleError when the bundle has run out.
    """
    refuse_frozen(bundle, now_ms)
    terms = read_terms(parse_envelope(envelope), bundle)
    if now_ms < terms.not_before:
        raise SealInvalid(SealReason.TOKEN_NOT_YET_VALID, f"this licence holds from {terms.not_before} on")
    if now_ms >= terms.not_after:
        raise SealInvalid(SealReason.TOKEN_EXPIRED, f"this licence held until {terms.not_after}")
    return terms


@dataclass(frozen=True, slots=True)
class CheckedPermit:
    """A permit whose seal held. `allows` looks at the time on every use and costs no cryptography."""

    system: str
    licence: str
    epoch: int
    decided: Instant
    ends: dict[bytes, Instant]

    def allows(self, target: bytes, now_ms: Instant) -> bool:
        """Whether the permit lets this target be acted on now. Neither before it was decided nor from its end on."""
        return self.decided <= now_ms < self.ends.get(target, 0)


def check_permit(envelope: bytes, bundle: Bundle, now_ms: Instant, *, system: str) -> CheckedPermit:
    """Return what a permit for this system (customer/C/system/S) allows.

    Raises SealInvalid: also KIND_MISMATCH for a refusal, KEY_UNKNOWN for another system's or installation's permit,
    TOKEN_EXPIRED when nothing on it holds any more. Raises BundleError when the bundle has run out.
    """
    refuse_frozen(bundle, now_ms)
    verified = verify_ageless(parse_envelope(envelope), Kind.PERMIT, bundle.keyring)
    permit = read_known(verified, session_pb2.Permit)
    header, columns = permit.header, columns_of(permit)
    if columns is None:
        raise SealInvalid(SealReason.MALFORMED, "the columns of this permit differ in length")
    _, targets, ends = columns
    decided = header.decided_ms
    latest = max(ends, default=decided)
    refuse_unfit_keys(verified, decided, latest - decided)
    if header.issuer != bundle.trust_domain or header.system != system:
        raise SealInvalid(SealReason.KEY_UNKNOWN, f"a permit of {header.issuer} for {header.system}")
    if ends and now_ms >= latest:
        raise SealInvalid(SealReason.TOKEN_EXPIRED, f"this permit held until {latest}")
    return CheckedPermit(system, header.licence, header.epoch, decided, dict(zip(targets, ends, strict=True)))
