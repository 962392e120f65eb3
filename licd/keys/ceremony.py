"""From a reviewed ceremony file and the bundle in force to the next bundle, and what people read before they sign it.

Pure functions. What is told is read off the two bundles, not off the file: it is what will be in force.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from licd.core.time import SECOND, Instant
from licd.keys.bundle import READER_VERSION, Bundle, BundleError, read_bundle
from licd.keys.bundle_update import advance
from licd.keys.ceremony_file import Ceremony, CeremonyInvalid
from licd.keys.envelope import claimed_kind, pae, seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.pem_files import certificates_from_pem
from licd.keys.pki import thumbprint
from licd.keys.signer import Signer
from licd.keys.verification_key import VerificationKey, key_to_message
from licd.v1.envelope_pb2 import Envelope
from licd.v1.trust_pb2 import TrustBundle

ONLINE: Final = (KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE)
"""Purposes without whose key an installation comes to a stop."""


def next_bundle(ceremony: Ceremony, current: Bundle) -> Bundle:
    """The bundle that a ceremony makes of the one in force; nobody has signed it. Raises CeremonyInvalid."""
    _refuse_other_place(ceremony, current)
    keys = _changed((*current.keys, *current.root_keys), ceremony, current)
    withdrawn = {*current.withdrawn_key_ids, *ceremony.withdraw} - _run_out(ceremony, current)
    roots = [key for key in keys if key.purpose is KeyPurpose.ROOT]
    payload = TrustBundle(
        version=current.version + 1,
        issued_at_ms=ceremony.issued_at,
        expires_at_ms=ceremony.expires_at,
        refresh_hint_ms=ceremony.refresh_hint,
        keys=[key_to_message(key) for key in keys if key.purpose is not KeyPurpose.ROOT],
        withdrawn_key_ids=sorted(withdrawn),
        root_keys=[key_to_message(key) for key in roots],
        root_threshold=ceremony.root_threshold or current.root_threshold,
        trust_domain=current.trust_domain,
        min_reader_version=READER_VERSION,
        tls_authorities_pem=_authorities(ceremony, current),
    ).SerializeToString(deterministic=True)
    try:
        following = read_bundle(payload, b"")
    except BundleError as error:
        raise CeremonyInvalid(str(error)) from error
    _refuse_unusable(ceremony, following)
    return following


def sign(following: Bundle, root: Signer) -> Envelope:
    """One holder's signature, an envelope of its own. Raises SealInvalid for a key that is no root's."""
    return seal(Kind.TRUST_BUNDLE, following.payload, root)


def combine(current: Bundle, following: Bundle, signed: Iterable[Envelope]) -> Bundle:
    """The bundle with everybody's signatures, taken as every verifier takes it.

    Raises CeremonyInvalid for a signature over something else or by a stranger, BundleError for too few.
    """
    whole = Envelope(payload=following.payload, payload_type=Kind.TRUST_BUNDLE.payload_type)
    for each in signed:
        if claimed_kind(each) is not Kind.TRUST_BUNDLE or each.payload != following.payload:
            raise CeremonyInvalid("a signature is over another bundle: was it made of this very file?")
        for signature in each.signatures:
            _refuse_stranger(current, following, signature.keyid, signature.sig)
            if all(signature.keyid != other.keyid for other in whole.signatures):
                whole.signatures.append(signature)
    return advance(current, whole)


def _refuse_stranger(current: Bundle, following: Bundle, key_id: str, signature: bytes) -> None:
    root = current.roots().find(key_id) or following.roots().find(key_id)
    if root is None:
        raise CeremonyInvalid(f"key {key_id[:40]!r} is a root key of neither bundle")
    if not root.verifies(signature, pae(Kind.TRUST_BUNDLE.payload_type, following.payload)):
        raise CeremonyInvalid(f"the signature of root key {key_id} does not hold")


# --------------------------------------------------------------------------------------------------- what changes
def _refuse_other_place(ceremony: Ceremony, current: Bundle) -> None:
    if ceremony.trust_domain != current.trust_domain:
        raise CeremonyInvalid(f"trust_domain: the bundles are of {current.trust_domain}")
    if ceremony.follows != current.version:
        raise CeremonyInvalid(f"follows: bundle {current.version} is the newest there is")
    if ceremony.issued_at < current.issued_at_ms:
        raise CeremonyInvalid(f"issued_at: before bundle {current.version}, issued {moment(current.issued_at_ms)}")


def _changed(keys: Iterable[VerificationKey], ceremony: Ceremony, current: Bundle) -> list[VerificationKey]:
    by_id = {key.key_id: key for key in keys}
    for name, named in (("retire", ceremony.retire), ("withdraw", ceremony.withdraw), ("drop", ceremony.drop)):
        for key_id in named:
            if key_id not in by_id:
                raise CeremonyInvalid(f"{name}: there is no key {key_id} in bundle {current.version}")
    for key_id, not_after in ceremony.retire.items():
        by_id[key_id] = _retired(by_id[key_id], not_after, ceremony, current)
    for key_id in ceremony.drop:
        _refuse_drop(by_id.pop(key_id), ceremony)
    for key in ceremony.add:
        if key.key_id in by_id:
            raise CeremonyInvalid(f"add: key {key.key_id} is in bundle {current.version} already")
        by_id[key.key_id] = key
    return list(by_id.values())


def _retired(key: VerificationKey, not_after: Instant, ceremony: Ceremony, current: Bundle) -> VerificationKey:
    if not_after > key.not_after_ms:
        raise CeremonyInvalid(f"retire: key {key.key_id} ends {moment(key.not_after_ms)} already")
    # A root signs nothing that systems judge online: only bundles.
    soonest = ceremony.issued_at + (0 if key.purpose is KeyPurpose.ROOT else current.refresh_hint_ms)
    if not_after < soonest:
        detail = f"systems learn of a bundle within {current.refresh_hint_ms // SECOND} s: not before {moment(soonest)}"
        raise CeremonyInvalid(f"retire: key {key.key_id}: {detail}; if it must stop at once, withdraw it")
    return replace(key, not_after_ms=not_after)


def _run_out(ceremony: Ceremony, current: Bundle) -> set[str]:
    """Of the keys that go, those that have ended: only then may it be forgotten that they were withdrawn."""
    keys = (*current.keys, *current.root_keys)
    return {key.key_id for key in keys if key.key_id in ceremony.drop and ceremony.issued_at >= key.not_after_ms}


def _refuse_drop(key: VerificationKey, ceremony: Ceremony) -> None:
    if key.purpose is not KeyPurpose.ROOT and ceremony.issued_at < key.not_after_ms:
        raise CeremonyInvalid(f"drop: key {key.key_id} holds until {moment(key.not_after_ms)}; retire or withdraw it")


def _authorities(ceremony: Ceremony, current: Bundle) -> list[str]:
    named = {thumbprint_of(pem): pem for pem in (*current.tls_authorities_pem, *ceremony.add_authorities)}
    if len(named) < len(current.tls_authorities_pem) + len(ceremony.add_authorities):
        raise CeremonyInvalid("add_authority: it is in the bundle already")
    for each in ceremony.drop_authorities:
        if named.pop(each, None) is None:
            raise CeremonyInvalid(f"drop_authority: the bundle names no authority {each}")
    return list(named.values())


def _refuse_unusable(ceremony: Ceremony, following: Bundle) -> None:
    for purpose in ONLINE:
        if not any(key.purpose is purpose and key.not_after_ms > ceremony.issued_at for key in following.keyring):
            raise CeremonyInvalid(f"no key is left that could sign as {purpose.word}: add one")
    able = [key for key in following.roots() if key.is_valid_at(ceremony.issued_at)]
    if len(able) < following.root_threshold:
        detail = f"{len(able)} root keys could sign, and {following.root_threshold} must"
        raise CeremonyInvalid(f"{detail}: no bundle could ever follow this one")
    if not following.tls_authorities_pem:
        raise CeremonyInvalid("drop_authority: no TLS authority is left")


# --------------------------------------------------------------------------------------------------- what is told
def told(current: Bundle, following: Bundle) -> Iterator[str]:
    """What changes from one bundle to the next, line by line, for people."""
    yield f"trust bundle {following.version} of {following.trust_domain}, after {current.version}"
    yield f"issued {moment(following.issued_at_ms)}, good until {moment(following.expires_at_ms)}"
    yield f"systems ask for a newer one every {following.refresh_hint_ms // SECOND} s"
    yield f"{following.root_threshold} of {len(following.roots())} root keys must sign" + (
        "" if following.root_threshold == current.root_threshold else f" (before: {current.root_threshold})"
    )
    yield from _told_keys(current, following)
    before, after = (set(each.tls_authorities_pem) for each in (current, following))
    for pem in sorted(after - before):
        yield f"ADD       TLS authority {thumbprint_of(pem)}"
    for pem in sorted(before - after):
        yield f"DROP      TLS authority {thumbprint_of(pem)}"


def _told_keys(current: Bundle, following: Bundle) -> Iterator[str]:
    before = {key.key_id: key for key in (*current.root_keys, *current.keys)}
    after = {key.key_id: key for key in (*following.root_keys, *following.keys)}
    for key_id, key in sorted(after.items()):
        old = before.get(key_id)
        if old is None:
            span = f"{moment(key.not_before_ms)} to {moment(key.not_after_ms)}"
            owner = f", of {key.owner}" if key.owner else ""
            yield f"ADD       {key.purpose.word} {key_id}: {span}{owner}"
        elif old != key:
            yield f"RETIRE    {key.purpose.word} {key_id}: signs until {moment(key.not_after_ms)}"
        if key_id in following.withdrawn_key_ids - current.withdrawn_key_ids:
            yield f"WITHDRAW  {key.purpose.word} {key_id}: nothing it has signed is believed any more"
    for key_id in sorted(before.keys() - after.keys()):
        yield f"DROP      {before[key_id].purpose.word} {key_id}"


def moment(at: Instant) -> str:
    """A time for people and for ceremony files, UTC."""
    return datetime.fromtimestamp(at // SECOND, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def thumbprint_of(pem: str) -> str:
    """SHA-256 of a certificate, hex."""
    return thumbprint(certificates_from_pem(pem.encode())[0]).hex()
