"""Signed notes against the published examples, and what a strict parser must refuse."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence import note
from licd.evidence.note import (
    Note,
    NoteInvalid,
    SignatureType,
    VerifierKey,
    decode_verifier_key,
    parse_note,
    sign_note,
    verify_note,
)
from tests.evidence.sample import LOG_SIGNER, flip, make_signer, verify

# The example of the specification, c2sp.org/signed-note (github.com/C2SP/C2SP, signed-note.md, section Example).
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_TEXT = "This is an example message.\n"
SPEC_SIGNATURE = (
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
)
SPEC_NOTE = f"{SPEC_TEXT}\n{SPEC_SIGNATURE}\n".encode()

# The keys and signatures of the reference implementation's tests (golang.org/x/mod, sumdb/note/note_test.go).
PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
GO_NOTE = f"{GO_TEXT}\n{PETER}{ENOCH}".encode()


def signature_line(name: str = "someone", raw: bytes = b"\x01\x02\x03\x04signature") -> str:
    return f"— {name} {base64.b64encode(raw).decode()}"


# -- published vectors


def test_opens_the_note_of_the_specification():
    key = decode_verifier_key(SPEC_KEY)
    parsed = parse_note(SPEC_NOTE)
    assert verify_note(parsed, [key], verify) == (key,)
    assert (parsed.text, parsed.encode(), key.encode()) == (SPEC_TEXT, SPEC_NOTE, SPEC_KEY)


def test_signs_the_note_of_the_reference_implementation_byte_for_byte():
    signer = make_signer("PeterNeumann", PETER_SEED)
    assert signer.key.encode() == PETER_KEY
    assert sign_note(GO_TEXT, [signer]).encode() == f"{GO_TEXT}\n{PETER}".encode()


@pytest.mark.parametrize("keys", [[PETER_KEY], [ENOCH_KEY], [PETER_KEY, ENOCH_KEY], [SPEC_KEY, ENOCH_KEY]])
def test_answers_the_known_keys_that_signed_and_ignores_the_others(keys: list[str]):
    known = [decode_verifier_key(text) for text in keys]
    assert verify_note(parse_note(GO_NOTE), known, verify) == tuple(key for key in known if key.encode() != SPEC_KEY)


@pytest.mark.parametrize(
    "text",
    [
        SPEC_KEY,
        PETER_KEY,
        ENOCH_KEY,
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    ],
)
def test_reads_and_writes_verifier_keys_of_other_implementations(text: str):
    assert decode_verifier_key(text).encode() == text


# -- verifier keys


def test_refuses_every_part_of_a_verifier_key_and_every_altered_character():
    wrong = [PETER_KEY[a:b] for a in range(len(PETER_KEY)) for b in range(a + 1, len(PETER_KEY) + 1)][:-1]
    wrong = [text for text in wrong if text != PETER_KEY]
    wrong += [PETER_KEY[:at] + chr(ord(PETER_KEY[at]) + 1) + PETER_KEY[at + 1 :] for at in range(len(PETER_KEY))]
    for text in wrong:
        with pytest.raises(NoteInvalid):
            decode_verifier_key(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", "canonical|32 bytes"),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "unknown signature type"),
        (PETER_KEY.replace("c74f20a3", "C74F20A3"), "is c74f20a3, not 'C74F20A3'"),
        (PETER_KEY.replace("PeterNeumann", "Peter Neumann"), "no space or plus"),
        ("PeterNeumann+c74f20a3", "name.id.key"),
        ("PeterNeumann+c74f20a3+", "unknown signature type"),
    ],
)
def test_says_what_is_wrong_with_a_verifier_key(text: str, why: str):
    with pytest.raises(NoteInvalid, match=why):
        decode_verifier_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\nb", "a\x07b", "a\ud800b"])
def test_refuses_a_key_name_that_no_note_can_carry(name: str):
    with pytest.raises(NoteInvalid, match="key name"):
        VerifierKey(name, bytes(32))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_a_public_key_of_another_length(size: int):
    with pytest.raises(NoteInvalid, match=f"32 bytes, not {size}"):
        VerifierKey("a", bytes(size))


def test_one_public_key_has_different_ids_for_different_kinds_of_signature():
    plain = VerifierKey("w", bytes(32), SignatureType.ED25519)
    WITNESS = VerifierKey("w", bytes(32), SignatureType.COSIGNATURE_V1)
    assert plain.key_id != WITNESS.key_id


# -- what verifying refuses


def test_refuses_a_note_signed_only_by_strangers():
    with pytest.raises(NoteInvalid, match="no signature by a known key"):
        verify_note(parse_note(SPEC_NOTE), [decode_verifier_key(PETER_KEY)], verify)


def test_refuses_a_known_name_under_another_key_id():
    stranger = VerifierKey("PeterNeumann", bytes(32))
    with pytest.raises(NoteInvalid, match="no signature by a known key"):
        verify_note(parse_note(GO_NOTE), [stranger], verify)


def test_refuses_the_whole_note_when_one_known_signature_fails():
    altered = ENOCH.replace("RvMc+QQ=", "RvMc+QU=")
    parsed = parse_note(f"{GO_TEXT}\n{PETER}{altered}".encode())
    keys = [decode_verifier_key(PETER_KEY), decode_verifier_key(ENOCH_KEY)]
    with pytest.raises(NoteInvalid, match=r"signature by EnochRoot\+af0cfe78 does not hold"):
        verify_note(parsed, keys, verify)


def test_refuses_a_signature_of_another_length_before_asking_the_verifier():
    key = decode_verifier_key(PETER_KEY)
    short = Note(GO_TEXT, (note.NoteSignature(key.name, key.key_id, bytes(63)),))
    with pytest.raises(NoteInvalid, match="does not hold"):
        verify_note(short, [key], lambda *_: True)


def test_refuses_keys_and_signers_of_another_kind():
    WITNESS = make_signer("w", bytes(32), SignatureType.COSIGNATURE_V1)
    with pytest.raises(ValueError, match="not for plain"):
        verify_note(parse_note(GO_NOTE), [WITNESS.key], verify)
    with pytest.raises(ValueError, match="not for plain"):
        sign_note(GO_TEXT, [WITNESS])


def test_a_second_signature_by_the_same_key_replaces_the_first():
    signed = sign_note("text\n", [make_signer("a", bytes(32)), make_signer("b", bytes(32))])
    again = note.NoteSignature("a", signed.signatures[0].key_id, b"new")
    assert [one.signature for one in signed.with_signature(again).signatures] == [
        signed.signatures[1].signature,
        b"new",
    ]


# -- what parsing refuses, and where


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "a text, an empty line"),
        (GO_TEXT.encode(), "a text, an empty line"),
        (f"{GO_TEXT}\n".encode(), "line 4: a note has 1 to 64"),
        (f"{GO_TEXT}\n{PETER}".encode()[:-1], "line 4: a note ends in a newline"),
        (f"\n\n{PETER}".encode(), "a text, an empty line"),
        (f"\x01{GO_TEXT}\n{PETER}".encode(), "line 1: a note has no control"),
        (f"{GO_TEXT}\ttab\n\n{PETER}".encode(), "line 3: a note has no control"),
        (f"{GO_TEXT}\r\n\n{PETER}".encode(), "line 3: a note has no control"),
        (GO_TEXT.encode() + b"\xff\n\n" + PETER.encode(), "line 3: a note is valid UTF-8"),
        (GO_TEXT.encode() + b"\xed\xa0\x80\n\n" + PETER.encode(), "line 3: a note is valid UTF-8"),
        (f"{GO_TEXT}\n{PETER}Unexpected line.\n".encode(), "line 5: a signature line is"),
        (f"{GO_TEXT}\n{PETER}{PETER}".encode(), "line 5: a second signature by PeterNeumann.c74f20a3"),
        (f"text\n\n{signature_line(name='Bad Name')}\n".encode(), "line 3: a signature line is"),
        (f"text\n\n{signature_line(name='Bad+Name')}\n".encode(), "line 3: a key name is"),
        (f"text\n\n{signature_line(name='')}\n".encode(), "line 3: a key name is"),
        (f"text\n\n{signature_line(raw=b'four')}\n".encode(), "line 3: a signature is longer"),
        (f"text\n\n-- someone {signature_line().split()[2]}\n".encode(), "line 3: a signature line is"),
        ("text\n\n— someone AQIDBHg\n".encode(), "line 3: the signature is not padded"),
        ("text\n\n— someone AQIDBHh=\n".encode(), "line 3: the signature is not (padded|canonical)"),
        ("text\n\n— someone AQIDBHj\u00e9\n".encode(), "line 3: the signature is not padded"),
        ("text\n\n— someone AQID*BHg=\n".encode(), "line 3: the signature is not padded"),
        (b"x" * (note.MAX_NOTE_BYTES + 1), "at most 1048576 bytes"),
    ],
)
def test_names_the_line_at_which_a_note_is_malformed(data: bytes, why: str):
    with pytest.raises(NoteInvalid, match=why):
        parse_note(data)


def test_refuses_base64_with_bits_left_over():
    # "AQIDBHg=" and "AQIDBHh=" decode alike in a lax decoder.
    assert parse_note("text\n\n— someone AQIDBHg=\n".encode()).signatures[0].signature == b"x"
    with pytest.raises(NoteInvalid, match="not canonical base64"):
        parse_note("text\n\n— someone AQIDBHh=\n".encode())


def test_accepts_64_signatures_and_refuses_65():
    lines = [signature_line(name=f"n{number}") + "\n" for number in range(65)]
    assert len(parse_note(f"text\n\n{''.join(lines[:64])}".encode()).signatures) == 64
    with pytest.raises(NoteInvalid, match="1 to 64 signature lines, not 65"):
        parse_note(f"text\n\n{''.join(lines)}".encode())


def test_the_text_may_have_empty_lines_and_ends_at_the_last_one():
    data = f"one\n\ntwo\n\n{signature_line()}\n".encode()
    assert parse_note(data).text == "one\n\ntwo\n"


def test_characters_that_do_not_print_are_no_control_characters():
    text = "soft\u00ad hyphen, no\u00a0break, delete \x7f and next line \x85\n"
    signed = sign_note(text, [LOG_SIGNER])
    assert parse_note(signed.encode()).text == text


@pytest.mark.parametrize("text", ["", "\n", "no newline", "control\x00\n", "surrogate \ud800\n"])
def test_refuses_to_sign_text_that_no_note_can_hold(text: str):
    with pytest.raises(NoteInvalid):
        sign_note(text, [make_signer("a", bytes(32))])


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_printable_text_survives_signing_and_parsing(text: str):
    signed = sign_note(text + "\n", [LOG_SIGNER])
    parsed = parse_note(signed.encode())
    assert parsed == signed
    assert verify_note(parsed, [LOG_SIGNER.key], verify) == (LOG_SIGNER.key,)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read_exactly(data: bytes):
    try:
        parsed = parse_note(data)
    except NoteInvalid:
        return
    assert parsed.encode() == data


def test_finds_every_flipped_bit_of_a_signed_note():
    key = decode_verifier_key(SPEC_KEY)
    for bit in range(len(SPEC_NOTE) * 8):
        with pytest.raises(NoteInvalid):
            verify_note(parse_note(flip(SPEC_NOTE, bit)), [key], verify)
