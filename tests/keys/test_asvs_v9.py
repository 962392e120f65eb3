"""OWASP ASVS 5.0, chapter V9 (self-contained tokens): the requirements that this package can hold, by number.

9.2.3 and 9.2.4 (audience) are about fields of the payload, which its readers check: tests/client/test_asvs_v9.py.
"""

from collections.abc import Callable

import pytest

from licd.keys.envelope import seal, verify
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.payload import read_payload
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.signer import MemorySigner
from licd.keys.token_life import refuse_outside_life
from licd.v1 import envelope_pb2, trust_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import DAY, NOW, key, ring, signer

ISSUER = signer(KeyPurpose.LICENCE_ISSUER)
UNPARSABLE = b"\xff\xff\xff"


def refusal(call: Callable[..., object], *arguments: object) -> SealReason:
    with pytest.raises(SealInvalid) as caught:
        call(*arguments)
    return caught.value.reason


def test_9_1_1_the_signature_is_checked_before_the_contents_are_looked_at() -> None:
    forged = seal(Kind.LICENCE, UNPARSABLE, signer(KeyPurpose.LICENCE_ISSUER, 2))
    forged.signatures[0].keyid = ISSUER.key_id
    assert refusal(verify, forged, Kind.LICENCE, ring(ISSUER), NOW) is SealReason.SIGNATURE_INVALID


def test_9_1_1_contents_are_read_only_from_what_was_verified() -> None:
    verified = verify(seal(Kind.LICENCE, UNPARSABLE, ISSUER), Kind.LICENCE, ring(ISSUER), NOW)
    assert refusal(read_payload, verified, trust_pb2.TrustBundle) is SealReason.MALFORMED


def test_9_1_2_no_message_can_name_an_algorithm() -> None:
    names = {field.name for message in (envelope_pb2.Envelope, envelope_pb2.Signature, trust_pb2.Key)
             for field in message.DESCRIPTOR.fields}  # fmt: skip
    assert not any("alg" in name for name in names)


@pytest.mark.parametrize("nothing", [b"", bytes(64), b"none"])
def test_9_1_2_no_signature_at_all_is_never_enough(nothing: bytes) -> None:
    envelope = Envelope(payload=b"x", payload_type=Kind.LICENCE.payload_type)
    envelope.signatures.add(sig=nothing, keyid=ISSUER.key_id)
    assert refusal(verify, envelope, Kind.LICENCE, ring(ISSUER), NOW) is SealReason.SIGNATURE_INVALID


def test_9_1_3_a_key_is_never_taken_from_the_token() -> None:
    stranger = MemorySigner(KeyPurpose.LICENCE_ISSUER, bytes(range(32)))
    for hint in (stranger.public_key.hex(), "https://keys.example/jwks", "../keys/issuer", stranger.key_id):
        envelope = seal(Kind.LICENCE, b"x", stranger)
        envelope.signatures[0].keyid = hint
        assert refusal(verify, envelope, Kind.LICENCE, ring(ISSUER), NOW) is SealReason.KEY_UNKNOWN


def test_9_2_1_a_token_is_accepted_inside_its_life_only() -> None:
    verified = verify(seal(Kind.LICENCE, b"x", ISSUER), Kind.LICENCE, ring(ISSUER), NOW)
    refuse_outside_life(verified, NOW, NOW + 10, NOW)
    refuse_outside_life(verified, NOW, NOW + 10, NOW + 9)
    assert refusal(refuse_outside_life, verified, NOW, NOW + 10, NOW - 1) is SealReason.TOKEN_NOT_YET_VALID
    assert refusal(refuse_outside_life, verified, NOW, NOW + 10, NOW + 10) is SealReason.TOKEN_EXPIRED
    assert refusal(refuse_outside_life, verified, NOW, NOW, NOW) is SealReason.TOKEN_EXPIRED


def test_9_2_1_a_key_grants_no_longer_life_than_its_own_bound() -> None:
    bounded = Keyring([key(ISSUER, life=DAY)])
    verified = verify(seal(Kind.LICENCE, b"x", ISSUER), Kind.LICENCE, bounded, NOW)
    refuse_outside_life(verified, NOW, NOW + DAY, NOW)
    assert refusal(refuse_outside_life, verified, NOW, NOW + DAY + 1, NOW) is SealReason.TOKEN_LIFE_TOO_LONG


@pytest.mark.parametrize("asked", [Kind.PERMIT, Kind.OPERATOR_COMMAND, Kind.TRUST_BUNDLE, Kind.OVERLAY])
def test_9_2_2_a_licence_is_accepted_for_nothing_but_a_licence(asked: Kind) -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    assert refusal(verify, envelope, asked, ring(ISSUER), NOW) is SealReason.KIND_MISMATCH
