"""From what a program names to what licd is asked: pseudonym, regions, purpose, authorisation."""

from collections.abc import Mapping, Sequence
from typing import Final, Required, TypedDict

from licd.client.answers import Authorisation
from licd.client.numbers import pseudonym, region_of
from licd.core.reasons import Denied, Reason
from licd.core.terms import Basis
from licd.v1 import licence_pb2, session_pb2
from licd.wire.session import CLAIMS_LIMIT, TEXT_LIMIT

TARGET_BYTES: Final = 32


class AskedFor(TypedDict, total=False):
    """What a lease is asked for under; only the purpose is always needed.

    purpose and offence are namespaced codes (licd:serious-crime). region goes with a pseudonym: the region as declared.
    claims are further regions, each with the basis it rests on. attested_not_protected attests that the target is no
    protected person. Which of these the licence requires, licd says in its denial.
    """

    purpose: Required[str]
    offence: str
    authorisation: Authorisation | None
    region: str | None
    claims: Sequence[tuple[str, Basis]]
    attested_not_protected: bool


def acquisition_of(
    target: str | bytes, pseudonym_key: bytes, overrides: Mapping[str, str], terms: AskedFor
) -> session_pb2.Acquisition | Denied:
    """Make the question for one target: a number in E.164, or a pseudonym of 32 bytes with a declared region.

    A number's region is that of its number plan; where none can be named the denial is made here, and licd is not
    asked. Raises NumberInvalid for text that is no number, and ValueError for what licd would not even look at, since a
    link with that in it would stay unanswered: a wrong pseudonym, texts too long, a region beside a number. Raises
    TypeError for a word that is not of `AskedFor`, and for a value that is no text.
    """
    unknown = sorted(terms.keys() - AskedFor.__annotations__.keys())
    if unknown:
        raise TypeError(f"{unknown[0]!r} is nothing that a lease is asked for under")
    region = terms.get("region")
    if isinstance(target, str):
        if region is not None:
            raise ValueError("the region of a number is that of its number plan; give others as claims")
        found = region_of(target, overrides)
        if found is None:
            return Denied(Reason.REGION_UNKNOWN, "no one region can be named for this number")
        named, hidden = [(found, Basis.NUMBER_PLAN)], pseudonym(pseudonym_key, target)
    else:
        if len(target) != TARGET_BYTES:
            raise ValueError(f"a pseudonym has {TARGET_BYTES} bytes, not {len(target)}")
        named, hidden = ([(region, Basis.DECLARED)] if region is not None else []), target
    return _acquisition(hidden, [*named, *terms.get("claims", ())], terms)


def _acquisition(hidden: bytes, claims: Sequence[tuple[str, Basis]], terms: AskedFor) -> session_pb2.Acquisition:
    asked = session_pb2.Acquisition(
        target=hidden,
        purpose=_text("purpose", terms.get("purpose")),
        offence=_text("offence", terms.get("offence", "")),
        attested_not_protected=terms.get("attested_not_protected", False),
    )
    if len(claims) > CLAIMS_LIMIT:
        raise ValueError(f"at most {CLAIMS_LIMIT} regions are claimed for a target")
    for name, basis in claims:
        asked.regions.add(region=_text("region", name), basis=licence_pb2.RegionBasis.ValueType(basis))
    authorisation = terms.get("authorisation")
    if authorisation is not None:
        if authorisation.ends_at < 0:
            raise ValueError("an authorisation ends at a time in unix milliseconds, not before 1970")
        asked.authorisation.reference = _text("authorisation", authorisation.reference)
        asked.authorisation.expires_at_ms = authorisation.ends_at
    return asked


def _text(name: str, text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name} is a text, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds half a character, which can be sent to nobody") from error
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"{name} has at most {TEXT_LIMIT} characters")
    return text
