"""Letters, tracking codes and blinded numbers: who opens what, and that nothing is given away on the way."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.blinding import BlindingKey, NumberInvalid, e164, make_blinding_key, read_blinding_key
from licd.keys.errors import KeysError
from licd.keys.letter import (
    OVERHEAD,
    STEP,
    LetterRefused,
    Part,
    make_letter_key,
    open_letter,
    public_bytes,
    read_letter_key,
    read_office_key,
    seal_letter,
)
from licd.keys.private_file import KeyFileError
from licd.keys.tracking_code import ALPHABET, LENGTH, TrackingCodeInvalid, new_code, read_code

OFFICE = X25519PrivateKey.from_private_bytes(b"o" * 32)
CODE = new_code(lambda size: bytes(range(size)))
TRACKING = CODE.tracking


def sealed(content: bytes = b"what happened", part: Part = Part.BODY) -> bytes:
    return seal_letter(public_bytes(OFFICE), part, TRACKING, content)


@given(content=st.binary(max_size=2000))
def test_a_letter_is_opened_by_its_key_and_holds_what_was_sealed(content: bytes):
    letter = sealed(content)
    assert open_letter(OFFICE, Part.BODY, TRACKING, letter) == content
    assert (len(letter) - OVERHEAD) % STEP == 0
    assert len(content) < 8 or content not in letter


def test_a_letter_opens_for_no_other_key_part_or_allegation():
    other = X25519PrivateKey.from_private_bytes(b"p" * 32)
    for key, part, tracking in (
        (other, Part.BODY, TRACKING),
        (OFFICE, Part.IDENTITY, TRACKING),
        (OFFICE, Part.BODY, bytes(32)),
    ):
        with pytest.raises(LetterRefused):
            open_letter(key, part, tracking, sealed())


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_changed_letter_is_refused(at: int, bit: int):
    letter = bytearray(sealed())
    letter[at % len(letter)] ^= 1 << bit
    with pytest.raises(LetterRefused):
        open_letter(OFFICE, Part.BODY, TRACKING, bytes(letter))


@given(letter=st.binary(max_size=700))
def test_what_is_no_letter_is_refused(letter: bytes):
    with pytest.raises(LetterRefused):
        open_letter(OFFICE, Part.BODY, TRACKING, letter)


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_is_written_for_its_owner_and_its_public_half_for_licd(tmp_path: Path, passphrase: bytes | None):
    path = tmp_path / "compliance.key"
    make_letter_key(path, passphrase)
    assert path.stat().st_mode & 0o077 == 0
    key = read_letter_key(path, passphrase)
    assert read_office_key(tmp_path / "compliance.key.pub") == public_bytes(key)
    with pytest.raises(KeyFileError):
        make_letter_key(path, passphrase)
    with pytest.raises(KeysError):
        read_letter_key(path, b"another")
    with pytest.raises(KeysError, match="no public key"):
        read_office_key(tmp_path / "nothing.pub") if (tmp_path / "nothing.pub").write_bytes(b"x") else None


@given(random=st.binary(min_size=LENGTH, max_size=LENGTH))
def test_a_tracking_code_is_read_however_it_is_typed(random: bytes):
    code = new_code(lambda _: random)
    assert read_code(code.shown) == read_code(f"  {code.shown.lower()}\n") == read_code(code.text) == code
    assert set(code.text) <= set(ALPHABET)
    assert read_code(code.text.replace("1", "l").replace("0", "o")) == code


@pytest.mark.parametrize("text", ["", "0" * (LENGTH - 1), "0" * (LENGTH + 1), "U" * LENGTH, "ä" * LENGTH])
def test_what_is_no_code_is_refused_and_not_repeated(text: str):
    with pytest.raises(TrackingCodeInvalid) as refused:
        read_code(text)
    assert not text or text not in str(refused.value)


def test_a_code_is_not_printed_and_its_hash_and_keys_are_its_own():
    other = new_code(lambda size: bytes(range(1, size + 1)))
    assert CODE.text not in repr(CODE)
    assert len({CODE.tracking, other.tracking, CODE.public_key, other.public_key}) == 4
    letter = seal_letter(CODE.public_key, Part.MESSAGE_TO_REPORTER, TRACKING, b"whom do you mean?")
    assert open_letter(CODE.key, Part.MESSAGE_TO_REPORTER, TRACKING, letter) == b"whom do you mean?"


@pytest.mark.parametrize("text", ["+49 (151) 234-567.8", "+49 151 2345678", "+491512345678"])
def test_a_number_has_one_pseudonym_however_it_is_spelled(text: str):
    key = BlindingKey(b"k" * 32)
    assert key.blind(e164(text)) == key.blind("+491512345678")
    assert key.blind(e164(text)) != BlindingKey(b"l" * 32).blind("+491512345678")


@pytest.mark.parametrize(
    "text", ["0151 2345678", "+0151234567", "+49", "+49151234567890123", "+49151abc2345", "+٤٩١٥١٢٣٤٥٦٧"]
)
def test_what_is_no_number_is_refused_and_not_repeated(text: str):
    with pytest.raises(NumberInvalid) as refused:
        e164(text)
    assert text not in str(refused.value)


def test_a_blinding_key_is_committed_to_without_being_told(tmp_path: Path):
    path = tmp_path / "number-blinding.key"
    made = make_blinding_key(path, lambda size: b"s" * size)
    assert read_blinding_key(path) == made
    assert path.stat().st_mode & 0o077 == 0
    assert made.secret not in made.commitment
    assert "ss" not in repr(made)
    path.write_bytes(b"short")
    with pytest.raises(KeysError, match="not 32 bytes"):
        read_blinding_key(path)
