"""Entries: commitments recomputed by hand, erasure that leaves every proof standing, and a decoder nothing crashes."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.evidence import entry, merkle
from licd.evidence.entry import Entry, EntryInvalid, ErasedField, Field, decode, disclose, encode, erase, seal
from tests.evidence.sample import flip, sealed_entry

NAMES = st.from_regex(r"[a-z][a-z0-9_.]{0,63}", fullmatch=True)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=80)), min_size=1, max_size=12, unique_by=lambda field: field[0])
SALT = bytes(range(16))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Entries with any mixture of present and erased fields."""
    pairs = draw(FIELDS)
    salts = draw(st.binary(min_size=16 * len(pairs), max_size=16 * len(pairs)))
    gone = draw(st.sets(st.sampled_from([name for name, _ in pairs])))
    return erase(decode(seal(pairs, salts).encoded), gone)


def commitment_by_hand(name: str, value: bytes, salt: bytes) -> bytes:
    return sha256(b"licd/field/v1\x00" + bytes([len(name)]) + name.encode() + salt + value).digest()


def leaf_by_hand(commitments: dict[str, bytes]) -> bytes:
    names = b"".join(bytes([len(name)]) + name.encode() for name in commitments)
    data = b"licd/entry/v1\x00" + bytes([len(commitments)]) + names + b"".join(commitments.values())
    return sha256(b"\x00" + data).digest()


# -- sealing


@given(FIELDS, st.data())
def test_the_leaf_is_the_one_the_documentation_describes(pairs: list[tuple[str, bytes]], data: st.DataObject):
    salts = data.draw(st.binary(min_size=16 * len(pairs), max_size=16 * len(pairs)))
    sealed = seal(pairs, salts)
    by_hand = {
        name: commitment_by_hand(name, value, salts[16 * at : 16 * at + 16]) for at, (name, value) in enumerate(pairs)
    }
    assert sealed.leaf_hash == leaf_by_hand(by_hand)


@given(FIELDS, st.data())
def test_sealing_equals_building_the_entry_field_by_field(pairs: list[tuple[str, bytes]], data: st.DataObject):
    salts = data.draw(st.binary(min_size=16 * len(pairs), max_size=16 * len(pairs)))
    slow = Entry(tuple(Field(name, value, salts[16 * at :][:16]) for at, (name, value) in enumerate(pairs)))
    sealed = seal(pairs, salts)
    assert sealed.encoded == encode(slow)
    assert sealed.leaf_hash == slow.leaf_hash()
    assert decode(sealed.encoded) == slow


def test_the_same_fields_under_other_salts_have_another_leaf():
    assert seal([("a", b"1")], bytes(16)).leaf_hash != seal([("a", b"1")], bytes(15) + b"\x01").leaf_hash


def test_the_order_of_fields_matters():
    one, two = ("a", b"1"), ("b", b"2")
    assert seal([one, two], bytes(32)).leaf_hash != seal([two, one], bytes(32)).leaf_hash


def test_moving_a_byte_between_name_and_value_changes_the_commitment():
    assert Field("ab", b"c", SALT).commitment != Field("a", b"bc", SALT).commitment


@pytest.mark.parametrize(
    ("fields", "salts", "why"),
    [
        ([], 0, "1 to 255 fields, not 0"),
        ([(f"n{number}", b"") for number in range(256)], 256 * 16, "1 to 255 fields, not 256"),
        ([("a", b""), ("b", b""), ("b", b"")], 48, "'b' appears twice"),
        ([("a", b"")], 15, "1 fields need 16 bytes of salt, not 15"),
        ([("a", b""), ("b", b"")], 16, "2 fields need 32 bytes of salt, not 16"),
        ([("", b"")], 16, "field name ''"),
        ([("A", b"")], 16, "field name 'A'"),
        ([("1a", b"")], 16, "field name '1a'"),
        ([("a\n", b"")], 16, r"field name 'a\\n'"),
        ([("é", b"")], 16, "field name"),
        ([("a" * 65, b"")], 16, "field name"),
        ([("a", bytes(2**19)), ("b", bytes(2**19 + 1))], 32, "at most 1048576 bytes together, not 1048577"),
    ],
)
def test_refuses_to_seal_what_is_no_entry(fields: list[tuple[str, bytes]], salts: int, why: str):
    with pytest.raises(EntryInvalid, match=why):
        seal(fields, bytes(salts))


def test_seals_255_fields_with_names_of_64_letters_and_a_mebibyte_of_value():
    pairs = [(f"{number:x}".rjust(64, "z"), b"") for number in range(254)] + [("last", bytes(2**20))]
    sealed = seal(pairs, bytes(range(255)) * 16)
    assert decode(sealed.encoded).leaf_hash() == sealed.leaf_hash


# -- erasing and disclosing


@given(entries(), st.data())
def test_erasing_any_fields_keeps_the_leaf(whole: Entry, data: st.DataObject):
    names = data.draw(st.sets(st.sampled_from([field.name for field in whole.fields])))
    left = erase(whole, names)
    assert left.leaf_hash() == whole.leaf_hash()
    assert left.leaf_data() == whole.leaf_data()
    for before, after in zip(whole.fields, left.fields, strict=True):
        assert isinstance(after, ErasedField) if before.name in names else after == before


def test_erasing_leaves_nothing_of_value_and_salt_in_the_encoding():
    whole = Entry((Field("kind", b"report", SALT), Field("reporter", b"a name, forgotten", bytes(range(100, 116)))))
    left = encode(erase(whole, {"reporter"}))
    assert b"forgotten" not in left
    assert bytes(range(100, 116)) not in left
    assert b"report" in left


def test_a_proof_of_inclusion_holds_before_and_after_erasing():
    sealed = [sealed_entry(number) for number in range(9)]
    leaves = [one.leaf_hash for one in sealed]
    proof = merkle.inclusion_proof(leaves, 4, 9)
    erased = erase(decode(sealed[4].encoded), {"target", "at"})
    merkle.verify_inclusion(decode(encode(erased)).leaf_hash(), 4, 9, proof, merkle.root_of(leaves))


def test_disclosing_one_field_shows_it_and_hides_the_others():
    whole = decode(sealed_entry(7).encoded)
    shown = disclose(whole, {"kind"})
    assert shown.leaf_hash() == whole.leaf_hash()
    assert shown.field("kind") == whole.field("kind")
    assert [type(field) for field in shown.fields] == [Field, ErasedField, ErasedField]


def test_a_disclosed_value_cannot_be_another():
    whole = decode(sealed_entry(7).encoded)
    shown = disclose(whole, {"kind"})
    kind = shown.field("kind")
    assert isinstance(kind, Field)
    forged = Entry((Field("kind", b"lease.refused", kind.salt), *shown.fields[1:]))
    assert forged.leaf_hash() != whole.leaf_hash()


@pytest.mark.parametrize("change", [erase, disclose])
def test_refuses_to_erase_or_disclose_a_field_that_is_not_there(change):
    with pytest.raises(EntryInvalid, match="no field 'misspelt'"):
        change(decode(sealed_entry(7).encoded), {"kind", "misspelt"})


def test_an_unknown_field_is_none():
    assert decode(sealed_entry(7).encoded).field("reporter") is None


# -- the encoding


@given(entries())
def test_every_entry_survives_its_encoding(whole: Entry):
    assert decode(encode(whole)) == whole


@given(entries(), st.data())
def test_finds_any_flipped_bit_of_an_entry(whole: Entry, data: st.DataObject):
    encoded = encode(whole)
    altered = flip(encoded, data.draw(st.integers(0, len(encoded) * 8 - 1)))
    assert not same_leaf(altered, whole.leaf_hash())


def test_finds_every_flipped_bit_of_an_entry_with_both_kinds_of_field():
    whole = erase(decode(sealed_entry(7).encoded), {"at"})
    encoded = encode(whole)
    missed = [bit for bit in range(len(encoded) * 8) if same_leaf(flip(encoded, bit), whole.leaf_hash())]
    assert missed == []


def same_leaf(data: bytes, leaf: bytes) -> bool:
    try:
        return decode(data).leaf_hash() == leaf
    except EntryInvalid:
        return False


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_exactly(data: bytes):
    try:
        read = decode(data)
    except EntryInvalid:
        return
    assert encode(read) == data


@given(entries(), st.data())
def test_any_splice_of_an_entry_is_refused_or_read_exactly(whole: Entry, data: st.DataObject):
    encoded = encode(whole)
    start = data.draw(st.integers(0, len(encoded)))
    end = data.draw(st.integers(start, len(encoded)))
    spliced = encoded[:start] + data.draw(st.binary(max_size=4)) + encoded[end:]
    try:
        read = decode(spliced)
    except EntryInvalid:
        return
    assert encode(read) == spliced


GOOD = encode(Entry((Field("a", b"xyz", SALT), ErasedField("b", bytes(32)))))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "offset 0: the version takes 1 bytes, 0 are left"),
        (b"\x01", "offset 1: the number of fields"),
        (b"\x02" + GOOD[1:], "offset 0: unknown version 2"),
        (b"\x01\x00", "1 to 255 fields, not 0"),
        (b"\x01\x01\x52\x01a", "offset 2: unknown kind of field 0x52"),
        (b"\x01\x01\x51\x05a", "offset 4: a name takes 5 bytes, 1 are left"),
        (GOOD[:10], "offset 8: the salt of 'a' takes 16 bytes, 2 are left"),
        (GOOD[:40], "offset 24: the commitment of 'b' takes 32 bytes, 16 are left"),
        (GOOD[:-4], "offset 56: the length of 'a' takes 4 bytes, 3 are left"),
        (GOOD[:-1], "offset 60: the value of 'a' takes 3 bytes, 2 are left"),
        (GOOD + b"!", "offset 63: 1 bytes after the last field"),
        (GOOD.replace(b"\xae\x01b", b"\xae\x01a"), "'a' appears twice"),
        (GOOD.replace(b"\xae\x01b", b"\xae\x01B"), "field name 'B'"),
        (GOOD.replace(b"\xae\x01b", b"\xae\x01\xff"), "field name"),
        (GOOD.replace(b"\x00\x00\x00\x03", b"\xff\xff\xff\xff"), "the value of 'a' takes 4294967295 bytes"),
    ],
)
def test_says_where_an_encoding_is_wrong(data: bytes, why: str):
    with pytest.raises(EntryInvalid, match=why):
        decode(data)


def test_refuses_to_read_values_longer_than_can_be_sealed():
    length = entry.MAX_VALUES_BYTES + 1
    data = b"\x01\x01\x51\x01a" + SALT + length.to_bytes(4, "big") + bytes(length)
    with pytest.raises(EntryInvalid, match="at most 1048576 bytes together"):
        decode(data)


def test_refuses_fields_of_impossible_size():
    with pytest.raises(EntryInvalid, match="a salt has 16 bytes, not 15"):
        Field("a", b"", bytes(15))
    with pytest.raises(EntryInvalid, match="a commitment has 32 bytes, not 31"):
        ErasedField("a", bytes(31))
