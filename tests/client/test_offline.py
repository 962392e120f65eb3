"""Licences and permits checked from files, without licd."""

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from licd.client.offline import (
    BundleError,
    SealInvalid,
    check_licence,
    check_overlay,
    check_permit,
    read_bundle,
    read_file,
)
from licd.core.overlay import OverlayEffect, OverlayTerms
from licd.core.terms import ConcurrentTargets, OverlayRequired, Terms, TermsInvalid, rights_of
from licd.keys.armour import armour
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.signer import MemorySigner
from licd.v1 import licence_pb2, session_pb2
from licd.wire.terms import terms_from_message, terms_payload
from tests.client.fake_licd import (
    DAY,
    DOMAIN,
    ISSUER,
    NOW,
    ONLINE,
    SECOND,
    SYSTEM,
    bundle,
    bundle_envelope,
    key,
    licence_envelope,
    made_signer,
    terms,
)
from tests.overlays import EXPORT, STRANGER, saying, signed

A, B = b"a" * 32, b"b" * 32


def permit(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "header": session_pb2.ReplyHeader(issuer=DOMAIN, system=SYSTEM, decided_ms=NOW, epoch=4, licence="lic-1"),
        "leases": [1, 2],
        "targets": A + B,
        "hard_ends_ms": [NOW + 20 * SECOND, NOW + 40 * SECOND],
    }
    message = session_pb2.Permit(**(fields | changes))
    return seal(Kind.PERMIT, message.SerializeToString(), ONLINE).SerializeToString()


def test_a_licence_in_its_term_is_read() -> None:
    checked = check_licence(licence_envelope().SerializeToString(), bundle(), NOW)
    assert (checked.licence, checked.customer, checked.not_after) == ("lic-1", "acme", NOW + 20 * DAY)
    assert checked.terms == terms()


def demanding() -> bytes:
    """A licence that stands on an overlay."""
    made = replace(terms(), constraints=(*terms().constraints, OverlayRequired("export-qn")))
    return seal(Kind.LICENCE, terms_payload(made), ISSUER).SerializeToString()


def overlay(*limits: ConcurrentTargets, **changes: Any) -> OverlayTerms:
    """As an authority signed it and the SDK read it."""
    said = saying("acme", NOW, DOMAIN, *limits, **changes)
    return check_overlay(
        signed(said).SerializeToString(), EXPORT.public_key, NOW, authority="export-qn", audience=DOMAIN
    )


def test_a_licence_that_stands_on_an_overlay_is_none_without_it() -> None:
    with pytest.raises(SealInvalid, match="OVERLAY_NOT_IN_FORCE: the licence stands on an overlay of authority export"):
        check_licence(demanding(), bundle(), NOW)
    assert check_licence(demanding(), bundle(), NOW, [overlay()]).rights.overlays == {"export-qn"}
    with pytest.raises(SealInvalid, match="OVERLAY_NOT_IN_FORCE"):
        check_licence(demanding(), bundle(), NOW, [overlay(customer="other")])


def test_overlays_narrow_a_licence_checked_from_files_too() -> None:
    raw = licence_envelope().SerializeToString()
    checked = check_licence(raw, bundle(), NOW, [overlay(ConcurrentTargets(1), not_after=NOW + DAY)])
    assert (checked.rights.cap, checked.rights.not_after) == (1, NOW + DAY)
    assert check_licence(raw, bundle(), NOW).rights == rights_of(terms())


@pytest.mark.parametrize(
    "ended", [{"not_after": NOW + 1}, {"effect": OverlayEffect.WITHDRAW}, {"not_before": NOW + 2 * SECOND}]
)
def test_a_licence_is_none_under_an_overlay_that_is_not_in_force(ended: dict[str, Any]) -> None:
    raw = licence_envelope().SerializeToString()
    with pytest.raises(SealInvalid, match="OVERLAY_NOT_IN_FORCE: overlay export-qn/EX-1"):
        check_licence(raw, bundle(), NOW + SECOND, [overlay(**ended)])


@pytest.mark.parametrize(
    ("signer", "changes", "reason"),
    [
        (STRANGER, {}, "KEY_UNKNOWN"),
        (EXPORT, {"authority": "domestic-qn"}, "KEY_UNKNOWN: an overlay of domestic-qn"),
        (EXPORT, {"audience": "elsewhere.example"}, "KEY_UNKNOWN: an overlay of export-qn for elsewhere.example"),
        (EXPORT, {"revision": 0}, "MALFORMED: this overlay cannot be understood: revision"),
    ],
)
def test_what_is_not_the_authoritys_word_for_us_is_refused(
    signer: MemorySigner, changes: dict[str, Any], reason: str
) -> None:
    raw = signed(saying("acme", NOW, DOMAIN, **changes), signer).SerializeToString()
    with pytest.raises(SealInvalid, match=reason):
        check_overlay(raw, EXPORT.public_key, NOW, authority="export-qn", audience=DOMAIN)


def test_files_may_be_armoured() -> None:
    raw = licence_envelope().SerializeToString()
    assert read_file(armour(raw).encode()) == raw == read_file(raw)
    bundle_raw = bundle_envelope().SerializeToString()
    assert read_bundle(armour(bundle_raw).encode()).version == read_bundle(bundle_raw).version == 1


@pytest.mark.parametrize(
    ("at", "reason"), [(NOW - 1, "TOKEN_NOT_YET_VALID"), (NOW + 20 * DAY, "TOKEN_EXPIRED"), (NOW + 20 * DAY - 1, "")]
)
def test_a_licence_holds_from_its_first_millisecond_to_before_its_last(at: int, reason: str) -> None:
    raw = licence_envelope().SerializeToString()
    if not reason:
        check_licence(raw, bundle(), at)
        return
    with pytest.raises(SealInvalid, match=reason):
        check_licence(raw, bundle(), at)


def test_a_licence_outlives_the_key_that_signed_it() -> None:
    issuer_done = bundle(bundle_envelope(keys=[key(ONLINE), key(ISSUER, end=NOW + DAY)]))
    assert check_licence(licence_envelope().SerializeToString(), issuer_done, NOW + 2 * DAY).terms.revision == 1


def test_a_licence_dated_outside_its_keys_validity_is_refused() -> None:
    early = bundle(bundle_envelope(keys=[key(ONLINE), key(ISSUER, end=NOW)]))
    with pytest.raises(SealInvalid, match="KEY_EXPIRED"):
        check_licence(licence_envelope().SerializeToString(), early, NOW)


def test_a_licence_longer_than_its_key_may_grant_is_refused() -> None:
    short = bundle(bundle_envelope(keys=[key(ONLINE), key(ISSUER, life=DAY)]))
    with pytest.raises(SealInvalid, match="TOKEN_LIFE_TOO_LONG"):
        check_licence(licence_envelope().SerializeToString(), short, NOW)


def test_nothing_is_believed_on_the_word_of_a_bundle_that_ran_out() -> None:
    stale = bundle(bundle_envelope(expires_at_ms=NOW))
    with pytest.raises(BundleError, match="FREEZE"):
        check_licence(licence_envelope().SerializeToString(), stale, NOW)
    with pytest.raises(BundleError, match="FREEZE"):
        check_permit(permit(), stale, NOW, system=SYSTEM)


@pytest.mark.parametrize("spoil", ["unknown constraint", "newer reader", "unknown field", "unspecified basis"])
def test_terms_that_are_not_understood_are_refused(spoil: str) -> None:
    message = licence_pb2.LicenceTerms.FromString(licence_envelope().payload)
    match spoil:
        case "unknown constraint":
            message.constraints.add()
        case "newer reader":
            message.min_reader_version = 2
        case "unspecified basis":
            message.constraints[1].target_regions.bases.append(licence_pb2.REGION_BASIS_UNSPECIFIED)
        case _:
            pass
    payload = message.SerializeToString() + (b"\xf8\x7f\x01" if spoil == "unknown field" else b"")
    if spoil != "unknown field":
        with pytest.raises(TermsInvalid):
            terms_from_message(message)
    with pytest.raises(SealInvalid, match="UNKNOWN_FIELD"):
        check_licence(seal(Kind.LICENCE, payload, ISSUER).SerializeToString(), bundle(), NOW)


@given(st.integers(0, 4), st.integers(0, 9), st.binary(max_size=12))
def test_what_is_understood_is_what_can_be_turned_into_values(reader: int, basis: int, constraint: bytes) -> None:
    message = licence_pb2.LicenceTerms.FromString(licence_envelope().payload)
    message.min_reader_version = reader
    message.constraints[1].target_regions.bases.append(licence_pb2.RegionBasis.ValueType(basis))
    try:
        message.constraints.append(licence_pb2.Constraint.FromString(constraint))
    except DecodeError:
        return
    message.DiscardUnknownFields()
    try:
        expected: Terms | None = terms_from_message(message)
    except TermsInvalid:
        expected = None
    envelope = seal(Kind.LICENCE, message.SerializeToString(), ISSUER).SerializeToString()
    if expected is None:
        with pytest.raises(SealInvalid, match="UNKNOWN_FIELD"):
            check_licence(envelope, bundle(), NOW)
    else:
        assert check_licence(envelope, bundle(), NOW).terms == expected


def test_a_target_is_found_only_where_a_target_begins() -> None:
    twisted = check_permit(permit(targets=b"a" * 16 + b"b" * 32 + b"a" * 16), bundle(), NOW, system=SYSTEM)
    assert not twisted.allows(B, NOW)
    assert twisted.allows(b"a" * 16 + b"b" * 16, NOW)
    assert not twisted.allows(b"b" * 16, NOW)
    raw = permit(targets=b"a" * 31 + b"b" * 33, hard_ends_ms=[NOW, NOW + 5])
    shifted = check_permit(raw, bundle(), NOW, system=SYSTEM)
    assert shifted.allows(B, NOW + 4)


def test_a_licence_of_another_installation_is_refused() -> None:
    with pytest.raises(SealInvalid, match="this installation is"):
        check_licence(licence_envelope(issuer="other.example").SerializeToString(), bundle(), NOW)


def test_a_permit_allows_each_target_until_its_own_end() -> None:
    checked = check_permit(permit(), bundle(), NOW, system=SYSTEM)
    assert (checked.header.epoch, checked.header.licence) == (4, "lic-1")
    assert checked.allows(A, NOW)
    assert not checked.allows(A, NOW - 1)
    assert checked.allows(A, NOW + 20 * SECOND - 1)
    assert not checked.allows(A, NOW + 20 * SECOND)
    assert checked.allows(B, NOW + 20 * SECOND)
    assert not checked.allows(b"c" * 32, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"targets": A}, "MALFORMED"),
        ({"leases": [1]}, "MALFORMED"),
        ({"header": session_pb2.ReplyHeader(issuer=DOMAIN, system="customer/a/system/b", decided_ms=NOW)}, "permit of"),
        ({"header": session_pb2.ReplyHeader(issuer="other", system=SYSTEM, decided_ms=NOW)}, "permit of"),
        ({"header": session_pb2.ReplyHeader(issuer=DOMAIN, system=SYSTEM, decided_ms=NOW - 2 * DAY)}, "NOT_YET_VALID"),
    ],
)
def test_a_permit_that_is_not_right_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SealInvalid, match=reason):
        check_permit(permit(**changes), bundle(), NOW, system=SYSTEM)


def test_a_permit_that_has_run_out_is_refused() -> None:
    with pytest.raises(SealInvalid, match="TOKEN_EXPIRED"):
        check_permit(permit(), bundle(), NOW + 40 * SECOND, system=SYSTEM)


def test_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(SealInvalid, match="KIND_MISMATCH"):
        check_permit(licence_envelope().SerializeToString(), bundle(), NOW, system=SYSTEM)
    with pytest.raises(SealInvalid, match="KIND_MISMATCH"):
        check_licence(permit(), bundle(), NOW)


def test_a_strangers_permit_is_refused() -> None:
    stranger = made_signer(KeyPurpose.PERMIT_ONLINE, "stranger")
    forged = seal(Kind.PERMIT, session_pb2.Permit().SerializeToString(), stranger).SerializeToString()
    with pytest.raises(SealInvalid, match="KEY_UNKNOWN"):
        check_permit(forged, bundle(), NOW, system=SYSTEM)
