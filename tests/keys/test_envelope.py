"""Sealing, verifying, thresholds, and every reason with the case that gives it."""

import pytest

from licd.keys.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_SIGNATURES,
    claimed_kind,
    countersign,
    open_envelope,
    parse_envelope,
    seal,
    verify,
    verify_ageless,
)
from licd.keys.keyring import Keyring
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.keys.signer import MemorySigner
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import DAY, NOW, key, ring, signer

ISSUER = signer(KeyPurpose.LICENCE_ISSUER)
OTHER_ISSUER = signer(KeyPurpose.LICENCE_ISSUER, 2)
ONLINE = signer(KeyPurpose.PERMIT_ONLINE)
ANNE, BERT, CLAIRE = (signer(KeyPurpose.OPERATOR, number) for number in (1, 2, 3))
COMMAND = Kind.OPERATOR_COMMAND


def reason_of(
    envelope: Envelope, kind: Kind = Kind.LICENCE, keyring: Keyring | None = None, now: int = NOW, threshold: int = 1
):
    with pytest.raises(SealInvalid) as caught:
        verify(envelope, kind, ring(ISSUER) if keyring is None else keyring, now, threshold=threshold)
    return caught.value.reason


def test_reasons_are_never_renamed() -> None:
    assert [reason.value for reason in SealReason] == [
        "MALFORMED", "TOO_LARGE", "KIND_MISMATCH", "KIND_UNKNOWN", "KEY_UNKNOWN", "KEY_PURPOSE", "KEY_WITHDRAWN",
        "KEY_NOT_YET_VALID", "KEY_EXPIRED", "KEY_REPEATED", "SIGNATURE_INVALID", "TOO_FEW_SIGNATURES", "UNKNOWN_FIELD",
        "TOKEN_NOT_YET_VALID", "TOKEN_EXPIRED", "TOKEN_LIFE_TOO_LONG", "OVERLAY_NOT_IN_FORCE",
    ]  # fmt: skip
    assert all(reason.name == reason.value for reason in SealReason)


def test_what_was_sealed_is_verified_and_says_who_sealed_it() -> None:
    verified = verify(seal(Kind.LICENCE, b"terms", ISSUER), Kind.LICENCE, ring(ISSUER, ONLINE), NOW)
    assert (verified.kind, verified.payload, verified.key_ids) == (Kind.LICENCE, b"terms", (ISSUER.key_id,))


def test_an_empty_payload_can_be_sealed() -> None:
    assert verify(seal(Kind.LICENCE, b"", ISSUER), Kind.LICENCE, ring(ISSUER), NOW).payload == b""


def test_a_sealed_envelope_survives_the_wire() -> None:
    raw = seal(Kind.LICENCE, b"terms", ISSUER).SerializeToString()
    assert open_envelope(raw, Kind.LICENCE, ring(ISSUER), NOW).payload == b"terms"


def test_refuses_one_kind_shown_as_another() -> None:
    assert reason_of(seal(Kind.DENIAL, b"x", ONLINE), Kind.PERMIT, ring(ONLINE)) is SealReason.KIND_MISMATCH


def test_refuses_one_kind_relabelled_as_another_of_the_same_key() -> None:
    envelope = seal(Kind.DENIAL, b"x", ONLINE)
    envelope.payload_type = Kind.PERMIT.payload_type
    assert reason_of(envelope, Kind.PERMIT, ring(ONLINE)) is SealReason.SIGNATURE_INVALID


def test_refuses_a_type_that_is_no_kind() -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    envelope.payload_type = "application/vnd.licd.licence.v2+proto"
    assert reason_of(envelope) is SealReason.KIND_MISMATCH
    with pytest.raises(SealInvalid) as caught:
        claimed_kind(envelope)
    assert caught.value.reason is SealReason.KIND_UNKNOWN


def test_says_which_kind_an_envelope_claims_to_be() -> None:
    assert claimed_kind(seal(Kind.LICENCE, b"x", ISSUER)) is Kind.LICENCE


def test_refuses_a_key_that_is_not_in_the_keyring() -> None:
    assert reason_of(seal(Kind.LICENCE, b"x", OTHER_ISSUER)) is SealReason.KEY_UNKNOWN


def test_refuses_a_signature_that_names_no_key() -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    envelope.signatures[0].keyid = ""
    assert reason_of(envelope) is SealReason.KEY_UNKNOWN


def test_a_key_id_is_only_a_hint_and_lends_no_trust() -> None:
    envelope = seal(Kind.LICENCE, b"x", OTHER_ISSUER)
    envelope.signatures[0].keyid = ISSUER.key_id
    assert reason_of(envelope) is SealReason.SIGNATURE_INVALID


def test_refuses_a_withdrawn_key() -> None:
    withdrawn = ring(ISSUER, withdrawn=[ISSUER.key_id])
    assert reason_of(seal(Kind.LICENCE, b"x", ISSUER), keyring=withdrawn) is SealReason.KEY_WITHDRAWN


def test_a_withdrawn_key_is_called_so_also_when_the_keyring_has_dropped_it() -> None:
    dropped = Keyring([], withdrawn=[ISSUER.key_id])
    assert reason_of(seal(Kind.LICENCE, b"x", ISSUER), keyring=dropped) is SealReason.KEY_WITHDRAWN


@pytest.mark.parametrize(
    ("now", "reason"),
    [(NOW - DAY - 1, SealReason.KEY_NOT_YET_VALID), (NOW + DAY, SealReason.KEY_EXPIRED)],
)
def test_refuses_a_key_outside_its_validity(now: int, reason: SealReason) -> None:
    assert reason_of(seal(Kind.LICENCE, b"x", ISSUER), now=now) is reason


@pytest.mark.parametrize("now", [NOW - DAY, NOW + DAY - 1])
def test_accepts_a_key_at_both_ends_of_its_validity(now: int) -> None:
    assert verify(seal(Kind.LICENCE, b"x", ISSUER), Kind.LICENCE, ring(ISSUER), now).payload == b"x"


def test_looks_at_no_clock_where_the_payload_names_its_time() -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    long_ago = Keyring([key(ISSUER, start=1, end=2)])
    assert verify_ageless(envelope, Kind.LICENCE, long_ago).keys[0].not_after_ms == 2


def test_refuses_an_envelope_without_signatures() -> None:
    assert reason_of(Envelope(payload=b"x", payload_type=Kind.LICENCE.payload_type)) is SealReason.TOO_FEW_SIGNATURES


def test_an_unknown_second_signature_does_no_harm() -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER, OTHER_ISSUER)
    assert verify(envelope, Kind.LICENCE, ring(ISSUER), NOW).key_ids == (ISSUER.key_id,)
    assert verify(envelope, Kind.LICENCE, ring(OTHER_ISSUER), NOW).key_ids == (OTHER_ISSUER.key_id,)


def test_a_second_signature_of_another_scheme_does_no_harm() -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    envelope.signatures.add(sig=bytes(2420), keyid="a-post-quantum-key")
    assert verify(envelope, Kind.LICENCE, ring(ISSUER), NOW).key_ids == (ISSUER.key_id,)


def test_two_distinct_keys_meet_a_threshold_of_two() -> None:
    verified = verify(seal(COMMAND, b"x", ANNE, BERT), COMMAND, ring(ANNE, BERT, CLAIRE), NOW, threshold=2)
    assert verified.key_ids == (ANNE.key_id, BERT.key_id)


def test_all_good_signatures_are_reported_not_only_as_many_as_are_needed() -> None:
    verified = verify(seal(COMMAND, b"x", ANNE, BERT, CLAIRE), COMMAND, ring(ANNE, BERT, CLAIRE), NOW)
    assert len(verified.keys) == 3


def test_one_key_twice_does_not_meet_a_threshold_of_two() -> None:
    envelope = seal(COMMAND, b"x", ANNE)
    envelope.signatures.append(envelope.signatures[0])
    assert reason_of(envelope, COMMAND, ring(ANNE, BERT), threshold=2) is SealReason.TOO_FEW_SIGNATURES


def test_one_bad_signature_of_two_does_not_meet_a_threshold_of_two() -> None:
    envelope = seal(COMMAND, b"x", ANNE, BERT)
    envelope.signatures[1].sig = envelope.signatures[0].sig
    assert reason_of(envelope, COMMAND, ring(ANNE, BERT), threshold=2) is SealReason.TOO_FEW_SIGNATURES


def test_says_why_each_signature_did_not_count() -> None:
    envelope = seal(COMMAND, b"x", ANNE, BERT)
    with pytest.raises(SealInvalid) as caught:
        verify(envelope, COMMAND, ring(ANNE, withdrawn=[BERT.key_id]), NOW, threshold=2)
    assert caught.value.detail.startswith("1 of 2 distinct keys signed (KEY_WITHDRAWN: ")


def test_two_keys_of_one_person_are_one_owner() -> None:
    keyring = Keyring(
        [key(ANNE, owner="operator/anne"), key(BERT, owner="operator/anne"), key(CLAIRE, owner="operator/claire")]
    )
    both = verify(seal(COMMAND, b"x", ANNE, BERT), COMMAND, keyring, NOW, threshold=2)
    assert both.owners == {"operator/anne"}
    assert verify(seal(COMMAND, b"x", ANNE, CLAIRE), COMMAND, keyring, NOW, threshold=2).owners == {
        "operator/anne",
        "operator/claire",
    }


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_of_nobody_is_a_mistake_of_the_caller(threshold: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        verify(seal(COMMAND, b"x", ANNE), COMMAND, ring(ANNE), NOW, threshold=threshold)


def test_the_second_person_signs_the_same_bytes() -> None:
    asked = seal(COMMAND, b"suspend nothing", ANNE)
    approved = countersign(asked, COMMAND, BERT)
    assert approved.payload == asked.payload
    assert len(asked.signatures) == 1
    assert verify(approved, COMMAND, ring(ANNE, BERT), NOW, threshold=2).key_ids == (ANNE.key_id, BERT.key_id)


def test_a_command_changed_after_it_was_approved_is_refused() -> None:
    approved = countersign(seal(COMMAND, b"cap 5", ANNE), COMMAND, BERT)
    approved.payload = b"cap 9"
    assert reason_of(approved, COMMAND, ring(ANNE, BERT), threshold=2) is SealReason.TOO_FEW_SIGNATURES


@pytest.mark.parametrize(
    ("envelope", "kind", "by", "reason"),
    [
        (seal(COMMAND, b"x", ANNE), COMMAND, ANNE, SealReason.KEY_REPEATED),
        (seal(COMMAND, b"x", ANNE), COMMAND, ISSUER, SealReason.KEY_PURPOSE),
        (seal(COMMAND, b"x", ANNE), Kind.LICENCE, ISSUER, SealReason.KIND_MISMATCH),
    ],
)
def test_refuses_to_countersign(envelope: Envelope, kind: Kind, by: MemorySigner, reason: SealReason) -> None:
    with pytest.raises(SealInvalid) as caught:
        countersign(envelope, kind, by)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        ((), SealReason.TOO_FEW_SIGNATURES),
        ((ANNE,), SealReason.KEY_PURPOSE),
        ((ISSUER, ANNE), SealReason.KEY_PURPOSE),
        ((ISSUER, ISSUER), SealReason.KEY_REPEATED),
        (tuple(signer(KeyPurpose.LICENCE_ISSUER, n) for n in range(MAX_SIGNATURES + 1)), SealReason.TOO_LARGE),
    ],
)
def test_refuses_to_seal(signers: tuple[MemorySigner, ...], reason: SealReason) -> None:
    with pytest.raises(SealInvalid) as caught:
        seal(Kind.LICENCE, b"x", *signers)
    assert caught.value.reason is reason


def test_as_many_signatures_as_are_allowed_can_be_made_and_verified() -> None:
    signers = [signer(KeyPurpose.OPERATOR, number) for number in range(MAX_SIGNATURES)]
    envelope = seal(COMMAND, b"x", *signers)
    assert len(verify(envelope, COMMAND, ring(*signers), NOW, threshold=MAX_SIGNATURES).keys) == MAX_SIGNATURES
    with pytest.raises(SealInvalid) as caught:
        countersign(envelope, COMMAND, signer(KeyPurpose.OPERATOR, 99))
    assert caught.value.reason is SealReason.TOO_LARGE
    envelope.signatures.append(envelope.signatures[0])
    assert reason_of(envelope, COMMAND, ring(*signers)) is SealReason.TOO_LARGE


def test_the_largest_payload_can_be_sealed_and_opened() -> None:
    raw = seal(Kind.LICENCE, bytes(MAX_PAYLOAD_BYTES), ISSUER).SerializeToString()
    assert len(open_envelope(raw, Kind.LICENCE, ring(ISSUER), NOW).payload) == MAX_PAYLOAD_BYTES


def test_refuses_a_payload_that_is_too_large() -> None:
    with pytest.raises(SealInvalid) as caught:
        seal(Kind.LICENCE, bytes(MAX_PAYLOAD_BYTES + 1), ISSUER)
    assert caught.value.reason is SealReason.TOO_LARGE
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    envelope.payload = bytes(MAX_PAYLOAD_BYTES + 1)
    assert reason_of(envelope) is SealReason.TOO_LARGE


def test_does_not_even_parse_an_envelope_that_is_too_large() -> None:
    with pytest.raises(SealInvalid) as caught:
        parse_envelope(bytes(MAX_ENVELOPE_BYTES + 1))
    assert caught.value.reason is SealReason.TOO_LARGE


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x12\x01\xff", b"\x1a\x02\x12\x07"])
def test_refuses_bytes_that_are_no_envelope(raw: bytes) -> None:
    with pytest.raises(SealInvalid) as caught:
        parse_envelope(raw)
    assert caught.value.reason is SealReason.MALFORMED


@pytest.mark.parametrize("raw", [b"\x20\x01", b"\x1a\x02\x18\x01"])
def test_refuses_a_field_around_the_payload_that_it_does_not_know(raw: bytes) -> None:
    with pytest.raises(SealInvalid) as caught:
        parse_envelope(seal(Kind.LICENCE, b"x", ISSUER).SerializeToString() + raw)
    assert caught.value.reason is SealReason.UNKNOWN_FIELD


def test_a_message_for_people_quotes_no_more_than_a_little_of_what_came() -> None:
    envelope = seal(Kind.LICENCE, b"x", ISSUER)
    envelope.signatures[0].keyid = "k" * 5000
    with pytest.raises(SealInvalid) as caught:
        verify(envelope, Kind.LICENCE, ring(ISSUER), NOW)
    assert len(str(caught.value)) < 200
    assert str(caught.value).startswith("KEY_UNKNOWN: no key ")
