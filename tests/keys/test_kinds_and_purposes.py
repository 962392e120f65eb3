"""Which key may seal which kind, asked as which: every combination there is."""

from itertools import product

import pytest

from licd.keys.envelope import pae, seal, verify
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import NOW, ring, signer

EVERYBODY = {purpose: signer(purpose) for purpose in KeyPurpose}
KEYRING = ring(*EVERYBODY.values())


def sealed_regardless(kind: Kind, purpose: KeyPurpose) -> Envelope:
    """What a stolen key would make: `seal` itself refuses to."""
    thief = EVERYBODY[purpose]
    envelope = Envelope(payload=b"x", payload_type=kind.payload_type)
    envelope.signatures.add(sig=thief.sign(pae(kind.payload_type, b"x")), keyid=thief.key_id)
    return envelope


@pytest.mark.parametrize(("purpose", "kind"), list(product(KeyPurpose, Kind)))
def test_a_key_seals_the_kinds_of_its_purpose_and_no_other(purpose: KeyPurpose, kind: Kind) -> None:
    envelope = sealed_regardless(kind, purpose)
    if kind in purpose.kinds:
        assert verify(envelope, kind, KEYRING, NOW).keys[0].purpose is purpose
        assert seal(kind, b"x", EVERYBODY[purpose]) == envelope
        return
    with pytest.raises(SealInvalid) as caught:
        verify(envelope, kind, KEYRING, NOW)
    assert caught.value.reason is SealReason.KEY_PURPOSE
    with pytest.raises(SealInvalid) as refused:
        seal(kind, b"x", EVERYBODY[purpose])
    assert refused.value.reason is SealReason.KEY_PURPOSE


@pytest.mark.parametrize(("made", "asked"), [(a, b) for a, b in product(Kind, Kind) if a is not b])
def test_an_envelope_of_one_kind_is_never_taken_for_another(made: Kind, asked: Kind) -> None:
    envelope = seal(made, b"x", EVERYBODY[made.purpose])
    with pytest.raises(SealInvalid) as caught:
        verify(envelope, asked, KEYRING, NOW)
    assert caught.value.reason is SealReason.KIND_MISMATCH
    envelope.payload_type = asked.payload_type
    with pytest.raises(SealInvalid) as relabelled:
        verify(envelope, asked, KEYRING, NOW)
    same_key = made.purpose is asked.purpose
    assert relabelled.value.reason is (SealReason.SIGNATURE_INVALID if same_key else SealReason.KEY_PURPOSE)
