"""One entry and its proof in one file: the published form, disclosure of some fields, and everything to be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence import merkle
from licd.evidence.entry import ErasedField, decode, disclose
from licd.evidence.errors import EvidenceInvalid
from licd.evidence.inclusion import check_inclusion, encode_inclusion, parse_inclusion
from licd.evidence.merkle import ProofInvalid
from tests.evidence.sample import LOG, flip, sealed_entry, signed_checkpoint

SIZE = 11
ENTRIES = [sealed_entry(number) for number in range(SIZE)]
LEAVES = [each.leaf_hash for each in ENTRIES]
SIGNED = signed_checkpoint(LEAVES)


def proof_of(index: int, *names: str, of: int = -1) -> bytes:
    entry = decode(ENTRIES[index if of < 0 else of].encoded)
    return encode_inclusion(index, entry, merkle.inclusion_proof(LEAVES, index, SIZE), SIGNED, names or None)


def test_the_lines_are_those_of_the_specification():
    """The example of c2sp.org/tlog-proof has shortened signatures, and cannot be checked itself; its lines can."""
    first, extra, index, *hashes, last = proof_of(7).split(b"\n\n")[0].decode().split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 7")
    assert extra.startswith("extra ")
    assert len([*hashes, last]) == len(merkle.inclusion_proof(LEAVES, 7, SIZE))
    assert proof_of(7).split(b"\n\n", 1)[1] == SIGNED


@pytest.mark.parametrize("index", range(SIZE))
def test_every_entry_is_proved_by_its_file_alone(index: int):
    found = parse_inclusion(proof_of(index))
    assert check_inclusion(found, LOG).size == SIZE
    assert (found.index, found.entry) == (index, decode(ENTRIES[index].encoded))
    assert found.encode() == proof_of(index)


def test_what_is_not_disclosed_is_not_in_the_file_and_the_rest_is_proved():
    found = parse_inclusion(proof_of(3, "kind"))
    check_inclusion(found, LOG)
    assert found.entry == disclose(decode(ENTRIES[3].encoded), {"kind"})
    assert [field.name for field in found.entry.fields if isinstance(field, ErasedField)] == ["at", "target"]


def test_another_entry_or_another_place_is_not_proved():
    with pytest.raises(ProofInvalid):
        check_inclusion(parse_inclusion(proof_of(3, of=4)), LOG)
    with pytest.raises(ProofInvalid):
        check_inclusion(parse_inclusion(proof_of(3).replace(b"index 3", b"index 2")), LOG)


def test_every_flipped_bit_is_refused():
    data = proof_of(5)
    for bit in range(len(data) * 8):
        with pytest.raises(EvidenceInvalid):
            check_inclusion(parse_inclusion(flip(data, bit)), LOG)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "line 1: a proof begins with"),
        (b"c2sp.org/tlog-proof@v1\nextra AA==\nindex 1\n", "line 1: a proof begins with"),
        (b"c2sp.org/tlog-proof@v1\n\nx", "line 2: a proof has an entry and an index"),
        (b"c2sp.org/tlog-proof@v1\nindex 1\nindex 1\n\nx", "line 2: begins with 'extra'"),
        (b"c2sp.org/tlog-proof@v1\nextra !\nindex 1\n\nx", "line 2: is not padded standard base64"),
        (b"c2sp.org/tlog-proof@v1\nextra AA==\nindex 01\n\nx", "line 3: the index has a leading zero"),
        (b"c2sp.org/tlog-proof@v1\nextra AA==\nindex 1\nAA==\n\nx", "line 4: a hash has 32 bytes, not 1"),
        (b"c2sp.org/tlog-proof@v1\nextra AA==\nindex 1" + b"\nAA==" * 64 + b"\n\nx", "line 67: .* 63 hashes, not 64"),
        (b"c2sp.org/tlog-proof@v1\nextra AA==\nindex 1\n\nx", "offset 0: unknown version 0"),
        (b"x" * (4 << 20), "a proof has at most"),
    ],
)
def test_what_is_no_proof_is_refused_with_its_line(data: bytes, why: str):
    with pytest.raises(EvidenceInvalid, match=why):
        parse_inclusion(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read_exactly(data: bytes):
    try:
        found = parse_inclusion(b"c2sp.org/tlog-proof@v1\n" + data)
    except EvidenceInvalid:
        return
    assert found.encode() == b"c2sp.org/tlog-proof@v1\n" + data
