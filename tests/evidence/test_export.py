"""A whole log as text: what is found, and that the first bad entry is named."""

import base64
import dataclasses
import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence import entry, merkle
from licd.evidence.checkpoint import Checkpoint, LogVerifier, sign_checkpoint
from licd.evidence.export import (
    MAX_LINE_CHARACTERS,
    LogInvalid,
    checkpoint_line,
    entry_line,
    export_lines,
    header_line,
    verify_export,
)
from licd.evidence.note import NoteInvalid
from tests.evidence.sample import LOG, LOG_SIGNER, ORIGIN, flip, make_signer, sealed_entry, signed_checkpoint, verify

SIZE = 20
SEALED = [sealed_entry(number) for number in range(SIZE)]
LEAVES = [one.leaf_hash for one in SEALED]
PAIRS = [(one.leaf_hash, one.encoded) for one in SEALED]
BATCHES = (0, 5, 6, 13, SIZE)
CHECKPOINTS = [signed_checkpoint(LEAVES[:size]) for size in BATCHES]
LINES = list(export_lines(ORIGIN, PAIRS, CHECKPOINTS))


def line_of(index: int) -> int:
    """Where entry `index` stands: after the header and the checkpoints over no more entries than precede it."""
    return 1 + index + sum(size <= index for size in BATCHES)


def with_line(position: int, text: str) -> list[str]:
    return [*LINES[:position], text, *LINES[position + 1 :]]


def with_entry(index: int, leaf: bytes, encoded: bytes) -> list[str]:
    return with_line(line_of(index), entry_line(index, leaf, encoded))


def invalid(lines: list[str] | list[bytes], verifier: LogVerifier = LOG, held: Sequence[Checkpoint] = ()) -> LogInvalid:
    with pytest.raises(LogInvalid) as caught:
        verify_export(lines, verifier, held)
    return caught.value


def root_at(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, merkle.root_of(LEAVES[:size]))


# -- a log that is whole


def test_a_whole_log_is_found_whole():
    report = verify_export(LINES, LOG)
    assert report.final == root_at(SIZE)
    assert (report.checkpoints, report.entries_with_erasure, report.erased_fields) == (5, 0, 0)


def test_lines_may_be_text_or_bytes_with_or_without_a_newline():
    expected = verify_export(LINES, LOG)
    assert verify_export([f"{line}\n" for line in LINES], LOG) == expected
    assert verify_export([f"{line}\n".encode() for line in LINES], LOG) == expected


def test_an_entry_is_judged_before_the_next_line_is_read():
    altered = with_line(line_of(3), "nonsense")
    reader = iter(altered)
    with pytest.raises(LogInvalid):
        verify_export(reader, LOG)
    assert list(reader) == altered[line_of(4) :]


def test_erased_values_leave_the_log_whole_and_are_counted():
    left = entry.erase(entry.decode(SEALED[7].encoded), {"target", "at"})
    report = verify_export(with_entry(7, LEAVES[7], entry.encode(left)), LOG)
    assert (report.entries_with_erasure, report.erased_fields) == (1, 2)


def test_one_erased_value_counts_too():
    left = entry.erase(entry.decode(SEALED[7].encoded), {"target"})
    report = verify_export(with_entry(7, LEAVES[7], entry.encode(left)), LOG)
    assert (report.entries_with_erasure, report.erased_fields) == (1, 1)


def test_an_empty_log_is_whole():
    lines = export_lines(ORIGIN, [], [signed_checkpoint([])])
    assert verify_export(lines, LOG).final.size == 0


def test_one_checkpoint_at_the_end_is_enough():
    lines = export_lines(ORIGIN, PAIRS, CHECKPOINTS[-1:])
    assert verify_export(lines, LOG).checkpoints == 1


def test_a_checkpoint_may_stand_twice():
    assert verify_export([*LINES, LINES[-1]], LOG).checkpoints == 6


# -- the first bad entry


@pytest.mark.parametrize("index", range(SIZE))
def test_names_the_entry_whose_value_was_altered(index: int):
    altered = SEALED[index].encoded.replace(b"lease.granted", b"lease.refused")
    found = invalid(with_entry(index, LEAVES[index], altered))
    assert (found.index, found.end, found.line) == (index, index + 1, line_of(index) + 1)
    assert str(found) == f"line {found.line}, entry {index}: the entry does not match its leaf hash"


@pytest.mark.parametrize("index", range(SIZE))
def test_names_the_narrowest_range_when_leaf_and_value_were_altered_together(index: int):
    other = sealed_entry(index + 100)
    found = invalid(with_entry(index, other.leaf_hash, other.encoded))
    start = max(size for size in BATCHES if size <= index)
    end = min(size for size in BATCHES if size > index)
    assert (found.index, found.end) == (start, end)
    assert f"the root over {end} entries is not the one in the signed checkpoint" in found.why


def test_a_range_of_one_is_one_entry():
    other = sealed_entry(105)
    found = invalid(with_entry(5, other.leaf_hash, other.encoded))
    assert (found.index, found.end) == (5, 6)
    assert str(found).startswith("line 10, entry 5: the root over 6 entries")


def test_without_checkpoints_in_between_the_whole_log_is_in_doubt():
    other = sealed_entry(100)
    pairs = [*PAIRS[:7], (other.leaf_hash, other.encoded), *PAIRS[8:]]
    found = invalid(list(export_lines(ORIGIN, pairs, CHECKPOINTS[-1:])))
    assert (found.index, found.end) == (0, SIZE)
    assert str(found).startswith("line 22, entries 0 to 19, first candidate 0: ")


def test_names_the_first_of_two_bad_entries():
    altered = [SEALED[index].encoded.replace(b"granted", b"refused") for index in (4, 9)]
    lines = with_entry(4, LEAVES[4], altered[0])
    lines[line_of(9)] = entry_line(9, LEAVES[9], altered[1])
    assert invalid(lines).index == 4


@pytest.mark.parametrize("index", range(SIZE))
def test_names_an_entry_that_is_missing(index: int):
    found = invalid([*LINES[: line_of(index)], *LINES[line_of(index) + 1 :]])
    assert found.index == index


def test_names_the_place_where_entries_were_swapped():
    lines = with_line(line_of(8), LINES[line_of(9)])
    lines[line_of(9)] = LINES[line_of(8)]
    found = invalid(lines)
    assert (found.index, found.why) == (8, "entry 8 is missing, the line has index 9")


def test_names_the_place_where_an_entry_was_repeated():
    lines = [*LINES[: line_of(8)], LINES[line_of(7)], *LINES[line_of(8) :]]
    assert invalid(lines).index == 8


def test_names_the_place_where_an_entry_was_slipped_in_and_the_rest_renumbered():
    pairs = [*PAIRS[:8], PAIRS[3], *PAIRS[8:]]
    lines = [header_line(ORIGIN), *(entry_line(index, *pair) for index, pair in enumerate(pairs))]
    found = invalid([*lines[:14], checkpoint_line(CHECKPOINTS[3]), *lines[14:]])
    assert (found.index, found.end) == (0, 13)


@pytest.mark.parametrize("length", [length for length in range(len(LINES)) if "checkpoint" not in LINES[length - 1]])
def test_a_log_cut_anywhere_but_at_a_checkpoint_is_not_whole(length: int):
    found = invalid(LINES[:length])
    assert found.end == found.index
    assert found.why == "the log does not end in a signed checkpoint over all its entries"


def test_a_log_cut_at_a_checkpoint_is_the_log_of_that_time():
    cut = LINES[: line_of(13)]
    assert verify_export(cut, LOG).final == root_at(13)


# -- checkpoints kept from before


def test_a_log_cut_at_a_checkpoint_is_refused_by_who_holds_a_later_one():
    found = invalid(LINES[: line_of(13)], held=[root_at(13), root_at(SIZE)])
    assert (found.index, found.end) == (13, 13)
    assert "a checkpoint of size 20 is held" in found.why


def test_a_log_rewritten_and_signed_anew_is_refused_by_who_holds_the_old_root():
    other = sealed_entry(100)
    pairs = [*PAIRS[:7], (other.leaf_hash, other.encoded), *PAIRS[8:]]
    leaves = [leaf for leaf, _ in pairs]
    lines = list(export_lines(ORIGIN, pairs, [signed_checkpoint(leaves)]))
    assert verify_export(lines, LOG).final.size == SIZE
    found = invalid(lines, held=[root_at(10), root_at(5)])
    assert (found.index, found.end) == (5, 10)
    assert "not the one in the held checkpoint" in found.why


@pytest.mark.parametrize("size", range(SIZE + 1))
def test_a_held_checkpoint_of_any_size_agrees_with_the_whole_log(size: int):
    assert verify_export(LINES, LOG, held=[root_at(size)]).final.size == SIZE


def test_a_held_checkpoint_of_another_log_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="the held checkpoint is of 'other'"):
        verify_export(LINES, LOG, held=[dataclasses.replace(root_at(3), origin="other")])


# -- checkpoints that do not hold


def test_refuses_a_log_whose_checkpoint_somebody_else_signed():
    stranger = make_signer(ORIGIN, bytes(32))
    forged = sign_checkpoint(root_at(SIZE), (stranger,)).encode()
    found = invalid([*LINES[:-1], checkpoint_line(forged)])
    assert (found.index, found.end) == (SIZE, SIZE)
    assert found.why == "the checkpoint is not valid: no signature by a known key"
    assert str(found).startswith("line 26, before entry 20: ")


def test_refuses_a_checkpoint_that_stands_in_the_wrong_place():
    lines = [*LINES[: line_of(8)], checkpoint_line(CHECKPOINTS[3]), *LINES[line_of(8) :]]
    found = invalid(lines)
    assert (found.index, found.why) == (8, "the checkpoint is over 13 entries, 8 stand above it")


def test_refuses_a_log_that_another_log_has_signed():
    other = "licd.example/other"
    verifier = LogVerifier(other, (dataclasses.replace(LOG_SIGNER.key, name=other),), verify)
    found = invalid(LINES, verifier)
    assert (found.index, found.line) == (0, 1)
    assert "does not announce a licd-log/1 log of 'licd.example/other'" in found.why


# -- any alteration of the text


@given(st.data())
def test_finds_any_flipped_bit_of_an_export(data: st.DataObject):
    position = data.draw(st.integers(0, len(LINES) - 1))
    line = LINES[position].encode()
    altered = flip(line, data.draw(st.integers(0, len(line) * 8 - 1)))
    lines = [one.encode() for one in LINES]
    found = invalid([*lines[:position], altered, *lines[position + 1 :]])
    assert found.line >= position + 1


def test_finds_every_flipped_bit_of_a_small_export():
    whole = "".join(f"{line}\n" for line in export_lines(ORIGIN, PAIRS[:1], [signed_checkpoint(LEAVES[:1])])).encode()
    assert verify_export(whole.splitlines(keepends=True), LOG).final.size == 1
    for bit in range(len(whole) * 8 - 8):
        with pytest.raises(LogInvalid):
            verify_export(flip(whole, bit).split(b"\n")[:-1], LOG)


def test_every_truncation_of_a_line_is_found():
    for cut in range(len(LINES[3])):
        assert invalid(with_line(3, LINES[3][:cut])).line == 4


def altered_json(change: Callable[[dict[str, object]], object]) -> str:
    values = json.loads(LINES[line_of(3)])
    change(values)
    return json.dumps(values, separators=(",", ":"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "not ASCII JSON"),
        ("{", "not ASCII JSON"),
        ("[" * 100_000, "not ASCII JSON"),
        ('{"index":' + "9" * 5000 + "}", "not ASCII JSON"),
        ("[]", "not a JSON object"),
        ("3", "not a JSON object"),
        ("{}", "entry 3 is missing, the line has index None"),
        (altered_json(lambda values: values.update(index=True)), "the line has index True"),
        (altered_json(lambda values: values.update(index=3.0)), "the line has index 3.0"),
        (altered_json(lambda values: values.update(index="3")), "the line has index '3'"),
        (altered_json(lambda values: values.update(index="9" * 500)), "the line has index '9{39}$"),
        (altered_json(lambda values: values.update(note="x")), "not in its canonical form"),
        (altered_json(lambda values: values.pop("leaf")), "the line has no 'leaf'"),
        (altered_json(lambda values: values.update(entry=[])), "the line has no 'entry'"),
        (altered_json(lambda values: values.update(entry="\ud800")), "'entry' is not padded"),
        (altered_json(lambda values: values.update(leaf="AA=")), "'leaf' is not padded"),
        (altered_json(lambda values: values.update(leaf="AB==")), "'leaf' is not canonical"),
        (altered_json(lambda values: values.update(leaf="")), "the entry does not match its leaf"),
        (altered_json(lambda values: values.update(entry="")), "the entry does not decode: offset 0"),
        (LINES[line_of(3)].replace('"index":3,', '"index":3,"index":3,'), "not in its canonical form"),
        (" " + LINES[line_of(3)], "not in its canonical form"),
        (LINES[line_of(3)] + "\r\n", "not in its canonical form"),
        (LINES[line_of(3)] + "\n\n", "not in its canonical form"),
        ('{"checkpoint":3}', "not in its canonical form"),
        ('{"checkpoint":"\\ud800"}', "the checkpoint is not valid"),
        ('{"checkpoint":"x","checkpoint":"x"}', "not in its canonical form"),
        ('{"checkpoint":"nothing"}', "the checkpoint is not valid: a note is a text"),
        ("x" * (MAX_LINE_CHARACTERS + 1), "the line is too long"),
        (LINES[line_of(3)].replace("index", "\u00efndex"), "entry 3 is missing"),
    ],
    ids=lambda text: text[:30],
)
def test_says_what_is_wrong_with_a_line(line: str, why: str):
    found = invalid(with_line(line_of(3), line))
    assert (found.index, found.line) == (3, line_of(3) + 1)
    with pytest.raises(LogInvalid, match=why):
        raise found


def test_a_line_of_bytes_that_is_not_ascii_is_named():
    lines = [line.encode() for line in LINES]
    lines[line_of(3)] = b"\xff\xfe"
    assert invalid(lines).why == "the line is not ASCII JSON"


@pytest.mark.parametrize("lines", [[], [LINES[1]], [LINES[2]], [*LINES[1:]]])
def test_an_export_begins_with_its_header(lines: list[str]):
    found = invalid(lines)
    assert (found.index, found.end) == (0, 0)


@given(st.lists(st.one_of(st.text(max_size=40), st.binary(max_size=40), st.sampled_from(LINES)), max_size=12))
def test_no_lines_crash_the_verifier(lines: list[str | bytes]):
    try:
        report = verify_export(lines, LOG)
    except LogInvalid:
        return
    assert [line for line in lines if "entry" in str(line)] == LINES_WITH_ENTRIES[: report.final.size]


LINES_WITH_ENTRIES = [line for line in LINES if line.startswith('{"index"')]


# -- writing an export


def test_refuses_to_write_a_log_whose_checkpoints_do_not_fit():
    with pytest.raises(ValueError, match="covers 20 entries, there are fewer"):
        list(export_lines(ORIGIN, PAIRS[:19], CHECKPOINTS))
    with pytest.raises(ValueError, match="no checkpoint covers entry 13"):
        list(export_lines(ORIGIN, PAIRS, CHECKPOINTS[:4]))
    with pytest.raises(ValueError, match="size 5 comes after 6 entries"):
        list(export_lines(ORIGIN, PAIRS, [CHECKPOINTS[2], CHECKPOINTS[1]]))
    with pytest.raises(NoteInvalid):
        list(export_lines(ORIGIN, PAIRS, [b"no checkpoint"]))


def test_the_longest_entry_that_can_be_sealed_can_be_exported():
    pairs = [(f"{number:x}".rjust(64, "z"), b"") for number in range(254)] + [("last", bytes(2**20))]
    sealed = entry.seal(pairs, bytes(range(255)) * 16)
    lines = export_lines(ORIGIN, [(sealed.leaf_hash, sealed.encoded)], [signed_checkpoint([sealed.leaf_hash])])
    assert verify_export(lines, LOG).final.size == 1


def test_every_line_is_ascii_and_keeps_its_keys_in_order():
    assert "".join(LINES).isascii()
    assert LINES[0] == '{"format":"licd-log/1","origin":"licd.example/log"}'
    leaf = base64.b64encode(LEAVES[0]).decode()
    assert LINES[2].startswith(f'{{"index":0,"leaf":"{leaf}","entry":"AQNR')
