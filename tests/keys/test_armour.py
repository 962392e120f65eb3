"""Envelopes as text: one spelling, errors that name the line, and no text that brings the reader down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.keys.armour import COLUMNS, MAX_BLOCKS, MAX_TEXT_BYTES, Armoured, ArmourError, armour, dearmour, dearmour_all
from licd.keys.envelope import seal
from licd.keys.kinds import KeyPurpose, Kind
from licd.keys.seal_reasons import SealInvalid, SealReason
from licd.v1.envelope_pb2 import Envelope
from tests.keys.sample import signer, signer_for

RAW = seal(Kind.LICENCE, b"terms of a licence", signer(KeyPurpose.LICENCE_ISSUER)).SerializeToString()
TEXT = armour(RAW)
LINES = TEXT.splitlines()


def refusal(text: str | bytes) -> ArmourError:
    with pytest.raises(ArmourError) as caught:
        dearmour(text)
    return caught.value


def changed(at: int, line: str) -> str:
    return "\n".join([*LINES[:at], line, *LINES[at + 1 :]])


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_written_and_read(kind: Kind) -> None:
    raw = seal(kind, b"x" * 100, signer_for(kind)).SerializeToString()
    text = armour(raw)
    assert text.startswith(f"-----BEGIN LICD {kind.label}-----\n")
    assert text.endswith(f"-----END LICD {kind.label}-----\n")
    assert dearmour(text) == Armoured(kind, raw, line=1)


@given(st.binary(max_size=400))
def test_any_payload_comes_back_and_every_full_line_has_64_columns(payload: bytes) -> None:
    raw = seal(Kind.LINK, payload, signer(KeyPurpose.SYSTEM)).SerializeToString()
    lines = armour(raw).splitlines()[1:-1]
    assert {len(line) for line in lines[:-1]} <= {COLUMNS}
    assert 0 < len(lines[-1]) <= COLUMNS
    assert dearmour(armour(raw)).raw == raw


def test_text_around_the_block_is_ignored() -> None:
    assert dearmour(f"Dear all,\r\n\n> see below ----\n{TEXT}\n-- \nAnne") == Armoured(Kind.LICENCE, RAW, line=4)


def test_other_peoples_blocks_are_text() -> None:
    other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert dearmour(other + TEXT + other).raw == RAW


@pytest.mark.parametrize(
    "text", [TEXT.encode(), TEXT.replace("\n", "\r\n"), TEXT.rstrip("\n"), b"\xff\xfe\n" + TEXT.encode()]
)
def test_reads_bytes_and_either_line_end(text: str | bytes) -> None:
    assert dearmour(text).raw == RAW


def test_reads_several_blocks_in_order() -> None:
    bundle = armour(seal(Kind.TRUST_BUNDLE, b"x", signer(KeyPurpose.ROOT)).SerializeToString())
    blocks = dearmour_all(TEXT + "and\n" + bundle)
    assert [(block.kind, block.line) for block in blocks] == [(Kind.LICENCE, 1), (Kind.TRUST_BUNDLE, len(LINES) + 2)]


def test_reads_nothing_from_text_without_a_block() -> None:
    assert dearmour_all("no block") == ()
    assert refusal("no block").line == 0


def test_one_block_means_one() -> None:
    assert (refusal(TEXT + TEXT).line, refusal(TEXT + TEXT).detail) == (
        len(LINES) + 1,
        "a second block; one was asked for",
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (changed(0, "-----BEGIN LICD LICENSE-----"), 1, "no kind is called LICENSE"),
        (changed(0, "-----BEGIN LICD PERMIT-----"), len(LINES), "expected base64 or -----END LICD PERMIT-----"),
        (changed(1, LINES[1][:-1]), 2, "63 characters"),
        (changed(1, LINES[1] + "A"), 2, "65 characters"),
        (changed(1, LINES[1] + " "), 2, "65 characters"),
        (changed(1, ""), 2, "0 characters"),
        (changed(1, "*" + LINES[1][1:]), 2, "not base64"),
        (changed(1, "ä" + LINES[1][1:]), 2, "not base64"),
        (changed(1, LINES[1][:62] + "=="), 2, "not base64"),
        (changed(2, "-----BEGIN LICD LICENCE-----"), 3, "expected base64"),
        (changed(len(LINES) - 1, "-----END LICD PERMIT-----"), len(LINES), "expected base64"),
        (changed(len(LINES) - 2, "="), len(LINES) - 1, "not base64"),
        ("\n".join(LINES[:-1]), 1, "no line -----END LICD LICENCE-----"),
        ("\n".join(LINES[:2]), 1, "no line -----END LICD LICENCE-----"),
        (LINES[0], 1, "no line -----END"),
        (f"{LINES[0]}\n{LINES[-1]}", 1, "it is empty, or does not say what it is"),
        (f"{LINES[0]}\nA\n{LINES[-1]}", 1, "incomplete"),
        (f"{LINES[0]}\nAAAA\n{LINES[-1]}", 1, "MALFORMED"),
        (f"{LINES[0]}\nAAB=\n{LINES[-1]}", 1, "one right spelling"),
    ],
)
def test_names_the_line_that_is_wrong(text: str, line: int, words: str) -> None:
    refused = refusal(text)
    assert words in refused.detail
    assert refused.line == line
    assert str(refused).startswith(f"line {line}: ")


def test_the_words_in_the_lines_must_be_those_of_the_envelope() -> None:
    refused = refusal(TEXT.replace("LICENCE", "PERMIT"))
    assert refused.detail == "the line says PERMIT, the envelope inside is a licence"


def test_does_not_write_what_it_could_not_read() -> None:
    for raw, reason in (
        (b"\xff", SealReason.MALFORMED),
        (Envelope(payload_type="application/json").SerializeToString(), SealReason.KIND_UNKNOWN),
    ):
        with pytest.raises(SealInvalid) as caught:
            armour(raw)
        assert caught.value.reason is reason


def test_looks_through_so_much_text_and_no_more() -> None:
    assert dearmour_all("a" * MAX_TEXT_BYTES) == ()
    with pytest.raises(ArmourError, match="longer than"):
        dearmour_all("a" * (MAX_TEXT_BYTES + 1))


def test_reads_so_many_blocks_and_no_more() -> None:
    assert len(dearmour_all(TEXT * MAX_BLOCKS)) == MAX_BLOCKS
    with pytest.raises(ArmourError, match=f"more than {MAX_BLOCKS}"):
        dearmour_all(TEXT * (MAX_BLOCKS + 1))


PIECES = st.sampled_from([*LINES, "-----BEGIN LICD PERMIT-----", "", "=", "A" * 64, "AAAA", "\r", "text"])


@given(st.one_of(st.binary(), st.text(), st.lists(PIECES).map("\n".join)))
def test_no_text_does_anything_but_parse_or_be_refused(text: str | bytes) -> None:
    try:
        for block in dearmour_all(text):
            assert block.raw == RAW
    except ArmourError:
        return


@given(st.integers(min_value=0, max_value=len(TEXT) - 1), st.characters(codec="latin-1"))
def test_one_character_changed_never_gives_the_same_envelope_under_another_spelling(at: int, character: str) -> None:
    text = TEXT[:at] + character + TEXT[at + 1 :]
    try:
        blocks = dearmour_all(text)
    except ArmourError:
        return
    begins_or_ends = at <= len(LINES[0]) or at >= len(TEXT) - len(LINES[-1]) - 2
    assert text == TEXT or begins_or_ends or [block.raw for block in blocks] != [RAW]
