"""Which region a telephone number belongs to, and the pseudonym that stands for it.

This is the only place of licd that ever sees a number. It runs in the customer's own process, keeps nothing, and no
message of an error contains the number or a part of it.

Rules
- A number comes in E.164 form, the plus sign and ASCII digits, spelled in the one way the number plan spells it: two
  spellings of one number would be two targets.
- The region is that of the number itself, never of its calling code: +1 is shared by 25 regions.
- None means that no one region can be named, and is denied: unknown and invalid numbers, non-geographic codes (+800,
  +882, ...), fixed lines that two regions claim, and service numbers in a plan that several regions share.
- Mobile ranges that regions share (Italy and the Vatican, Finland and Åland, ...) count as the larger one's.

Metadata: Google's libphonenumber, by phonenumberslite. E.164: ITU-T Recommendation E.164 (11/2010).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from types import MappingProxyType

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

from licd.core.regions import is_known

PSEUDONYM_DOMAIN = b"licd-target-v1\x00"
KEY_LENGTH = 32

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
_NO_OVERRIDES: Mapping[str, str] = MappingProxyType({})

# Region codes of the number plan that ISO 3166-1 only reserves; ISO 3166-2 has the same places.
_RESERVED = {"AC": "SH-AC", "TA": "SH-TA"}
_MOVES_WITH_ITS_OWNER = frozenset((PhoneNumberType.MOBILE, PhoneNumberType.PAGER))


class NumberInvalid(ValueError):
    """A text that is not the E.164 form of any number. The message does not repeat the text."""


def region_of(number: str, overrides: Mapping[str, str] = _NO_OVERRIDES) -> str | None:
    """The region code of a number, or None when no one region can be named.

    overrides maps prefixes (+7978) to region codes where policy decides otherwise than the number plan; the longest
    prefix wins. Raises NumberInvalid for a text that is not E.164, ValueError for an override that is not sound.
    """
    parsed = _parse(number)
    _check(overrides)
    prefixes = [prefix for prefix in overrides if number.startswith(prefix)]
    if prefixes:
        return overrides[max(prefixes, key=len)]
    region = _region_in_plan(parsed)
    region = _RESERVED.get(region, region)
    return region if is_known(region) else None


def pseudonym(key: bytes, number: str) -> bytes:
    """HMAC-SHA256 over the number, 32 bytes: all that licd ever learns of a target.

    key is the system's own, 32 bytes or more, and never leaves it; without it the small space of numbers cannot be
    searched. Raises NumberInvalid for a text that is not E.164, ValueError for a short key.
    """
    if len(key) < KEY_LENGTH:
        raise ValueError(f"a pseudonym key has at least {KEY_LENGTH} bytes, got {len(key)}")
    _parse(number)
    return hmac.digest(key, PSEUDONYM_DOMAIN + number.encode("ascii"), hashlib.sha256)


def _parse(number: str) -> PhoneNumber:
    if not _E164.fullmatch(number):
        raise NumberInvalid("a number is written in E.164: a plus sign and 2 to 15 digits, nothing else")
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        # from None: the chained error would carry the number into a log.
        raise NumberInvalid("no number plan knows a number that begins so") from None
    if phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) != number:
        raise NumberInvalid("the number is not in the form its number plan gives it (a trunk prefix too many?)")
    return parsed


def _region_in_plan(parsed: PhoneNumber) -> str:
    """The region that the number plan names; empty when it names none or more than one."""
    region = phonenumbers.region_code_for_number(parsed) or ""
    if not region or not phonenumbers.is_valid_number(parsed):
        return ""
    kind = phonenumbers.number_type(parsed)
    if kind in _MOVES_WITH_ITS_OWNER:
        return region
    return "" if len(_claimants(parsed)) > 1 else region


def _claimants(parsed: PhoneNumber) -> list[str]:
    sharing = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    return [region for region in sharing if phonenumbers.is_valid_number_for_region(parsed, region)]


def _check(overrides: Mapping[str, str]) -> None:
    for prefix, region in overrides.items():
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"a number override begins with a prefix like +7978, got {prefix!r}")
        if not is_known(region):
            raise ValueError(f"a number override names a known region code, got {region!r}")
