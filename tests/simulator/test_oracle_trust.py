"""Whom the oracle believes, and how it reads a seal."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licd.keys.envelope import pae as pae_of_licd
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import trust_pb2
from licd.v1.envelope_pb2 import Envelope
from simulator.oracle.seal import Key, NotSealed, opened, pae, sealed
from simulator.oracle.trust import read_trust

ROOTS = [MemorySigner(KeyPurpose.ROOT, bytes([number]) * 32) for number in range(1, 5)]
PERMIT, NEWER = (MemorySigner(KeyPurpose.PERMIT_ONLINE, bytes([number]) * 32) for number in (8, 9))


def bundle(
    version: int = 1,
    *,
    signed_by: list[MemorySigner],
    roots: list[MemorySigner] = ROOTS[:3],
    key: MemorySigner = PERMIT,
) -> Envelope:
    permit, root = trust_pb2.KEY_PURPOSE_PERMIT_ONLINE, trust_pb2.KEY_PURPOSE_ROOT
    message = trust_pb2.TrustBundle(
        version=version,
        keys=[
            trust_pb2.Key(
                key_id=key.key_id,
                purpose=permit,
                public_key=key.public_key,
                not_after_ms=9,
            )
        ],
        root_keys=[trust_pb2.Key(key_id=each.key_id, purpose=root, public_key=each.public_key) for each in roots],
        root_threshold=2,
    )
    return seal(Kind.TRUST_BUNDLE, message.SerializeToString(), *signed_by)


def pin(envelope: Envelope) -> str:
    return sha256(envelope.payload).hexdigest()


def test_encodes_as_the_specification_does() -> None:
    # The example of the DSSE specification, with our type: lengths in bytes, decimal.
    name = b"application/vnd.licd.permit.v1+proto"
    assert pae("permit", b"hello world") == b"DSSEv1 36 " + name + b" 11 hello world"
    assert pae("permit", b"hello world") == pae_of_licd(name.decode(), b"hello world")


def test_reads_what_licd_seals_and_seals_what_licd_reads() -> None:
    secret = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
    key = Key(secret.public_key(), 0, 9)
    ours, theirs = sealed("permit", b"x", secret, PERMIT.key_id), seal(Kind.PERMIT, b"x", PERMIT)
    assert ours == theirs
    assert opened(theirs, "permit", [key]) == (b"x", key)


@pytest.mark.parametrize("kind", ["denial", "link"])
def test_refuses_another_kind(kind: str) -> None:
    secret = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
    with pytest.raises(NotSealed):
        opened(seal(Kind.PERMIT, b"x", PERMIT), kind, [Key(secret.public_key(), 0, 9)])


def test_refuses_changed_bytes() -> None:
    secret = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
    envelope = seal(Kind.PERMIT, b"x", PERMIT)
    envelope.payload = b"y"
    with pytest.raises(NotSealed):
        opened(envelope, "permit", [Key(secret.public_key(), 0, 9)])


def test_takes_the_keys_of_a_bundle_that_is_pinned_and_signed_by_enough_roots() -> None:
    first = bundle(signed_by=ROOTS[:2])
    [key] = read_trust([first], pin(first)).permit
    assert key.public.public_bytes_raw() == PERMIT.public_key


def test_refuses_a_bundle_that_is_not_pinned() -> None:
    with pytest.raises(NotSealed, match="pins"):
        read_trust([bundle(signed_by=ROOTS[:2])], "00" * 32)


@pytest.mark.parametrize("signed_by", [ROOTS[:1], ROOTS[3:]])
def test_refuses_a_bundle_that_too_few_roots_signed(signed_by: list[MemorySigner]) -> None:
    first = bundle(signed_by=signed_by)
    with pytest.raises(NotSealed, match="of 2 roots"):
        read_trust([first], pin(first))


def test_refuses_no_bundle_at_all() -> None:
    with pytest.raises(NotSealed):
        read_trust([], "")


def test_the_newest_bundle_of_a_chain_counts() -> None:
    first, second = bundle(signed_by=ROOTS[:2]), bundle(2, signed_by=ROOTS[:2], key=NEWER)
    [key] = read_trust([first, second], pin(first)).permit
    assert key.public.public_bytes_raw() == NEWER.public_key


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (bundle(3, signed_by=ROOTS[:2]), "does not follow"),
        (bundle(2, signed_by=ROOTS[2:], roots=ROOTS[2:]), "of 2 roots"),
    ],
)
def test_refuses_a_chain_with_a_gap_or_that_the_old_roots_did_not_sign(second: Envelope, why: str) -> None:
    first = bundle(signed_by=ROOTS[:2])
    with pytest.raises(NotSealed, match=why):
        read_trust([first, second], pin(first))
