"""S5 and L2: any bit turned is refused, with a reason that is always the same; any bytes at all give a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.envelope import open_envelope, seal, verify
from licd.keys.kinds import Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import NOW, flip, ring, signer_for

KINDS = st.sampled_from(list(Kind))
PAYLOADS = st.binary(min_size=1, max_size=64)
BITS = st.integers(min_value=0)


def refusal(envelope: Envelope, kind: Kind):
    with pytest.raises(SealInvalid) as caught:
        verify(envelope, kind, ring(signer_for(kind)), NOW)
    return caught.value.reason


@given(KINDS, PAYLOADS, BITS)
def test_a_bit_turned_in_the_payload_breaks_the_signature(kind: Kind, payload: bytes, bit: int) -> None:
    envelope = seal(kind, payload, signer_for(kind))
    envelope.payload = flip(payload, bit % (8 * len(payload)))
    assert refusal(envelope, kind) is SealReason.SIGNATURE_INVALID


@given(KINDS, PAYLOADS, BITS)
def test_a_bit_turned_in_the_signature_breaks_it(kind: Kind, payload: bytes, bit: int) -> None:
    envelope = seal(kind, payload, signer_for(kind))
    envelope.signatures[0].sig = flip(envelope.signatures[0].sig, bit % 512)
    assert refusal(envelope, kind) is SealReason.SIGNATURE_INVALID


@given(KINDS, PAYLOADS, BITS)
def test_a_bit_turned_in_the_type_is_another_kind(kind: Kind, payload: bytes, bit: int) -> None:
    envelope = seal(kind, payload, signer_for(kind))
    turned = flip(kind.payload_type.encode(), bit % (8 * len(kind.payload_type)) & ~7 | bit % 7)
    envelope.payload_type = turned.decode("ascii")
    assert refusal(envelope, kind) is SealReason.KIND_MISMATCH


@given(KINDS, PAYLOADS, BITS)
def test_a_bit_turned_in_the_key_id_names_no_key(kind: Kind, payload: bytes, bit: int) -> None:
    envelope = seal(kind, payload, signer_for(kind))
    turned = flip(envelope.signatures[0].keyid.encode(), bit % 128 & ~7 | bit % 7)
    envelope.signatures[0].keyid = turned.decode("ascii")
    assert refusal(envelope, kind) is SealReason.KEY_UNKNOWN


@given(PAYLOADS, st.binary(max_size=8))
def test_bytes_put_before_or_after_the_payload_break_the_signature(payload: bytes, more: bytes) -> None:
    envelope = seal(Kind.PERMIT, payload, signer_for(Kind.PERMIT))
    for changed in (payload + more, more + payload, payload[1:], payload[:-1]):
        if changed != payload:
            envelope.payload = changed
            assert refusal(envelope, Kind.PERMIT) is SealReason.SIGNATURE_INVALID


@pytest.mark.parametrize("kind", [Kind.LICENCE, Kind.TRUST_BUNDLE])
def test_every_single_bit_of_the_bytes_on_the_wire_is_covered(kind: Kind) -> None:
    raw = seal(kind, b"payload", signer_for(kind)).SerializeToString()
    keyring = ring(signer_for(kind))
    for bit in range(8 * len(raw)):
        with pytest.raises(SealInvalid):
            open_envelope(flip(raw, bit), kind, keyring, NOW)


@given(st.binary(max_size=300), KINDS)
def test_any_bytes_give_a_reason_and_nothing_else(raw: bytes, kind: Kind) -> None:
    with pytest.raises(SealInvalid):
        open_envelope(raw, kind, ring(signer_for(kind)), NOW)


@given(
    st.builds(
        Envelope,
        payload=st.binary(max_size=40),
        payload_type=st.sampled_from([kind.payload_type for kind in Kind]) | st.text(max_size=40),
    ),
    st.lists(st.tuples(st.binary(max_size=80), st.text(max_size=20)), max_size=20),
    KINDS,
)
def test_any_envelope_that_nobody_signed_gives_a_reason_and_nothing_else(
    envelope: Envelope, signatures: list[tuple[bytes, str]], kind: Kind
) -> None:
    known = signer_for(kind).key_id
    for index, (sig, key_id) in enumerate(signatures):
        envelope.signatures.add(sig=sig, keyid=key_id if index % 2 else known)
    assert refusal(envelope, kind) in SealReason
