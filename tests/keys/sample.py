"""Keys, rings and bundles that the tests are told with. Everything is derived from names, so every run has the same."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from licd.keys.bundle import Bundle
from licd.keys.bundle_update import PayloadPin, pin_first
from licd.keys.envelope import seal
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner, Randomness, Signer, verification_key_of
from licd.keys.verification_key import VerificationKey, key_to_message
from licd.v1 import trust_pb2
from licd.v1.envelope_pb2 import Envelope

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
DOMAIN = "licd.example"


def stream(name: str) -> Randomness:
    """Return randomness that is the same every time: SHAKE-256 of the name, read on and on."""
    drawn = 0

    def randomness(count: int) -> bytes:
        nonlocal drawn
        drawn += count
        return hashlib.shake_256(name.encode()).digest(drawn)[-count:]

    return randomness


def signer(purpose: KeyPurpose, number: int = 1) -> MemorySigner:
    return MemorySigner(purpose, hashlib.sha256(f"{purpose.word} {number}".encode()).digest())


def signer_for(kind: Kind, number: int = 1) -> MemorySigner:
    return signer(kind.purpose, number)


def key(of: Signer, *, start: int = NOW - DAY, end: int = NOW + DAY, life: int = 0, owner: str = "") -> VerificationKey:
    return verification_key_of(of, not_before_ms=start, not_after_ms=end, max_token_life_ms=life, owner=owner)


def ring(*signers: Signer, withdrawn: Iterable[str] = (), version: int = 1) -> Keyring:
    return Keyring([key(of) for of in signers], withdrawn=withdrawn, version=version)


def roots(count: int) -> list[MemorySigner]:
    return [signer(KeyPurpose.ROOT, number) for number in range(1, count + 1)]


def bundle_message(
    version: int = 1, *, root_signers: Sequence[Signer] | None = None, threshold: int = 2, **changes: Any
) -> trust_pb2.TrustBundle:
    """A sound bundle of three roots and one key of each of licd's own purposes; `changes` are fields set otherwise."""
    root_signers = roots(3) if root_signers is None else root_signers
    online = [KeyPurpose.LICENCE_ISSUER, KeyPurpose.PERMIT_ONLINE, KeyPurpose.EVIDENCE]
    fields: dict[str, Any] = {
        "version": version,
        "issued_at_ms": NOW + version,
        "expires_at_ms": NOW + 30 * DAY,
        "refresh_hint_ms": 3_600_000,
        "keys": [key_to_message(key(signer(purpose))) for purpose in online],
        "root_keys": [key_to_message(key(root, end=NOW + 365 * DAY)) for root in root_signers],
        "root_threshold": threshold,
        "trust_domain": DOMAIN,
        "min_reader_version": 1,
    }
    return trust_pb2.TrustBundle(**(fields | changes))


def sealed(message: trust_pb2.TrustBundle, *signers: Signer) -> Envelope:
    return seal(Kind.TRUST_BUNDLE, message.SerializeToString(), *(signers or roots(2)))


def first_bundle(message: trust_pb2.TrustBundle | None = None, *signers: Signer) -> Bundle:
    envelope = sealed(bundle_message() if message is None else message, *signers)
    return pin_first(envelope, PayloadPin(hashlib.sha256(envelope.payload).digest()), NOW)


def flip(data: bytes, bit: int) -> bytes:
    """The same bytes with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
