"""The bytes that are signed and stored, against files that must never change (tests/golden/evidence_*)."""

from licd.evidence import entry, merkle
from licd.evidence.cosignature import cosign
from licd.evidence.entry import Sealed, decode, disclose, encode, erase, seal
from licd.evidence.export import export_lines, verify_export
from licd.evidence.note import parse_note
from tests.evidence.sample import GOLDEN, LOG, ORIGIN, WITNESS, sealed_entry, signed_checkpoint

FIELDS = [("kind", b"lease.granted"), ("at", (1_800_000_000_000).to_bytes(8, "big")), ("target", bytes(range(32)))]
SALTS = bytes(range(0x40, 0x70))


def golden_bytes(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / name).read_text(encoding="ascii"))


def golden_entry() -> Sealed:
    return seal(FIELDS, SALTS)


def test_the_stored_form_of_an_entry():
    assert golden_entry().encoded == golden_bytes("evidence_entry.hex")


def test_the_stored_form_of_an_entry_with_a_field_erased():
    left = erase(decode(golden_entry().encoded), {"target"})
    assert encode(left) == golden_bytes("evidence_entry_erased.hex")


def test_the_stored_form_of_an_entry_with_one_field_disclosed():
    shown = disclose(decode(golden_entry().encoded), {"kind"})
    assert encode(shown) == golden_bytes("evidence_entry_disclosed.hex")


def test_the_leaf_data_and_leaf_hash_of_all_three():
    leaf_data = golden_bytes("evidence_leaf_data.hex")
    for name in ("evidence_entry.hex", "evidence_entry_erased.hex", "evidence_entry_disclosed.hex"):
        assert decode(golden_bytes(name)).leaf_data() == leaf_data
    assert golden_entry().leaf_hash == merkle.leaf_hash(leaf_data) == golden_bytes("evidence_leaf_hash.hex")


def test_the_frontier_of_a_log_of_seven_entries():
    frontier = merkle.EMPTY.extend(sealed_entry(number).leaf_hash for number in range(7))
    assert frontier.to_bytes() == golden_bytes("evidence_frontier.hex")


def test_the_signed_and_cosigned_checkpoint_of_that_log():
    signed = parse_note(signed_checkpoint([sealed_entry(number).leaf_hash for number in range(7)]))
    cosigned = signed.with_signature(cosign(signed, WITNESS, 1_800_000_000_000))
    assert cosigned.encode() == (GOLDEN / "evidence_checkpoint.txt").read_bytes()


def test_the_export_of_that_log():
    stored = [sealed_entry(number).encoded for number in range(7)]
    stored[2] = encode(erase(decode(stored[2]), {"target"}))
    pairs = [(entry.decode(one).leaf_hash(), one) for one in stored]
    leaves = [leaf for leaf, _ in pairs]
    lines = list(export_lines(ORIGIN, pairs, [signed_checkpoint(leaves[:size]) for size in (0, 3, 7)]))
    recorded = (GOLDEN / "evidence_export.txt").read_text(encoding="ascii")
    assert [f"{line}\n" for line in lines] == recorded.splitlines(keepends=True)
    assert verify_export(recorded.splitlines(), LOG).erased_fields == 1
