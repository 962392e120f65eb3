"""libsodium and OpenSSL are of one mind: what one of them signs the other takes, and what one refuses both do."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.ed25519 import SIGNATURE_BYTES, PrivateKey, PublicKey

SEEDS = st.binary(min_size=32, max_size=32)
ORDER = 2**252 + 27742317777372353535851937790883648493


def test_the_vector_of_rfc_8032_section_7_1_test_2():
    key = PrivateKey(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert key.public_raw.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@given(SEEDS, st.binary(max_size=300))
def test_both_make_the_same_signature_and_take_each_others(seed: bytes, message: bytes):
    ours, theirs = PrivateKey(seed), Ed25519PrivateKey.from_private_bytes(seed)
    signature = ours.sign(message)
    assert signature == theirs.sign(message)
    assert ours.public_raw == theirs.public_key().public_bytes_raw()
    PublicKey(ours.public_raw).verify(signature, message)
    Ed25519PublicKey.from_public_bytes(ours.public_raw).verify(signature, message)


@given(SEEDS, st.binary(min_size=1, max_size=100), st.integers(0, 8 * SIGNATURE_BYTES - 1))
def test_one_bit_of_the_signature_or_another_message_is_refused(seed: bytes, message: bytes, bit: int):
    key = PrivateKey(seed)
    public, signature = PublicKey(key.public_raw), bytearray(key.sign(message))
    with pytest.raises(InvalidSignature):
        public.verify(bytes(signature), message + b"\x00")
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidSignature):
        public.verify(bytes(signature), message)


@pytest.mark.parametrize("moved", [-64, -1, 1, 36])
def test_a_signature_of_another_length_is_refused_though_its_bytes_and_the_messages_are_right_together(moved: int):
    key, message = PrivateKey(b"s" * 32), b"m" * 40
    whole = key.sign(message) + message
    with pytest.raises(InvalidSignature):
        PublicKey(key.public_raw).verify(whole[: SIGNATURE_BYTES + moved], whole[SIGNATURE_BYTES + moved :])


def test_a_signature_whose_scalar_is_beyond_the_order_is_refused():
    key, message = PrivateKey(b"s" * 32), b"message"
    signature = key.sign(message)
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(InvalidSignature):
        PublicKey(key.public_raw).verify(signature[:32] + scalar.to_bytes(32, "little"), message)
