"""What is signed and by whom is written down here a second time: a change to either table must be meant."""

import pytest

from licd.keys.kinds import KeyPurpose, Kind, kind_of_label, kind_of_type, purpose_of_word
from licd.v1 import trust_pb2

# Append only. Whatever stands here has been signed somewhere and is kept for as long as the evidence.
EVER_SIGNED = {
    "licence": "licence-issuer",
    "permit": "permit-online",
    "continuity-permit": "permit-online",
    "denial": "permit-online",
    "directive": "permit-online",
    "acknowledgement": "system",
    "link": "system",
    "trust-bundle": "root",
    "checkpoint-receipt": "evidence",
    "operator-command": "operator",
    "overlay": "overseer",
    "certification": "contact",
    "inquiry": "evidence",
    "inquiry-answer": "contact",
}


def test_no_kind_is_renamed_removed_or_given_to_another_purpose() -> None:
    assert {kind.value: kind.purpose.word for kind in Kind} == EVER_SIGNED


def test_purposes_have_the_names_and_numbers_of_the_protocol() -> None:
    of_protocol = {name.removeprefix("KEY_PURPOSE_"): number for name, number in trust_pb2.KeyPurpose.items() if number}
    assert {purpose.name: purpose.value for purpose in KeyPurpose} == of_protocol


def test_every_kind_may_be_signed_by_exactly_one_purpose() -> None:
    signed = [kind for purpose in KeyPurpose for kind in purpose.kinds]
    assert sorted(signed) == sorted(Kind)


def test_every_purpose_may_sign_something() -> None:
    assert all(purpose.kinds for purpose in KeyPurpose)


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_found_again_by_its_type_and_by_its_label(kind: Kind) -> None:
    assert kind.payload_type == f"application/vnd.licd.{kind.value}.v1+proto"
    assert kind_of_type(kind.payload_type) is kind
    assert kind_of_label(kind.label) is kind


def test_labels_are_upper_case_words() -> None:
    assert Kind.INQUIRY_ANSWER.label == "INQUIRY ANSWER"


def test_what_names_no_kind_is_none() -> None:
    assert kind_of_type("application/vnd.licd.licence.v2+proto") is None
    assert kind_of_type("") is None
    assert kind_of_label("licence") is None


@pytest.mark.parametrize("purpose", KeyPurpose)
def test_a_purpose_is_found_again_by_its_word(purpose: KeyPurpose) -> None:
    assert purpose_of_word(purpose.word) is purpose


def test_what_names_no_purpose_is_none() -> None:
    assert purpose_of_word("LICENCE_ISSUER") is None
