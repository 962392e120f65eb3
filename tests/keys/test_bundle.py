"""What a bundle must be made of before anybody believes it."""

from typing import Any

import pytest

from licd.keys.bundle import MAX_ROOT_KEYS, BundleError, BundleReason, read_bundle
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import Signer
from licd.keys.verification_key import key_to_message
from licd.v1 import trust_pb2
from tests.keys.sample import DAY, DOMAIN, NOW, bundle_message, key, roots, signer

ANNE = signer(KeyPurpose.OPERATOR)


def refusal(message: trust_pb2.TrustBundle) -> BundleReason:
    with pytest.raises(BundleError) as caught:
        read_bundle(message.SerializeToString(), b"")
    return caught.value.reason


def of(signer: Signer, **changes: Any) -> trust_pb2.Key:
    message = key_to_message(key(signer, owner="operator/anne"))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_reasons_are_never_renamed() -> None:
    assert [reason.value for reason in BundleReason] == [
        "ROLLBACK", "FAST_FORWARD", "FREEZE", "MIX_AND_MATCH", "ENDLESS_DATA", "OLD_ROOTS_BELOW_THRESHOLD",
        "NEW_ROOTS_BELOW_THRESHOLD", "PIN_MISMATCH", "WITHDRAWAL_UNDONE", "READER_TOO_OLD", "UNKNOWN_FIELD",
        "KEY_UNUSABLE", "MALFORMED",
    ]  # fmt: skip
    assert all(reason.name == reason.value for reason in BundleReason)


def test_reads_every_field() -> None:
    message = bundle_message(7, withdrawn_key_ids=["0123456789abcdef"], tls_authorities_pem=["pem"])
    bundle = read_bundle(message.SerializeToString(), b"raw")
    assert (bundle.version, bundle.issued_at_ms, bundle.expires_at_ms) == (7, NOW + 7, NOW + 30 * DAY)
    assert (bundle.refresh_hint_ms, bundle.trust_domain, bundle.root_threshold) == (3_600_000, DOMAIN, 2)
    assert [known.key_id for known in bundle.root_keys] == [root.key_id for root in roots(3)]
    assert [known.purpose.word for known in bundle.keys] == ["licence-issuer", "permit-online", "evidence"]
    assert bundle.withdrawn_key_ids == {"0123456789abcdef"}
    assert bundle.tls_authorities_pem == ("pem",)
    assert (bundle.raw, bundle.payload) == (b"raw", message.SerializeToString())


def test_its_keyring_knows_keys_and_roots_and_its_version() -> None:
    bundle = read_bundle(bundle_message(7).SerializeToString(), b"")
    assert bundle.keyring.version == 7
    assert {known.key_id for known in bundle.keyring} == {k.key_id for k in (*bundle.keys, *bundle.root_keys)}


def test_a_withdrawn_root_is_none_of_the_roots_that_count() -> None:
    gone = roots(3)[0].key_id
    bundle = read_bundle(bundle_message(withdrawn_key_ids=[gone]).SerializeToString(), b"")
    assert len(bundle.root_keys) == 3
    assert {root.key_id for root in bundle.roots()} == {root.key_id for root in roots(3)[1:]}


def test_is_stale_from_its_expiry_on() -> None:
    bundle = read_bundle(bundle_message().SerializeToString(), b"")
    assert [bundle.is_stale(at) for at in (NOW + 30 * DAY - 1, NOW + 30 * DAY)] == [False, True]


def test_a_bundle_shows_no_bytes_in_its_repr() -> None:
    bundle = read_bundle(bundle_message().SerializeToString(), b"raw")
    assert "payload" not in repr(bundle)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 0}, BundleReason.MALFORMED),
        ({"version": -1}, BundleReason.MALFORMED),
        ({"refresh_hint_ms": -1}, BundleReason.MALFORMED),
        ({"expires_at_ms": NOW + 1}, BundleReason.MALFORMED),
        ({"trust_domain": ""}, BundleReason.MALFORMED),
        ({"trust_domain": "Licd.example"}, BundleReason.MALFORMED),
        ({"min_reader_version": 2}, BundleReason.READER_TOO_OLD),
        ({"threshold": 0}, BundleReason.MALFORMED),
        ({"threshold": -1}, BundleReason.MALFORMED),
        ({"threshold": 4}, BundleReason.MALFORMED),
        ({"root_signers": []}, BundleReason.MALFORMED),
        ({"root_signers": roots(MAX_ROOT_KEYS + 1)}, BundleReason.MALFORMED),
        ({"root_signers": roots(2) + roots(1)}, BundleReason.KEY_UNUSABLE),
        ({"root_signers": [*roots(2), signer(KeyPurpose.EVIDENCE)]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(signer(KeyPurpose.ROOT, 9))]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE), of(ANNE)]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, key_id="0000000000000000")]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, key_id="")]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, purpose=0)]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, purpose=99)]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, public_key=b"short")]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, public_key=bytes(32))]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, not_after_ms=NOW - DAY)]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, max_token_life_ms=-1)]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, owner="")]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, owner="overseer/anne")]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(ANNE, owner="operator/")]}, BundleReason.KEY_UNUSABLE),
        ({"keys": [of(signer(KeyPurpose.OVERSEER))]}, BundleReason.KEY_UNUSABLE),
    ],
)
def test_refuses_a_bundle(changes: dict[str, Any], reason: BundleReason) -> None:
    assert refusal(bundle_message(**changes)) is reason


def test_takes_the_keys_of_people_with_their_names() -> None:
    overseer = key_to_message(key(signer(KeyPurpose.OVERSEER), owner="overseer/parliament"))
    bundle = read_bundle(bundle_message(keys=[of(ANNE), overseer]).SerializeToString(), b"")
    assert [known.owner for known in bundle.keys] == ["operator/anne", "overseer/parliament"]


def test_refuses_what_it_does_not_understand() -> None:
    message = bundle_message()
    message.keys[0].MergeFromString(b"\xf8\x7f\x01")
    assert refusal(message) is BundleReason.UNKNOWN_FIELD


def test_asks_for_a_newer_reader_before_it_complains_of_what_that_one_would_know() -> None:
    message = bundle_message(min_reader_version=2)
    message.MergeFromString(b"\xf8\x7f\x01")
    assert refusal(message) is BundleReason.READER_TOO_OLD


def test_refuses_bytes_that_are_no_bundle() -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(b"\xff", b"")
    assert caught.value.reason is BundleReason.MALFORMED
