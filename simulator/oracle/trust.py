"""Whose signatures count: the chain of trust bundles, from the one that join tokens pin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licd.v1 import trust_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.oracle.seal import Key, NotSealed, signers


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Keys by what they sign, and the trust domain they sign for."""

    domain: str
    licence: tuple[Key, ...]
    permit: tuple[Key, ...]


def read_trust(bundles: Iterable[Envelope], pinned: str) -> TrustedKeys:
    """The keys of the newest bundle. pinned is the first bundle's SHA-256 in hex. Raises NotSealed."""
    bundle: trust_pb2.TrustBundle | None = None
    for envelope in bundles:
        newer = trust_pb2.TrustBundle.FromString(envelope.payload)
        if bundle is None and sha256(envelope.payload).hexdigest() != pinned:
            raise NotSealed("the first trust bundle is not the one that the join token pins")
        if bundle is not None and newer.version != bundle.version + 1:
            raise NotSealed(f"trust bundle {newer.version} does not follow {bundle.version}")
        for judge in (bundle, newer):
            if judge is not None:
                _check_threshold(envelope, judge)
        bundle = newer
    if bundle is None:
        raise NotSealed("no trust bundle at all")
    return TrustedKeys(
        domain=bundle.trust_domain,
        licence=_keys(bundle, trust_pb2.KEY_PURPOSE_LICENCE_ISSUER),
        permit=_keys(bundle, trust_pb2.KEY_PURPOSE_PERMIT_ONLINE),
    )


def _check_threshold(envelope: Envelope, judge: trust_pb2.TrustBundle) -> None:
    signed = len(signers(envelope, "trust-bundle", [_key(each) for each in judge.root_keys]))
    if signed < max(1, judge.root_threshold):
        raise NotSealed(f"{signed} of {judge.root_threshold} roots signed the trust bundle")


def _keys(bundle: trust_pb2.TrustBundle, purpose: trust_pb2.KeyPurpose.ValueType) -> tuple[Key, ...]:
    withdrawn = set(bundle.withdrawn_key_ids)
    return tuple(_key(each) for each in bundle.keys if each.purpose == purpose and each.key_id not in withdrawn)


def _key(message: trust_pb2.Key) -> Key:
    return Key(Ed25519PublicKey.from_public_bytes(message.public_key), message.not_before_ms, message.not_after_ms)
