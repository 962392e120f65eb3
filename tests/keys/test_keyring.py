import hashlib

import pytest

from licd.keys.keyring import Keyring, KeyringError
from licd.keys.kinds import KeyPurpose
from licd.keys.public_key import PublicKeyError
from licd.keys.signer import MemorySigner
from licd.keys.verification_key import VerificationKey, key_id_of, key_to_message
from licd.v1 import trust_pb2
from tests.keys.sample import NOW, key, signer

ISSUER = signer(KeyPurpose.LICENCE_ISSUER)
ONLINE = signer(KeyPurpose.PERMIT_ONLINE)


def test_a_key_id_is_the_first_eight_bytes_of_the_hash_of_purpose_and_key() -> None:
    expected = hashlib.sha256(b"licence-issuer\x00" + ISSUER.public_key).hexdigest()[:16]
    assert key_id_of(KeyPurpose.LICENCE_ISSUER, ISSUER.public_key) == expected
    assert ISSUER.key_id == expected


def test_the_same_key_has_another_id_for_another_purpose() -> None:
    assert key_id_of(KeyPurpose.ROOT, ISSUER.public_key) != ISSUER.key_id


def test_finds_a_key_by_its_id() -> None:
    keyring = Keyring([key(ISSUER), key(ONLINE)])
    assert keyring.find(ISSUER.key_id) == key(ISSUER)
    assert len(keyring) == 2
    assert {known.key_id for known in keyring} == {ISSUER.key_id, ONLINE.key_id}


def test_knows_nothing_of_other_ids() -> None:
    assert Keyring([key(ISSUER)]).find(ONLINE.key_id) is None
    assert not Keyring([]).is_withdrawn("")


def test_does_not_find_a_withdrawn_key_and_says_why() -> None:
    keyring = Keyring([key(ISSUER)], withdrawn=[ISSUER.key_id])
    assert keyring.find(ISSUER.key_id) is None
    assert keyring.is_withdrawn(ISSUER.key_id)


def test_remembers_a_withdrawn_id_without_its_key() -> None:
    assert Keyring([], withdrawn=[ISSUER.key_id]).is_withdrawn(ISSUER.key_id)


def test_refuses_to_load_one_id_twice() -> None:
    with pytest.raises(KeyringError, match=ISSUER.key_id):
        Keyring([key(ISSUER), key(ISSUER, end=NOW + 5)])


def test_refuses_to_load_two_keys_under_one_id() -> None:
    other = key(ONLINE)
    forged = VerificationKey(
        ISSUER.key_id, other.purpose, other.public_key, other.not_before_ms, other.not_after_ms, 0, "", other.parsed
    )
    with pytest.raises(KeyringError, match="twice"):
        Keyring([key(ISSUER), forged])


def test_refuses_to_load_one_public_key_with_two_purposes() -> None:
    seed = bytes(range(32))
    keys = [key(MemorySigner(purpose, seed)) for purpose in (KeyPurpose.ROOT, KeyPurpose.EVIDENCE)]
    with pytest.raises(KeyringError, match="second purpose"):
        Keyring(keys)


def test_a_duplicate_is_refused_even_when_it_is_withdrawn() -> None:
    with pytest.raises(KeyringError):
        Keyring([key(ISSUER), key(ISSUER)], withdrawn=[ISSUER.key_id])


def test_a_key_signs_from_its_first_millisecond_to_before_its_last() -> None:
    known = key(ISSUER, start=10, end=20)
    assert [known.is_valid_at(at) for at in (9, 10, 19, 20)] == [False, True, True, False]


def test_a_key_is_not_made_from_unusable_bytes() -> None:
    with pytest.raises(PublicKeyError):
        VerificationKey.of(KeyPurpose.SYSTEM, bytes(32), not_before_ms=0, not_after_ms=1)


def test_writes_a_key_as_a_bundle_holds_it() -> None:
    assert key_to_message(key(ISSUER, start=1, end=2, life=3, owner="operator/o")) == trust_pb2.Key(
        key_id=ISSUER.key_id,
        purpose=trust_pb2.KEY_PURPOSE_LICENCE_ISSUER,
        public_key=ISSUER.public_key,
        not_before_ms=1,
        not_after_ms=2,
        max_token_life_ms=3,
        owner="operator/o",
    )
