"""From one bundle to the next; the tests are named after the attacks that the TUF specification lists (1.5.2)."""

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licd.keys.bundle import Bundle, BundleError, BundleReason
from licd.keys.bundle_update import (
    MAX_CHAIN,
    PayloadPin,
    RootPin,
    advance,
    follow,
    pin_first,
    refuse_frozen,
    reload,
)
from licd.keys.envelope import MAX_PAYLOAD_BYTES, seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.verification_key import key_to_message
from licd.v1 import trust_pb2
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import DAY, DOMAIN, NOW, bundle_message, first_bundle, flip, key, roots, sealed, signer

OLD = roots(3)
NEW = [signer(KeyPurpose.ROOT, number) for number in (11, 12, 13)]
ONLINE = signer(KeyPurpose.PERMIT_ONLINE)


def refusal(current: Bundle, envelope: Envelope) -> BundleReason:
    with pytest.raises(BundleError) as caught:
        advance(current, envelope)
    return caught.value.reason


def pin_refusal(envelope: Envelope, pin: PayloadPin | RootPin, now: int = NOW) -> BundleReason:
    with pytest.raises(BundleError) as caught:
        pin_first(envelope, pin, now)
    return caught.value.reason


def pin_of(envelope: Envelope) -> PayloadPin:
    return PayloadPin(hashlib.sha256(envelope.payload).digest())


# -------------------------------------------------------------------------------------------------- the first bundle
def test_takes_the_first_bundle_by_the_hash_of_its_payload() -> None:
    assert pin_first(sealed(bundle_message(4)), pin_of(sealed(bundle_message(4))), NOW).version == 4


def test_takes_the_first_bundle_by_its_root_keys() -> None:
    pin = RootPin(frozenset(root.public_key for root in OLD), threshold=2)
    assert pin_first(sealed(bundle_message()), pin, NOW).version == 1


def test_refuses_a_first_bundle_that_is_not_the_pinned_one() -> None:
    assert pin_refusal(sealed(bundle_message(2)), pin_of(sealed(bundle_message(1)))) is BundleReason.PIN_MISMATCH


def test_refuses_a_first_bundle_of_other_roots_than_the_pinned() -> None:
    envelope = sealed(bundle_message(root_signers=NEW), *NEW)
    pin = RootPin(frozenset(root.public_key for root in OLD), threshold=2)
    assert pin_refusal(envelope, pin) is BundleReason.PIN_MISMATCH


def test_refuses_a_first_bundle_that_too_few_of_the_pinned_roots_signed() -> None:
    envelope = sealed(bundle_message(threshold=1), OLD[0])
    pin = RootPin(frozenset(root.public_key for root in OLD), threshold=2)
    assert pin_refusal(envelope, pin) is BundleReason.PIN_MISMATCH


def test_refuses_a_pinned_bundle_that_its_own_roots_did_not_sign() -> None:
    envelope = sealed(bundle_message(), OLD[0])
    assert pin_refusal(envelope, pin_of(envelope)) is BundleReason.NEW_ROOTS_BELOW_THRESHOLD


def test_refuses_a_pinned_bundle_that_has_expired() -> None:
    envelope = sealed(bundle_message())
    assert pin_refusal(envelope, pin_of(envelope), NOW + 30 * DAY) is BundleReason.FREEZE


# ------------------------------------------------------------------------------------------------------ the next one
def test_takes_the_next_bundle_that_the_roots_signed() -> None:
    following = advance(first_bundle(), sealed(bundle_message(2)))
    assert (following.version, following.keyring.version) == (2, 2)


def test_takes_new_roots_when_the_old_and_the_new_signed() -> None:
    following = advance(first_bundle(), sealed(bundle_message(2, root_signers=NEW), *OLD[:2], *NEW[:2]))
    assert {root.key_id for root in following.root_keys} == {root.key_id for root in NEW}
    last = advance(following, sealed(bundle_message(3, root_signers=NEW), *NEW[1:]))
    assert last.version == 3


def test_a_root_of_both_counts_on_both_sides() -> None:
    shared = [OLD[0], OLD[1], NEW[0]]
    assert advance(first_bundle(), sealed(bundle_message(2, root_signers=shared), OLD[0], OLD[1])).version == 2


def test_rollback_attack() -> None:
    current = advance(first_bundle(), sealed(bundle_message(2)))
    assert refusal(current, sealed(bundle_message(1))) is BundleReason.ROLLBACK
    assert refusal(current, sealed(bundle_message(2))) is BundleReason.ROLLBACK


def test_fast_forward_attack() -> None:
    assert refusal(first_bundle(), sealed(bundle_message(3))) is BundleReason.FAST_FORWARD
    assert refusal(first_bundle(), sealed(bundle_message(2**63 - 1, issued_at_ms=NOW + 2))) is BundleReason.FAST_FORWARD


def test_indefinite_freeze_attack() -> None:
    current = first_bundle()
    refuse_frozen(current, current.expires_at_ms - 1)
    with pytest.raises(BundleError) as caught:
        refuse_frozen(current, current.expires_at_ms)
    assert caught.value.reason is BundleReason.FREEZE


def test_mix_and_match_attack_with_a_bundle_of_another_installation() -> None:
    assert refusal(first_bundle(), sealed(bundle_message(2, trust_domain="other.example"))) is (
        BundleReason.MIX_AND_MATCH
    )


def test_mix_and_match_attack_with_two_bundles_of_one_version() -> None:
    assert refusal(first_bundle(), sealed(bundle_message(1, refresh_hint_ms=1))) is BundleReason.MIX_AND_MATCH


def test_mix_and_match_attack_with_a_bundle_issued_before_the_one_it_follows() -> None:
    assert refusal(first_bundle(), sealed(bundle_message(2, issued_at_ms=NOW))) is BundleReason.MIX_AND_MATCH


def test_arbitrary_bundle_attack_by_somebody_without_a_root_key() -> None:
    envelope = sealed(bundle_message(2, root_signers=NEW), *NEW)
    assert refusal(first_bundle(), envelope) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD


def test_key_compromise_below_the_threshold_of_the_old_roots() -> None:
    stolen = OLD[0]
    envelope = sealed(bundle_message(2, root_signers=[stolen], threshold=1), stolen)
    assert refusal(first_bundle(), envelope) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD


def test_one_root_signing_twice_is_still_one() -> None:
    envelope = sealed(bundle_message(2), OLD[0])
    envelope.signatures.append(envelope.signatures[0])
    assert refusal(first_bundle(), envelope) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD


def test_new_roots_that_did_not_sign_themselves_in() -> None:
    envelope = sealed(bundle_message(2, root_signers=NEW), *OLD[:2], NEW[0])
    assert refusal(first_bundle(), envelope) is BundleReason.NEW_ROOTS_BELOW_THRESHOLD


def test_a_higher_threshold_holds_from_the_bundle_that_sets_it() -> None:
    assert refusal(first_bundle(), sealed(bundle_message(2, threshold=3), *OLD[:2])) is (
        BundleReason.NEW_ROOTS_BELOW_THRESHOLD
    )
    assert advance(first_bundle(), sealed(bundle_message(2, threshold=3), *OLD)).root_threshold == 3


def test_a_lower_threshold_does_not_hold_for_the_bundle_that_sets_it() -> None:
    envelope = sealed(bundle_message(2, threshold=1), OLD[0])
    assert refusal(first_bundle(), envelope) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD


def test_endless_data_attack() -> None:
    envelope = sealed(bundle_message(2))
    envelope.payload = bytes(MAX_PAYLOAD_BYTES + 1)
    assert refusal(first_bundle(), envelope) is BundleReason.ENDLESS_DATA


def test_a_licence_is_not_taken_for_a_bundle() -> None:
    assert refusal(first_bundle(), seal(Kind.LICENCE, b"", signer(KeyPurpose.LICENCE_ISSUER))) is BundleReason.MALFORMED


def test_a_signed_bundle_that_this_reader_does_not_understand_is_refused() -> None:
    message = bundle_message(2)
    message.root_keys[0].MergeFromString(b"\xf8\x7f\x01")
    assert refusal(first_bundle(), sealed(message)) is BundleReason.UNKNOWN_FIELD


@given(st.integers(min_value=0))
@settings(max_examples=60)
def test_any_bit_turned_in_a_bundle_is_refused_as_not_signed(bit: int) -> None:
    envelope = sealed(bundle_message(2))
    envelope.payload = flip(envelope.payload, bit % (8 * len(envelope.payload)))
    assert refusal(first_bundle(), envelope) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD


# ------------------------------------------------------------------------------------------------- roots in their time
def rooted(version: int, end: int, *, issued: int) -> trust_pb2.TrustBundle:
    """A bundle of one root that is valid until `end`, issued at `issued`."""
    message = bundle_message(version, threshold=1, issued_at_ms=issued)
    del message.root_keys[:]
    message.root_keys.append(key_to_message(key(OLD[0], start=NOW, end=end)))
    return message


def test_a_root_counts_if_it_was_valid_when_the_bundle_was_issued() -> None:
    current = first_bundle(rooted(1, NOW + 100, issued=NOW), OLD[0])
    assert advance(current, sealed(rooted(2, NOW + 500, issued=NOW + 99), OLD[0])).version == 2


def test_a_root_past_its_time_signs_no_more_bundles() -> None:
    current = first_bundle(rooted(1, NOW + 100, issued=NOW), OLD[0])
    late = sealed(rooted(2, NOW + 500, issued=NOW + 100), OLD[0])
    assert refusal(current, late) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD


def test_a_new_root_that_is_not_valid_yet_does_not_sign_itself_in() -> None:
    early = rooted(2, NOW + DAY, issued=NOW + 5)
    early.root_keys[0].not_before_ms = NOW + 6
    current = first_bundle(rooted(1, NOW + DAY, issued=NOW), OLD[0])
    assert refusal(current, sealed(early, OLD[0])) is BundleReason.NEW_ROOTS_BELOW_THRESHOLD


def test_a_withdrawn_root_signs_no_more_bundles() -> None:
    gone = OLD[0].key_id
    current = advance(first_bundle(), sealed(bundle_message(2, withdrawn_key_ids=[gone]), *OLD[1:]))
    message = bundle_message(3, withdrawn_key_ids=[gone])
    assert refusal(current, sealed(message, OLD[0], OLD[1])) is BundleReason.OLD_ROOTS_BELOW_THRESHOLD
    assert advance(current, sealed(message, OLD[1], OLD[2])).version == 3


def test_a_root_does_not_sign_the_bundle_that_withdraws_it() -> None:
    message = bundle_message(2, withdrawn_key_ids=[OLD[0].key_id])
    assert refusal(first_bundle(), sealed(message, OLD[0], OLD[1])) is BundleReason.NEW_ROOTS_BELOW_THRESHOLD


# -------------------------------------------------------------------------------------------------------- withdrawals
def test_a_withdrawn_key_stays_withdrawn() -> None:
    current = advance(first_bundle(), sealed(bundle_message(2, withdrawn_key_ids=[ONLINE.key_id])))
    assert current.keyring.is_withdrawn(ONLINE.key_id)
    assert refusal(current, sealed(bundle_message(3))) is BundleReason.WITHDRAWAL_UNDONE


def test_a_withdrawal_is_kept_also_when_the_key_is_dropped_before_its_end() -> None:
    current = advance(first_bundle(), sealed(bundle_message(2, withdrawn_key_ids=[ONLINE.key_id])))
    assert refusal(current, sealed(bundle_message(3, keys=[]))) is BundleReason.WITHDRAWAL_UNDONE


def test_a_withdrawal_may_go_when_the_key_has_run_out_and_gone() -> None:
    current = advance(first_bundle(), sealed(bundle_message(2, withdrawn_key_ids=[ONLINE.key_id])))
    later = bundle_message(3, keys=[], issued_at_ms=NOW + DAY)
    assert advance(current, sealed(later)).withdrawn_key_ids == frozenset()


# ------------------------------------------------------------------------------------------------------------- chains
def chain(last: int, *, start: int = 2) -> list[Envelope]:
    return [sealed(bundle_message(version)) for version in range(start, last + 1)]


def test_follows_a_chain_to_its_end() -> None:
    followed = follow(first_bundle(), chain(5), NOW)
    assert (followed.bundle.version, followed.refusal) == (5, None)


def test_passes_over_the_bundle_it_already_has() -> None:
    followed = follow(first_bundle(), chain(3, start=1), NOW)
    assert (followed.bundle.version, followed.refusal) == (3, None)


def test_keeps_what_was_good_before_a_bad_bundle() -> None:
    followed = follow(first_bundle(), [*chain(3), sealed(bundle_message(5)), *chain(4)], NOW)
    assert followed.bundle.version == 3
    assert followed.refusal is not None
    assert followed.refusal.reason is BundleReason.FAST_FORWARD


def test_goes_through_expired_bundles_to_one_that_has_not() -> None:
    expired = [sealed(bundle_message(version, expires_at_ms=NOW + 100)) for version in (2, 3)]
    followed = follow(first_bundle(), [*expired, sealed(bundle_message(4))], NOW + 1000)
    assert (followed.bundle.version, followed.refusal) == (4, None)


def test_a_frozen_chain_is_kept_but_not_believed() -> None:
    followed = follow(first_bundle(), [sealed(bundle_message(2, expires_at_ms=NOW + 100))], NOW + 1000)
    assert followed.bundle.version == 2
    assert followed.refusal is not None
    assert followed.refusal.reason is BundleReason.FREEZE
    assert refusal(followed.bundle, sealed(bundle_message(1))) is BundleReason.ROLLBACK


def test_an_empty_chain_says_whether_the_bundle_at_hand_is_still_good() -> None:
    assert follow(first_bundle(), [], NOW).refusal is None
    stale = follow(first_bundle(), [], NOW + 30 * DAY).refusal
    assert stale is not None
    assert stale.reason is BundleReason.FREEZE


def test_follows_only_so_many_bundles_at_a_time() -> None:
    taken = 0

    def endless() -> Iterator[Envelope]:
        nonlocal taken
        while True:
            taken += 1
            yield sealed(bundle_message(1))

    assert follow(first_bundle(), endless(), NOW).bundle.version == 1
    assert taken == MAX_CHAIN


# ------------------------------------------------------------------------------------------------------------ storage
def test_what_is_stored_is_read_back() -> None:
    bundle = first_bundle()
    assert reload(bundle.raw) == bundle


def test_reading_back_does_not_ask_for_the_time() -> None:
    long_over = bundle_message(issued_at_ms=1, expires_at_ms=2)
    for root in long_over.root_keys:
        root.not_before_ms = 0
    assert reload(sealed(long_over).SerializeToString()).is_stale(NOW)


@pytest.mark.parametrize("raw", [b"", b"\xff", sealed(bundle_message(), OLD[0]).SerializeToString()])
def test_damaged_storage_is_refused(raw: bytes) -> None:
    with pytest.raises(BundleError):
        reload(raw)


def test_the_payload_is_stored_as_it_was_signed() -> None:
    scrambled = bundle_message(1).SerializeToString() + trust_pb2.TrustBundle(trust_domain=DOMAIN).SerializeToString()
    envelope = seal(Kind.TRUST_BUNDLE, scrambled, *OLD[:2])
    bundle = pin_first(envelope, pin_of(envelope), NOW)
    assert bundle.payload == scrambled
    assert reload(bundle.raw).payload == scrambled
