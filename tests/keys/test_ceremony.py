"""From a reviewed file to the next bundle: what a ceremony may ask for, and what people are told before they sign."""

from __future__ import annotations

import pytest

from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import advance
from licd.keys.ceremony import combine, moment, next_bundle, sign, thumbprint_of, told
from licd.keys.ceremony_file import CeremonyInvalid, parse_ceremony
from licd.keys.kinds import KeyPurpose
from licd.keys.pem_files import certificates_to_pem
from licd.keys.pki import make_authority
from licd.keys.verification_key import key_to_message
from licd.v1.envelope_pb2 import Envelope
from tests.ceremony import added, ceremony_text, dropped, retired, withdrawn
from tests.keys.sample import DAY, DOMAIN, NOW, bundle_message, first_bundle, key, roots, sealed, signer, stream

HOUR = 3_600_000
PERMIT = KeyPurpose.PERMIT_ONLINE
OLD = signer(PERMIT)
SPARE = signer(PERMIT, 2)
ROOTS = roots(3)


@pytest.fixture(scope="module")
def authority() -> str:
    made = make_authority(DOMAIN, "one", now_ms=NOW, life_ms=DAY, randomness=stream("authority"))
    return certificates_to_pem([made.certificate]).decode()


@pytest.fixture
def current(authority: str) -> Bundle:
    return first_bundle(bundle_message(tls_authorities_pem=[authority]))


def text(current: Bundle, *changes: str, head: str = "") -> str:
    return ceremony_text(current, NOW + HOUR, *changes, head=head)


def following(current: Bundle, *changes: str, head: str = "") -> Bundle:
    return next_bundle(parse_ceremony(text(current, *changes, head=head)), current)


def refusal(current: Bundle, *changes: str, head: str = "") -> str:
    with pytest.raises(CeremonyInvalid) as caught:
        following(current, *changes, head=head)
    return str(caught.value)


SPARE_ADDED = added(SPARE, NOW, NOW + 30 * DAY)


# ------------------------------------------------------------------------------------------------------ what comes out
def test_what_the_holders_sign_apart_is_the_next_bundle_together(current: Bundle) -> None:
    made = following(current, SPARE_ADDED)
    whole = combine(current, made, [sign(made, ROOTS[0]), sign(made, ROOTS[2])])
    assert advance(current, Envelope.FromString(whole.raw)).keyring.find(SPARE.key_id) is not None


def test_everybody_makes_the_same_bytes_of_the_same_file(current: Bundle) -> None:
    assert following(current, SPARE_ADDED).payload == following(current, SPARE_ADDED).payload


def test_wrong_threshold_one_holder_is_not_enough(current: Bundle) -> None:
    made = following(current, SPARE_ADDED)
    with pytest.raises(BundleError, match="OLD_ROOTS_BELOW_THRESHOLD"):
        combine(current, made, [sign(made, ROOTS[0]), sign(made, ROOTS[0])])


def test_wrong_threshold_new_roots_that_have_not_signed_themselves_in(current: Bundle) -> None:
    new = [signer(KeyPurpose.ROOT, number) for number in (11, 12)]
    changes = [added(each, NOW, NOW + 365 * DAY) for each in new] + [dropped(*(each.key_id for each in ROOTS))]
    made = following(current, *changes)
    with pytest.raises(BundleError, match="NEW_ROOTS_BELOW_THRESHOLD"):
        combine(current, made, [sign(made, each) for each in ROOTS])
    assert combine(current, made, [sign(made, each) for each in (*ROOTS, *new)]).version == 2


def test_mix_and_match_a_signature_over_another_file_is_refused(current: Bundle) -> None:
    made, other = following(current, SPARE_ADDED), following(current)
    with pytest.raises(CeremonyInvalid, match="another bundle"):
        combine(current, made, [sign(made, ROOTS[0]), sign(other, ROOTS[1])])


def test_the_signature_of_a_stranger_is_refused_by_name(current: Bundle) -> None:
    made, stranger = following(current), signer(KeyPurpose.ROOT, 99)
    with pytest.raises(CeremonyInvalid, match=stranger.key_id):
        combine(current, made, [sign(made, stranger)])


def test_a_damaged_signature_is_refused_by_name(current: Bundle) -> None:
    made = following(current)
    damaged = sign(made, ROOTS[0])
    damaged.signatures[0].sig = bytes(64)
    with pytest.raises(CeremonyInvalid, match=ROOTS[0].key_id):
        combine(current, made, [damaged, sign(made, ROOTS[1])])


# --------------------------------------------------------------------------------------------------- what it may ask
def test_a_retired_key_goes_on_until_systems_can_know_its_successor(current: Bundle) -> None:
    issued = following(current).issued_at_ms
    assert "withdraw it" in refusal(current, retired(OLD.key_id, issued + HOUR - 1_000))
    made = following(current, SPARE_ADDED, retired(OLD.key_id, issued + HOUR))
    assert next(each for each in made.keys if each.key_id == OLD.key_id).not_after_ms == issued + HOUR


def test_a_key_is_not_retired_to_live_longer(current: Bundle) -> None:
    assert "already" in refusal(current, retired(OLD.key_id, NOW + 2 * DAY))


def test_a_withdrawn_key_stays_listed_as_withdrawn(current: Bundle) -> None:
    made = following(current, SPARE_ADDED, withdrawn(OLD.key_id))
    assert made.withdrawn_key_ids == {OLD.key_id}
    assert made.keyring.find(OLD.key_id) is None


def test_a_purpose_is_not_left_without_a_key(current: Bundle) -> None:
    assert "permit-online" in refusal(current, withdrawn(OLD.key_id))


def test_a_key_that_still_holds_is_not_dropped(current: Bundle) -> None:
    assert "retire or withdraw" in refusal(current, SPARE_ADDED, dropped(OLD.key_id))


def test_a_withdrawal_is_not_forgotten_before_the_key_has_ended(current: Bundle) -> None:
    gone = ROOTS[2].key_id
    made = following(current, withdrawn(gone))
    whole = combine(current, made, [sign(made, each) for each in ROOTS[:2]])
    later = following(whole, dropped(gone))
    assert gone in later.withdrawn_key_ids
    assert combine(whole, later, [sign(later, each) for each in ROOTS[:2]]).version == 3


def test_enough_roots_are_left_to_sign_the_bundle_after(current: Bundle) -> None:
    assert "could ever follow" in refusal(current, dropped(ROOTS[0].key_id), withdrawn(ROOTS[1].key_id))
    assert "MALFORMED" in refusal(current, head="root_threshold = 4\n")


def test_the_last_authority_is_not_dropped(current: Bundle, authority: str) -> None:
    drop = f'[[drop_authority]]\nsha256 = "{thumbprint_of(authority)}"\n'
    assert "no TLS authority is left" in refusal(current, drop)
    assert "already" in refusal(current, f"[[add_authority]]\npem = '''{authority}'''\n")
    assert "no authority ab" in refusal(current, '[[drop_authority]]\nsha256 = "ab"\n')


@pytest.mark.parametrize("change", [retired("00", NOW), withdrawn("00"), dropped("00")])
def test_a_key_that_is_not_there_is_named(current: Bundle, change: str) -> None:
    assert "there is no key 00 in bundle 1" in refusal(current, change)


def test_a_key_that_is_there_is_not_added_again(current: Bundle) -> None:
    assert "in bundle 1 already" in refusal(current, added(OLD, NOW, NOW + DAY))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("licd.example", "other.example", "trust_domain"),
        ("follows = 1", "follows = 2", "follows"),
        ("issued_at = ", "issued_at = 2020-01-01T00:00:00Z #", "issued_at"),
        ("expires_at = ", "expires_at = 2021-01-01T00:00:00Z #", "expires before"),
    ],
)
def test_a_file_for_another_moment_or_place_is_refused(current: Bundle, old: str, new: str, named: str) -> None:
    with pytest.raises(CeremonyInvalid, match=named):
        next_bundle(parse_ceremony(text(current).replace(old, new, 1)), current)


# ----------------------------------------------------------------------------------------------------------- the file
@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("follows = 1", "", "follows is missing"),
        ("follows = 1", "follows = true", "follows: a whole number"),
        ("follows = 1", 'follows = 1\nfollow = "x"', "follow is not a key"),
        ('reason = "a test"', 'reason = " "', "reason: one line"),
        ('reason = "a test"', 'reason = "a\\u001b[2J"', "reason: one line"),
        ("issued_at = ", "issued_at = 2027-01-15T08:00:00 #", "issued_at: a date and time with its offset"),
        ("refresh_hint_seconds = 1", "refresh_hint_seconds = 0", "refresh_hint_seconds"),
        ("[[add]]", "[add]", "add: tables"),
        ("purpose = ", 'purpose = "boss" #', "add\\[0\\].purpose"),
        ("public_key = ", 'public_key = "00" #', "add\\[0\\].public_key"),
        ("[[add]]", '[[add]]\nowned = "x"', "add\\[0\\].owned is not a key"),
        ("follows", "= follows", "[Ii]nvalid"),
    ],
)
def test_a_file_that_is_not_understood_whole_is_refused(current: Bundle, old: str, new: str, named: str) -> None:
    with pytest.raises(CeremonyInvalid, match=named):
        parse_ceremony(text(current, SPARE_ADDED).replace(old, new, 1))


def test_a_key_named_twice_is_refused(current: Bundle) -> None:
    with pytest.raises(CeremonyInvalid, match="comes twice"):
        parse_ceremony(text(current, withdrawn(OLD.key_id, OLD.key_id)))


# -------------------------------------------------------------------------------------------------------- what is told
def test_people_are_told_what_changes_and_nothing_else(current: Bundle) -> None:
    issued = following(current).issued_at_ms
    evidence = signer(KeyPurpose.EVIDENCE)
    spare_evidence = added(signer(KeyPurpose.EVIDENCE, 2), NOW, NOW + DAY)
    made = following(
        current, SPARE_ADDED, spare_evidence, retired(OLD.key_id, issued + HOUR), withdrawn(evidence.key_id)
    )
    lines = list(told(current, made))
    assert [line for line in lines if line[:1].isupper()] == sorted(
        [
            f"ADD       evidence {signer(KeyPurpose.EVIDENCE, 2).key_id}: {moment(NOW)} to {moment(NOW + DAY)}",
            f"ADD       permit-online {SPARE.key_id}: {moment(NOW)} to {moment(NOW + 30 * DAY)}",
            f"RETIRE    permit-online {OLD.key_id}: signs until {moment(issued + HOUR)}",
            f"WITHDRAW  evidence {evidence.key_id}: nothing it has signed is believed any more",
        ],
        key=lambda line: line.split()[2],
    )
    assert lines[0] == "trust bundle 2 of licd.example, after 1"


def test_a_dropped_key_and_a_changed_threshold_are_told(current: Bundle) -> None:
    ended = bundle_message(
        2,
        issued_at_ms=current.issued_at_ms,
        keys=[key_to_message(each) for each in (*current.keys, key(SPARE, end=NOW))],
        tls_authorities_pem=list(current.tls_authorities_pem),
    )
    with_ended = advance(current, sealed(ended))
    made = following(with_ended, dropped(SPARE.key_id, ROOTS[2].key_id), head="root_threshold = 1\n")
    lines = list(told(with_ended, made))
    assert f"DROP      permit-online {SPARE.key_id}" in lines
    assert f"DROP      root {ROOTS[2].key_id}" in lines
    assert "1 of 2 root keys must sign (before: 2)" in lines


@pytest.mark.parametrize("figure", ["9" * 5000, "9" * 19, "0x" + "f" * 40, "[" * 3000])
@pytest.mark.parametrize("name", ["follows", "refresh_hint_seconds", "root_threshold"])
def test_a_figure_that_no_bundle_can_hold_is_refused_in_words(current: Bundle, name: str, figure: str) -> None:
    lines = [line for line in text(current).splitlines() if not line.startswith(f"{name} =")]
    with pytest.raises(CeremonyInvalid):
        next_bundle(parse_ceremony("\n".join([f"{name} = {figure}", *lines])), current)
